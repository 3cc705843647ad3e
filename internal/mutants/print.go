package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A printer writes what became of each mutant, as soon as it and all before it are known.
type printer struct {
	out io.Writer
	md  bool // in Markdown

	equivalent []mutant // a table of their own in Markdown
}

func (p *printer) head() {
	if p.md {
		fmt.Fprint(p.out, "| mutant | what is broken | killed by | which says |\n|---|---|---|---|\n")
	}
}

func (p *printer) row(m mutant, v verdict) {
	word := string(v.Kind)
	if !v.satisfies(m) {
		word = strings.ToUpper(word)
	}
	switch {
	case p.md && m.Equivalent != "" && v.satisfies(m):
		p.equivalent = append(p.equivalent, m)
	case p.md && v.satisfies(m):
		fmt.Fprintf(p.out, "| %s | %s | `%s` | %s |\n", m.Name, inTable(m.Reason), v.Test, inTable(v.Why))
	case p.md:
		fmt.Fprintf(p.out, "| %s | %s | %s | %s |\n", m.Name, inTable(m.Reason), word, inTable(v.Why))
	default:
		fmt.Fprintf(p.out, "%-6s %5.1fs  %s: %s\n", word, v.Took.Seconds(), m.Name, m.Reason)
		switch {
		case v.Test != "":
			fmt.Fprintf(p.out, "%16s%s: %s\n", "", v.Test, v.Why)
		case v.Why != "":
			fmt.Fprintf(p.out, "%16s%s\n", "", v.Why)
		case m.Equivalent != "":
			fmt.Fprintf(p.out, "%16sequivalent: %s\n", "", m.Equivalent)
		}
	}
}

func (p *printer) foot() {
	if len(p.equivalent) == 0 {
		return
	}
	fmt.Fprint(p.out, "\n| equivalent | the change | why it breaks nothing |\n|---|---|---|\n")
	for _, m := range p.equivalent {
		fmt.Fprintf(p.out, "| %s | %s | %s |\n", m.Name, inTable(m.Reason), inTable(m.Equivalent))
	}
}

// list prints what there is.
func (p *printer) list(ms []mutant) {
	for _, m := range ms {
		note := ""
		if m.Equivalent != "" {
			note = " (equivalent)"
		}
		fmt.Fprintf(p.out, "%s: %s%s\n", m.Name, m.Reason, note)
	}
}

// inTable keeps s from ending a cell, or its line.
func inTable(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}

// A tally counts what became of the mutants.
type tally struct {
	of        map[kind]int
	different int
}

func (t *tally) count(m mutant, v verdict) {
	if t.of == nil {
		t.of = make(map[kind]int)
	}
	t.of[v.Kind]++
	if !v.satisfies(m) {
		t.different++
	}
}

func (t *tally) String() string {
	s := fmt.Sprintf("%d killed, %d lived", t.of[killed], t.of[lived])
	for _, k := range []kind{hung, broken} {
		if t.of[k] > 0 {
			s += fmt.Sprintf(", %d %s", t.of[k], k)
		}
	}
	return s
}

// round makes a duration readable.
func round(d time.Duration) time.Duration { return d.Round(time.Second / 10) }

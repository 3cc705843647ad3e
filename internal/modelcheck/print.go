package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A printer writes the table, a row as soon as it and all before it are known.
type printer struct {
	out   io.Writer
	md    bool // in Markdown
	trace bool // with the steps to what was found
}

func (p printer) head() {
	if p.md {
		fmt.Fprintln(p.out, "| model | switches | result | states | transitions | time | |")
		fmt.Fprintln(p.out, "|---|---|---|---|---|---|---|")
		return
	}
	fmt.Fprintf(p.out, "%-19s %-34s %-44s %9s %11s %7s\n", "MODEL", "SWITCHES", "RESULT", "STATES", "TRANSITIONS", "TIME")
}

func (p printer) row(r row, res result) {
	found, took := res.found(r.Want), res.Took.Round(10*time.Millisecond).Seconds()
	switches := strings.Join(r.Switches, " ")
	if p.md {
		fmt.Fprintf(p.out, "| %s | %s | %s | %s | %s | %.2f s | %s |\n", r.Model, code(switches), inTable(p.result(r, res, found)), res.States, res.Transitions, took, inTable(r.Note))
		return
	}
	fmt.Fprintf(p.out, "%-19s %-34s %-44s %9s %11s %6.2fs\n", r.Model, switches, p.result(r, res, found), res.States, res.Transitions, took)
	if p.trace && res.Steps != "" {
		fmt.Fprintln(p.out, strings.TrimRight(res.Steps, "\n"))
	}
}

// result marks what was not expected.
func (p printer) result(r row, res result, found string) string {
	if res.satisfies(r.Want) {
		return found
	}
	return "UNEXPECTED " + found
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// inTable keeps s from ending a cell.
func inTable(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

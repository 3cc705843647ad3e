package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A row is one search: a model, the switches it is compiled with, what must come out.
type row struct {
	Effort   effort
	Model    string   // models/Model.pml
	Switches []string // preprocessor macros: NAME or NAME=VALUE
	Want     verdict
	Note     string
}

// String returns what the row runs, as the command line selects it.
func (r row) String() string {
	return strings.TrimSpace(r.Model + " " + strings.Join(r.Switches, " "))
}

// matches reports whether every word is the row's model or one of its switches.
func (r row) matches(words []string) bool {
	for _, w := range words {
		if w != r.Model && !slices.Contains(r.Switches, w) {
			return false
		}
	}
	return true
}

// effort is how much work a search is.
type effort int

const (
	quick effort = iota // a second or two
	slow                // up to a minute
	long                // minutes, and gigabytes
)

var efforts = map[string]effort{"quick": quick, "slow": slow, "long": long}

// kind is how a search ended.
type kind string

const (
	ok         kind = "ok"         // every reachable state was looked at
	assertion  kind = "assertion"  // an assertion was violated
	deadlock   kind = "deadlock"   // an invalid end state was reached
	incomplete kind = "incomplete" // the search was cut short: nothing may be concluded
)

// A verdict is how a search ended and why. In a row of the table Why is
//
//	assertion  the expression, as spin prints it without blanks
//	deadlock   PROCESS at WORD: a process that sleeps, and a variable it waits for
type verdict struct {
	Kind kind
	Why  string
}

func (v verdict) String() string { return strings.TrimSpace(string(v.Kind) + " " + v.Why) }

var (
	columns  = regexp.MustCompile(` *\t[ \t]*| {2,}`)
	nameRE   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	switchRE = regexp.MustCompile(`^[A-Z][A-Z0-9_]*(=[0-9]+)?$`)
	stuckRE  = regexp.MustCompile(`^\w+ at \w+$`)
)

// parseRows reads the table. Columns are separated by two blanks or more:
//
//	quick|slow|long  model  switches or -  verdict  note
//
// Empty lines and lines that begin with # are left out.
func parseRows(text string) (rows []row, err error) {
	seen := map[string]int{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		r, err := parseRow(line)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", n, err)
		}
		if first, twice := seen[r.String()]; twice {
			return nil, fmt.Errorf("row %d: %s is in row %d already", n, r, first)
		}
		seen[r.String()] = n
		rows = append(rows, r)
	}
	return rows, nil
}

func parseRow(line string) (r row, err error) {
	col := columns.Split(line, -1)
	if len(col) != 5 {
		return r, fmt.Errorf("has %d columns, not 5: effort, model, switches, verdict, note", len(col))
	}
	var known bool
	if r.Effort, known = efforts[col[0]]; !known {
		return r, fmt.Errorf("%q is none of quick, slow, long", col[0])
	}
	if r.Model = col[1]; !nameRE.MatchString(r.Model) {
		return r, fmt.Errorf("%q is no name of a model", r.Model)
	}
	if col[2] != "-" {
		r.Switches = strings.Fields(col[2])
	}
	for _, s := range r.Switches {
		if !switchRE.MatchString(s) {
			return r, fmt.Errorf("%q is no switch", s)
		}
	}
	r.Want, err = parseWant(col[3])
	r.Note = col[4]
	return r, err
}

func parseWant(text string) (v verdict, err error) {
	k, why, _ := strings.Cut(text, " ")
	v = verdict{kind(k), why}
	switch v.Kind {
	case ok:
		if why != "" {
			err = fmt.Errorf("ok needs no reason, but says %q", why)
		}
	case assertion:
		if why == "" || why != normal(why) {
			err = fmt.Errorf("assertion needs the expression as spin prints it, without blanks: not %q", why)
		}
	case deadlock:
		if !stuckRE.MatchString(why) {
			err = fmt.Errorf("deadlock needs PROCESS at WORD: not %q", why)
		}
	default:
		err = fmt.Errorf("%q is none of ok, assertion, deadlock", k)
	}
	return v, err
}

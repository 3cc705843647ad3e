package main

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// A result is what a search found.
type result struct {
	verdict
	States      string // as spin prints them
	Transitions string
	Stuck       []stuck // of a deadlock
	Steps       string  // that lead to what was found, if asked for
	Took        time.Duration
}

// stuck is a process that cannot go on at an invalid end state.
type stuck struct {
	Process string
	At      string // the expression it waits for
}

var (
	violatedRE    = regexp.MustCompile(`(?m)^pan:\d+: assertion violated (.*) \(at depth`)
	endstateRE    = regexp.MustCompile(`(?m)^pan:\d+: invalid end state`)
	complaintRE   = regexp.MustCompile(`^(?:pan|error)[:\d]`)
	endnoteRE     = regexp.MustCompile(`^pan: (?:elapsed time|rate|wrote)`) // of every search
	statesRE      = regexp.MustCompile(`(?m)^\s*(\S+) states, stored`)
	transitionsRE = regexp.MustCompile(`(?m)^\s*(\S+) transitions`)
	errorsRE      = regexp.MustCompile(`errors: (\d+)`)
	stuckAtRE     = regexp.MustCompile(`(?m)^\s*\d+:\s+proc \d+ \(([^)]*)\).*\(invalid end state\)\n\s+(.*)$`)
	wordRE        = regexp.MustCompile(`\w+`)
)

// judge reads the report of a search. Only one that says it found no error, and was not
// cut short, is ok.
func judge(report string) (r result) {
	r.States = first(statesRE, report)
	r.Transitions = first(transitionsRE, report)
	switch {
	case violatedRE.MatchString(report):
		r.verdict = verdict{assertion, normal(first(violatedRE, report))}
	case endstateRE.MatchString(report):
		r.Kind = deadlock
	case complaint(report) != "":
		r.verdict = verdict{incomplete, complaint(report)}
	case first(errorsRE, report) != "0":
		r.verdict = verdict{incomplete, "the search did not report how it ended"}
	case strings.Contains(report, "Search not completed"):
		r.verdict = verdict{incomplete, "the search was cut short"}
	default:
		r.Kind = ok
	}
	return r
}

// complaint returns what pan complains of: a search too deep, no memory, a bad index.
func complaint(report string) string {
	for line := range strings.Lines(report) {
		if complaintRE.MatchString(line) && !endnoteRE.MatchString(line) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// stuckIn reads who cannot go on from the replay of a deadlock.
func stuckIn(replay string) (all []stuck) {
	for _, m := range stuckAtRE.FindAllStringSubmatch(replay, -1) {
		all = append(all, stuck{m[1], normal(m[2])})
	}
	return all
}

// satisfies reports whether r is what the row wanted, for the reason it gave.
func (r result) satisfies(want verdict) bool {
	if r.Kind != want.Kind {
		return false
	}
	switch want.Kind {
	case assertion:
		return r.Why == want.Why
	case deadlock:
		return slices.ContainsFunc(r.Stuck, func(s stuck) bool { return s.is(want.Why) })
	}
	return true
}

// is reports whether why, PROCESS at WORD, is about s.
func (s stuck) is(why string) bool {
	process, word, _ := strings.Cut(why, " at ")
	return s.Process == process && slices.Contains(wordRE.FindAllString(s.At, -1), word)
}

// found describes r for the table: a deadlock by whom the row names, if it is stuck
// there, and else by everyone who is.
func (r result) found(want verdict) string {
	if r.Kind != deadlock {
		return r.verdict.String()
	}
	if r.satisfies(want) {
		return want.String()
	}
	var all []string
	for _, s := range r.Stuck {
		all = append(all, s.Process+" at "+s.At)
	}
	return "deadlock " + strings.Join(all, ", ")
}

// normal returns an expression without blanks and without parentheses around the whole.
func normal(expr string) string {
	expr = strings.Join(strings.Fields(expr), "")
	for inParentheses(expr) {
		expr = expr[1 : len(expr)-1]
	}
	return expr
}

// inParentheses reports whether the first parenthesis of expr closes at its very end.
func inParentheses(expr string) bool {
	if !strings.HasPrefix(expr, "(") || !strings.HasSuffix(expr, ")") {
		return false
	}
	depth := 0
	for i, c := range expr {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			return i == len(expr)-1
		}
	}
	return false
}

func first(re *regexp.Regexp, s string) string {
	if m := re.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

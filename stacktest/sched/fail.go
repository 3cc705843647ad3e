//go:build sched

package sched

import (
	"fmt"
	"strings"
)

// fail notes a failure the calling actor found.
func (s *schedule) fail(k Kind, text string) {
	a := s.self()
	if a == nil {
		a = s.main
	}
	a.exits = true // FailNow, if that follows
	s.capture(a, 3)
	s.failBy(a, k, text, nil)
}

// failBy notes a failure of a, unless there is one already, and ends the schedule.
func (s *schedule) failBy(a *actor, k Kind, text string, cause error) {
	if s.done {
		return
	}
	s.done = true
	s.bad = &Failure{Kind: k, Text: text, cause: cause}
	if s.rec != nil {
		s.settle(a)
		if strings.Contains(text, "\n") {
			s.rec.note(s, a, "FAILS", "")
		} else {
			s.rec.note(s, a, "FAILS", text)
		}
		if a.stack != nil && k != Livelock {
			s.bad.Detail = fmt.Sprintf("%s at\n%s", a.name, s.rec.stack(a.stack))
		}
	}
}

// deadlock notes that actors wait and nobody can go on.
func (s *schedule) deadlock() {
	s.stuck(Deadlock, "nobody can go on", func(a *actor) bool { return true })
}

// leaks looks for goroutines that the code under test has left behind.
func (s *schedule) leaks() {
	left := func(a *actor) bool { return a.kind == started && !s.allMay && !s.exempt[a.given] }
	for _, a := range s.actors {
		if !a.done && left(a) {
			s.stuck(Leak, "left behind when all actors had ended", left)
			return
		}
	}
}

// stuck notes a failure of all actors that wait and are to be listed.
func (s *schedule) stuck(k Kind, text string, listed func(*actor) bool) {
	s.done = true
	s.bad = &Failure{Kind: k, Text: text}
	if s.rec == nil {
		return // nobody will read it
	}
	var who, where []string
	for _, a := range append(s.actors[:len(s.actors):len(s.actors)], s.main) {
		if a.done || !listed(a) || a == s.main && s.idle {
			continue
		}
		s.settle(a)
		what := s.rec.waits(s, a)
		who = append(who, a.name+" "+what)
		where = append(where, fmt.Sprintf("%s %s at\n%s", a.name, what, s.rec.stack(a.stack)))
	}
	s.bad.Text = text + ": " + strings.Join(who, "; ")
	s.bad.Detail = strings.Join(where, "\n")
}

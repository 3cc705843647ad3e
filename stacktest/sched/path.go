//go:build sched

package sched

import (
	"fmt"
	"strconv"
	"strings"
)

// A path is a schedule as a string: for each leg the actor's letter, a for the first one
// started, and how many steps it made if more than one. @ is the clock, (27) an actor
// beyond the letters, and ! before an actor says that its wait was ended.
func formatPath(path []leg) string {
	var b strings.Builder
	for _, l := range path {
		if l.end {
			b.WriteByte('!')
		}
		switch {
		case l.who == 0:
			b.WriteByte('@')
		case l.who <= 26:
			b.WriteByte('a' - 1 + byte(l.who))
		default:
			fmt.Fprintf(&b, "(%d)", l.who)
		}
		if l.n > 1 {
			b.WriteString(strconv.Itoa(l.n))
		}
	}
	return b.String()
}

// parsePath is the inverse of formatPath.
func parsePath(text string) (path []leg, err error) {
	rest := text
	number := func() (n int, ok bool) {
		i := 0
		for i < len(rest) && '0' <= rest[i] && rest[i] <= '9' {
			i++
		}
		n, err := strconv.Atoi(rest[:i])
		rest = rest[i:]
		return n, err == nil && n > 0
	}
	for rest != "" {
		l := leg{n: 1}
		rest, l.end = strings.CutPrefix(rest, "!")
		ok := rest != ""
		if ok {
			c := rest[0]
			rest = rest[1:]
			switch {
			case c == '@':
			case 'a' <= c && c <= 'z':
				l.who = int(c-'a') + 1
			case c == '(':
				l.who, ok = number()
				ok = ok && strings.HasPrefix(rest, ")")
				rest = strings.TrimPrefix(rest, ")")
			default:
				ok = false
			}
		}
		if ok && rest != "" && '0' <= rest[0] && rest[0] <= '9' {
			l.n, ok = number()
		}
		if !ok {
			return nil, fmt.Errorf("%q is no schedule: cannot read it at byte %d", text, len(text)-len(rest))
		}
		path = append(path, l)
	}
	return path, nil
}

// strict follows a path and fails the schedule where it cannot.
type strict struct {
	path []leg
	gone int // steps of path[0] made
}

func (c *strict) choose(s *schedule) int {
	if len(c.path) == 0 {
		return 0 // the path is told; go on without preemption
	}
	l := c.path[0]
	for i, o := range s.opts {
		if o.who.id == l.who && o.end == l.end {
			if c.gone++; c.gone == l.n {
				c.path, c.gone = c.path[1:], 0
			}
			return i
		}
	}
	who := formatPath([]leg{{l.who, l.end, 1}})
	s.failBy(s.main, Nondeterminism, fmt.Sprintf("the schedule does not fit: at step %d actor %s cannot go on, only %s; either it is another scenario's, or the scenario does not always do the same",
		s.steps+1, who, s.could()), nil)
	return -1
}

// could lists who can go on.
func (s *schedule) could() string {
	var who []string
	for _, o := range s.opts {
		who = append(who, fmt.Sprintf("%s (%s)", formatPath([]leg{{o.who.id, o.end, 1}}), o.who.name))
	}
	return strings.Join(who, ", ")
}

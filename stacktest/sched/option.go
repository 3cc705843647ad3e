//go:build sched

package sched

import "github.com/softnet-go/softnet/internal/hook"

// An option is an actor that can go on: its operation done, or if end its wait ended.
type option struct {
	who *actor
	end bool
}

// look finds out who can go on.
func (s *schedule) look() {
	s.opts, s.own, s.free = s.opts[:0], 0, true
	if c := s.cur; c != nil && c.kind != timer {
		s.free = !s.offer(c)
		s.own = len(s.opts)
	}
	for _, a := range s.actors {
		if a != s.cur {
			s.offer(a)
		}
	}
	s.calm = len(s.opts)
	for _, a := range s.actors {
		if a.timed && !a.done && !a.ready() && a.ctx.Err() == nil {
			s.opts = append(s.opts, option{a, true})
		}
	}
	if s.timeRuns() {
		s.opts = append(s.opts, option{s.clock, false})
	}
	if s.cur != nil && (s.yielded || s.cur.yielding()) {
		s.giveWay()
	}
}

// offer adds what a can do without time passing, and reports whether that is something.
func (s *schedule) offer(a *actor) bool {
	n := len(s.opts)
	if !a.done && (a.ready == nil || a.ready()) {
		s.opts = append(s.opts, option{a, false})
	}
	if !a.done && a.ctx != nil && a.ctx.Err() != nil {
		s.opts = append(s.opts, option{a, true})
	}
	return len(s.opts) > n
}

// cost is how many preemptions it takes to choose an option. Time passes at no cost when
// nobody can go on; else it passes over those who could, which is no better for them than
// to be preempted. Without that a timeout that is renewed could end for ever.
func (s *schedule) cost(i int) int {
	if i >= s.own && !s.free || i >= s.calm && s.calm > 0 {
		return 1
	}
	return 0
}

// giveWay takes those out of the options who have yielded and whose turn it is not yet: a
// Yield puts an actor behind all that could have gone on then, and behind the clock if
// there is nobody else. If everybody stands behind somebody, nobody does.
func (s *schedule) giveWay() {
	var able uint64 // who can go on and has not given way
	for _, o := range s.opts {
		if o.who.behind == 0 && o.who != s.clock {
			able |= bit(o.who)
		}
	}
	if c := s.cur; s.cur.yielding() && !c.yields {
		c.yields = true
		c.behind = able &^ bit(c)
		if c.behind == 0 {
			c.behind = bit(s.clock)
		}
	}
	if s.timeRuns() {
		able |= bit(s.clock)
	}
	s.yielded = false
	may, own, calm := make([]option, 0, len(s.opts)), 0, 0
	for i, o := range s.opts {
		if o.who.behind &= able; o.who.behind != 0 {
			s.yielded = true
			continue
		}
		may = append(may, o)
		if i < s.own {
			own = len(may)
		}
		if i < s.calm {
			calm = len(may)
		}
	}
	s.free = s.free || s.cur.yields
	if len(may) > 0 {
		s.opts, s.own, s.calm = may, own, calm
	}
}

// yielding reports whether a is about to yield.
func (a *actor) yielding() bool { return !a.done && a.ready == nil && a.op.Verb() == hook.OpYield }

func bit(a *actor) uint64 { return 1 << (a.id & 63) }

// mustStay reports whether the current actor is the only choice, if it may not be preempted.
func (s *schedule) mustStay() bool {
	c := s.cur
	return !c.done && c.ready == nil && c.kind != timer && !s.yielded && !c.yielding()
}

//go:build sched

package sched

import (
	"fmt"
	"time"
)

// A schedule is one run of the scenario. The driver resumes one actor at a time; each
// actor, before an operation on a shared object, picks who goes on.
type schedule struct {
	x    *explorer
	how  chooser
	rec  *recorder // nil unless this run is to be shown
	done bool      // nothing more is to be run
	bad  *Failure

	main    *actor
	clock   *actor
	actors  []*actor // by id, from 1
	fresh   []*actor // not yet at their first operation
	owned   int      // actors of S.Go that have not ended
	idle    bool     // main waits for all to come to rest
	checks  []func()
	exempt  map[string]bool // goroutines that may be left, nil for none
	allMay  bool            // be left
	chosen  *actor          // to be resumed next
	cur     *actor          // who made the last step
	ctx     *timeoutCtx     // ends with the schedule; made when asked for
	alive   []*timeoutCtx   // contexts that have not ended
	now     time.Duration   // on the clock
	yielded bool            // somebody is behind others after a Yield

	// What can be chosen: the current actor's ways to go on, those of the others, and last
	// what only time makes possible.
	opts   []option
	own    int  // how many are the current actor's
	calm   int  // how many need no time to pass
	free   bool // leaving the current actor is no preemption
	sticky bool // the current actor goes on whenever it can: nobody else need be looked at

	// What was chosen.
	path        []leg
	steps       int
	scenarioOps int
	preemptions int
	switches    int
	points      int // where there was a choice
}

// A leg is a part of a schedule in which one actor goes on.
type leg struct {
	who int // its id
	end bool
	n   int // steps
}

// A chooser decides who goes on.
type chooser interface {
	// choose returns an index into s.opts, which is not empty, or -1 to give the schedule up.
	choose(s *schedule) int
}

// spawn makes a new actor.
func (s *schedule) spawn(name string, k kind, f func()) {
	if s.done {
		return // called by somebody who unwinds
	}
	if name == "" {
		name = "goroutine"
	}
	a := s.x.actor()
	a.part = part{sch: s, id: len(s.actors) + 1, given: name, name: s.unique(name), kind: k, f: f}
	s.actors = append(s.actors, a)
	s.fresh = append(s.fresh, a)
	if k == owned {
		s.owned++
	}
}

// unique makes name one no other actor has: columns go by it.
func (s *schedule) unique(name string) string {
	for n, given := 2, name; ; n++ {
		taken := name == s.main.name || name == s.clock.name
		for _, a := range s.actors {
			taken = taken || a.name == name
		}
		if !taken {
			return name
		}
		name = fmt.Sprintf("%s#%d", given, n)
	}
}

func (s *schedule) after(f func()) { s.checks = append(s.checks, f) }

func (s *schedule) daemon(names []string) {
	if len(names) == 0 {
		s.allMay = true
	}
	for _, n := range names {
		if s.exempt == nil {
			s.exempt = map[string]bool{}
		}
		s.exempt[n] = true
	}
}

// drive runs the schedule to its end.
func (s *schedule) drive() {
	for s.chosen = s.main; ; {
		a := s.chosen
		s.chosen = nil
		if a == nil && len(s.fresh) > 0 {
			a, s.fresh = s.fresh[0], s.fresh[1:]
		}
		if a == nil {
			a = s.pick()
		}
		if a == nil {
			break
		}
		a.next()
		if a.done {
			s.ended(a)
		}
	}
	s.done = true
	s.bury()
}

// play is the scenario's own part.
func (s *schedule) play() {
	s.x.scenario(&S{s})
	for s.rest(); len(s.checks) > 0; {
		check := s.checks[0]
		s.checks = s.checks[1:]
		check()
	}
}

// rest returns when no actor can go on.
func (s *schedule) rest() {
	s.idle = true
	s.main.pause()
}

// alone counts what the scenario does by itself: it has no choices, but must end.
func (s *schedule) alone(a *actor) {
	most := 10 * s.x.o.Steps // building a world may take many
	if s.scenarioOps++; s.scenarioOps > most {
		s.failBy(a, Livelock, fmt.Sprintf("the scenario itself does not end within %d operations", most), nil)
		a.pause()
	}
}

func (s *schedule) ended(a *actor) {
	s.settle(a)
	if a.kind == owned {
		s.owned--
	}
}

// pick returns the actor that goes on, or nil if the schedule is over. Any actor calls it,
// so that one that goes on is not switched away from.
func (s *schedule) pick() *actor {
	for !s.done {
		s.endContexts()
		if m := s.main; m.ready != nil && !m.done && m.canGoOn() {
			return m // the scenario goes before everybody
		}
		if s.sticky && s.mustStay() {
			s.take(option{s.cur, false})
			return s.cur
		}
		s.look()
		if len(s.opts) == 0 || s.calm == 0 && s.owned == 0 && s.main.ready == nil {
			return s.atRest()
		}
		if len(s.opts) > 1 {
			s.points++
		}
		i := s.how.choose(s)
		if i < 0 || s.done {
			s.done = true
			break
		}
		o := s.opts[i]
		s.preemptions += s.cost(i)
		s.take(o)
		if s.done {
			break
		}
		if o.who == s.clock {
			s.fire()
			continue
		}
		if o.end {
			o.who.end = whyEnded(o.who.ctx)
		}
		return o.who
	}
	return nil
}

// atRest is called when nobody can go on, or only time, for which nobody waits who must
// end. It returns the scenario if that waited for this, or ends the schedule.
func (s *schedule) atRest() *actor {
	m := s.main
	if s.owned == 0 && s.idle {
		s.idle = false
		return m
	}
	switch {
	case m.ready != nil && m.timed:
		m.end = whyEnded(m.ctx)
		return m
	case s.owned > 0 || !m.done:
		s.deadlock()
	default:
		s.leaks()
	}
	s.done = true
	return nil
}

// take notes that o goes on.
func (s *schedule) take(o option) {
	a := o.who
	if s.steps++; s.steps > s.x.o.Steps {
		s.failBy(a, Livelock, fmt.Sprintf("no end after %d steps: a loop that waits for others by looking again calls sched.Yield", s.x.o.Steps), nil)
		return
	}
	if a != s.cur {
		if s.cur != nil {
			s.switches++
		}
		s.cur = a
	}
	if last := len(s.path) - 1; last >= 0 && s.path[last].who == a.id && !s.path[last].end && !o.end {
		s.path[last].n++
	} else {
		s.path = append(s.path, leg{a.id, o.end, 1})
	}
	a.yields, a.behind = false, 0
	if s.yielded {
		for _, b := range s.actors {
			b.behind &^= bit(a)
		}
	}
	s.show(o)
}

// bury ends what has not ended and takes the coroutines back. The dead unwind one after
// the other; their deferred calls run, but find that nothing blocks any more.
func (s *schedule) bury() {
	all := append([]*actor{s.main}, s.actors...)
	for _, a := range all {
		a.dead.Store(true)
	}
	s.endAll()
	for _, a := range all {
		if !a.done {
			a.next()
		}
		s.x.recycle(a)
	}
}

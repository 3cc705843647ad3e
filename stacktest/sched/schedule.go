//go:build sched

package sched

import (
	"fmt"
	"strings"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
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

// An option is an actor that can go on: its operation done, or if end its wait ended.
type option struct {
	who *actor
	end bool
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
	a := s.x.actor()
	a.part = part{sch: s, id: len(s.actors) + 1, name: s.unique(name), kind: k, f: f}
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
	if s.scenarioOps++; s.scenarioOps > s.x.o.Steps {
		s.failBy(a, Livelock, fmt.Sprintf("the scenario itself does not end within %d operations", s.x.o.Steps), nil)
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

// mustStay reports whether the current actor is the only choice, if it may not be preempted.
func (s *schedule) mustStay() bool {
	c := s.cur
	return !c.done && c.ready == nil && c.kind != timer && !s.yielded && !c.yielding()
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
		if c.behind == 0 && s.timeRuns() {
			c.behind = bit(s.clock)
		}
	}
	able |= bit(s.clock)
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
	left := func(a *actor) bool { return a.kind == started && !s.allMay && !s.exempt[a.name] }
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

func (s *schedule) name(obj any, name string) {
	if s.rec != nil {
		s.rec.call(pointer(obj), name)
	}
}

func (s *schedule) logf(format string, args []any) {
	if a := s.self(); s.rec != nil && a != nil {
		s.settle(a)
		s.rec.note(s, a, fmt.Sprintf(format, args...), "")
	}
}

func (s *schedule) settle(a *actor) {
	if s.rec != nil {
		s.rec.settle(a)
	}
}

func (s *schedule) show(o option) {
	if s.rec != nil {
		s.rec.step(s, o)
	}
}

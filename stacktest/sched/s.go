package sched

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// S is one schedule of a scenario. Explore hands it to the scenario, which starts actors,
// and says what must be true.
//
// Its methods may be called by the scenario and by actors. S has what testify's require
// asks for, so require.Equal(s, ...) works; a *testing.T does not belong into a scenario.
type S struct{ sch *schedule }

// Go starts an actor: a goroutine that must end before the scenario is over. Actors begin
// when the scenario's function has returned. What one does before its first operation on a
// shared object happens at once and in the order of the calls of Go: others cannot see it.
func (s *S) Go(name string, f func()) { s.sch.spawn(name, owned, f) }

// After registers a check of the outcome. Checks run when all actors have ended and every
// goroutine they left behind waits, in the order they were registered. A check may wait
// for something those goroutines do, such as a Close does; what runs meanwhile is explored
// too.
func (s *S) After(f func()) { s.sch.after(f) }

// Daemon says which goroutines started by the code under test may be left waiting when the
// scenario is over; without names all of them may. Others so left are a Leak.
func (s *S) Daemon(names ...string) { s.sch.daemon(names) }

// Name says what the object obj points to is called in reports. An object without a name
// is called what the source calls it where it is first seen.
func (s *S) Name(obj any, name string) { s.sch.name(obj, name) }

// Assert fails the schedule with a sentence, and ends the calling actor, unless ok.
func (s *S) Assert(ok bool, format string, args ...any) {
	if !ok {
		s.Failf(format, args...)
	}
}

// Failf fails the schedule with a sentence and ends the calling actor.
func (s *S) Failf(format string, args ...any) {
	s.Errorf(format, args...)
	s.FailNow()
}

// Errorf fails the schedule with a sentence. The schedule ends at the next operation; of
// several failures the first counts.
func (s *S) Errorf(format string, args ...any) {
	s.sch.fail(Assertion, fmt.Sprintf(format, args...))
}

// FailNow fails the schedule and ends the calling actor.
func (s *S) FailNow() {
	s.sch.fail(Assertion, "FailNow was called")
	runtime.Goexit()
}

// Logf writes a line into the actor's lane.
func (s *S) Logf(format string, args ...any) { s.sch.logf(format, args) }

// Context returns a context that ends with the schedule. Contexts for use in a scenario
// descend from it, or from what WithCancel and WithTimeout make.
func (s *S) Context() context.Context { return s.sch.context() }

// WithCancel is context.WithCancel, with the call of cancel as an operation: a place where
// another actor may come first.
func (s *S) WithCancel(parent context.Context) (ctx context.Context, cancel func()) {
	return s.sch.withCancel(parent)
}

// WithTimeout is context.WithTimeout on the schedule's own clock. Nothing an actor does
// takes a known time, so the timeout may end at any moment, but never after a longer one
// that began no earlier. Time passes by itself when nobody can go on; when it passes while
// somebody could, that counts as a preemption.
func (s *S) WithTimeout(parent context.Context, d time.Duration) (ctx context.Context, cancel func()) {
	return s.sch.withTimeout(parent, d)
}

// kind is what an actor owes the scenario.
type kind uint8

const (
	owned    kind = iota // S.Go: must end
	started              // hook.Go: must end unless it is a daemon
	scenario             // runs the scenario's function and its checks
	timer                // the clock
)

//go:build !sched

package sched

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// A build without the tag sched has no choice points. What it can do is to run the
// scenario on real goroutines again and again and hope.

// patience is how long a scenario's actors may take before they count as stuck.
const patience = 30 * time.Second

// A schedule is one run of the scenario.
type schedule struct {
	ctx  context.Context
	mu   sync.Mutex // guards what follows
	bad  *Failure
	on   bool // actors run: the scenario has been set
	run  []*actor
	todo []func()
}

type actor struct {
	name string
	f    func()
	done chan struct{}
}

// run is Run without the table.
func run(o Options, f func(*S)) (r Result) {
	r.Mode = Stress
	most := o.Schedules
	if most == 0 {
		most = 10_000 // in a bubble the time below never passes
	}
	for end := time.Now().Add(o.Stress); r.Failure == nil && r.Schedules < most; {
		r.Schedules++
		r.Failure, r.MaxActors = once(f, r.MaxActors)
		if !time.Now().Before(end) {
			break
		}
	}
	return r
}

// once runs the scenario once.
func once(f func(*S), most int) (*Failure, int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &schedule{ctx: ctx}
	s.alone(func() { f(&S{s}) })
	s.mu.Lock()
	s.on = true
	for _, a := range s.run {
		go s.play(a)
	}
	s.mu.Unlock()
	for i := 0; s.actor(i) != nil; i++ { // actors may start actors
		s.wait(s.actor(i))
	}
	for _, check := range s.todo {
		if s.failure() == nil {
			s.alone(check)
		}
	}
	return s.failure(), max(most, len(s.run))
}

// alone runs the scenario's own part.
func (s *schedule) alone(f func()) {
	a := &actor{"scenario", f, make(chan struct{})}
	go s.play(a)
	s.wait(a)
}

func (s *schedule) actor(i int) *actor {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i >= len(s.run) || s.bad != nil && s.bad.Kind == Deadlock {
		return nil
	}
	return s.run[i]
}

func (s *schedule) spawn(name string, _ kind, f func()) {
	a := &actor{name, f, make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = append(s.run, a)
	if s.on {
		go s.play(a)
	}
}

// play runs the actor's part.
func (s *schedule) play(a *actor) {
	defer close(a.done)
	ended := false
	defer func() {
		if v := recover(); v != nil {
			err, _ := v.(error)
			s.set(&Failure{Kind: Panic, Text: fmt.Sprintf("%s panicked: %v", a.name, v), Detail: string(debug.Stack()), cause: err})
		} else if !ended {
			s.fail(Exit, a.name+" called runtime.Goexit: has it used a testing.T? The S is for that")
		}
	}()
	a.f()
	ended = true
}

// wait waits for an actor, but not for ever.
func (s *schedule) wait(a *actor) {
	select {
	case <-a.done:
		return
	default:
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-a.done:
	case <-late.C:
		s.set(&Failure{
			Kind:   Deadlock,
			Text:   "not ended after " + patience.String() + ": " + strings.Join(s.waiting(), ", "),
			Detail: stacks(),
		})
	}
}

func stacks() string {
	text := make([]byte, 1<<20)
	return string(text[:runtime.Stack(text, true)])
}

// waiting lists the actors that have not ended.
func (s *schedule) waiting() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.run {
		select {
		case <-a.done:
		default:
			names = append(names, a.name)
		}
	}
	return names
}

func (s *schedule) set(f *Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bad == nil {
		s.bad = f
	}
}

func (s *schedule) failure() *Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad
}

func (s *schedule) fail(k Kind, text string) { s.set(&Failure{Kind: k, Text: text}) }

func (s *schedule) after(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.todo = append(s.todo, f)
}

func (s *schedule) daemon([]string)          {}
func (s *schedule) name(any, string)         {}
func (s *schedule) logf(string, []any)       {}
func (s *schedule) context() context.Context { return s.ctx }

func (s *schedule) withCancel(parent context.Context) (context.Context, func()) {
	return context.WithCancel(parent)
}

// withTimeout makes timeouts short, by chance: nobody has time for long ones, and they
// may end at any moment.
func (s *schedule) withTimeout(parent context.Context, d time.Duration) (context.Context, func()) {
	return context.WithTimeout(parent, min(d, rand.N(2*time.Millisecond)))
}

func point(string) {
	if rand.N(4) == 0 {
		runtime.Gosched()
	}
}

func yield() { runtime.Gosched() }

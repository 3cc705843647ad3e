package publishedorders

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// A scene is a few actors in a world of their own.
type scene struct {
	name   string
	script string        // the initials of who takes a step, one after the other
	cast   func() []role // makes the world anew
}

// A role is a name and what its actor does: steps, in an order.
type role struct {
	name  string
	plays func(*actor) error
}

// A step is what an actor does in one go: it touches what others see once. Its error is
// the promise it has found broken.
type step func(*actor) error

// An actor does steps, and tells of each. The zero cue and recorder are those of an
// explorer, which needs neither.
type actor struct {
	name string
	r    *event.Recorder
	cue  chan struct{}   // one for each step
	ctx  context.Context // ends with the scene

	ready *atomic.Bool // it wants a cue; nil if nobody asks
}

func (a *actor) tell(verb, object, detail string) { a.r.Record(a.name, verb, object, detail) }

// does does the steps one after the other, up to one that fails.
func (a *actor) does(steps ...step) error {
	for _, s := range steps {
		if a.cue != nil {
			if a.ready != nil {
				a.ready.Store(true)
			}
			select {
			case <-a.cue:
				if a.ready != nil {
					a.ready.Store(false)
				}
			case <-a.ctx.Done():
				return context.Cause(a.ctx)
			}
		}
		if err := s(a); err != nil {
			return err
		}
	}
	return nil
}

var errDeadlock = errors.New("DEADLOCK: nobody can go on")

// play plays the scene on goroutines: each step when the script calls its actor, and once
// the script is over when its turn comes round. A call of who waits, or has ended, is in
// vain. It returns the promise that was broken.
func (sc scene) play(r *event.Recorder) error {
	r.Record("", sc.name, "", "")
	over, end := context.WithCancelCause(context.Background())
	defer end(nil)
	all, ctx := errgroup.WithContext(over)
	var actors []*actor
	for _, p := range sc.cast() {
		a := &actor{name: p.name, r: r, cue: make(chan struct{}), ctx: ctx}
		actors = append(actors, a)
		all.Go(func() error { return p.plays(a) })
	}
	start := time.Now()
	for i, vain := 0, 0; vain < len(actors); i++ {
		next := start.Add(time.Duration(i+1) * lesson.Step / 2)
		time.Sleep(time.Until(next)) // by then all have ended, wait, or want a cue
		if ctx.Err() != nil {
			break
		}
		a := actors[i%len(actors)]
		if i < len(sc.script) {
			a = called(actors, sc.script[i:i+1])
		}
		select {
		case a.cue <- struct{}{}:
			vain = 0
		default:
			if i >= len(sc.script) {
				vain++
			}
		}
	}
	end(errDeadlock) // which nobody hears if all have ended
	broken := all.Wait()
	if broken != nil {
		r.Record("", broken.Error(), "", "")
	}
	return broken
}

// game is the scene with the learner in the place of the script.
func (sc scene) game(par int) lesson.Game {
	return lesson.Game{Name: sc.name, Par: par, Play: func(r *event.Recorder, ask func([]string) string) error {
		over, end := context.WithCancelCause(context.Background())
		defer end(nil)
		all, ctx := errgroup.WithContext(over)
		var actors []*actor
		for _, p := range sc.cast() {
			a := &actor{name: p.name, r: r, cue: make(chan struct{}), ctx: ctx, ready: new(atomic.Bool)}
			actors = append(actors, a)
			all.Go(func() error { return p.plays(a) })
		}
		for {
			time.Sleep(lesson.Step) // by then all have ended, wait, or want a cue
			var who []string
			for _, a := range actors {
				if a.ready.Load() {
					who = append(who, a.name)
				}
			}
			if ctx.Err() != nil || len(who) == 0 {
				break
			}
			next := ask(who)
			if next == "" {
				end(nil)
				_ = all.Wait()
				return nil
			}
			called(actors, next).cue <- struct{}{}
		}
		end(errDeadlock) // which nobody hears if all have ended
		return all.Wait()
	}}
}

func called(actors []*actor, initial string) *actor {
	for _, a := range actors {
		if strings.HasPrefix(a.name, initial) {
			return a
		}
	}
	panic("the script calls " + initial + ", and there is nobody of that name")
}

// A monitor is a lock and a way to wait until something it guards has changed.
type monitor struct {
	mu      sched.Mutex
	changed sched.Cond
}

// do does f, which changes something.
func (m *monitor) do(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	m.changed.Broadcast()
}

// when does f as soon as ok says so.
func (m *monitor) when(a *actor, ok func() bool, what string, f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !ok() {
		a.tell("wait", what, "")
	}
	for !ok() {
		if m.changed.WaitContext(a.ctx, &m.mu) != nil {
			return context.Cause(a.ctx)
		}
	}
	f()
	return nil
}

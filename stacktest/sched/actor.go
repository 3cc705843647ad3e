//go:build sched

package sched

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"runtime"
	"strconv"
	"sync/atomic"
	"unsafe"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/witness"
)

// An actor is a coroutine that plays one part in a schedule, and then one in another: a
// new goroutine for each part would cost more than most parts do. It is the hook.Task of
// its goroutine. Control passes by coroutine switches, so at any time either the driver
// runs or one actor, and nothing here needs a lock.
type actor struct {
	x     *explorer
	next  func() (struct{}, bool) // runs the coroutine until it pauses
	stop  func()                  // ends the coroutine
	yield func(struct{}) bool     // pauses; belongs to the coroutine
	goid  uint64                  // of the coroutine
	dead  atomic.Bool             // the schedule is over: unwind

	part
}

// part is what an actor is in one schedule.
type part struct {
	sch    *schedule
	id     int    // from 1 in order of creation, 0 the clock, -1 the scenario
	given  string // the name it was given
	name   string // the same, but no other actor's
	kind   kind
	f      func()
	primed bool // has come to its first operation
	done   bool
	left   bool // done by a panic or Goexit: the coroutine is spent
	exits  bool // Goexit is the explorer's doing
	dwells int  // operations since its death

	// The operation it is about to do. With ready it is parked: it goes on once ready
	// says so, or with an error once ctx has ended; if timed the explorer may end the wait.
	op    hook.Op
	obj   unsafe.Pointer
	ready func() bool
	ctx   context.Context
	timed bool
	end   error // what ended the wait, nil for ready

	yields bool   // its op is a Yield that was taken into account
	behind uint64 // the actors that go first after a Yield, a bit for each id
	stack  []uintptr
}

func newActor(x *explorer) *actor {
	a := &actor{x: x}
	a.next, a.stop = iter.Pull(func(yield func(struct{}) bool) {
		a.yield, a.goid = yield, goid()
		defer hook.Attach(a)()
		for a.play(); !a.left && yield(struct{}{}); {
			a.play()
		}
	})
	return a
}

// play runs the actor's part. If the part ends in a panic or Goexit the coroutine pauses
// one last time, inside the deferred call: a Goexit cannot be stopped, and would end the
// driver's goroutine as well if it were let through now.
func (a *actor) play() {
	ended := false
	defer func() {
		if ended {
			return
		}
		v := recover()
		a.leave(v)
		a.yield(struct{}{})
	}()
	if !a.dead.Load() {
		a.f()
		if witness.Enabled && a.kind != scenario && !a.dead.Load() {
			witness.Barrier("the end of " + a.name)
		}
	}
	ended, a.done = true, true
}

// leave notes that the part ended by a panic with v, or by Goexit if v is nil.
func (a *actor) leave(v any) {
	if !a.dead.Load() && !a.exits {
		s := a.sch
		s.capture(a, 2) // panicking frames are still on the stack
		switch v := v.(type) {
		case nil:
			s.failBy(a, Exit, a.name+" called runtime.Goexit: has it used a testing.T? The S is for that", nil)
		case error:
			s.failBy(a, Panic, a.name+" panicked: "+v.Error(), v)
		default:
			s.failBy(a, Panic, fmt.Sprintf("%s panicked: %v", a.name, v), nil)
		}
	}
	a.done, a.left = true, true
}

// retire ends the coroutine. One that was left by Goexit passes it on to whoever stops it,
// which therefore is a goroutine nobody needs.
func (a *actor) retire() {
	if !a.left {
		a.stop()
		return
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		a.stop()
	}()
	<-gone
}

// pause gives control to the driver until the actor is chosen.
func (a *actor) pause() {
	a.yield(struct{}{})
	if a.dead.Load() {
		runtime.Goexit()
	}
}

// Point implements hook.Task.
func (a *actor) Point(op hook.Op, obj unsafe.Pointer) {
	if a.x.stranger(a, op) {
		return
	}
	if a.dead.Load() {
		a.linger()
		return
	}
	a.arrive(op, obj, nil, nil)
	if a.kind == scenario {
		a.sch.alone(a)
		return
	}
	a.step()
}

// Park implements hook.Task.
func (a *actor) Park(op hook.Op, obj unsafe.Pointer, ctx context.Context, ready func() bool) error {
	if a.x.stranger(a, op) {
		if op != hook.OpLock { // which it does for real
			runtime.Goexit()
		}
		return nil
	}
	if a.dead.Load() {
		if !ready() {
			runtime.Goexit() // it would wait for the dead
		}
		return nil
	}
	a.arrive(op, obj, ready, ctx)
	if a.kind == scenario {
		a.sch.alone(a)
		if !a.canGoOn() {
			a.pause()
		}
	} else {
		a.step()
	}
	a.ready, a.ctx, a.timed = nil, nil, false
	return a.end
}

// Go implements hook.Task.
func (a *actor) Go(name string, f func()) {
	if !a.dead.Load() {
		a.sch.spawn(name, started, f)
	}
}

// Dead implements hook.Task.
func (a *actor) Dead() bool { return a.dead.Load() }

// arrive notes what the actor is about to do.
func (a *actor) arrive(op hook.Op, obj unsafe.Pointer, ready func() bool, ctx context.Context) {
	a.sch.settle(a)
	a.op, a.obj, a.ready, a.end = op, obj, ready, nil
	a.ctx, a.timed = nil, false
	if ctx != nil && ctx.Done() != nil {
		a.ctx, a.timed = ctx, foreignDeadline(ctx)
	}
	if a.kind != scenario || ready != nil {
		a.sch.capture(a, 3)
	}
}

// step returns when the actor is chosen. It chooses itself where it can: if the next actor
// is this one, nothing is switched.
func (a *actor) step() {
	s := a.sch
	switch {
	case !a.primed:
		a.primed = true
	case len(s.fresh) > 0: // others must come to their first operation before we choose
	default:
		next := s.pick()
		if next == a {
			return
		}
		s.chosen = next
	}
	a.pause()
}

// canGoOn reports whether the actor, if parked, need not wait any more, and sets a.end.
func (a *actor) canGoOn() bool {
	switch {
	case a.ready == nil || a.ready():
		a.end = nil
		return true
	case a.ctx != nil && a.ctx.Err() != nil:
		a.end = whyEnded(a.ctx)
		return true
	}
	return false
}

// linger bounds what an actor does after its death: a loop that waits for another actor
// by looking again would never end.
func (a *actor) linger() {
	if a.dwells++; a.dwells > 1000 {
		a.dwells = 0
		runtime.Goexit()
	}
}

// goid returns the number of the calling goroutine.
func goid() uint64 {
	var buf [64]byte
	_, text, _ := bytes.Cut(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	text, _, _ = bytes.Cut(text, []byte(" "))
	n, _ := strconv.ParseUint(string(text), 10, 64)
	return n
}

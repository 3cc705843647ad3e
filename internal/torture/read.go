package main

import (
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/softnet-go/softnet/internal/cpu"
	"github.com/softnet-go/softnet/lwp"
)

// What readers and holders do in a turn.

// look looks at many objects, each in a section of its own.
func look(a *actor) {
	for range 32 {
		a.nest(0)
	}
	runtime.Gosched()
}

// nest looks at objects in sections within sections: leaving an inner one must not end
// the outer.
func nest(a *actor) {
	a.nest(a.rng.IntN(8))
	if a.oneIn(8) {
		runtime.Gosched()
	}
}

func (a *actor) nest(deeper int) {
	s := a.psz.ReadEnter(a.l)
	a.t.n[ops]++
	if o, g := a.find(); o != nil {
		if deeper > 0 {
			a.t.n[nested]++
			a.nest(deeper - 1)
		}
		a.dwell()
		a.seesInSection(o, g)
	}
	s.Exit()
}

// hold holds objects, one at a time, without sleeping.
func hold(a *actor) {
	for range 16 {
		a.hold(a.dwell)
	}
	a.hold(a.linger)
}

func (a *actor) hold(stay func()) {
	var h holding
	if a.acquire(&h) {
		stay()
		a.release(&h)
	}
}

// rush holds objects and never yields: who does is preempted anywhere, even between two
// steps of an Acquire.
func rush(a *actor) {
	for range 64 {
		var h holding
		s := a.psz.ReadEnter(a.l)
		o, g := a.find()
		ok := o != nil && a.class.Acquire(a.l, &h.ref, &o.target)
		s.Exit()
		if ok {
			a.took(&h, o, g)
			a.release(&h)
		} else if o != nil {
			a.t.n[refused]++
		}
	}
}

// sleep holds an object and sleeps until it leaves, or for so long that it well may: its
// destroyer has to wait for us.
func sleep(a *actor) {
	var h holding
	if !a.acquire(&h) {
		return
	}
	if !h.o.target.Held(a.l) {
		convict("%v holds %v, and Held denies it", a.l, h.o)
	}
	early := h.o.left
	if a.oneIn(4) {
		early = nil
	}
	a.park(a.upTo(2*time.Millisecond), early)
	a.t.n[parks]++
	a.linger()
	a.release(&h)
}

// pile holds many objects at once: found, copied, or acquired again by virtue of a
// reference that is held already. They are released in any order.
func pile(a *actor) {
	if a.pile == nil {
		a.pile = make([]holding, 3*cpu.ChunkSlots)
	}
	hs, n := a.pile, 0
	for range 1 + a.rng.IntN(len(hs)) {
		was := a.spilled()
		if a.add(&hs[n], hs[:n]) {
			n++
		}
		if n == cpu.ChunkSlots+1 {
			a.t.n[overflows]++
		}
		if !was && a.spilled() {
			a.t.n[spills]++
		}
		if a.l.CPU.Softint && a.oneIn(4) {
			a.checkpoint() // references may be held across one
		}
	}
	order := a.rng.Perm(n)
	if a.oneIn(2) {
		slices.Sort(order) // last in, first out
		slices.Reverse(order)
	}
	for _, i := range order {
		was := a.spilled()
		a.release(&hs[i])
		if !was && a.spilled() {
			a.t.n[spills]++
		}
		if a.dwell(); a.oneIn(8) {
			a.linger()
		}
	}
	runtime.Gosched()
}

// spilled reports whether a softint's references are a stack no more.
func (a *actor) spilled() bool { return a.l.CPU.Softint && a.l.CPU.Top == cpu.Spilled }

// add makes h refer to something, while what others refer to is held already.
func (a *actor) add(h *holding, others []holding) bool {
	if len(others) == 0 || a.oneIn(2) {
		return a.acquire(h)
	}
	held := &others[a.rng.IntN(len(others))]
	if a.oneIn(2) {
		held.ref.Copy(a.l, &h.ref)
		a.t.n[copies]++
	} else if !a.class.Acquire(a.l, &h.ref, &held.o.target) {
		a.t.n[refused]++ // it is being destroyed: only a copy can be had
		return false
	}
	a.took(h, held.o, held.generation)
	return true
}

// handle is what a worker does in a burst: handlers that look, hold, or merely borrow
// until they end, with a checkpoint after each.
func handle(a *actor) {
	for range 1 + a.rng.IntN(16) {
		switch a.rng.IntN(8) {
		case 0:
			a.hold(a.outlast)
		case 1:
			a.nest(a.rng.IntN(4))
		case 2, 3:
			a.hold(a.dwell)
		default:
			a.borrow()
		}
		a.checkpoint()
	}
	if a.oneIn(4) {
		runtime.Gosched()
	}
}

// outlast stays for a few handlers more than the one that took the reference.
func (a *actor) outlast() {
	for range 1 + a.rng.IntN(32) {
		a.checkpoint()
		a.borrow()
	}
	a.linger()
}

// borrow looks at an object in no section: a softint may, until its next checkpoint.
func (a *actor) borrow() {
	a.t.n[ops]++
	o, g := a.find()
	if o == nil {
		return
	}
	a.dwell()
	if a.oneIn(64) && !o.target.Held(a.l) { // what one holds oneself it is misuse to destroy
		a.mayNotWait(o)
	}
	a.seesInSection(o, g)
}

// mayNotWait checks that a softint is refused whatever would wait.
func (a *actor) mayNotWait(o *object) {
	errs := []error{a.psz.Perform(a.life, a.l)}
	if !a.bare {
		errs = append(errs, o.target.Destroy(a.life, a.l))
	}
	for _, err := range errs {
		if !errors.Is(err, lwp.ErrWouldSleep) {
			convict("%v may wait: %v", a.l, err)
		}
		a.t.n[denied]++
	}
}

// churn is bound for one turn only, as one kind or the other.
func churn(a *actor) {
	for range 64 {
		a.bind(thread)
		a.unbind()
	}
	if a.oneIn(2) {
		a.bind(softint)
		handle(a)
	} else {
		a.bind(thread)
		a.hold(a.linger)
	}
	a.unbind()
}

// crowd brings many goroutines at once, each bound only for as long as it holds
// something.
func crowd(a *actor) {
	a.together(256, func(b *actor) {
		b.bind(thread)
		b.hold(b.linger)
		b.unbind()
	})
	a.park(a.upTo(2*time.Millisecond), nil)
}

// A baton is an LWP on its way through another goroutine, with what it holds.
type baton struct {
	l    *lwp.LWP
	h    holding
	back chan struct{}
}

// handOff lets another goroutine go on with the LWP and the reference, in the way any
// memory may be handed on.
func handOff(a *actor) {
	b := &baton{l: a.l, back: make(chan struct{})}
	if !a.acquire(&b.h) {
		return
	}
	select {
	case a.hands <- b:
		<-b.back
		a.t.n[handoffs]++
	case <-a.leg.Done():
	}
	a.letGo(&b.h)
}

// carry takes over what handOff lets go. Half of the references are released here.
func carry(a *actor) {
	select {
	case b := <-a.hands:
		defer close(b.back)
		a.l, a.t = b.l, a.books.Get(b.l)
		a.dwell()
		if a.oneIn(2) {
			a.release(&b.h)
		}
		a.l, a.t = nil, nil
	case <-a.leg.Done():
	}
}

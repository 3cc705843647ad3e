package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// An actor is one goroutine of a cast. What it does in a turn is a func(*actor); the
// methods here are the steps that turns are made of.
type actor struct {
	*world
	role  role
	index int             // in the cast
	leg   context.Context // ends when no new turn should begin
	life  context.Context // ends when the scenario has been convicted: waits end with it
	rng   *rand.Rand

	l *lwp.LWP // nil while unbound
	t *book    // l's

	place  int     // of interfaces, that it owns; -1 while none
	states *states // that it has saved with packets

	pile []holding // scratch of the turn that piles references up
}

// A role says how many actors do what.
type role struct {
	name string
	n    int
	as   kind
	turn func(*actor)
}

// A kind is what an actor is bound as while it acts.
type kind int

const (
	thread  kind = iota
	softint      // passes a checkpoint after every turn
	unbound      // binds by itself
)

// run takes turns until the leg ends.
func (a *actor) run() {
	if a.role.as != unbound {
		a.bind(a.role.as)
	}
	for a.leg.Err() == nil {
		if !a.gate.open(a.index) {
			a.awayFor(func() { a.gate.wait(a.leg, a.index) })
			continue
		}
		a.role.turn(a)
		if a.role.as == softint {
			a.checkpoint()
			if a.oneIn(64) {
				a.awayFor(func() { a.park(a.upTo(200*time.Microsecond), nil) })
			}
		}
	}
	if a.l != nil {
		a.unbind()
	}
}

// guard makes an error of what f panics with: that convicts the scenario, for the world
// is left in a state that is not fit to go on in.
func guard(who string, f func()) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		var seen conviction
		var misuse *witness.Violation
		err, _ = p.(error)
		if !errors.As(err, &seen) && !errors.As(err, &misuse) {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		err = fmt.Errorf("%s: %w", who, err)
	}()
	f()
	return nil
}

// together lets n more goroutines, unbound, do something, and waits for them.
func (a *actor) together(n int, do func(*actor)) {
	var g errgroup.Group
	for i := range n {
		b := &actor{world: a.world, role: a.role, index: i, leg: a.leg, life: a.life, rng: rand.New(rand.NewPCG(a.rng.Uint64(), 0))}
		g.Go(func() error { return guard("one of them", func() { do(b) }) })
	}
	if err := g.Wait(); err != nil {
		panic(err)
	}
}

// A conviction is what an actor panics with when it has seen a promise broken.
type conviction string

func (c conviction) Error() string { return string(c) }

func convict(format string, args ...any) { panic(conviction(fmt.Sprintf(format, args...))) }

func (a *actor) bind(as kind) {
	if as == softint {
		a.l = a.dom.BindSoftint(a.role.name)
	} else {
		a.l = a.dom.Bind()
	}
	if a.t = a.books.Get(a.l); !a.t.taken.CompareAndSwap(false, true) {
		convict("%v is bound twice", a.l)
	}
	a.t.n[binds]++
}

func (a *actor) unbind() {
	a.t.taken.Store(false)
	a.l.Unbind()
	a.l, a.t = nil, nil
}

// checkpoint passes a softint's checkpoint.
func (a *actor) checkpoint() {
	if a.l.CPU.Asked() {
		a.t.n[answers]++
	}
	a.l.Checkpoint()
}

// awayFor does something that may wait between two turns: a softint is offline meanwhile.
func (a *actor) awayFor(wait func()) {
	if a.l == nil || !a.l.InSoftint() {
		wait()
		return
	}
	a.t.n[offline]++
	a.l.Offline()
	wait()
	a.l.Online()
}

func (a *actor) oneIn(n uint32) bool                { return a.rng.Uint32N(n) == 0 }
func (a *actor) upTo(d time.Duration) time.Duration { return time.Duration(a.rng.Int64N(int64(d))) }

// dwell stays for a while: most often not at all, sometimes for a few microseconds, and
// sometimes so that others run. It sleeps nowhere, so it is fit for read sections.
func (a *actor) dwell() {
	switch r := a.rng.Uint32N(64); {
	case r == 0:
		a.linger()
	case r < 4:
		for n := a.rng.Uint32N(2000); n > 0; n-- { // only time passes
		}
	}
}

// linger lets others run for a while.
func (a *actor) linger() {
	for range a.rng.Uint32N(8) {
		runtime.Gosched()
	}
}

// park sleeps for d, until early is closed, or until the leg ends.
func (a *actor) park(d time.Duration, early <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-early:
	case <-a.leg.Done():
	}
}

// find returns a published object and its generation. The caller is in a read section,
// or is a softint between two checkpoints.
func (a *actor) find() (*object, uint64) {
	o := a.shelf[a.rng.IntN(len(a.shelf))].Load()
	if o == nil {
		return nil, 0
	}
	g := o.generation()
	a.read(o, g)
	return o, g
}

// read looks at memory that no atomic protects.
func (a *actor) read(o *object, generation uint64) {
	if !a.racy && !o.label.whole(generation) {
		convict("%v sees half of %v", a.l, o)
	}
}

// seesInSection looks at o again before its section ends.
func (a *actor) seesInSection(o *object, generation uint64) {
	a.judge(o, generation, o.ageInSection(generation), &a.t.sections, "in a read section sees")
}

// seesHeld looks at o again before its reference is released.
func (a *actor) seesHeld(o *object, generation uint64) {
	a.judge(o, generation, o.ageHeld(generation), &a.t.held, "holds")
}

func (a *actor) judge(o *object, generation uint64, g age, pipe *[ages]uint64, how string) {
	pipe[g]++
	if !g.legal() {
		convict("%v %s object %d.%d, which %v", a.l, how, o.id, generation, g)
	}
	a.read(o, generation)
}

// A holding is a reference and what its holder knows about the object.
type holding struct {
	ref        psref.Ref
	o          *object
	generation uint64
	counted    bool // among o.holders: only some are, for counting is a fence
}

// acquire finds an object and refers to it; h.o is nil if there was none to be had.
func (a *actor) acquire(h *holding) bool {
	s := a.psz.ReadEnter(a.l)
	defer s.Exit()
	o, g := a.find()
	if o == nil {
		return false
	}
	a.dwell()
	ok := a.class.Acquire(a.l, &h.ref, &o.target)
	a.dwell()
	a.seesInSection(o, g)
	if !ok {
		a.t.n[refused]++
		return false
	}
	a.took(h, o, g)
	return true
}

// took notes that h refers to o.
func (a *actor) took(h *holding, o *object, generation uint64) {
	a.t.n[ops]++
	h.o, h.generation, h.counted = o, generation, a.oneIn(4)
	if h.counted {
		o.holders.Add(1)
	}
}

// release looks once more and releases.
func (a *actor) release(h *holding) {
	a.seesHeld(h.o, h.generation)
	if h.o.target.Dying() {
		a.t.n[late]++
	}
	if h.counted {
		h.o.holders.Add(-1)
	}
	h.ref.Release(a.l)
	h.o = nil
}

// letGo releases what h holds, if anything.
func (a *actor) letGo(h *holding) {
	if h.o != nil {
		a.release(h)
	}
}

// perform waits for a grace period.
func (a *actor) perform() {
	if err := a.psz.Perform(a.life, a.l); err != nil {
		convict("Perform by %v: %v", a.l, err)
	}
}

// destroy waits for o's holders.
func (a *actor) destroy(o *object) {
	if err := o.target.Destroy(a.life, a.l); err != nil {
		convict("Destroy of %v by %v: %v", o, a.l, err)
	}
	a.destroyed(o)
}

// destroyed checks what the end of a Destroy means, and notes it.
func (a *actor) destroyed(o *object) {
	if n := o.holders.Load(); n != 0 {
		convict("%v is destroyed while %d hold it", o, n)
	}
	o.happened(drained)
}

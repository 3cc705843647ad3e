package psref

import (
	"context"
	"fmt"
	"time"
	"unsafe"

	uatomic "go.uber.org/atomic"

	"github.com/softnet-go/softnet/internal/cpu"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/witness"
)

// A Class is a family of targets that are referred to and destroyed alike, one for each
// kind of resource: "ifnet", "rtentry" (psref_class). Make one with [NewClass]; it must
// not be copied. Its methods are safe for concurrent use.
type Class struct {
	dom  *lwp.Domain    // immutable
	name string         // immutable
	held *witness.Level // immutable: what waiting for holders of this class means

	mu   hook.Mutex // leaf
	free hook.Cond  // some target's Pending has become 0; guarded by mu
	// letGo is told of the same, without a lock; immutable, may be nil
	letGo func()

	live uatomic.Int64 // targets between Init and the end of Destroy
	stats
}

type stats struct {
	destroyed uatomic.Uint64
	waited    uatomic.Uint64
	longest   uatomic.Duration
}

// An Option changes what NewClass makes.
type Option func(*Class)

// WithLetGo sets what is called when the last holder of a target that is being destroyed
// has let go of it: by that holder, so f must neither block nor take long. It is for who
// destroys many at once, with [Class.Condemn], and sleeps on something else meanwhile.
func WithLetGo(f func()) Option { return func(c *Class) { c.letGo = f } }

// NewClass returns a class of targets for the LWPs of a domain (psref_class_create).
func NewClass(dom *lwp.Domain, name string, opts ...Option) *Class {
	c := &Class{dom: dom, name: name, held: witness.NewLevel("psref "+name, 0)}
	for _, o := range opts {
		o(c)
	}
	return c
}

// Name returns the name the class was made with.
func (c *Class) Name() string { return c.name }

// Close asserts that the class is done with: it panics unless every target has been
// destroyed (psref_class_destroy). There is nothing to free.
func (c *Class) Close() {
	if n := c.live.Load(); n != 0 {
		panic(&witness.Violation{Rule: "psref: class in use",
			Text: fmt.Sprintf("psref: class %q may not be closed while %d of its targets are not destroyed", c.name, n)})
	}
}

// Stats is a snapshot of a class's counters.
type Stats struct {
	Live      int64         // targets initialised and not yet destroyed
	Destroyed uint64        // targets destroyed
	Waited    uint64        // how many of those had to wait for a holder
	Longest   time.Duration // the longest Destroy
}

// Stats returns the counters. It may be called at any time by anyone.
func (c *Class) Stats() Stats {
	return Stats{c.live.Load(), c.destroyed.Load(), c.waited.Load(), c.longest.Load()}
}

// A Ref is one passive reference, in storage of the caller: usually a variable on its
// stack, or a field of whatever it works for (psref). The zero Ref holds nothing. While
// it holds something it belongs to the LWP that acquired it, and must not be copied by
// assignment: see [Ref.Copy].
type Ref struct {
	_ noCopy
	t *Target
	// place is 0 while r holds nothing, else the number of the LWP in the upper half
	// and one more than which of its places in the lower.
	place uint64
}

// checked builds do more in each Acquire and Release than the fast paths do.
const checked = invariants.Enabled || witness.Enabled

// Acquire makes r refer to t, for l, and reports whether it could: it fails when t is
// being destroyed or is dead (psref_acquire). Until r is released t is not destroyed.
//
// Something else must keep t from being destroyed during the call: a read section in
// which t was found, or another reference. Acquire never blocks and allocates nothing,
// except that an LWP which holds more than sixteen references at once grows. It writes no
// word that another LWP writes.
//
// It panics if r is in use, or t was initialised with another class.
func (c *Class) Acquire(l *lwp.LWP, r *Ref, t *Target) bool {
	if r.place != 0 || t.class != c {
		c.cannotAcquire(l, r, t)
	}
	if t.life.Dying.Load() != 0 { // for a softint this is all; it spares a thread the exchange
		return false
	}
	p := &l.CPU
	if n := uint32(p.Top - 1); n < cpu.ChunkSlots {
		p.Refs.Lives[n] = &t.life
		p.Top++
		r.t, r.place = t, p.Top
		if checked {
			r.note(l)
		}
		return true
	}
	if !p.Softint {
		if i, ok := p.TakeFirst(); ok {
			p.Refs.Slots[i].Store(t.id)
			if t.life.Dying.Load() != 0 {
				t.drop(&p.Refs.Slots[i])
				p.Give(i)
				return false
			}
			r.t, r.place = t, p.Base+1+uint64(i)
			if checked {
				r.note(l)
			}
			return true
		}
	}
	return r.acquire(l, t)
}

// AcquireIn makes r refer to t, for the LWP whose section s is. The caller has found t in s,
// and whoever destroys t takes it out of sight first and then waits for a grace period: so t
// is alive, AcquireIn cannot fail, and a softint does not even look at t, which may be far
// away from its cache. Otherwise it is as Acquire.
func (c *Class) AcquireIn(s pserialize.Section, r *Ref, t *Target) {
	l := s.LWP()
	p := &l.CPU
	if n := uint32(p.Top - 1); n < cpu.ChunkSlots && r.place == 0 && !checked {
		// The first field's address without looking whether t is nil, which would be a look
		// at t.
		p.Refs.Lives[n] = (*cpu.Life)(unsafe.Pointer(t))
		p.Top++
		r.t, r.place = t, p.Top
		return
	}
	c.acquireIn(s, l, r, t)
}

// acquireIn is AcquireIn for threads, in checked builds, and where places are short or in
// disorder: a softint still does not look at t.
func (c *Class) acquireIn(s pserialize.Section, l *lwp.LWP, r *Ref, t *Target) {
	if p := &l.CPU; !checked && p.Softint && r.place == 0 {
		p.Spill()
		i := p.Take()
		ch, j := p.Chunk(i)
		ch.Lives[j] = (*cpu.Life)(unsafe.Pointer(t))
		r.t, r.place = t, p.Base+1+uint64(i)
		return
	}
	if checked && !s.In() {
		panic(violation("found outside", "%v acquires %v, which it found in a read section that has ended", l, t))
	}
	if !c.Acquire(l, r, t) {
		panic(violation("found dying", "%v found %v in a read section while it was being destroyed: its owner did not take it out of sight, or did not wait for a grace period", l, t))
	}
}

// acquire is Acquire where places are short or in disorder.
func (r *Ref) acquire(l *lwp.LWP, t *Target) bool {
	p := &l.CPU
	p.Spill()
	i := p.Take()
	ch, j := p.Chunk(i)
	if p.Softint {
		ch.Lives[j] = &t.life
	} else if ch.Slots[j].Store(t.id); t.life.Dying.Load() != 0 {
		t.drop(&ch.Slots[j])
		p.Give(i)
		return false
	}
	r.t, r.place = t, p.Base+1+uint64(i)
	if checked {
		r.note(l)
	}
	return true
}

// index returns which of its LWP's places r is in.
func (r *Ref) index() uint32 { return uint32(r.place) - 2 }

// note enters r into the books of a checked build, as taken by the caller's caller.
func (r *Ref) note(l *lwp.LWP) {
	if l.Domain() != r.t.class.dom || l.CPU.Base == 0 {
		r.cannotHold(l)
	}
	if invariants.Enabled {
		l.CPU.Remember(r.index(), r.t.String(), r.t.id, 2)
	}
	if witness.Enabled {
		r.t.class.held.Enter(l.Books())
	}
}

// Release gives the reference back (psref_release). l must be the LWP that acquired it.
// It never blocks for long: it wakes a Destroy that waits for it.
//
// It panics if r holds nothing, or belongs to another LWP.
func (r *Ref) Release(l *lwp.LWP) {
	if p := &l.CPU; !checked && r.place == p.Top {
		r.place = 0
		p.Top--
	} else {
		r.release(l)
	}
}

// release is Release where there is more to do than to lower a softint's stack.
func (r *Ref) release(l *lwp.LWP) {
	p, place, i := &l.CPU, r.place, r.index()
	if place == 0 || place>>32 != p.Base>>32 || !p.Used(i) {
		r.cannotRelease(l)
	}
	r.place = 0
	if invariants.Enabled {
		p.Forget(i)
	}
	if witness.Enabled {
		r.t.class.held.Exit(l.Books())
	}
	if place == p.Top {
		p.Top--
		return
	}
	p.Spill()
	ch, j := p.Chunk(i)
	if !p.Softint {
		r.t.drop(&ch.Slots[j])
	} else if ch.Drop(j) {
		r.t.settle()
	}
	p.Give(i)
}

// Held reports whether r holds a reference.
func (r *Ref) Held() bool { return r.place != 0 }

// Target returns what r refers to, or nil.
func (r *Ref) Target() *Target {
	if r.place == 0 {
		return nil
	}
	return r.t
}

// Copy makes to a second reference to what r refers to, for the same LWP; each must be
// released (psref_copy). Unlike Acquire it cannot fail: r keeps the target from being
// dead, even while it is being destroyed.
//
// It panics if r holds nothing or belongs to another LWP, if to is in use, or is r.
func (r *Ref) Copy(l *lwp.LWP, to *Ref) {
	p, t := &l.CPU, r.t
	if r.place == 0 || r.place>>32 != p.Base>>32 || to == r || to.place != 0 {
		r.cannotCopy(l, to)
	}
	p.Spill()
	i := p.Take()
	ch, j := p.Chunk(i)
	if p.Softint {
		ch.Lives[j] = &t.life
		if from, k := p.Chunk(r.index()); from.Counted(k) {
			ch.Count(j)
		}
	} else if ch.Slots[j].Store(t.id); t.life.Dying.Load() != 0 {
		t.find(&ch.Slots[j]) // the destroyer may have looked here already
	}
	to.t, to.place = t, p.Base+1+uint64(i)
	if checked {
		to.note(l)
	}
}

// A Target is the part of a resource that can be referred to passively. Embed it by
// value; [Class.Init] makes it usable. It must not be copied.
//
//	fresh ──Init──▶ live ──Destroy──▶ draining ──▶ dead
//	                 ▲                              │
//	                 └────────────Init──────────────┘
type Target struct {
	_     noCopy
	life  cpu.Life // the first that takes room: AcquireIn
	id    uint64   // set by Init; never given twice in a domain
	class *Class   // set by Init

	destroyer *lwp.LWP // who is in Destroy; guarded by class.mu
}

// States of a target, as its Dying word says.
const (
	live = iota
	draining
	condemned // draining, and every holder has been found
	dead
)

// Init makes t a live target of the class (psref_target_init). The caller has t to
// itself, and publishes it afterwards. A target that has been destroyed may be
// initialised again. It panics if t is live or being destroyed.
func (c *Class) Init(t *Target) {
	if t.class != nil && t.life.Dying.Load() != dead {
		panic(&witness.Violation{Rule: "psref: initialised twice",
			Text: fmt.Sprintf("psref: %v is still in use and may not be initialised again", t)})
	}
	t.class, t.id = c, c.dom.NewID()
	t.life.Dying.Store(live)
	c.live.Inc()
}

// String returns "rtentry 17", the class and a number no other target of the domain has.
func (t *Target) String() string {
	if t.class == nil {
		return "a target that was never initialised"
	}
	return fmt.Sprintf("%s %d", t.class.name, t.id)
}

// Held reports whether l holds a reference to t. It is for assertions (psref_held).
func (t *Target) Held(l *lwp.LWP) bool {
	if t.class == nil {
		return false
	}
	if l.CPU.Softint {
		return l.CPU.Holds(&t.life)
	}
	return l.CPU.Refers(t.id)
}

// Dying reports whether t is being destroyed or is dead: whether Acquire would fail.
func (t *Target) Dying() bool { return t.life.Dying.Load() != live }

// Destroy refuses new references to t and returns once the last is released
// (psref_target_destroy). The caller has made sure that nobody can begin an Acquire: it
// has unlinked t and then waited for a grace period.
//
// It blocks, woken by the last holder. l must not be a softint that is online
// ([lwp.ErrWouldSleep]), be in a read section, or hold a reference to t itself: the last
// two panic, because they would wait for themselves. Nor may the caller hold a lock that
// a holder or a softint handler may take; the witness reports it on the first run that
// shows both halves. When ctx ends first Destroy returns ctx.Err(): t stays refused to
// new holders, and Destroy must be called again to learn that it is free.
func (t *Target) Destroy(ctx context.Context, l *lwp.LWP) error {
	c := t.class
	if err := t.mayDestroy(l); err != nil {
		return err
	}
	start := time.Now()
	c.mu.Lock()
	if t.destroyer != nil || t.life.Dying.Load() == dead {
		c.mu.Unlock()
		t.cannotDestroy(l)
	}
	t.destroyer = l
	t.life.Dying.Store(draining)
	c.mu.Unlock()

	waited, err := t.drain(ctx)

	c.mu.Lock()
	t.destroyer = nil
	if err == nil {
		t.life.Dying.Store(dead)
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.buried(waited, time.Since(start))
	return nil
}

// mayDestroy checks what Destroy's page asks of its caller.
func (t *Target) mayDestroy(l *lwp.LWP) error {
	c := t.class
	if c == nil || l.Domain() != c.dom || !l.CPU.Outside() || t.Held(l) {
		t.cannotDestroy(l)
	}
	if l.InSoftint() {
		return fmt.Errorf("psref: Destroy of %v by %v: %w", t, l, lwp.ErrWouldSleep)
	}
	if witness.Enabled {
		c.held.WillWait(l.Books())
		c.dom.SoftintLevel().WillWait(l.Books())
	}
	return nil
}

// buried counts a target that is dead.
func (c *Class) buried(waited bool, after time.Duration) {
	c.live.Dec()
	c.destroyed.Inc()
	if waited {
		c.waited.Inc()
	}
	if after > c.longest.Load() {
		c.longest.Store(after) // two at once may lose the longer: it is a statistic
	}
}

// drain finds every holder of t, each of which then owes one decrement of Pending, and
// waits for the last. It may be repeated after ctx has ended it: holders found before
// are marked and are not counted again.
func (t *Target) drain(ctx context.Context) (waited bool, err error) {
	c := t.class
	t.life.Pending.Add(1) // ours, while we look: it cannot reach 0 before we are done
	for _, p := range c.dom.Machine().All() {
		for ch := &p.Refs; ch != nil; ch = ch.Next() {
			for i := range ch.Slots {
				if s := &ch.Slots[i]; s.Load() == t.id {
					t.find(s)
				}
			}
		}
	}
	err = c.dom.Machine().Rendezvous(ctx) // each softint counts what it holds
	if t.life.Pending.Add(-1) == 0 || err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for t.life.Pending.Load() != 0 {
		if err := c.free.WaitContext(ctx, &c.mu); err != nil {
			return true, err
		}
	}
	return true, nil
}

// find marks slot s, which has referred to t, if it still does and is not marked yet. The
// count goes up before the mark is made: whoever sees the mark may take it down at once.
func (t *Target) find(s *hook.Uint64) {
	t.life.Pending.Add(1)
	if !s.CompareAndSwap(t.id, t.id|cpu.SlotWaited) {
		t.settle() // it was released, or marked, meanwhile
	}
}

// drop empties slot s of a thread, which refers to t.
func (t *Target) drop(s *hook.Uint64) {
	if s.Swap(0)&cpu.SlotWaited != 0 {
		t.settle()
	}
}

// settle takes one from Pending. After the decrement t may be destroyed and used for
// something else, so only the class is touched.
func (t *Target) settle() {
	c := t.class
	if t.life.Pending.Add(-1) == 0 {
		c.mu.Lock()
		c.free.Broadcast()
		c.mu.Unlock()
		if c.letGo != nil {
			c.letGo()
		}
	}
}

// noCopy lets go vet find copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

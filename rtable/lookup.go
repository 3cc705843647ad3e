package rtable

import (
	"context"
	"net/netip"

	"github.com/softnet-go/softnet/internal/fib"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
)

// match returns the slot of the longest prefix that contains dst, or 0. The caller is in a
// read section, or holds mu: no chunk of the FIB is used again meanwhile.
func (t *Table) match(dst netip.Addr) uint32 {
	if dst.Is4() {
		return t.fib.Lookup4(fib.Word4(dst))
	}
	return t.match6(dst)
}

func (t *Table) match6(dst netip.Addr) uint32 {
	switch {
	case dst.Is4In6():
		return t.fib.Lookup4(fib.Word4(dst))
	case !dst.IsValid():
		return 0
	}
	return t.fib.Lookup6(fib.Words6(dst))
}

// Get returns the entry with the longest prefix that contains dst and makes ref refer to
// it, for l (rtcache_lookup without the cache). The entry is whole and alive until
// ref.Release(l), whatever is changed and deleted meanwhile; a thread may sleep with it.
// dst may be an IPv4 address in IPv6 form; its zone does not count.
//
// Get takes no lock, never blocks, allocates nothing and writes no word that another LWP
// writes. It returns [ErrNotFound] if no prefix contains dst, and [ErrUpdating] while the
// entry is being changed; ref then holds nothing. It panics if ref is in use.
func (t *Table) Get(l *lwp.LWP, ref *psref.Ref, dst netip.Addr) (*Entry, error) {
	s := t.psz.ReadEnter(l)
	var slot uint32
	if dst.Is4() {
		slot = t.fib.Lookup4(fib.Word4(dst))
	} else {
		slot = t.match6(dst)
	}
	if slot == 0 {
		s.Exit()
		return nil, ErrNotFound
	}
	m := t.mem.Load() // after slot was found: it has room for it
	if m.words[slot].Load()&wordUpdating != 0 {
		s.Exit()
		return nil, ErrUpdating
	}
	// Who deletes or changes the entry waits for this section, and then for this reference.
	e := m.entry(slot)
	t.class.AcquireIn(s, ref, &e.target)
	s.Exit()
	return e, nil
}

// GetContext is Get that waits while the entry is being changed, if l may sleep and the
// table's policy is [Wait]. Further error: ctx.Err().
func (t *Table) GetContext(ctx context.Context, l *lwp.LWP, ref *psref.Ref, dst netip.Addr) (*Entry, error) {
	for {
		e, err := t.Get(l, ref, dst)
		if err != ErrUpdating || l.InSoftint() || t.policy == Miss {
			return e, err
		}
		t.mu.RLock()
		e = nil
		if slot := t.match(dst); slot != 0 {
			e = t.mem.Load().entry(slot)
		}
		t.mu.RUnlock()
		if e != nil {
			if err := t.await(ctx, e); err != nil {
				return nil, err
			}
		}
	}
}

// Again makes ref refer to e once more, and reports whether it could: nothing has been
// added to the table or deleted since [Table.Generation] returned gen, and e is not being
// changed (rtcache_validate). It is for who found e with Get after that and has let go of
// it: e is not looked at unless it is still what it was. It costs as little as Get.
func (t *Table) Again(l *lwp.LWP, ref *psref.Ref, e *Entry, gen uint64) bool {
	s := t.psz.ReadEnter(l)
	ok := t.gen.Load() == gen && t.word(e).Load()&wordUpdating == 0
	if ok {
		t.class.AcquireIn(s, ref, &e.target)
	}
	s.Exit()
	return ok
}

// Generation returns a number that is raised whenever routes have been added or deleted:
// what was looked up before may be answered otherwise now (rtcache_generation). A change of
// an entry does not raise it.
func (t *Table) Generation() uint64 { return t.gen.Load() }

// A Hit is what a lookup without a reference has found.
type Hit struct {
	// Next is what the entry says, nil if there is none. It may be kept.
	Next *NextHop

	// All of it is three words: the compiler keeps no more than four in registers.
	m    *memory
	slot uint32 // 0 for no entry
}

// Err returns nil, [ErrNotFound], or [ErrUpdating].
func (h Hit) Err() error {
	switch {
	case h.Next != nil:
		return nil
	case h.slot != 0:
		return ErrUpdating
	}
	return ErrNotFound
}

// Entry returns the entry, or nil if Next is. It is as good as the lookup was.
func (h Hit) Entry() *Entry {
	if h.Next == nil {
		return nil
	}
	return h.m.entry(h.slot)
}

// Peek returns the entry with the longest prefix that contains dst, without any reference:
// it is whole and alive until l's read section ends, or l, an online softint, comes to its
// next checkpoint. It is for who lets go of it before: nothing is cheaper. Otherwise it is
// as [Table.Get]. It panics if l is neither in a section nor an online softint.
func (t *Table) Peek(l *lwp.LWP, dst netip.Addr) Hit {
	if l.CPU.Depth == 0 {
		mayNotPeek(l)
	}
	if dst.Is4() {
		return t.hit(t.fib.Lookup4(fib.Word4(dst)))
	}
	return t.hit(t.match6(dst))
}

//go:noinline
func mayNotPeek(l *lwp.LWP) {
	panic(violation("peek outside", "%v peeks outside of a read section, and is no online softint: nobody would wait for it", l))
}

// hit returns what is in a slot.
func (t *Table) hit(slot uint32) Hit {
	if slot == 0 {
		return Hit{}
	}
	w := t.mem.Load().words[slot].Load()
	if w&wordUpdating != 0 {
		return Hit{slot: slot}
	}
	m := t.mem.Load() // after the word: that may be of an update that has just finished
	return Hit{Next: m.hops[w&wordHop], m: m, slot: slot}
}

// PeekBurst is [Table.Peek] for many destinations, whose cache misses overlap. hits must
// have room for all.
func (t *Table) PeekBurst(l *lwp.LWP, dsts []netip.Addr, hits []Hit) {
	if l.CPU.Depth == 0 {
		mayNotPeek(l)
	}
	hits = hits[:len(dsts)]
	var slots [fib.Burst]uint32
	for len(dsts) > 0 {
		n := t.matchBurst(dsts, &slots)
		for i, slot := range slots[:n] {
			hits[i] = t.hit(slot)
		}
		dsts, hits = dsts[n:], hits[n:]
	}
}

// GetBurst is [Table.Get] for many destinations, whose cache misses overlap. refs and hits
// must have room for all; each ref whose hit has a Next is to be released.
func (t *Table) GetBurst(l *lwp.LWP, refs []psref.Ref, dsts []netip.Addr, hits []Hit) {
	refs, hits = refs[:len(dsts)], hits[:len(dsts)]
	var slots [fib.Burst]uint32
	for len(dsts) > 0 {
		s := t.psz.ReadEnter(l)
		n := t.matchBurst(dsts, &slots)
		for i, slot := range slots[:n] {
			hits[i] = t.hit(slot)
			if hits[i].Next != nil {
				t.class.AcquireIn(s, &refs[i], &hits[i].m.entry(slot).target)
			}
		}
		s.Exit()
		refs, dsts, hits = refs[n:], dsts[n:], hits[n:]
	}
}

// matchBurst matches as many of dsts as fit, and returns how many that were. Those of one
// family are matched together.
func (t *Table) matchBurst(dsts []netip.Addr, slots *[fib.Burst]uint32) (n int) {
	if len(dsts) < fib.Burst {
		for i, dst := range dsts {
			slots[i] = t.match(dst)
		}
		return len(dsts)
	}
	var fours, sixes int
	var a4 [fib.Burst]uint32
	var a6 [fib.Burst][2]uint64
	for i, dst := range dsts[:fib.Burst] {
		switch {
		case dst.Is4():
			a4[i] = fib.Word4(dst)
			fours++
		case dst.IsValid() && !dst.Is4In6():
			a6[i][0], a6[i][1] = fib.Words6(dst)
			sixes++
		}
	}
	switch fib.Burst {
	case fours:
		t.fib.Burst4(&a4, slots)
	case sixes:
		t.fib.Burst6(&a6, slots)
	default:
		for i, dst := range dsts[:fib.Burst] {
			slots[i] = t.match(dst)
		}
	}
	return fib.Burst
}

// Lookup returns the entry with the longest prefix that contains dst, counted: it is whole
// and alive until [Entry.Unref], and may be handed to another goroutine meanwhile, or be
// begun to update (rtalloc1). It reads under the table's lock and writes to the entry.
//
// While the entry is being changed, whoever changes it gets it all the same, a softint gets
// [ErrUpdating], and a thread waits, or gets the same, as the table's [Policy] says. Further
// errors: [ErrNotFound], ctx.Err().
func (t *Table) Lookup(ctx context.Context, l *lwp.LWP, dst netip.Addr) (*Entry, error) {
	e, err := t.counted(ctx, l, func() uint32 { return t.match(dst) })
	if err == ErrNotFound {
		t.misses.Inc()
		t.emit(Msg{Type: MsgMiss, Addr: dst})
	}
	return e, err
}

// Find is [Table.Lookup] of the entry with just that prefix; host bits do not count
// (RTM_GET).
func (t *Table) Find(ctx context.Context, l *lwp.LWP, dst netip.Prefix) (*Entry, error) {
	return t.counted(ctx, l, func() uint32 {
		slot, _ := t.rib.Get(dst)
		return slot
	})
}

// counted returns the entry that find finds, with mu held for reading.
func (t *Table) counted(ctx context.Context, l *lwp.LWP, find func() uint32) (*Entry, error) {
	for {
		if err := t.mu.RLockContext(ctx); err != nil {
			return nil, err
		}
		slot := find()
		if slot == 0 {
			t.mu.RUnlock()
			return nil, ErrNotFound
		}
		e := t.mem.Load().entry(slot)
		if t.word(e).Load()&wordUpdating == 0 || t.updates(l, e) {
			t.ref(e, 1)
			t.mu.RUnlock()
			return e, nil
		}
		t.mu.RUnlock()
		if l.InSoftint() || t.policy == Miss {
			return nil, ErrUpdating
		}
		if err := t.await(ctx, e); err != nil {
			return nil, err
		}
	}
}

// ref counts one more reference. Something keeps e from being freed meanwhile. The site is
// skip frames above the caller.
func (t *Table) ref(e *Entry, skip int) {
	e.refs.Add(1)
	if invariants.Enabled {
		t.waits.note(e, invariants.Here(skip+1))
	}
}

// Unref lets go of a counted reference (rt_unref). It never blocks for long: it wakes
// whoever waits for it. Any goroutine may call it. It panics if there is no reference.
func (e *Entry) Unref() {
	t := e.t // afterwards e may be freed, and used for something else
	if invariants.Enabled {
		t.waits.forget(e)
	}
	n := e.refs.Add(-1)
	if n&(refsWaited>>1) != 0 {
		e.refs.Add(1)
		panic(violation("not counted", "Unref of an entry that nobody holds a counted reference to: it was given back twice, or is passively held"))
	}
	if n&refsWaited != 0 {
		t.wake()
	}
}

// awaitUnref makes every Unref from now on wake who waits, and returns how many counted
// references there are.
func (e *Entry) awaitUnref() int32 {
	for {
		n := e.refs.Load()
		if n&refsWaited != 0 || e.refs.CompareAndSwap(n, n|refsWaited) {
			return n &^ refsWaited
		}
	}
}

package rtable

import (
	"fmt"
	"iter"
	"net/netip"
)

// A Batch is a number of changes that lookups see all at once or not at all. It is what
// [Table.Batch] gives to its function, and ends with it.
type Batch struct {
	t *Table // nil when the batch has ended
	// steps is what has been done to the RIB, so that it can be undone.
	steps   []step
	deleted []*Entry // were in the table before the batch
}

// A step gave a prefix another entry: by slots, of which 0 is none.
type step struct{ old, new uint32 }

func (s step) dst(m *memory) netip.Prefix { return m.entry(max(s.old, s.new)).dst() }

// Batch calls f with a batch and publishes what it has changed at once: a lookup by Get or
// Peek sees the table before, or after all of it. If f returns an error, or panics, nothing
// has happened; Batch returns f's error, or [ErrClosed].
//
// f runs with the table's lock held. It must not wait, nor use t but through its batch; Get
// and Peek go on meanwhile and see the table as it was, everything else waits.
func (t *Table) Batch(f func(b *Batch) error) error {
	_, err := t.batch(f, t.discard)
	return err
}

// batch is Batch that gives the entries that were deleted to dispose, with mu held.
func (t *Table) batch(f func(b *Batch) error, dispose func([]*corpse)) ([]*corpse, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	b := &Batch{t: t}
	published := false
	defer func() {
		b.t = nil
		if !published {
			t.undo(b)
		}
	}()
	if err := f(b); err != nil {
		return nil, err
	}
	published = true
	t.publish(b)
	cs := corpses(b.deleted)
	dispose(cs)
	return cs, nil
}

// Add is [Table.Add] as part of the batch. Errors: [ErrExists], [ErrInvalid],
// [ErrUnreachable].
func (b *Batch) Add(rt Route) error {
	return b.put(&rt, false)
}

// Replace is [Table.Replace] as part of the batch. Errors: [ErrNotFound], [ErrInvalid],
// [ErrUnreachable].
func (b *Batch) Replace(rt Route) error {
	return b.put(&rt, true)
}

func (b *Batch) put(rt *Route, replace bool) error {
	b.mustBeOpen()
	t, doing := b.t, "add"
	if replace {
		doing = "replace"
	}
	err := error(ErrInvalid)
	if rt.canonize() {
		err = t.resolve(rt)
	}
	if err != nil {
		return refused(doing, *rt, err)
	}
	var s step
	t.rib.Modify(rt.Dst, func(old uint32, there bool) (uint32, bool) {
		switch {
		case there && !replace:
			err = ErrExists
			return old, false
		case !there && replace:
			err = ErrNotFound
			return 0, true
		}
		s = step{old, t.allocate(rt).slot}
		return s.new, false
	})
	if err != nil {
		return refused(doing, *rt, err)
	}
	b.steps = append(b.steps, s)
	return nil
}

func refused(doing string, rt Route, err error) error {
	return fmt.Errorf("rtable: %s %v: %w", doing, rt, err)
}

// Delete is [Table.Delete] as part of the batch. Error: [ErrNotFound].
func (b *Batch) Delete(dst netip.Prefix) error {
	b.mustBeOpen()
	slot, ok := b.t.rib.Get(dst)
	if !ok {
		return fmt.Errorf("rtable: delete %v: %w", dst, ErrNotFound)
	}
	b.t.rib.Delete(dst)
	b.steps = append(b.steps, step{slot, 0})
	return nil
}

// deleteMatching is DeleteMatching as part of the batch.
func (b *Batch) deleteMatching(match func(Route) bool) int {
	t := b.t
	var ps []netip.Prefix
	for p, slot := range t.rib.All() {
		if match(t.mem.LoadOwn().entry(slot).Route()) {
			ps = append(ps, p)
		}
	}
	for _, p := range ps {
		slot, _ := t.rib.Get(p)
		t.rib.Delete(p)
		b.steps = append(b.steps, step{slot, 0})
	}
	return len(ps)
}

func (b *Batch) mustBeOpen() {
	if b.t == nil {
		panic(violation("batch has ended", "a Batch is used after the function it was given to has returned"))
	}
}

// undo makes the RIB what it was before b. Nobody has seen anything of it.
func (t *Table) undo(b *Batch) {
	for i := len(b.steps) - 1; i >= 0; i-- {
		s := b.steps[i]
		if s.old != 0 {
			t.rib.Insert(t.dst(s.old), s.old)
		} else {
			t.rib.Delete(t.dst(s.new))
		}
		if s.new != 0 {
			t.give(t.mem.LoadOwn().entry(s.new))
		}
	}
}

// publish makes b what lookups see. An entry is live before it can be found, and is the
// worker's only when it no longer can be.
func (t *Table) publish(b *Batch) {
	m := t.mem.LoadOwn()
	cs := changes(b, m)
	for _, c := range cs {
		if c.new != 0 {
			e := m.entry(c.new)
			t.class.Init(&e.target)
			w := &m.words[c.new]
			w.StoreOwn(w.LoadOwn() &^ wordGone)
		}
	}
	t.publishFIB(cs)
	t.gen.Add(1)
	t.batches.Inc()
	adds := uint64(0)
	for _, c := range cs {
		if c.new != 0 {
			adds++
		}
		if c.old != 0 {
			w := &m.words[c.old]
			w.Store(w.LoadOwn() | wordGone)
			b.deleted = append(b.deleted, m.entry(c.old))
			for _, q := range t.timers {
				q.drop(m.entry(c.old))
			}
		}
		t.announce(m, c)
	}
	t.adds.Add(adds)
	t.deletes.Add(uint64(len(b.deleted)))
}

// changes returns what the steps of b come to: of each prefix that is different the entry
// before and the entry after. What came and went again was never there, and its slot is
// given back.
func changes(b *Batch, m *memory) []step {
	if len(b.steps) == 1 {
		return b.steps
	}
	t := b.t
	adds, deletes := 0, 0
	for _, s := range b.steps {
		adds += min(int(s.new), 1)
		deletes += min(int(s.old), 1)
	}
	if adds == 0 || deletes == 0 {
		return b.steps // no prefix can have been there twice
	}
	net := make(map[netip.Prefix]int, len(b.steps))
	cs := make([]step, 0, len(b.steps))
	for _, s := range b.steps {
		p := s.dst(m)
		i, seen := net[p]
		if !seen {
			net[p] = len(cs)
			cs = append(cs, s)
			continue
		}
		if was := cs[i].new; was != 0 {
			t.give(m.entry(was))
		}
		cs[i].new = s.new
	}
	n := 0
	for _, c := range cs {
		if c != (step{}) {
			cs[n] = c
			n++
		}
	}
	return cs[:n]
}

// rebuildCost is how many routes are compiled in the time that one change of the FIB takes.
const rebuildCost = 32

// garbage is how many replaced chunks of the FIB are worth a grace period of their own.
const garbage = 1024

// publishFIB lets lookups find what cs says: an entry in place of another, and where one has
// gone what the RIB, which is changed already, has instead.
func (t *Table) publishFIB(cs []step) {
	switch n := len(cs); {
	case n == 0:
	case n > 1 && n*rebuildCost > t.rib.Size():
		t.fib.Load(t.sorted(cs))
	case n > 1:
		t.fib.Begin()
		for _, c := range cs {
			t.changeFIB(c)
		}
		t.fib.Commit()
	default:
		t.changeFIB(cs[0])
	}
	if t.fib.Garbage() >= garbage {
		t.sweep()
	}
}

// sorted yields all routes and their slots, ordered by address and then by length. A table
// that is loaded for the first time, from a list in that order, is the list.
func (t *Table) sorted(cs []step) iter.Seq2[netip.Prefix, uint32] {
	m := t.mem.LoadOwn()
	if len(cs) != t.rib.Size() {
		return t.rib.AllSorted()
	}
	for i, c := range cs {
		if c.new == 0 || i > 0 && !m.entry(cs[i-1].new).before(m.entry(c.new)) {
			return t.rib.AllSorted()
		}
	}
	return func(yield func(netip.Prefix, uint32) bool) {
		for _, c := range cs {
			if !yield(m.entry(c.new).dst(), c.new) {
				return
			}
		}
	}
}

func (t *Table) changeFIB(c step) {
	m := t.mem.LoadOwn()
	p := c.dst(m)
	switch {
	case c.old == 0:
		t.fib.Insert(p, c.new, func(slot uint32) int { return int(m.entry(slot).bits) })
	case c.new != 0:
		t.fib.Replace(p, c.old, c.new)
	default:
		shorter, _ := t.rib.LookupPrefix(p)
		t.fib.Replace(p, c.old, shorter)
	}
}

// resolve completes a route by way of a gateway: it leaves by the interface of the
// gateway's own route, which must not lead to another gateway, and takes no larger packets
// (rt_setgate). Error: [ErrUnreachable].
func (t *Table) resolve(rt *Route) error {
	mtu := &rt.Metrics.MTU
	if !rt.Gateway.IsValid() || !rt.Out.IsZero() && *mtu == 0 {
		return nil
	}
	slot, _ := t.rib.Lookup(rt.Gateway.Unmap().WithZone(""))
	if slot == 0 {
		if rt.Out.IsZero() {
			return ErrUnreachable
		}
		return nil
	}
	gw := t.mem.LoadOwn().entry(slot)
	if rt.Out.IsZero() {
		if gw.hop.Flags&FlagGateway != 0 || gw.hop.Out.IsZero() {
			return ErrUnreachable
		}
		rt.Out = gw.hop.Out
	}
	if most := gw.hop.MTU; most != 0 && *mtu > most && rt.Metrics.Locked&MetricMTU == 0 {
		*mtu = most
	}
	return nil
}

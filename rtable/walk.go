package rtable

import (
	"iter"
	"net/netip"
)

// Exact returns the route with just that prefix; host bits do not count. It waits for
// nobody but writers. Error: [ErrNotFound].
func (t *Table) Exact(dst netip.Prefix) (Route, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	slot, ok := t.rib.Get(dst)
	if !ok {
		return Route{}, ErrNotFound
	}
	return t.mem.Load().entry(slot).Route(), nil
}

// Walk calls f for every route inside a prefix, that of the prefix itself among them,
// ordered by address and then by length, until f returns false (rtbl_walktree). f is called
// with the table's lock held: it must not wait, nor use t.
func (t *Table) Walk(in netip.Prefix, f func(Route) bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	m := t.mem.Load()
	for _, slot := range t.rib.Subnets(in) {
		if !f(m.entry(slot).Route()) {
			return
		}
	}
}

// All yields the routes of one moment, that of its first step, ordered by address and
// then by length, IPv4 first. It holds no lock while the loop runs, which may take as long
// as it likes and may change the table: for that it copies all routes first.
func (t *Table) All() iter.Seq2[netip.Prefix, Route] {
	return func(yield func(netip.Prefix, Route) bool) {
		for _, rt := range t.snapshot() {
			if !yield(rt.Dst, rt) {
				return
			}
		}
	}
}

func (t *Table) snapshot() []Route {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.snapshotLocked()
}

func (t *Table) snapshotLocked() []Route {
	rts, m := make([]Route, 0, t.rib.Size()), t.mem.Load()
	for _, slot := range t.rib.AllSorted() {
		rts = append(rts, m.entry(slot).Route())
	}
	return rts
}

// dumpChunk is how many entries Dump looks at between two releases of the lock.
const dumpChunk = 512

// Dump yields the routes in no order, while the table may change, and holds the lock for a
// few hundred at a time (sysctl NET_RT_DUMP). A route that is in the table throughout is
// yielded once; one that comes, goes or is replaced meanwhile may be yielded or not, the one
// that took its place too.
func (t *Table) Dump() iter.Seq[Route] {
	return func(yield func(Route) bool) {
		var chunk [dumpChunk]Route
		for slot, more := uint32(1), true; more; {
			n := 0
			t.mu.RLock()
			m := t.mem.Load()
			for ; n < dumpChunk && slot <= t.store.used; slot++ {
				if m.words[slot].Load()&wordGone == 0 {
					chunk[n] = m.entry(slot).Route()
					n++
				}
			}
			more = slot <= t.store.used
			t.mu.RUnlock()
			for _, rt := range chunk[:n] {
				if !yield(rt) {
					return
				}
			}
		}
	}
}

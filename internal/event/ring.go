package event

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// A Ring is a Sink that keeps the newest events and counts those it had to overwrite.
// Emit is lock-free and allocates one event. Make one with NewRing.
type Ring struct {
	next  atomic.Uint64 // events ever emitted
	slots []atomic.Pointer[slot]
}

// slot is an event and its place in the order of arrival, from 0.
type slot struct {
	pos uint64
	ev  Event
}

// NewRing returns an empty ring that keeps n events. It panics if n < 1.
func NewRing(n int) *Ring {
	if n < 1 {
		panic("event: a ring keeps at least one event")
	}
	return &Ring{slots: make([]atomic.Pointer[slot], n)}
}

// Emit keeps ev, in place of the oldest event if the ring is full.
func (g *Ring) Emit(ev Event) {
	s := &slot{pos: g.next.Add(1) - 1, ev: ev}
	p := &g.slots[s.pos%uint64(len(g.slots))]
	for {
		old := p.Load()
		if old != nil && old.pos > s.pos {
			return // we were so slow that the ring came round: we are the oldest
		}
		if p.CompareAndSwap(old, s) {
			return
		}
	}
}

// Events returns the events kept, in order of Seq.
func (g *Ring) Events() []Event {
	var evs []Event
	for i := range g.slots {
		if s := g.slots[i].Load(); s != nil {
			evs = append(evs, s.ev)
		}
	}
	slices.SortFunc(evs, func(a, b Event) int { return cmp.Compare(a.Seq, b.Seq) })
	return evs
}

// Overwritten returns how many events the ring no longer has.
func (g *Ring) Overwritten() uint64 {
	return g.next.Load() - min(g.next.Load(), uint64(len(g.slots)))
}

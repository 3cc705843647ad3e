package rtable

import (
	"fmt"
	"net/netip"

	"github.com/softnet-go/softnet/witness"
)

// A Batch is a number of changes that lookups see all at once or not at all. It is what
// [Table.Batch] gives to its function, and ends with it.
type Batch struct {
	next *snapshot // with the changes so far; nil when the batch has ended
	// own is whether next is this batch's alone and may be changed in place. Until then
	// each change makes a new one that shares the rest with the last.
	own  bool
	paid int // what changes have cost while next was not own, in routes cloned

	added   []*Entry // some may be stillborn
	deleted []*Entry // all were published before the batch
}

// Batch calls f with a batch and publishes what it has changed as one snapshot: a lookup
// sees the table before, or after all of it. If f returns an error, or panics, nothing
// has happened; Batch returns f's error, or [ErrClosed].
//
// f runs with the writers' lock held. It must not wait, nor change t but through its
// batch; lookups go on meanwhile and see the table as it was.
func (t *Table) Batch(f func(b *Batch) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	b := &Batch{next: t.snap.Load()}
	defer func() { b.next = nil }()
	if err := f(b); err != nil {
		return err
	}
	t.publishLocked(b)
	return nil
}

// publishLocked makes b what lookups see. An entry is live before it can be found, and is
// the worker's only when it no longer can be.
func (t *Table) publishLocked(b *Batch) {
	born := uint64(0)
	for _, e := range b.added {
		if Flags(e.flags.Load())&flagStillborn == 0 {
			t.class.Init(&e.target)
			e.flags.Store(uint32(FlagUp))
			born++
		}
	}
	t.snap.Store(b.next)
	t.batches.Inc()
	t.adds.Add(born)
	t.discard(b.deleted)
}

// Add is [Table.Add] as part of the batch. Errors: [ErrExists], [ErrInvalid].
func (b *Batch) Add(rt Route) error {
	b.mustBeOpen()
	rt, ok := rt.canonical()
	if !ok {
		return fmt.Errorf("rtable: add %v: %w", rt, ErrInvalid)
	}
	if _, exists := b.next.Get(rt.Dst); exists {
		return fmt.Errorf("rtable: add %v: %w", rt, ErrExists)
	}
	e := newEntry(rt)
	if b.inPlace() {
		b.next.Insert(rt.Dst, e)
	} else {
		b.next = b.next.InsertPersist(rt.Dst, e)
	}
	b.added = append(b.added, e)
	return nil
}

// Delete is [Table.Delete] as part of the batch. Error: [ErrNotFound].
func (b *Batch) Delete(dst netip.Prefix) error {
	b.mustBeOpen()
	e, ok := b.next.Get(dst)
	if !ok {
		return fmt.Errorf("rtable: delete %v: %w", dst, ErrNotFound)
	}
	b.delete(e)
	return nil
}

func (b *Batch) delete(e *Entry) {
	dst := e.route().Dst
	if b.inPlace() {
		b.next.Delete(dst)
	} else {
		b.next = b.next.DeletePersist(dst)
	}
	if Flags(e.flags.Load())&FlagUp != 0 {
		b.deleted = append(b.deleted, e)
	} else {
		e.flags.Store(uint32(flagStillborn)) // nobody has ever seen it
	}
}

// deleteMatching is DeleteMatching as part of the batch.
func (b *Batch) deleteMatching(match func(Route) bool) int {
	var es []*Entry
	for _, e := range b.next.All() {
		if match(e.route()) {
			es = append(es, e)
		}
	}
	b.paid += changeCost * (len(es) - 1) // known before: decide now
	for _, e := range es {
		b.delete(e)
	}
	return len(es)
}

// changeCost is how many routes are cloned in the time, or the memory, that one change
// of a shared snapshot takes: some 10 µs and 22 KB in a full Internet table.
const changeCost = 256

// inPlace says how the next change is to be made. Changing a shared snapshot costs as
// much as cloning some routes; cloning all makes every further change cheap. Who rents
// until the rent has cost as much as buying pays at most twice what it need have.
func (b *Batch) inPlace() bool {
	if !b.own {
		b.paid += changeCost
		if b.paid > b.next.Size() {
			b.next, b.own = b.next.Clone(), true
		}
	}
	return b.own
}

func (b *Batch) mustBeOpen() {
	if b.next == nil {
		panic(&witness.Violation{Rule: "rtable: batch has ended",
			Text: "rtable: a Batch is used after the function it was given to has returned"})
	}
}

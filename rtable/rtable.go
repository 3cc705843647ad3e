package rtable

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"time"

	"github.com/gaissmai/bart"
	uatomic "go.uber.org/atomic"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// Why a table refuses. Test with errors.Is.
var (
	ErrNotFound = errors.New("no route")                 // ESRCH
	ErrExists   = errors.New("there is a route already") // EEXIST
	ErrInvalid  = errors.New("not a route")              // EINVAL
	ErrClosed   = errors.New("the routing table is closed")
)

// A Table is a routing table for IPv4 and IPv6 (rtbl_t and rt_lock around it). Make one
// with [New]; it must not be copied. Its methods are safe for concurrent use. Lookups
// never wait for writers, writers keep each other out, and nobody but [Table.Close] waits
// for those who hold entries.
type Table struct {
	psz   *pserialize.Serializer // immutable: its sections cover finding an entry in snap
	class *psref.Class           // immutable: of every entry

	// snap is what lookups see. It is never nil, and what it points to never changes.
	snap hook.Pointer[snapshot]

	_      [hook.LineBytes]byte // what follows is written, what precedes is read by all
	mu     witness.Mutex        // rt_lock: taken by writers, never held across a wait
	closed bool                 // guarded by mu
	freer  freer
	stats
}

// A snapshot is a table that readers may look at while it does not change. bart copies
// what is shared with the next snapshot by the word: it must see pointers without a Clone
// method.
type snapshot = bart.Table[*Entry]

type stats struct {
	adds, deletes  uatomic.Uint64
	freed, graces  uatomic.Uint64
	batches, retry uatomic.Uint64
}

// rtLock is the class of every table's mu.
var rtLock = witness.NewClass("rt_lock")

// New returns an empty table for the LWPs of a domain. [Table.Close] ends it.
func New(dom *lwp.Domain) *Table {
	t := &Table{psz: pserialize.New(dom), class: psref.NewClass(dom, "rtentry")}
	t.mu.Init(rtLock)
	t.freer.dom = dom
	t.snap.Store(new(snapshot))
	return t
}

// tries is how many snapshots Get looks at. One is enough while entries are destroyed
// only after a grace period without them.
const tries = 4

// Get returns the entry with the longest prefix that contains dst and makes ref refer to
// it, for l (rtcache_lookup without the cache). The entry is whole and alive until
// ref.Release(l), whatever is deleted meanwhile; a thread may sleep with it. dst may be an
// IPv4 address in IPv6 form; its zone does not count.
//
// Get takes no lock, never blocks, allocates nothing and writes no word that another LWP
// writes. It returns [ErrNotFound] if no prefix contains dst; ref then holds nothing. It
// panics if ref is in use.
func (t *Table) Get(l *lwp.LWP, ref *psref.Ref, dst netip.Addr) (*Entry, error) {
	dst = dst.Unmap()
	s := t.psz.ReadEnter(l)
	for range tries {
		e, ok := t.snap.Load().Lookup(dst)
		if !ok {
			break
		}
		if t.class.Acquire(l, ref, &e.target) {
			s.Exit()
			if invariants.Enabled {
				e.mustBeAlive()
			}
			return e, nil
		}
		t.retry.Inc() // it is going: so there is a newer snapshot without it
	}
	s.Exit()
	return nil, ErrNotFound
}

// Exact returns the route with just that prefix (RTM_GET); host bits do not count. It
// never blocks. Error: [ErrNotFound].
func (t *Table) Exact(dst netip.Prefix) (Route, error) {
	e, ok := t.snap.Load().Get(dst)
	if !ok {
		return Route{}, ErrNotFound
	}
	return e.route(), nil
}

// All yields the routes of one moment, that of its first step, ordered by address and
// then by length, IPv4 first (rtbl_walktree). It holds no lock: the loop may take as long
// as it likes and may change the table.
func (t *Table) All() iter.Seq[Route] {
	return func(yield func(Route) bool) {
		for _, e := range t.snap.Load().AllSorted() {
			if !yield(e.route()) {
				return
			}
		}
	}
}

// Len returns how many routes there are.
func (t *Table) Len() int { return t.snap.Load().Size() }

// Add adds a route (RTM_ADD). Lookups that begin after it returns find it. Errors:
// [ErrExists] if there is one with its prefix, [ErrInvalid] if rt is none, [ErrClosed].
func (t *Table) Add(rt Route) error {
	return t.Batch(func(b *Batch) error { return b.Add(rt) })
}

// Delete takes the route with just that prefix out of the table (RTM_DELETE). Lookups
// that begin after it returns do not find it. Whoever holds the entry keeps it: the
// table's worker frees it when the last has let go, and Delete does not wait for that.
// Errors: [ErrNotFound], [ErrClosed].
func (t *Table) Delete(dst netip.Prefix) error {
	return t.Batch(func(b *Batch) error { return b.Delete(dst) })
}

// DeleteMatching deletes every route that match returns true for, all at once, and
// returns how many: the routes through a gateway, or out of an interface, that is leaving
// (rtbl_walktree with rt_delete_matched). match is called with the writers' lock held: it
// must not wait, nor change t. Error: [ErrClosed].
func (t *Table) DeleteMatching(match func(Route) bool) (n int, err error) {
	err = t.Batch(func(b *Batch) error {
		n = b.deleteMatching(match)
		return nil
	})
	return n, err
}

// Load adds many routes in one [Table.Batch]: all, or none and the first one's error.
func (t *Table) Load(rts iter.Seq[Route]) error {
	return t.Batch(func(b *Batch) error {
		for rt := range rts {
			if err := b.Add(rt); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close deletes all routes and waits until every entry has been freed: until the last
// holder has let go. It may be called again, and by several at once. When ctx ends first
// it returns ctx.Err(): the table is closed, nothing of it is running, and entries that
// were still held are not freed before another Close. It must not be called by who holds
// an entry, nor in a read section.
func (t *Table) Close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	last := t.snap.Swap(new(snapshot))
	gone := make([]*Entry, 0, last.Size())
	for _, e := range last.All() {
		gone = append(gone, e)
	}
	t.discard(gone)
	t.mu.Unlock()
	if err := t.drain(ctx); err != nil {
		return err
	}
	t.class.Close()
	return nil
}

// Stats is a snapshot of a table's counters.
type Stats struct {
	Routes  int           // in the table now
	Adds    uint64        // routes added
	Deletes uint64        // routes deleted
	Freed   uint64        // of those, how many entries have been freed
	Trash   uint64        // of those, how many have not (rttrash)
	Batches uint64        // changes published, each of one route or many
	Graces  uint64        // grace periods waited for, each on behalf of one entry or many
	Longest time.Duration // the longest wait for the holders of one entry
	Retries uint64        // lookups that found an entry going and looked again
}

// Stats returns the counters. It may be called at any time by anyone; counters that change
// meanwhile may be of different moments, but Trash is always Deletes less Freed.
func (t *Table) Stats() Stats {
	freed := t.freed.Load() // before deletes, or Trash could be negative
	deletes := t.deletes.Load()
	return Stats{
		Routes:  t.Len(),
		Adds:    t.adds.Load(),
		Deletes: deletes,
		Freed:   freed,
		Trash:   deletes - freed,
		Batches: t.batches.Load(),
		Graces:  t.graces.Load(),
		Longest: t.class.Stats().Longest,
		Retries: t.retry.Load(),
	}
}

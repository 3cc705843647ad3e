package rtable

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"time"

	"github.com/gaissmai/bart"
	uatomic "go.uber.org/atomic"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/fib"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// Why a table refuses. Test with errors.Is.
var (
	ErrNotFound    = errors.New("no route")                           // ESRCH
	ErrExists      = errors.New("there is a route already")           // EEXIST
	ErrInvalid     = errors.New("not a route")                        // EINVAL
	ErrUnreachable = errors.New("the gateway is on no connected net") // ENETUNREACH
	ErrClosed      = errors.New("the routing table is closed")
	// ErrHostUnreachable is of redirects alone (EHOSTUNREACH).
	ErrHostUnreachable = errors.New("a gateway is of no use there")
	// ErrUpdating says that the entry is between BeginUpdate and Finish, and that the caller
	// may not wait, or need not. The kernel's lookups say that there is no route.
	ErrUpdating = errors.New("the route is being updated")
)

// A Table is a routing table for IPv4 and IPv6 (rtbl_t and rt_lock around it). Make one
// with [New]; it must not be copied. Its methods are safe for concurrent use.
type Table struct {
	dom      *lwp.Domain            // immutable
	psz      *pserialize.Serializer // immutable: its sections cover finding an entry
	class    *psref.Class           // immutable: of every entry
	policy   Policy                 // immutable
	patience time.Duration          // immutable
	log      *slog.Logger           // immutable

	fib fib.Table            // what lookups match; changed under mu, read in sections
	mem hook.Pointer[memory] // never nil; replaced, and its words changed, under mu
	gen hook.Uint64          // raised under mu, after the FIB has changed

	_      [hook.LineBytes]byte // what follows is written, what precedes is read by all
	mu     witness.RWMutex      // rt_lock; never held across a wait
	rib    bart.Table[uint32]   // the prefixes, with their slots; guarded by mu
	store  store                // guarded by mu
	closed bool                 // guarded by mu

	timers []*Timers // guarded by mu

	redirects *Timers // immutable: of what redirects have made
	pathMTUs  *Timers // immutable: of what path MTU discovery has found out

	waits waits
	subs  subscribers
	stats
}

type stats struct {
	adds, deletes, changes uatomic.Uint64
	freed, graces, batches uatomic.Uint64
	misses                 uatomic.Uint64
	badRedirects, dynamic  uatomic.Uint64
	newGateways            uatomic.Uint64
	stuck                  uatomic.Int64
}

// rtLock is the class of every table's mu.
var rtLock = witness.NewClass("rt_lock")

// A Policy says what a thread does that looks up an entry which is being changed, where it
// may wait. A softint always misses.
type Policy uint8

const (
	Wait Policy = iota // until the change is finished
	Miss               // with ErrUpdating
)

// String returns "Wait" or "Miss".
func (p Policy) String() string {
	if p == Miss {
		return "Miss"
	}
	return "Wait"
}

// An Option changes what New makes.
type Option func(*Table)

// WithPolicy sets what threads do that meet an update. The default is [Wait].
func WithPolicy(p Policy) Option { return func(t *Table) { t.policy = p } }

// WithLogger sets where the table reports what no caller can be told: entries that are
// still held long after they were deleted. The default discards.
func WithLogger(log *slog.Logger) Option { return func(t *Table) { t.log = log } }

// WithPatience sets how long that is. The default is ten seconds.
func WithPatience(d time.Duration) Option { return func(t *Table) { t.patience = d } }

// New returns an empty table for the LWPs of a domain. [Table.Close] ends it.
func New(dom *lwp.Domain, opts ...Option) *Table {
	t := &Table{dom: dom, psz: pserialize.New(dom), patience: 10 * time.Second, log: slog.New(slog.DiscardHandler)}
	t.class = psref.NewClass(dom, "rtentry", psref.WithLetGo(t.wake))
	t.mu.Init(rtLock)
	t.store.hops = map[NextHop]uint32{}
	t.mem.Store(&memory{})
	t.redirects = t.NewTimers(RedirectTimeout, t.expired)
	t.pathMTUs = t.NewTimers(PathMTUTimeout, t.forgetMTU)
	for _, o := range opts {
		o(t)
	}
	return t
}

// Add adds a route (RTM_ADD). Lookups that begin after it returns find it. A route by way
// of a gateway that names no interface gets that of the gateway's own route. Errors:
// [ErrExists] if there is one with its prefix, [ErrInvalid] if rt is none, [ErrUnreachable]
// if its gateway is on no connected net, [ErrClosed].
func (t *Table) Add(rt Route) error {
	return t.Batch(func(b *Batch) error { return b.Add(rt) })
}

// Replace puts a route in the place of the one with its prefix: lookups find the old or the
// new one, and none misses. The old entry is deleted, and who holds it keeps it. Errors:
// [ErrNotFound], [ErrInvalid], [ErrUnreachable], [ErrClosed].
func (t *Table) Replace(rt Route) error {
	return t.Batch(func(b *Batch) error { return b.Replace(rt) })
}

// Delete takes the route with just that prefix out of the table (RTM_DELETE). Lookups
// that begin after it returns do not find it. Whoever holds the entry keeps it: the
// table's worker frees it when the last has let go, and Delete does not wait for that
// (rt_free). Errors: [ErrNotFound], [ErrClosed].
func (t *Table) Delete(dst netip.Prefix) error {
	return t.Batch(func(b *Batch) error { return b.Delete(dst) })
}

// DeleteMatching deletes every route that match returns true for, all at once, and
// returns how many (rt_delete_matched_entries). match is called with the table's lock held:
// it must not wait, nor use t. Error: [ErrClosed].
func (t *Table) DeleteMatching(match func(Route) bool) (n int, err error) {
	err = t.Batch(func(b *Batch) error {
		n = b.deleteMatching(match)
		return nil
	})
	return n, err
}

// Depart deletes every route out of an interface that is leaving, all at once, and returns
// how many there were. Subscribers are told of each, and that the interface has departed.
// The zero ID is no interface's. Errors: [ErrInvalid], [ErrClosed].
func (t *Table) Depart(out ifnet.ID) (n int, err error) {
	if out.IsZero() {
		return 0, fmt.Errorf("rtable: departure of no interface: %w", ErrInvalid)
	}
	err = t.Batch(func(b *Batch) error {
		n = b.deleteMatching(func(rt Route) bool { return rt.Out == out })
		return nil
	})
	if err == nil {
		t.emit(Msg{Type: MsgDepart, Out: out})
	}
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
// holder has let go. Subscriptions end. It may be called again, and by several at once.
// When ctx ends first it returns ctx.Err(): the table is closed, nothing of it is running,
// and entries that were still held are not freed before another Close. It must not be
// called by who holds an entry, nor in a read section.
func (t *Table) Close(ctx context.Context) error {
	t.mu.Lock()
	b := &Batch{t: t}
	if !t.closed {
		b.deleteMatching(func(Route) bool { return true })
		t.publish(b)
		t.discard(corpses(b.deleted))
		t.closed = true
	}
	t.mu.Unlock()
	t.subs.close()
	if err := t.drain(ctx); err != nil {
		return err
	}
	t.class.Close()
	return nil
}

// Len returns how many routes there are.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.rib.Size()
}

// Stats is a snapshot of a table's counters.
type Stats struct {
	Routes  int           // in the table now
	Adds    uint64        // routes added, those that took another's place among them
	Deletes uint64        // routes deleted, those whose place was taken among them
	Changes uint64        // entries changed
	Freed   uint64        // of the deleted, how many entries have been freed
	Trash   uint64        // of the deleted, how many have not (rttrash)
	Stuck   int64         // of these, how many are held for longer than the table's patience
	Batches uint64        // changes published, each of one route or many
	Graces  uint64        // grace periods waited for by the worker, each for one entry or many
	Misses  uint64        // of Lookup (rts_unreach)
	Learnt  uint64        // host routes that redirects have made (rts_dynamic)
	Moved   uint64        // gateways that redirects have changed (rts_newgateway)
	Refused uint64        // redirects that were not followed (rts_badredirect)
	Longest time.Duration // the longest wait for the holders of one entry
	FIB     int           // bytes of the FIB: its roots, its arena, a word for each entry
}

// Stats returns the counters. It may be called at any time by anyone; counters that change
// meanwhile may be of different moments, but Trash is always Deletes less Freed.
func (t *Table) Stats() Stats {
	freed := t.freed.Load() // before deletes, or Trash could be negative
	deletes := t.deletes.Load()
	s := Stats{
		Adds:    t.adds.Load(),
		Deletes: deletes,
		Changes: t.changes.Load(),
		Freed:   freed,
		Trash:   deletes - freed,
		Stuck:   t.stuck.Load(),
		Batches: t.batches.Load(),
		Graces:  t.graces.Load(),
		Misses:  t.misses.Load(),
		Learnt:  t.dynamic.Load(),
		Moved:   t.newGateways.Load(),
		Refused: t.badRedirects.Load(),
		Longest: t.class.Stats().Longest,
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	s.Routes = t.rib.Size()
	f := t.fib.Stats()
	s.FIB = 4 * (f.Roots + f.Arena + len(t.mem.Load().words))
	return s
}

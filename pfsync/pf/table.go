package pf

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/wire"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/witness"
)

// The errors of a Table.
var (
	ErrExists  = errors.New("pf: there is a state of that key or ID")       // EEXIST
	ErrLimit   = errors.New("pf: there are as many states as there may be") // ENOMEM
	ErrCreator = errors.New("pf: a state without a creator")                // EINVAL
	ErrClosed  = errors.New("pf: closed")
)

var (
	listClass  = witness.NewClass("pf.Table.list")
	tableClass = witness.NewClass("pf.Table.lock")
	purgeClass = witness.NewClass("pf.Table.purging")
)

// DefaultLimit is how many states a table has at most, unless told otherwise.
const DefaultLimit = 100_000

// maxForeign is how many names of interfaces, that are in no rule here, peers may make known.
const maxForeign = 256

// A Config is what a Table is made of. The zero Config is pf's.
type Config struct {
	Limit    int         // states; [DefaultLimit] if 0
	HostID   uint32      // the creator of states made here; random if 0
	FirstID  uint64      // of the first of these; made of the time if 0
	Hasher   mbuf.Hasher // the one that steers packets
	Seed     uint64      // of the table's own hash; random if 0
	Timeouts *Timeouts   // [DefaultTimeouts] if nil, but adaptive from 3/5 of Limit to 6/5
	Rules    []Rule
	Manual   bool // nobody purges: see [Table.Purge]
	Log      *slog.Logger
}

// chains of a table
const (
	byWire = iota
	byStack
	byID
)

// A Table is the states of a firewall, and its rules (pf_statetbl, pf_state_list). Packets find
// states without a lock. Make one with [New]; it must not be copied. Its methods may be called by
// anyone unless they say otherwise.
type Table struct {
	c        Config
	psz      *pserialize.Serializer
	dom      *lwp.Domain
	sync     hook.Pointer[Syncer]
	rules    hook.Pointer[ruleset]
	timeouts Timeouts
	epoch    time.Time
	seed     uint64
	mask     uint64
	chains   [3][]hook.Pointer[State] // changed with lock held

	states hook.Int64 // in the list; changed with lock held
	live   hook.Int64 // that somebody refers to

	// list is held for reading by who walks the list of all states, and for writing by who takes
	// some off it, which purge alone does (pfs_rwl). tail guards the list's ends: states are
	// appended while others walk (pfs_mtx). A walker goes to what the tail was when it began.
	list       witness.RWMutex
	tail       hook.Mutex // leaf
	head, last *State

	// lock is held by who changes what can be found (pf_lock, pf_state_lock).
	lock    witness.Mutex
	kifs    map[string]*kif
	foreign int
	nextID  uint64
	shut    bool

	purging witness.Mutex // one at a time
	cursor  *State        // guarded by purging

	outside hook.Mutex // leaf; guards State.link and Outside.st

	stats stats

	stop, stopped chan struct{}
}

// New returns an empty table, and starts who purges it. It panics without a domain, and for a limit
// below 0 or above 2^28.
func New(dom *lwp.Domain, c Config) *Table {
	if dom == nil {
		panic("pf: a table needs the domain whose LWPs use it")
	}
	if c.Limit < 0 || c.Limit > 1<<28 {
		panic(fmt.Sprintf("pf: a table for %d states", c.Limit))
	}
	if c.Limit == 0 {
		c.Limit = DefaultLimit
	}
	if c.HostID == 0 {
		c.HostID = rand.Uint32() | 1
	}
	if c.FirstID == 0 {
		c.FirstID = uint64(time.Now().Unix()) << 32
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	t := &Table{
		c: c, dom: dom, psz: pserialize.New(dom), timeouts: DefaultTimeouts(), seed: c.Seed,
		epoch: time.Now().Add(-firstSecond * time.Second), nextID: c.FirstID,
		kifs: map[string]*kif{}, stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	if c.Timeouts != nil {
		t.timeouts = *c.Timeouts
	} else { // as the defaults are to the default limit
		t.timeouts[AdaptiveStart], t.timeouts[AdaptiveEnd] = uint32(c.Limit/5*3), uint32(c.Limit/5*6)
	}
	n := 1 << bits.Len(uint(c.Limit-1))
	t.mask = uint64(n - 1)
	for i := range t.chains {
		t.chains[i] = make([]hook.Pointer[State], n)
	}
	t.list.Init(listClass)
	t.lock.Init(tableClass)
	t.purging.Init(purgeClass)
	t.SetRules(c.Rules)
	if c.Manual {
		close(t.stopped)
	} else {
		hook.Go("pf purge", t.purger)
	}
	return t
}

// firstSecond is when the table's clock starts: 0 is never, and "a second ago" is to be possible.
const firstSecond = 2

// Now returns the time in seconds by which states expire.
func (t *Table) Now() uint32 { return uint32(time.Since(t.epoch) / time.Second) }

// HostID returns the creator of states that are made here.
func (t *Table) HostID() uint32 { return t.c.HostID }

// Limit returns how many states there may be.
func (t *Table) Limit() int { return t.c.Limit }

// Len returns how many states there are, with those that have been taken down and not yet purged.
func (t *Table) Len() int { return int(t.states.Load()) }

// Outstanding returns how many states somebody refers to: those in the table, and those that were
// taken down and are waited for.
func (t *Table) Outstanding() int { return int(t.live.Load()) }

// Domain returns whose LWPs may use the table.
func (t *Table) Domain() *lwp.Domain { return t.dom }

// Close ends the purger. States stay. It waits until ctx ends, and returns ctx.Err() then.
func (t *Table) Close(ctx context.Context) error {
	t.lock.Lock()
	was := t.shut
	t.shut = true
	t.lock.Unlock()
	if !was {
		close(t.stop)
	}
	select {
	case <-t.stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Find returns the state that a packet with the given key, on an interface and in a direction,
// belongs to, or nil. It takes no lock, and the caller has no reference: the state may be taken down
// any time, and then stays what it is, Unlinked.
func (t *Table) Find(k *Key, dir Dir, ifName string) (floating *State) {
	which := byWire
	if dir == Out {
		which = byStack
	}
	for st := t.chains[which][k.hash(t.seed)&t.mask].Load(); st != nil; st = st.next[which].Load() {
		if *st.key(which) != *k {
			continue
		}
		if st.kif.name == ifName {
			return st
		}
		if st.kif.name == anyInterface && floating == nil {
			floating = st
		}
	}
	return floating
}

const anyInterface = "all"

// key returns what the state is found by in a chain of keys.
func (st *State) key(which int) *Key {
	if which == byWire {
		return &st.wire
	}
	return st.stack
}

// ByID returns the state of that ID, or nil, as [Table.Find] does.
func (t *Table) ByID(id wire.ID) *State {
	for st := t.chains[byID][t.idHash(id)&t.mask].Load(); st != nil; st = st.next[byID].Load() {
		if st.id == id.ID && st.creator == id.Creator {
			return st
		}
	}
	return nil
}

func (t *Table) idHash(id wire.ID) uint64 { return mum(id.ID^t.seed, mix0^uint64(id.Creator)) }

// place returns the state's chains.
func (t *Table) place(st *State) [3]*hook.Pointer[State] {
	return [3]*hook.Pointer[State]{
		&t.chains[byWire][st.wire.hash(t.seed)&t.mask],
		&t.chains[byStack][st.stack.hash(t.seed)&t.mask],
		&t.chains[byID][t.idHash(st.ID())&t.mask],
	}
}

// insert makes a state known. It has everything but its interface, and an ID if a peer has sent it.
func (t *Table) insert(l *lwp.LWP, st *State, ifName string, fromWire, ack bool) error {
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.shut {
		return ErrClosed
	}
	if int(t.states.Load()) >= t.c.Limit || st.rule != nil && st.rule.MaxStates > 0 && st.rule.states >= st.rule.MaxStates {
		t.stats.limit.Add(1)
		return ErrLimit
	}
	if st.kif = t.interfaceOf(ifName, fromWire); st.kif == nil {
		t.stats.limit.Add(1)
		return ErrLimit
	}
	st.hash = t.Hash(&st.wire)
	for _, k := range [...]*Key{&st.wire, st.stack} {
		if !t.available(l, k, st) {
			t.stats.collisions.Add(1)
			return ErrExists
		}
		if st.stack == &st.wire {
			break
		}
	}
	if st.id == 0 && st.creator == 0 {
		st.id, st.creator = t.nextID, t.c.HostID
		t.nextID++
	}
	if t.ByID(st.ID()) != nil {
		t.stats.collisions.Add(1)
		return ErrExists
	}
	s := t.psz.ReadEnter(l)
	defer s.Exit()
	sy := t.sync.Load()
	if sy != nil {
		(*sy).Init(st, fromWire, ack)
	}
	st.refs.Store(1)
	t.live.Add(1)
	t.states.Add(1)
	t.stats.inserts.Add(1)
	if st.rule != nil {
		st.rule.states++
	}
	t.tail.Lock()
	if st.back = t.last; t.last != nil {
		t.last.list = st
	} else {
		t.head = st
	}
	t.last = st
	t.tail.Unlock()
	for i, first := range t.place(st) {
		st.next[i].Store(first.Load())
		first.Store(st)
	}
	if sy != nil {
		(*sy).Insert(st)
	}
	return nil
}

// available reports whether a state may have a key: on its interface nobody else has it in its
// direction. A TCP conversation that both ends have finished makes room.
func (t *Table) available(l *lwp.LWP, k *Key, st *State) bool {
	for _, which := range []int{byWire, byStack} {
		for o := t.chains[which][k.hash(t.seed)&t.mask].Load(); o != nil; o = o.next[which].Load() {
			if *o.key(which) != *k || o.kif != st.kif || o.dir != st.dir {
				continue
			}
			src, dst := o.Levels()
			if k.Proto != TCP || src < finWait2 || dst < finWait2 {
				return false
			}
			t.remove(l, o)
		}
	}
	return true
}

// interfaceOf returns the interface of a name, which peers may make known only so many of. lock is
// held.
func (t *Table) interfaceOf(name string, fromWire bool) *kif {
	if name == "" {
		name = anyInterface
	}
	k := t.kifs[name]
	if k == nil {
		if fromWire && name != anyInterface {
			if t.foreign == maxForeign {
				return nil
			}
			t.foreign++
		}
		k = &kif{name: name, onWire: wire.NameOf(name), table: t}
		t.kifs[name] = k
	}
	return k
}

// Remove takes a state down: packets do not find it any more, and it is Unlinked for good
// (pf_remove_state). Whoever refers to it does so until they let go; the next purge takes it off the
// list. It reports false if it is down already.
func (t *Table) Remove(l *lwp.LWP, st *State) bool {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.remove(l, st)
}

// RemoveSilently is Remove that no peer is told of: one of them said so.
func (t *Table) RemoveSilently(l *lwp.LWP, st *State) bool {
	t.lock.Lock()
	defer t.lock.Unlock()
	st.silence()
	return t.remove(l, st)
}

func (st *State) silence() {
	st.mu.Lock()
	st.flags |= NoSync
	st.mu.Unlock()
}

func (t *Table) remove(l *lwp.LWP, st *State) bool {
	st.mu.Lock()
	was := st.timeout
	st.timeout = Unlinked
	if st.wire.Proto == TCP {
		st.src.Level, st.dst.Level = closed, closed
	}
	st.mu.Unlock()
	if was == Unlinked {
		return false
	}
	for i, first := range t.place(st) {
		at := first
		for o := at.Load(); o != st; o = at.Load() {
			at = &o.next[i]
		}
		at.Store(st.next[i].Load()) // who stands on st goes on from there
	}
	t.stats.removals.Add(1)
	s := t.psz.ReadEnter(l)
	if sy := t.sync.Load(); sy != nil {
		(*sy).Delete(st)
	}
	s.Exit()
	t.unlinkOutside(st)
	return true
}

// Clear takes all states down whose interface it is, or all if ifName is empty, and returns how many
// (the ioctl DIOCCLRSTATES). Peers are told in one message, and forget those that were made here.
func (t *Table) Clear(l *lwp.LWP, ifName string) int {
	n := t.clear(l, func(st *State) bool { return ifName == "" || st.kif.name == ifName })
	s := t.psz.ReadEnter(l)
	defer s.Exit()
	if sy := t.sync.Load(); sy != nil {
		(*sy).Clear(t.c.HostID, ifName)
	}
	return n
}

// Forget takes all states of a creator down, on an interface if ifName is not empty, and returns how
// many: the creator said so. An interface that nobody has heard of is no reason to do anything.
func (t *Table) Forget(l *lwp.LWP, creator uint32, ifName string) int {
	return t.clear(l, func(st *State) bool { return st.creator == creator && (ifName == "" || st.kif.name == ifName) })
}

func (t *Table) clear(l *lwp.LWP, which func(*State) bool) (n int) {
	t.list.RLock()
	defer t.list.RUnlock()
	for st := range t.walk(nil, nil) {
		if which(st) && t.RemoveSilently(l, st) {
			n++
		}
	}
	return n
}

// All yields all states in the order of their insertion, with those that have been taken down and
// not purged. What is inserted meanwhile is not among them. Purging waits while it goes on.
func (t *Table) All() iter.Seq[*State] {
	return func(yield func(*State) bool) {
		t.list.RLock()
		defer t.list.RUnlock()
		t.walk(nil, nil)(yield)
	}
}

// Ends returns the first state of the list of all states and the last, or nil twice. The list has to
// be locked: see [Table.LockList].
func (t *Table) Ends() (first, last *State) {
	t.tail.Lock()
	defer t.tail.Unlock()
	return t.head, t.last
}

// LockList keeps states from being taken off the list, until unlock is called.
func (t *Table) LockList() (unlock func()) {
	t.list.RLock()
	return t.list.RUnlock
}

// Walk yields the states of the list from one to another, both included. The list has to be locked,
// and both must still be in it: a [Syncer] answers for that with InUse.
func (t *Table) Walk(from, to *State) iter.Seq[*State] {
	t.list.AssertRHeld()
	return t.walk(from, to)
}

func (t *Table) walk(from, to *State) iter.Seq[*State] {
	return func(yield func(*State) bool) {
		if from == nil {
			from, to = t.Ends()
		}
		for st := from; st != nil; st = st.list {
			if !yield(st) || st == to {
				return
			}
		}
	}
}

// Hash returns the hash that a state with the given key outside has.
func (t *Table) Hash(k *Key) uint32 { return t.c.Hasher.Flow(k.Flow()) }

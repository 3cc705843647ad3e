package pf

import (
	"fmt"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// What a state is flagged with (PFSTATE_*), as on the wire.
const (
	AllowOpts = 0x0001
	Sloppy    = 0x0002 // no sequence windows
	PFlow     = 0x0004
	NoSync    = 0x0008 // nobody is told of it
	Ack       = 0x0010 // on the wire only: an acknowledgement is waited for
)

// A State is a conversation that was let through, or rather one interface's part in it (struct
// pf_state). It stays what it is for as long as somebody refers to it, also when it has been taken
// down: then [State.Timeout] is Unlinked. Its methods may be called by anyone.
//
// States of different slices lie side by side, so what is written for a packet is kept away from both
// ends of a State: at its ends it shares cache lines with its neighbours.
type State struct {
	// These do not change any more once the state can be found.
	wire    Key
	stack   *Key // as it is inside; &wire, unless addresses are translated
	id      uint64
	creator uint32
	hash    uint32
	rule    *rule // nil is the default rule
	kif     *kif

	// mu is a leaf; it guards what follows.
	mu             hook.Mutex
	learn          uint8 // halves that only the peer has followed, of late: see track
	timeout        Timeout
	flags          uint16
	expire         uint32 // when the last packet came, or as if
	synced         uint32 // when a peer last told of it; 0 for never
	src, dst       wire.Peer
	packets, bytes [2]uint64

	refs hook.Int32

	// Sync is what a [Syncer] keeps with the state, under its own lock; nobody else looks at it.
	Sync SyncState

	dir     Dir // does not change either
	created uint32
	extra   *extra                 // nil for what most states have; it does not change
	link    *Outside               // who remembers the state; guarded by Table.outside
	list    *State                 // in the list of all states
	back    *State                 //
	next    [3]hook.Pointer[State] // in the chains of the table
}

// A SyncState is what a [Syncer] knows of a state.
type SyncState struct {
	Queue      uint8 // in which the state waits, and other numbers
	Updates    uint8
	Held       uint8 // 1 if a packet of the state's is held back
	Next, Prev *State
}

// extra is what few states have.
type extra struct {
	rtAddr    [16]byte
	rtable    [2]int32
	maxMSS    uint16
	log, rt   uint8
	syncFlags uint8
	minTTL    uint8
	setTOS    uint8
	setPrio   [2]uint8
}

// plain is the extra of a state that has none, by its direction: routing tables as the kernel numbers
// those of a state that it has made itself.
var plain = [4]extra{0: {rtable: [2]int32{-1, 0}}, In: {rtable: [2]int32{-1, 0}}, Out: {rtable: [2]int32{0, -1}}}

// A kif is an interface as states know it: a name (struct pfi_kif).
type kif struct {
	name   string
	onWire wire.Name
	table  *Table
}

// ID returns the number that the state's creator gave it, and the creator.
func (st *State) ID() wire.ID { return wire.ID{ID: st.id, Creator: st.creator} }

// Key returns what packets from outside find the state by.
func (st *State) Key() Key { return st.wire }

// Stack returns what packets from inside find it by: the same, unless addresses are translated.
func (st *State) Stack() Key { return *st.stack }

// Dir returns the direction of the first packet.
func (st *State) Dir() Dir { return st.dir }

// Interface returns the name of the interface that the state is bound to, or "all".
func (st *State) Interface() string { return st.kif.name }

// Hash returns the hash of the state's flow on the wire, the one that steers packets to streams.
func (st *State) Hash() uint32 { return st.hash }

// Timeout returns which timeout the state is under.
func (st *State) Timeout() Timeout {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.timeout
}

// Flags returns what the state is flagged with.
func (st *State) Flags() uint16 {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.flags
}

// Levels returns how far both halves are.
func (st *State) Levels() (src, dst uint8) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.src.Level, st.dst.Level
}

// String returns "tcp 10.0.0.1:1024 10.0.0.2:80 in 4:4", without ID: it is for people.
func (st *State) String() string {
	src, dst := st.Levels()
	return fmt.Sprintf("%v %v %d:%d", st.wire, st.dir, src, dst)
}

// Hold takes a reference, which keeps the state what it is until [State.Release], and reports
// whether it could: a state that nobody refers to any more is gone (pf_state_ref).
func (st *State) Hold() bool {
	for {
		n := st.refs.Load()
		if n == 0 {
			return false
		}
		if st.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives a reference back, of a [Hold] (pf_state_unref). It takes no lock.
func (st *State) Release() {
	switch n := st.refs.Add(-1); {
	case n == 0:
		st.kif.table.live.Add(-1)
	case n < 0:
		panic(fmt.Sprintf("pf: a reference to the state %v was released twice", st.ID()))
	}
}

// Seqs returns the highest sequence number that each half has used.
func (st *State) Seqs() (src, dst uint32) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.src.SeqLo, st.dst.SeqLo
}

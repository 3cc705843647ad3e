package pf

import (
	"context"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// A Syncer is told what becomes of states (pfsync's hooks into pf). Its methods are called inside a
// read section: they take no lock but leaves, and wait for nothing. No state's lock is held. For one
// state Init, Insert and Delete come one after the other, with the table locked; Update may come at
// any time once the state can be found, which is before Insert.
type Syncer interface {
	// Init is told of a state that is about to be inserted. fromWire says that a peer has sent it,
	// and wants an acknowledgement if ack.
	Init(st *State, fromWire, ack bool)
	// Insert is told that the state has been inserted. Or not: then Delete is not called.
	Insert(st *State)
	// Update is told of a packet that the state let through, or that a peer knew less than we.
	Update(st *State)
	// Delete is told that the state has been taken down.
	Delete(st *State)
	// Clear is told that all states on an interface, or all, have been taken down by hand; they
	// are flagged NoSync.
	Clear(creator uint32, ifName string)
	// InUse reports whether the state cannot be taken off the list of all states. The list is
	// locked.
	InUse(st *State) bool
	// Defer is offered the first packet of a state that has been made by a packet on its way out,
	// and reports whether it keeps it: then it consumes it, and sends it when it thinks fit.
	Defer(st *State, m *mbuf.Packet) bool
}

// SetSyncer has a syncer, or nobody if sy is nil, told what becomes of states from now on, and waits
// until the one before is not told of anything any more, and never will be again. l may not be a
// softint, and no lock may be held that hooks take. Errors: ctx.Err(), and then it may be that the
// one before still is told: call it again.
func (t *Table) SetSyncer(ctx context.Context, l *lwp.LWP, sy Syncer) error {
	if sy == nil {
		t.sync.Store(nil)
	} else {
		t.sync.Store(&sy)
	}
	return t.psz.Perform(ctx, l)
}

// Export fills in what a peer is told of a state that is inserted there (pf_state_export). now is
// the table's [Table.Now].
func (st *State) Export(w *wire.State, now uint32) {
	w.ID = wire.ID{ID: st.id, Creator: st.creator}
	w.IfName = st.kif.onWire
	st.wire.put(&w.Wire)
	st.stack.put(&w.Stack)
	w.Rule, w.Anchor, w.NATRule = wire.None, wire.None, wire.None
	if st.rule != nil {
		w.Rule = st.rule.nr
	}
	w.Age = now - st.created
	w.AF, w.Proto, w.Direction = st.wire.AF, st.wire.Proto, uint8(st.dir)
	w.Updates = 0
	x := st.extra
	if x == nil {
		x = &plain[st.dir&3]
	}
	w.RtAddr, w.RTable, w.MaxMSS, w.Log, w.Rt = x.rtAddr, x.rtable, x.maxMSS, x.log, x.rt
	w.SyncFlags, w.MinTTL, w.SetTOS, w.SetPrio = x.syncFlags, x.minTTL, x.setTOS, x.setPrio
	t := st.kif.table
	states := int(t.states.Load())
	st.mu.Lock()
	defer st.mu.Unlock()
	w.Src, w.Dst = st.src, st.dst
	w.Packets, w.Bytes = st.packets, st.bytes
	w.Timeout, w.Expire = uint8(st.timeout), 0
	if at := st.timeouts().expiresAt(st.timeout, st.expire, states); at > now {
		w.Expire = at - now
	}
	w.Flags = st.flags
}

// ExportUpdate fills in what a peer is told of a state that it knows.
func (st *State) ExportUpdate(w *wire.Update) {
	st.mu.Lock()
	defer st.mu.Unlock()
	*w = wire.Update{ID: st.ID(), Src: st.src, Dst: st.dst, Timeout: uint8(st.timeout)}
}

// Import inserts a state that a peer has sent (pf_state_import), and returns it. It is under the
// default rule, since nobody knows which of ours would have let it through. A message of family 0
// asks for nothing: then there is neither state nor error. Errors: [ErrCreator], wire.ErrValue,
// [ErrExists], [ErrLimit], [ErrClosed].
func (t *Table) Import(l *lwp.LWP, w *wire.State) (*State, error) {
	if w.ID.Creator == 0 {
		return nil, ErrCreator
	}
	if w.AF == 0 {
		return nil, nil
	}
	if err := w.CheckInsert(); err != nil {
		return nil, err
	}
	now := t.Now()
	st := &State{
		id: w.ID.ID, creator: w.ID.Creator, dir: Dir(w.Direction),
		created: now - w.Age, expire: now, synced: now, timeout: Timeout(w.Timeout),
		flags: w.Flags &^ Ack, src: w.Src, dst: w.Dst, packets: w.Packets, bytes: w.Bytes, learn: both,
	}
	st.wire = imported(&w.Wire, w.AF, w.Proto)
	st.stack = &st.wire
	if s := imported(&w.Stack, w.AF, w.Proto); s != st.wire {
		if s.AF != st.wire.AF { // translated from one family to the other
			switch s.Proto {
			case ICMP:
				s.Proto = ICMPv6
			case ICMPv6:
				s.Proto = ICMP
			}
		}
		st.stack = &s
	}
	x := extra{
		rtAddr: w.RtAddr, rtable: w.RTable, maxMSS: w.MaxMSS, log: w.Log, rt: w.Rt,
		syncFlags: w.SyncFlags, minTTL: w.MinTTL, setTOS: w.SetTOS, setPrio: w.SetPrio,
	}
	if x != plain[st.dir&3] {
		st.extra = &x
	}
	if left := w.Expire; left > 0 { // of 0 nobody knows, so it has all its time
		if whole := t.timeouts[st.timeout]; left < whole {
			st.expire -= whole - left
		}
	}
	if err := t.insert(l, st, w.IfName.String(), true, w.Flags&Ack != 0); err != nil {
		return nil, err
	}
	return st, nil
}

func imported(k *wire.Key, af, proto uint8) Key {
	if k.AF != 0 {
		af = k.AF
	}
	return Key{Addr: k.Addr, Port: k.Port, RDomain: k.RDomain, AF: af, Proto: proto}
}

// Merge takes over from a peer what it knows better, each half for itself (pfsync's merge rule), and
// reports whether there was one that we know better. A half is the newer one if it is further on its
// way or, with TCP, as far and has seen a later sequence number. While a half of ours is newer the
// timeout is not the peer's to restart, unless the other one was taken over.
func (st *State) Merge(src, dst *wire.Peer, timeout Timeout) (stale bool) {
	now := st.kif.table.Now()
	st.mu.Lock()
	defer st.mu.Unlock()
	kept := 0
	if st.newer(&st.src, src, true) {
		kept++
	} else {
		take(&st.src, src)
		st.learn |= 1
	}
	if st.newer(&st.dst, dst, false) {
		kept++
	} else {
		take(&st.dst, dst)
		st.learn |= 2
	}
	st.synced = now
	if kept < 2 {
		st.expire = now
		st.setTimeout(timeout)
	}
	return kept > 0
}

// newer reports whether our half is newer than theirs. A proxied handshake that has ended may fall
// back from the levels that proxies have to what TCP has, in the source's half.
func (st *State) newer(ours, theirs *wire.Peer, src bool) bool {
	if ours.Level > theirs.Level {
		return st.wire.Proto != TCP || !src || ours.Level < proxySrc || theirs.Level >= proxySrc
	}
	return st.wire.Proto == TCP && ours.Level == theirs.Level && int32(ours.SeqLo-theirs.SeqLo) > 0
}

func take(ours, theirs *wire.Peer) {
	scrub := ours.Scrub
	*ours = *theirs
	if theirs.Scrub.Valid != 1 {
		ours.Scrub = scrub
	}
}

// SyncedAt returns the second, by [Table.Now], in which a peer last told of the state, and 0 if none
// ever has.
func (st *State) SyncedAt() uint32 {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.synced
}

package pfsync

import (
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// slice returns where a state belongs.
func (r *run) slice(st *pf.State) *slice { return r.slices[st.Hash()%uint32(len(r.slices))] }

// Init is told by pf of a state that is about to be inserted (pfsync_init_state).
func (r *run) Init(st *pf.State, fromWire, ack bool) {
	switch {
	case st.Key().Proto == wire.Protocol || st.Flags()&pf.NoSync != 0:
		st.Sync.Queue = dead
	case ack:
		st.Sync.Queue = arrivedAck
	case fromWire:
		st.Sync.Queue = arrived
	}
}

// Insert is told by pf that a state has been inserted (pfsync_insert_state).
func (r *run) Insert(st *pf.State) {
	s := r.slice(st)
	s.lock()
	s.insert(st)
	s.mu.Unlock()
}

// Update is told by pf of a packet that a state let through (pfsync_update_state).
func (r *run) Update(st *pf.State) {
	s := r.slice(st)
	s.lock()
	s.update(st)
	s.mu.Unlock()
}

// Delete is told by pf that a state has been taken down (pfsync_delete_state). What waits to be said
// of one that was silenced before is said all the same, and nothing after it.
func (r *run) Delete(st *pf.State) {
	silent := st.Flags()&pf.NoSync != 0
	s := r.slice(st)
	s.lock()
	switch {
	case !silent:
		s.remove(st)
	case st.Sync.Queue == quiet:
		st.Sync.Queue = dead
	}
	s.mu.Unlock()
}

// Clear is told by pf that states have been taken down by hand (pfsync_clear_states). The message does
// not wait for what else is to be said.
func (r *run) Clear(creator uint32, ifName string) {
	c := wire.Clear{IfName: wire.NameOf(ifName), Creator: creator}
	if m := r.packet(wire.CLR, 1); m != nil {
		finish(m, c.Append(body(m)))
		_ = r.out.hand(m)
	}
}

// InUse reports to pf whether a bulk transfer goes on from a state (pfsync_state_in_use).
func (r *run) InUse(st *pf.State) bool { return r.bulk.next == st || r.bulk.tail == st }

// Defer is offered the first packet of a state by pf (pfsync_defer).
func (r *run) Defer(st *pf.State, m *mbuf.Packet) bool {
	if !r.d.deferring.Load() {
		return false
	}
	s := r.slice(st)
	s.lock()
	defer s.mu.Unlock()
	return st.Sync.Queue != dead && !s.ended && s.hold(st, m)
}

// packet returns a packet with the header of a section, for n messages; nil if there is no room for
// one.
func (r *run) packet(a wire.Action, n int) *mbuf.Packet {
	m := r.out.packet(empty + wire.SubheaderLen + n*a.Size())
	if m == nil {
		return nil
	}
	wire.AppendSubheader(wire.AppendHeader(m.Writable()[:ipLen]), a, n)
	return m
}

// body returns the packet's bytes as far as the messages, to be appended to.
func body(m *mbuf.Packet) []byte { return m.Writable()[:empty+wire.SubheaderLen] }

// finish completes a packet that was written in place.
func finish(m *mbuf.Packet, b []byte) {
	if len(b) != m.Len() {
		panic("pfsync: a packet has not the length that was reckoned")
	}
	wire.Finish(b[ipLen:])
}

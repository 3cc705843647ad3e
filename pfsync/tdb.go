package pfsync

import (
	"net/netip"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// A TunnelKey is what an IPsec SA is found by.
type TunnelKey struct {
	SPI     uint32
	Dst     netip.Addr
	Proto   uint8 // 50 ESP, 51 AH
	RDomain uint16
}

// A Tunnel is an IPsec SA, as far as two firewalls that take turns with it have to agree: how many
// packets it has numbered, or seen, and how many bytes (struct tdb). Make one with [Tunnels.Add].
type Tunnel struct {
	key TunnelKey

	mu         hook.Mutex // leaf; guards what follows
	rpl, bytes uint64

	// Guarded by the slice that all SAs are of.
	queued     bool
	outbound   bool
	updates    int
	next, prev *Tunnel
}

// replayAhead is by how much an outbound SA's number is sent ahead of what it is: the peer, when it
// takes over, must not use a number twice (RPL_INCR).
const replayAhead = 16384

// Key returns what the SA is found by.
func (t *Tunnel) Key() TunnelKey { return t.key }

// Counters returns the last sequence number and the bytes.
func (t *Tunnel) Counters() (rpl, bytes uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rpl, t.bytes
}

// Tunnels are the SAs of a host. The zero Tunnels has none. Its methods may be called by anyone.
type Tunnels struct {
	mu hook.Mutex // leaf
	m  map[TunnelKey]*Tunnel
	in *slice // of a device: the one that is up, or was last
}

// Add adds an SA, and returns it, or the one that there is.
func (ts *Tunnels) Add(k TunnelKey) *Tunnel {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.m == nil {
		ts.m = map[TunnelKey]*Tunnel{}
	}
	if ts.m[k] == nil {
		ts.m[k] = &Tunnel{key: k}
	}
	return ts.m[k]
}

// Find returns the SA of a key, or nil.
func (ts *Tunnels) Find(k TunnelKey) *Tunnel {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.m[k]
}

// Delete takes an SA away (tdb_free). When it returns nothing waits to be said of it, and nothing will
// be, though the device be going down at the same time: then it has no wait to do either, since
// what is queued is only ever touched with its slice locked.
func (ts *Tunnels) Delete(t *Tunnel) {
	ts.mu.Lock()
	if ts.m[t.key] == t {
		delete(ts.m, t.key)
	}
	s := ts.in
	ts.mu.Unlock()
	if s == nil {
		return
	}
	s.lock()
	defer s.mu.Unlock()
	if t.queued {
		s.tunnels.remove(t)
		s.less(s.tunnels.n == 0, wire.TDB.Size())
	}
}

// Count adds a packet of some bytes to an SA, numbered seq, which it let in or sent (pfsync_update_tdb).
// Peers hear of it within a second.
func (ts *Tunnels) Count(t *Tunnel, seq uint64, bytes int, outbound bool) {
	t.mu.Lock()
	t.rpl = max(t.rpl, seq)
	t.bytes += uint64(bytes)
	t.mu.Unlock()
	ts.mu.Lock()
	s := ts.in
	known := ts.m[t.key] == t
	ts.mu.Unlock()
	if s == nil || !known {
		return
	}
	s.lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	t.outbound = outbound
	if t.queued {
		if t.updates++; t.updates >= s.r.maxUpdates {
			s.hurry()
		}
		return
	}
	s.room(s.tunnels.n == 0, wire.TDB.Size())
	s.tunnels.push(t)
	t.updates = 0
}

// take takes over what a peer says of an SA, if neither counter would go back.
func (t *Tunnel) take(w *wire.Tunnel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.RPL >= t.rpl && w.Bytes >= t.bytes {
		t.rpl, t.bytes = w.RPL, w.Bytes
	}
}

// A tunnelList is SAs in the order of their coming.
type tunnelList struct {
	first, last *Tunnel
	n           int
}

func (q *tunnelList) push(t *Tunnel) {
	if t.prev = q.last; q.last != nil {
		q.last.next = t
	} else {
		q.first = t
	}
	q.last, t.queued = t, true
	q.n++
}

func (q *tunnelList) remove(t *Tunnel) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		q.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		q.last = t.prev
	}
	t.next, t.prev, t.queued = nil, nil, false
	q.n--
}

func (q *tunnelList) drop() {
	for q.first != nil {
		q.remove(q.first)
	}
}

func (q *tunnelList) write(b []byte) []byte {
	if q.n == 0 {
		return b
	}
	b = wire.AppendSubheader(b, wire.TDB, q.n)
	for t := q.first; t != nil; t = q.first {
		q.remove(t)
		w := t.wire()
		b = w.Append(b)
	}
	return b
}

// wire returns what a peer is told.
func (t *Tunnel) wire() wire.Tunnel {
	w := wire.Tunnel{SPI: t.key.SPI, Dst: sockaddr(t.key.Dst), Proto: t.key.Proto, RDomain: t.key.RDomain}
	w.RPL, w.Bytes = t.Counters()
	if t.outbound {
		w.RPL += replayAhead
	}
	return w
}

const (
	sockaddrIn  = 16 // lengths of BSD's socket addresses
	sockaddrIn6 = 28
)

// sockaddr returns an address as BSD has it in a union sockaddr_union.
func sockaddr(a netip.Addr) (b [28]byte) {
	if a.Is4() {
		b[0], b[1] = sockaddrIn, wire.AFInet
		copy(b[4:], a.AsSlice())
	} else {
		b[0], b[1] = sockaddrIn6, wire.AFInet6
		copy(b[8:], a.AsSlice())
	}
	return b
}

// unsockaddr reads one: only of the length that its family has.
func unsockaddr(b [28]byte) (a netip.Addr, ok bool) {
	switch {
	case b[0] == sockaddrIn && b[1] == wire.AFInet:
		return netip.AddrFrom4([4]byte(b[4:8])), true
	case b[0] == sockaddrIn6 && b[1] == wire.AFInet6:
		return netip.AddrFrom16([16]byte(b[8:24])), true
	}
	return a, false
}

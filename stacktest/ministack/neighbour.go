package ministack

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

// neighbours are the link addresses of those on the same link (lltable). They are learned from
// what neighbours say of themselves, and never asked for.
type neighbours struct {
	mu sync.Mutex // leaf
	by map[neighbour]ifnet.MAC
}

// A neighbour is an address on an interface's link. The ID is that of one interface and no other:
// what one has learned is not the next one's.
type neighbour struct {
	ifp  ifnet.ID
	addr netip.Addr
}

func (n *neighbours) lookup(ifp ifnet.ID, addr netip.Addr) (ifnet.MAC, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	mac, ok := n.by[neighbour{ifp, addr}]
	return mac, ok
}

func (n *neighbours) learn(ifp ifnet.ID, addr netip.Addr, mac ifnet.MAC) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.by == nil {
		n.by = map[neighbour]ifnet.MAC{}
	}
	n.by[neighbour{ifp, addr}] = mac
}

// Neighbour returns the link address of a neighbour, if it has said it.
func (s *Stack) Neighbour(ifp ifnet.ID, addr netip.Addr) (ifnet.MAC, bool) {
	return s.neighbours.lookup(ifp, addr)
}

// unicast reports whether a link address can be somebody's.
func unicast(mac ifnet.MAC) bool { return mac != ifnet.MAC{} && !mac.IsMulticast() }

const (
	arpBytes   = 28
	arpRequest = 1
	arpReply   = 2
)

// arpInput takes an ARP packet (in_arpinput): it learns who speaks to this host, and answers who
// asks for it.
func (s *Stack) arpInput(c *netisr.Ctx, m *mbuf.Packet, from ifnet.MAC) {
	b, ok := m.Pullup(min(arpBytes, m.Len()))
	if !ok || len(b) < arpBytes || binary.BigEndian.Uint32(b) != 1<<16|ifnet.EtherIPv4 || b[4] != 6 || b[5] != 4 {
		m.Free(mbuf.Malformed) // not Ethernet and IPv4, of their lengths
		return
	}
	op := binary.BigEndian.Uint16(b[6:])
	sha, spa, tpa := ifnet.MAC(b[8:14]), netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
	switch {
	case op != arpRequest && op != arpReply, !unicast(sha), sha != from, spa.IsMulticast():
		m.Free(mbuf.Malformed)
		return
	case c.In.HasAddr(spa):
		m.Free(mbuf.Denied) // somebody says it is us
		return
	case !c.In.HasAddr(tpa):
		m.Free(mbuf.Foreign)
		return
	}
	if !spa.IsUnspecified() {
		s.neighbours.learn(c.In.ID(), spa, sha)
	}
	if op == arpReply {
		m.Free(mbuf.Done)
		return
	}
	m.Trim(m.Len() - arpBytes)
	w := m.Writable()
	mac := c.In.MAC()
	binary.BigEndian.PutUint16(w[6:], arpReply)
	copy(w[18:24], w[8:14]) // the target is who asked
	copy(w[24:28], w[14:18])
	copy(w[8:14], mac[:])
	a := tpa.As4()
	copy(w[14:18], a[:])
	ifnet.PushEther(m, sha, mac, ifnet.EtherARP)
	_ = c.In.Transmit(c.LWP, m) // counted there
}

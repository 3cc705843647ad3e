package ministack

import (
	"encoding/binary"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

const (
	ip4Header = 20
	ip6Header = 40
)

// ip4Input checks an IPv4 header (ip_input) and hands the packet to who takes its protocol.
func (s *Stack) ip4Input(c *netisr.Ctx, m *mbuf.Packet) {
	b, ok := m.Pullup(min(60, m.Len()))
	if !ok || len(b) < ip4Header || b[0]>>4 != 4 {
		m.Free(mbuf.Malformed)
		return
	}
	hl, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case hl < ip4Header || len(b) < hl || total < hl || total > m.Len():
		m.Free(mbuf.Malformed)
		return
	case checksum(b[:hl], 0) != 0:
		m.Free(mbuf.BadChecksum)
		return
	case binary.BigEndian.Uint16(b[6:])&0x3fff != 0:
		m.Free(mbuf.Denied) // fragments: this host does not put them together
		return
	}
	dst := netip.AddrFrom4([4]byte(b[16:20]))
	proto := b[9]
	m.Trim(m.Len() - total) // an Ethernet frame may have been padded
	if !c.In.HasAddr(dst) {
		m.Free(mbuf.Foreign)
		return
	}
	_ = s.Protosw.Input(m, hl, proto) // counted by whoever refuses
}

// ip6Input checks an IPv6 header (ip6_input) and hands the packet to who takes its protocol. It
// knows no extension headers.
func (s *Stack) ip6Input(c *netisr.Ctx, m *mbuf.Packet) {
	b, ok := m.Pullup(ip6Header)
	if !ok || b[0]>>4 != 6 {
		m.Free(mbuf.Malformed)
		return
	}
	total := ip6Header + int(binary.BigEndian.Uint16(b[4:]))
	if total > m.Len() {
		m.Free(mbuf.Malformed)
		return
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	proto := b[6]
	m.Trim(m.Len() - total)
	switch {
	case src.IsMulticast() || src.Is4In6() || dst.Is4In6():
		m.Free(mbuf.Malformed)
	case !c.In.HasAddr(dst) && !ours6(c.In, dst):
		m.Free(mbuf.Foreign)
	default:
		_ = s.Protosw.Input(m, ip6Header, proto)
	}
}

// ours6 reports whether an interface listens to a group: all nodes, or the solicited nodes of one
// of its addresses.
func ours6(ifp *ifnet.Interface, dst netip.Addr) bool {
	if dst == netip.IPv6LinkLocalAllNodes() {
		return true
	}
	for _, p := range ifp.Addrs() {
		if p.Addr().Is6() && SolicitedNode(p.Addr()) == dst {
			return true
		}
	}
	return false
}

// SolicitedNode returns the group of who may have an address: ff02::1:ff and its last 24 bits.
func SolicitedNode(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// checksum returns the Internet checksum of b, on top of a sum (in_cksum): 0 if b has the right one
// in it.
func checksum(b []byte, sum uint32) uint16 {
	for len(b) > 1 {
		sum += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// pseudo6 returns the sum over IPv6's pseudo header.
func pseudo6(ip []byte, length int, proto uint8) (sum uint32) {
	for i := 8; i < 40; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	return sum + uint32(length) + uint32(proto)
}

// nextHop is what a packet that is to be sent is saved with.
type nextHop struct {
	to        netip.Addr // on the link
	etherType uint16
}

// send has a packet sent by an interface to a neighbour. No lock need be free: it only queues.
func (s *Stack) send(m *mbuf.Packet, out ifnet.ID, to netip.Addr) {
	t := uint16(ifnet.EtherIPv4)
	if to.Is6() {
		t = ifnet.EtherIPv6
	}
	_ = s.output.Dispatch(m, out, nextHop{to, t}) // counted by whoever refuses
}

// transmit sends a packet, in a softint with no lock held.
func (s *Stack) transmit(c *netisr.Ctx, m *mbuf.Packet, n nextHop) {
	mac, ok := s.neighbours.lookup(c.Out.ID(), n.to)
	switch {
	case n.to.IsMulticast():
		mac = ifnet.MulticastMAC(n.to)
	case !ok:
		m.Free(mbuf.NoNeighbour)
		return
	}
	m.DeleteNonPersistentTags()
	ifnet.PushEther(m, mac, c.Out.MAC(), n.etherType)
	_ = c.Out.Transmit(c.LWP, m) // counted there
}

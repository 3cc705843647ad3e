package ministack

import (
	"encoding/binary"
	"net/netip"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/wqinput"
)

const (
	ip4Header = 20
	ip6Header = 40
)

// ip4Input checks an IPv4 packet (ip_input), and passes it on.
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
	}
	m.Trim(m.Len() - total) // an Ethernet frame may have been padded
	s.ipInput(c, m)
}

// ip6Input checks an IPv6 packet (ip6_input), and passes it on. It knows no extension headers.
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
	m.Trim(m.Len() - total)
	if ip := header(m); ip.src.IsMulticast() || ip.src.Is4In6() || ip.dst.Is4In6() {
		m.Free(mbuf.Malformed)
		return
	}
	s.ipInput(c, m)
}

// ipInput hands a packet, whose header is right, to who takes its protocol if it is for this host,
// and else forwards it, if this host is a router. What is sent to a group is for this host if the
// interface heard it.
func (s *Stack) ipInput(c *netisr.Ctx, m *mbuf.Packet) {
	if !s.passes(c, m, In) {
		return
	}
	ip := header(m) // as the filter left it
	local := c.In.HasAddr(ip.dst) || ip.dst.IsMulticast()
	var next rtable.NextHop
	var err error
	if !local {
		next, err = s.route(s.ctx, c.LWP, ip.dst)
		local = err == nil && next.Flags&rtable.FlagLocal != 0 // another interface's, or one that CARP has made ours
	}
	switch {
	case local && ip.fragment:
		m.Free(mbuf.Denied) // this host does not put them together
	case local:
		_ = s.Protosw.Input(m, ip.len, ip.proto) // counted by whoever refuses
	case !s.c.Forward:
		m.Free(mbuf.Foreign)
	default:
		s.forward(c, m, ip, next, err)
	}
}

// ours reports whether an address is this host's.
func (s *Stack) ours(in *wqinput.Input, addr netip.Addr) bool {
	if in.In.HasAddr(addr) {
		return true
	}
	next, err := s.route(s.ctx, in.LWP, addr)
	return err == nil && next.Flags&rtable.FlagLocal != 0
}

// ipHeader is what this host looks at in a header of either version.
type ipHeader struct {
	src, dst netip.Addr
	len      int // of the header
	hops     uint8
	proto    uint8
	fragment bool // part of a packet
	later    bool // and not its first part
	whole    bool // must not be taken apart
}

// header returns the IP header of a packet that is known to have one.
func header(m *mbuf.Packet) (ip ipHeader) {
	b, _ := m.Pullup(min(ip6Header, m.Len()))
	if b[0]>>4 == 6 {
		return ipHeader{
			src: netip.AddrFrom16([16]byte(b[8:24])), dst: netip.AddrFrom16([16]byte(b[24:40])),
			len: ip6Header, hops: b[7], proto: b[6], whole: true,
		}
	}
	frag := binary.BigEndian.Uint16(b[6:])
	return ipHeader{
		src: netip.AddrFrom4([4]byte(b[12:16])), dst: netip.AddrFrom4([4]byte(b[16:20])),
		len: int(b[0]&15) * 4, hops: b[8], proto: b[9],
		fragment: frag&0x3fff != 0, later: frag&0x1fff != 0, whole: frag&0x4000 != 0,
	}
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

package ministack

import (
	"context"
	"encoding/binary"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/wqinput"
)

// linkOption returns the link address that a neighbour message says of its sender or target: option
// 1 or 2. ok is false if the options are not what they should be, or the address is nobody's.
func linkOption(options []byte, kind byte) (mac ifnet.MAC, there, ok bool) {
	for len(options) > 0 {
		if len(options) < 2 || options[1] == 0 || len(options) < 8*int(options[1]) {
			return mac, there, false
		}
		if options[0] == kind {
			if options[1] != 1 { // not 48 bits
				return mac, there, false
			}
			mac, there = ifnet.MAC(options[2:8]), true
		}
		options = options[8*int(options[1]):]
	}
	return mac, there, !there || unicast(mac)
}

// neighbourMessage checks what solicitations and advertisements have in common (RFC 4861, 7.1).
func neighbourMessage(ip, msg []byte, kind byte) (target netip.Addr, mac ifnet.MAC, there, ok bool) {
	if ip[7] != 255 || msg[1] != 0 || len(msg) < 24 {
		return target, mac, false, false
	}
	target = netip.AddrFrom16([16]byte(msg[8:24]))
	if target.IsMulticast() || target.IsUnspecified() {
		return target, mac, false, false
	}
	mac, there, ok = linkOption(msg[24:], kind)
	return target, mac, there, ok
}

// solicited answers who asks for the link address of one of ours (nd6_ns_input), or of whom this host
// is a proxy for.
func (s *Stack) solicited(ctx context.Context, in *wqinput.Input, ip, msg []byte, src netip.Addr) {
	m := in.Packet
	target, mac, there, ok := neighbourMessage(ip, msg, 1)
	if !ok || src.IsUnspecified() && there {
		m.Free(mbuf.Malformed)
		return
	}
	ours, mine := s.answers(in.In, target, mac)
	switch {
	case s.claimed(in.In, src, mac):
		m.Free(mbuf.Denied) // somebody says it is us
		return
	case !mine:
		m.Free(mbuf.Foreign)
		return
	case !src.IsUnspecified() && !onLink(in.In, src):
		m.Free(mbuf.Denied) // it is no neighbour, whatever it says
		return
	}
	if there {
		s.neighbours.learn(neighbour{in.In.ID(), src}, word{mac: mac, override: true, greeting: true})
	}
	const solicited, override = 0x40, 0x20
	to, flags := src, byte(solicited|override)
	if src.IsUnspecified() {
		to, flags = netip.IPv6LinkLocalAllNodes(), override // it asks before it takes an address
	}
	from := target
	if s.neighbours.isProxy(neighbour{in.In.ID(), target}) && !in.In.HasAddr(target) {
		flags &^= override // who has it may answer for itself
		if from, ok = in.In.SourceFor(src); !ok {
			m.Free(mbuf.Denied)
			return
		}
	}
	const length = 32
	m.Trim(m.Len() - in.Off - min(length, len(msg)))
	if short := length - (m.Len() - in.Off); short > 0 {
		m.Append(short)
	}
	b := m.Writable()
	ip, msg = b[:in.Off], b[in.Off:]
	binary.BigEndian.PutUint16(ip[4:], length)
	msg[0], msg[4], msg[5], msg[6], msg[7] = advert6, flags, 0, 0, 0
	msg[24], msg[25] = 2, 1
	copy(msg[26:32], ours[:])
	copy(ip[8:24], from.AsSlice())
	copy(ip[24:40], to.AsSlice())
	sum6(ip, msg)
	m.In, m.Flags, m.EtherType = ifnet.ID{}, 0, ifnet.EtherIPv6
	_ = s.output.Dispatch(m, in.In.ID(), nextHop{to}) // to the link that it came from, whatever routes say
}

// advertised learns what a neighbour says of itself (nd6_na_input).
func (s *Stack) advertised(in *wqinput.Input, ip, msg []byte) {
	target, mac, there, ok := neighbourMessage(ip, msg, 2)
	dst := netip.AddrFrom16([16]byte(ip[24:40]))
	asked := ok && msg[4]&0x40 != 0
	switch {
	case !ok || asked && dst.IsMulticast():
		in.Packet.Free(mbuf.Malformed)
		return
	case s.claimed(in.In, target, mac):
		in.Packet.Free(mbuf.Denied)
		return
	}
	w := word{asked: asked, override: msg[4]&0x20 != 0}
	if there {
		w.mac = mac
	}
	if onLink(in.In, target) && s.neighbours.learn(neighbour{in.In.ID(), target}, w) {
		in.Packet.Free(mbuf.Done)
		return
	}
	in.Packet.Free(mbuf.NoListener) // nobody has asked
}

// solicitation returns the IPv6 packet that asks a group, or one who is known, for a target.
func solicitation(mac ifnet.MAC, src, dst, target netip.Addr) []byte {
	const length = 32
	b := make([]byte, ip6Header+length)
	b[0], b[5], b[6], b[7] = 6<<4, length, ProtoICMPv6, 255
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	b[40] = solicit6
	copy(b[48:], target.AsSlice())
	b[64], b[65] = 1, 1 // source link-layer address, of 1 times 8 bytes
	copy(b[66:], mac[:])
	sum6(b[:ip6Header], b[ip6Header:])
	return b
}

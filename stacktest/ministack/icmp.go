package ministack

import (
	"context"
	"encoding/binary"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/wqinput"
)

// ICMP and ICMPv6 messages that this host acts upon.
const (
	echoReply4   = 0
	redirect4    = 5
	echoRequest4 = 8

	echoRequest6 = 128
	echoReply6   = 129
	solicit6     = 135
	advert6      = 136
	redirect6    = 137
)

// icmpInput takes an ICMP message (icmp_input). It runs in a thread, because a redirect waits for
// those who use the route.
func (s *Stack) icmpInput(ctx context.Context, in *wqinput.Input) {
	m := in.Packet
	b := m.Writable()
	ip, msg := b[:in.Off], b[in.Off:]
	switch {
	case in.In == nil || len(msg) < 8:
		m.Free(mbuf.Malformed)
		return
	case checksum(msg, 0) != 0:
		m.Free(mbuf.BadChecksum)
		return
	}
	src, dst := netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
	switch msg[0] {
	case echoRequest4:
		if m.Flags&(mbuf.Broadcast|mbuf.Multicast) != 0 || !in.In.HasAddr(dst) {
			m.Free(mbuf.Denied) // who answers a broadcast helps to flood who is named as its sender
			return
		}
		msg[0], msg[2], msg[3] = echoReply4, 0, 0
		binary.BigEndian.PutUint16(msg[2:], checksum(msg, 0))
		copy(ip[12:16], dst.AsSlice())
		copy(ip[16:20], src.AsSlice())
		ip[8], ip[10], ip[11] = 64, 0, 0
		binary.BigEndian.PutUint16(ip[10:], checksum(ip, 0))
		s.send(m, in.In.ID(), src)
	case redirect4:
		if len(msg) < 8+ip4Header || msg[1] > 3 {
			m.Free(mbuf.Malformed)
			return
		}
		inner := msg[8:] // of the packet that was sent the wrong way
		s.redirect(ctx, in, rtable.Redirect{
			Dst:     netip.AddrFrom4([4]byte(inner[16:20])),
			Gateway: netip.AddrFrom4([4]byte(msg[4:8])),
			From:    src,
		})
	default:
		m.Free(mbuf.NoListener)
	}
}

// redirect has the table send packets another way, if who says so may (rtredirect).
func (s *Stack) redirect(ctx context.Context, in *wqinput.Input, r rtable.Redirect) {
	if s.Routes.Redirect(ctx, in.LWP, r) != nil {
		in.Packet.Free(mbuf.Denied) // counted by the table, too
		return
	}
	in.Packet.Free(mbuf.Done)
}

// icmp6Input takes an ICMPv6 message (icmp6_input).
func (s *Stack) icmp6Input(ctx context.Context, in *wqinput.Input) {
	m := in.Packet
	b := m.Writable()
	ip, msg := b[:in.Off], b[in.Off:]
	switch {
	case in.In == nil || len(msg) < 8:
		m.Free(mbuf.Malformed)
		return
	case checksum(msg, pseudo6(ip, len(msg), ProtoICMPv6)) != 0:
		m.Free(mbuf.BadChecksum)
		return
	}
	src, dst := netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
	switch msg[0] {
	case echoRequest6:
		if !in.In.HasAddr(dst) {
			m.Free(mbuf.Denied)
			return
		}
		msg[0] = echoReply6
		s.reply6(in, ip, msg, dst, src)
	case solicit6:
		s.solicited(in, ip, msg, src)
	case advert6:
		s.advertised(in, ip, msg)
	case redirect6:
		if ip[7] != 255 || msg[1] != 0 || len(msg) < 40 || !src.IsLinkLocalUnicast() {
			m.Free(mbuf.Malformed)
			return
		}
		s.redirect(ctx, in, rtable.Redirect{
			Dst:     netip.AddrFrom16([16]byte(msg[24:40])),
			Gateway: netip.AddrFrom16([16]byte(msg[8:24])),
			From:    src,
		})
	default:
		m.Free(mbuf.NoListener)
	}
}

// reply6 sends a message back, with its checksum made anew.
func (s *Stack) reply6(in *wqinput.Input, ip, msg []byte, src, dst netip.Addr) {
	copy(ip[8:24], src.AsSlice())
	copy(ip[24:40], dst.AsSlice())
	msg[2], msg[3] = 0, 0
	binary.BigEndian.PutUint16(msg[2:], checksum(msg, pseudo6(ip, len(msg), ProtoICMPv6)))
	s.send(in.Packet, in.In.ID(), dst)
}

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

// solicited answers who asks for the link address of one of ours (nd6_ns_input).
func (s *Stack) solicited(in *wqinput.Input, ip, msg []byte, src netip.Addr) {
	m := in.Packet
	target, mac, there, ok := neighbourMessage(ip, msg, 1)
	switch {
	case !ok || src.IsUnspecified() && there:
		m.Free(mbuf.Malformed)
		return
	case !in.In.HasAddr(target):
		m.Free(mbuf.Foreign)
		return
	case in.In.HasAddr(src):
		m.Free(mbuf.Denied) // somebody says it is us
		return
	}
	if there {
		s.neighbours.learn(in.In.ID(), src, mac)
	}
	to, flags := src, byte(0x60) // solicited, override
	if src.IsUnspecified() {
		to, flags = netip.IPv6LinkLocalAllNodes(), 0x20 // it asks before it takes an address
	}
	const length = 32
	m.Trim(m.Len() - in.Off - min(length, len(msg)))
	if short := length - (m.Len() - in.Off); short > 0 {
		m.Append(short)
	}
	b := m.Writable()
	ip, msg = b[:in.Off], b[in.Off:]
	binary.BigEndian.PutUint16(ip[4:], length)
	ours := in.In.MAC()
	msg[0], msg[4], msg[5], msg[6], msg[7] = advert6, flags, 0, 0, 0
	msg[24], msg[25] = 2, 1
	copy(msg[26:32], ours[:])
	s.reply6(in, ip, msg, target, to)
}

// advertised learns what a neighbour says of itself (nd6_na_input).
func (s *Stack) advertised(in *wqinput.Input, ip, msg []byte) {
	target, mac, there, ok := neighbourMessage(ip, msg, 2)
	switch {
	case !ok:
		in.Packet.Free(mbuf.Malformed)
		return
	case in.In.HasAddr(target):
		in.Packet.Free(mbuf.Denied)
		return
	}
	if there {
		s.neighbours.learn(in.In.ID(), target, mac)
	}
	in.Packet.Free(mbuf.Done)
}

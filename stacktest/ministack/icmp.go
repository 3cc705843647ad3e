package ministack

import (
	"context"
	"encoding/binary"
	"net/netip"

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
		if m.Flags&(mbuf.Broadcast|mbuf.Multicast) != 0 || !s.ours(in, dst) || !forwardable(src) && !src.IsLinkLocalUnicast() {
			m.Free(mbuf.Denied) // who answers a broadcast helps to flood who is named as its sender
			return
		}
		msg[0], msg[2], msg[3] = echoReply4, 0, 0
		binary.BigEndian.PutUint16(msg[2:], checksum(msg, 0))
		copy(ip[12:16], dst.AsSlice())
		copy(ip[16:20], src.AsSlice())
		ip[8], ip[10], ip[11] = 64, 0, 0
		binary.BigEndian.PutUint16(ip[10:], checksum(ip, 0))
		s.answer(ctx, in.LWP, m, src)
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
		if !s.ours(in, dst) || src.IsUnspecified() {
			m.Free(mbuf.Denied)
			return
		}
		msg[0] = echoReply6
		s.reply6(ctx, in, ip, msg, dst, src)
	case solicit6:
		s.solicited(ctx, in, ip, msg, src)
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
func (s *Stack) reply6(ctx context.Context, in *wqinput.Input, ip, msg []byte, src, dst netip.Addr) {
	copy(ip[8:24], src.AsSlice())
	copy(ip[24:40], dst.AsSlice())
	ip[7] = 64
	sum6(ip, msg)
	s.answer(ctx, in.LWP, in.Packet, dst)
}

// sum6 makes the checksum of an ICMPv6 message right.
func sum6(ip, msg []byte) {
	msg[2], msg[3] = 0, 0
	binary.BigEndian.PutUint16(msg[2:], checksum(msg, pseudo6(ip, len(msg), ProtoICMPv6)))
}

package ministack_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
)

// Frames, to be sent to a stack, and as text.

func sum(bs ...[]byte) uint16 {
	var n uint32
	for _, b := range bs {
		for i, x := range b {
			n += uint32(x) << (8 * (1 - i%2))
		}
	}
	for n>>16 != 0 {
		n = n&0xffff + n>>16
	}
	return ^uint16(n)
}

// ip returns an IP packet.
func ip(src, dst netip.Addr, ttl, proto byte, payload ...byte) (b []byte) {
	if dst.Is4() {
		b = make([]byte, 20)
		b[0], b[8], b[9] = 0x45, ttl, proto
		binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
		copy(b[12:], src.AsSlice())
		copy(b[16:], dst.AsSlice())
		binary.BigEndian.PutUint16(b[10:], sum(b))
	} else {
		b = make([]byte, 40)
		b[0], b[6], b[7] = 0x60, proto, ttl
		binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
		copy(b[8:], src.AsSlice())
		copy(b[24:], dst.AsSlice())
	}
	return append(b, payload...)
}

// udp returns a datagram that says a number.
func udp(src, dst netip.Addr, ttl byte, n byte) []byte {
	return ip(src, dst, ttl, 17, 0, 1, 0, 2, 0, 9, 0, 0, n)
}

// icmp returns a message with its checksum.
func icmp(src, dst netip.Addr, ttl, kind, code byte, rest ...byte) []byte {
	msg := append([]byte{kind, code, 0, 0}, rest...)
	proto := byte(1)
	if dst.Is6() {
		proto = 58
		pseudo := append(append(append([]byte{}, src.AsSlice()...), dst.AsSlice()...), 0, 0, 0, byte(len(msg)), 0, 0, 0, proto)
		binary.BigEndian.PutUint16(msg[2:], sum(pseudo, msg))
	} else {
		binary.BigEndian.PutUint16(msg[2:], sum(msg))
	}
	return ip(src, dst, ttl, proto, msg...)
}

func echo(src, dst netip.Addr) []byte {
	if dst.Is4() {
		return icmp(src, dst, 64, 8, 0, 0, 1, 0, 1)
	}
	return icmp(src, dst, 64, 128, 0, 0, 1, 0, 1)
}

// in returns a packet in its frame.
func in(to, from ifnet.MAC, packet []byte) []byte {
	b := append(append([]byte{}, to[:]...), from[:]...)
	if packet[0]>>4 == 6 {
		return append(append(b, 0x86, 0xdd), packet...)
	}
	return append(append(b, 0x08, 0x00), packet...)
}

// says returns what a neighbour says of an address: that it is its own, unasked or as an answer.
func says(to, from ifnet.MAC, addr, whom netip.Addr, answer bool) []byte {
	if addr.Is4() {
		b := append(append([]byte{}, to[:]...), from[:]...)
		b = append(b, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2)
		b = append(append(b, from[:]...), addr.AsSlice()...)
		if !answer {
			whom = addr // gratuitous
		}
		return append(append(b, to[:]...), whom.AsSlice()...)
	}
	flags := byte(0x20) // override
	if answer {
		flags |= 0x40
	} else {
		whom, to = netip.IPv6LinkLocalAllNodes(), ifnet.MulticastMAC(netip.IPv6LinkLocalAllNodes())
	}
	body := append([]byte{flags, 0, 0, 0}, addr.AsSlice()...)
	return in(to, from, icmp(addr, whom, 255, 136, 0, append(append(body, 2, 1), from[:]...)...))
}

// asks returns a question of a neighbour for an address.
func asks(from ifnet.MAC, src, target netip.Addr) []byte {
	if target.Is4() {
		b := append(append([]byte{}, ifnet.BroadcastMAC[:]...), from[:]...)
		b = append(b, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1)
		b = append(append(b, from[:]...), src.AsSlice()...)
		return append(append(b, make([]byte, 6)...), target.AsSlice()...)
	}
	a := target.As16()
	group := netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
	body := append([]byte{0, 0, 0, 0}, target.AsSlice()...)
	if !src.IsUnspecified() {
		body = append(append(body, 1, 1), from[:]...)
	}
	return in(ifnet.MulticastMAC(group), from, icmp(src, group, 255, 135, 0, body...))
}

// tell prints frames: whom they are to and what they say.
func tell(frames [][]byte) (lines []string) {
	for _, f := range frames {
		lines = append(lines, tellOne(f))
	}
	return lines
}

func tellOne(f []byte) string {
	to := ifnet.MAC(f[:6])
	b := f[14:]
	if binary.BigEndian.Uint16(f[12:]) == ifnet.EtherARP {
		sha, spa, tpa := ifnet.MAC(b[8:14]), netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
		switch {
		case b[7] == 1 && spa == tpa:
			return fmt.Sprintf("to %v: %v is at %v, everybody", to, spa, sha)
		case b[7] == 1:
			return fmt.Sprintf("to %v: who has %v, says %v", to, tpa, spa)
		}
		return fmt.Sprintf("to %v: %v is at %v", to, spa, sha)
	}
	src, dst, ttl, proto, payload := netip.Addr{}, netip.Addr{}, b[8], b[9], []byte(nil)
	if b[0]>>4 == 6 {
		src, dst, ttl, proto, payload = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), b[7], b[6], b[40:]
	} else {
		src, dst, payload = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[20:]
		if sum(b[:20]) != 0 {
			return "a wrong header checksum"
		}
	}
	switch {
	case proto == 17:
		return fmt.Sprintf("to %v: %v > %v ttl %d, number %d", to, src, dst, ttl, payload[8])
	case proto == 58 && payload[0] == 135:
		return fmt.Sprintf("to %v: who has %v, says %v", to, netip.AddrFrom16([16]byte(payload[8:24])), src)
	case proto == 58 && payload[0] == 136:
		everybody := ""
		if dst.IsMulticast() {
			everybody = ", everybody"
		}
		return fmt.Sprintf("to %v: %v is at %v%s", to, netip.AddrFrom16([16]byte(payload[8:24])), ifnet.MAC(payload[26:32]), everybody)
	case proto == 1 || proto == 58:
		return fmt.Sprintf("to %v: %v > %v ttl %d, icmp %d/%d", to, src, dst, ttl, payload[0], payload[1])
	}
	return fmt.Sprintf("to %v: %v > %v ttl %d, protocol %d", to, src, dst, ttl, proto)
}

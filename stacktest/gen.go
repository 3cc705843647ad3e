package stacktest

import (
	"encoding/binary"
	"net/netip"

	"pgregory.net/rapid"
)

// Addr generates addresses of few networks, so that they are often equal or neighbours.
func Addr() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		host := rapid.Uint8Range(0, 3).Draw(t, "host")
		net := rapid.Uint8Range(0, 2).Draw(t, "net")
		switch rapid.IntRange(0, 3).Draw(t, "family") {
		case 0, 1:
			return netip.AddrFrom4([4]byte{192, 0, net, host})
		case 2:
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 7: net, 15: host})
		}
		return netip.AddrFrom4([4]byte{224, 0, 0, host})
	})
}

// Prefix generates prefixes that hold each other.
func Prefix() *rapid.Generator[netip.Prefix] {
	return rapid.Custom(func(t *rapid.T) netip.Prefix {
		a := Addr().Draw(t, "address")
		bits := rapid.SampledFrom([]int{0, 8, 16, 23, 24, 30, 32}).Draw(t, "bits")
		if a.Is6() {
			bits *= 4
		}
		return netip.PrefixFrom(a, bits).Masked()
	})
}

// IPPackets generates IPv4 and IPv6 packets with a right header: UDP, ICMP or something else, and a
// short payload.
func IPPackets() *rapid.Generator[[]byte] {
	other := rapid.Custom(func(t *rapid.T) []byte {
		src, dst := ends(t)
		proto := rapid.SampledFrom([]byte{17, 1, 6, 112, 240, 255}).Draw(t, "protocol")
		return ip(src, dst, proto, payload(t))
	})
	return rapid.OneOf(other, UDPPackets(), ICMPPackets())
}

// UDPPackets generates UDP datagrams over IPv4 and IPv6 that are right to the last checksum, between
// few ports.
func UDPPackets() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		src, dst := ends(t)
		b := append(make([]byte, 8), payload(t)...)
		binary.BigEndian.PutUint16(b, rapid.SampledFrom([]uint16{53, 1024, 1025}).Draw(t, "from port"))
		binary.BigEndian.PutUint16(b[2:], rapid.SampledFrom([]uint16{53, 67, 1024}).Draw(t, "to port"))
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
		sum := checksum(append(pseudo(src, dst, 17, len(b)), b...))
		if sum == 0 {
			sum = 0xffff // 0 says that there is none
		}
		binary.BigEndian.PutUint16(b[6:], sum)
		return ip(src, dst, 17, b)
	})
}

// ICMPPackets generates ICMP and ICMPv6 messages that are right to the checksum: echo, its answer, what
// says that something is unreachable or too big, and redirects, of packets between the same addresses.
func ICMPPackets() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		src, dst := ends(t)
		proto, kinds := byte(1), []byte{8, 0, 3, 5} // echo, reply, unreachable, redirect
		if src.Is6() {
			proto, kinds = 58, []byte{128, 129, 1, 2, 137} // and too big
		}
		b := append(make([]byte, 8), payload(t)...)
		b[0] = rapid.SampledFrom(kinds).Draw(t, "type")
		switch b[0] {
		case 3, 5, 1, 2:
			b = append(b[:8], ip(dst, src, 17, b[8:])...) // the packet that it is about
			if b[0] == 5 {
				b[1] = 1 // for the host
				copy(b[4:8], v4(t))
			}
		case 137:
			b = append(b, make([]byte, 32)...)[:40] // target and destination
			copy(b[8:], src.AsSlice())
			copy(b[24:], dst.AsSlice())
		}
		text := b
		if proto == 58 {
			text = append(pseudo(src, dst, proto, len(b)), b...)
		}
		binary.BigEndian.PutUint16(b[2:], checksum(text))
		return ip(src, dst, proto, b)
	})
}

func payload(t *rapid.T) []byte { return rapid.SliceOfN(rapid.Byte(), 8, 24).Draw(t, "payload") }

func v4(t *rapid.T) []byte {
	return []byte{192, 0, rapid.Uint8Range(0, 2).Draw(t, "net"), rapid.Uint8Range(0, 3).Draw(t, "host")}
}

// ends draws two addresses of one family.
func ends(t *rapid.T) (src, dst netip.Addr) {
	src, dst = Addr().Draw(t, "source"), Addr().Draw(t, "destination")
	if src.Is4() != dst.Is4() {
		dst = src
	}
	return src, dst
}

// ip puts a header before a payload.
func ip(src, dst netip.Addr, proto byte, payload []byte) []byte {
	if src.Is4() {
		b := make([]byte, 20, 20+len(payload))
		b[0], b[8], b[9] = 0x45, 64, proto
		binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
		copy(b[12:], src.AsSlice())
		copy(b[16:], dst.AsSlice())
		binary.BigEndian.PutUint16(b[10:], checksum(b))
		return append(b, payload...)
	}
	b := make([]byte, 40, 40+len(payload))
	b[0], b[6], b[7] = 0x60, proto, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	return append(b, payload...)
}

// pseudo returns what a checksum covers beside the payload.
func pseudo(src, dst netip.Addr, proto byte, n int) []byte {
	b := append(src.AsSlice(), dst.AsSlice()...)
	if src.Is4() {
		return append(b, 0, proto, byte(n>>8), byte(n))
	}
	return append(b, 0, 0, byte(n>>8), byte(n), 0, 0, 0, proto)
}

// checksum returns the Internet checksum of b: 0 if b has the right one in it.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// Mutate returns a copy of b with one to three bytes changed.
func Mutate(t *rapid.T, b []byte) []byte {
	b = append([]byte(nil), b...)
	if len(b) == 0 {
		return b
	}
	for range rapid.IntRange(1, 3).Draw(t, "changes") {
		b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "to")
	}
	return b
}

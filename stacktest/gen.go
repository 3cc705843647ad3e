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
	return rapid.Custom(func(t *rapid.T) []byte {
		proto := rapid.SampledFrom([]byte{17, 1, 6, 112, 240, 255}).Draw(t, "protocol")
		payload := rapid.SliceOfN(rapid.Byte(), 8, 24).Draw(t, "payload")
		src, dst := Addr().Draw(t, "source"), Addr().Draw(t, "destination")
		if src.Is4() != dst.Is4() {
			dst = src
		}
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
	})
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
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

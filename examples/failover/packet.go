package failover

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

var be = binary.BigEndian

// TCP's flags.
const (
	fin = 1 << iota
	syn
	rst
	_
	ack
)

const (
	protoTCP = 6
	protoUDP = 17
)

// A segment is a packet of a conversation, without what every packet has.
type segment struct {
	proto    uint8
	src, dst netip.AddrPort
	flags    byte
	seq, ack uint32
	payload  []byte
}

// append appends the IPv4 packet.
func (s *segment) append(b []byte) []byte {
	at := len(b)
	l4 := 8
	if s.proto == protoTCP {
		l4 = 20
	}
	b = append(b, 0x45, 0)
	b = be.AppendUint16(b, uint16(20+l4+len(s.payload)))
	b = append(b, 0, 0, 0x40, 0, 64, s.proto, 0, 0)
	src, dst := s.src.Addr().As4(), s.dst.Addr().As4()
	b = append(append(b, src[:]...), dst[:]...)
	be.PutUint16(b[at+10:], ^sum(0, b[at:]))
	h := len(b)
	b = be.AppendUint16(be.AppendUint16(b, s.src.Port()), s.dst.Port())
	if s.proto == protoTCP {
		b = be.AppendUint32(be.AppendUint32(b, s.seq), s.ack)
		b = append(b, 0x50, s.flags, 0xff, 0xff, 0, 0, 0, 0)
	} else {
		b = append(be.AppendUint16(b, uint16(l4+len(s.payload))), 0, 0)
	}
	b = append(b, s.payload...)
	pseudo := uint32(s.proto) + uint32(len(b)-h)
	pseudo = uint32(sum(pseudo, b[at+12:at+20]))
	check := ^sum(pseudo, b[h:])
	if s.proto == protoTCP {
		be.PutUint16(b[h+16:], check)
	} else {
		if check == 0 {
			check = 0xffff // none at all is 0
		}
		be.PutUint16(b[h+6:], check)
	}
	return b
}

// sum is the Internet checksum's one's complement sum, RFC 1071.
func sum(s uint32, b []byte) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(be.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// parse reads a packet of a conversation; ok is false for what is none, or is damaged.
func parse(b []byte) (s segment, ok bool) {
	if len(b) < 28 || b[0] != 0x45 || int(be.Uint16(b[2:])) > len(b) || sum(0, b[:20]) != 0xffff {
		return s, false
	}
	b = b[:be.Uint16(b[2:])]
	s.proto = b[9]
	h := b[20:]
	if sum(uint32(sum(uint32(s.proto)+uint32(len(h)), b[12:20])), h) != 0xffff {
		return s, false
	}
	s.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:])), be.Uint16(h))
	s.dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:])), be.Uint16(h[2:]))
	switch {
	case s.proto == protoUDP:
		s.payload = h[8:]
	case s.proto == protoTCP && len(h) >= 20:
		s.flags, s.seq, s.ack = h[13], be.Uint32(h[4:]), be.Uint32(h[8:])
		s.payload = h[20:]
	default:
		return s, false
	}
	return s, true
}

// word is what a conversation says: which it is, how many words it has said, and a checksum of both.
func word(flow, number uint32) []byte {
	b := be.AppendUint32(be.AppendUint32(nil, flow), number)
	return be.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// heard reads a word; ok is false for one that was damaged.
func heard(b []byte) (flow, number uint32, ok bool) {
	if len(b) != 12 || crc32.ChecksumIEEE(b[:8]) != be.Uint32(b[8:]) {
		return 0, 0, false
	}
	return be.Uint32(b), be.Uint32(b[4:]), true
}

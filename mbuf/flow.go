package mbuf

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// A Flow is what the packets of a conversation have in common, in one direction.
type Flow struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16 // 0 where there are none
	Proto            uint8  // IP protocol number
}

// Reverse returns the flow of the answers.
func (f Flow) Reverse() Flow {
	return Flow{Src: f.Dst, Dst: f.Src, SrcPort: f.DstPort, DstPort: f.SrcPort, Proto: f.Proto}
}

// A Hasher spreads flows: over streams, over pfsync's slices, over whatever wants each flow in
// one place. It plays the part that Toeplitz's hash has in network cards, and like the
// symmetric use of that it gives both directions of a conversation the same value. One Hasher
// is for a whole stack, so that everything in it agrees where a flow belongs. It is a value;
// the zero Hasher has the seed 0, which everybody knows.
type Hasher struct{ seed uint64 }

// NewHasher returns a hasher. Who cannot guess the seed cannot make flows meet in one place.
func NewHasher(seed uint64) Hasher { return Hasher{seed} }

// The constants are the first digits of the fractional parts of square roots of primes.
const (
	mix0 = 0x6a09e667f3bcc909
	mix1 = 0xbb67ae8584caa73b
	mix2 = 0x3c6ef372fe94f82b
	mix3 = 0xa54ff53a5f1d36f1
)

// Flow returns the hash of a flow, the same as that of its reverse.
func (h Hasher) Flow(f Flow) uint32 {
	s, d := f.Src.As16(), f.Dst.As16()
	ends := h.end(&s, f.SrcPort) + h.end(&d, f.DstPort) // a sum has no direction
	return uint32(mum(ends^h.seed, bits.RotateLeft64(h.seed, 16)^uint64(f.Proto)^mix3) >> 16)
}

func (h Hasher) end(a *[16]byte, port uint16) uint64 {
	hi, lo := binary.LittleEndian.Uint64(a[:8]), binary.LittleEndian.Uint64(a[8:])
	// The seed is in both factors of each product: nobody who does not know it can make one 0.
	return mum(mum(hi^h.seed^mix0, bits.RotateLeft64(h.seed, 32)^mix1)^lo, h.seed^mix2^uint64(port)<<17)
}

// mum multiplies to 128 bits and folds them.
func mum(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Packet gives an IP packet its FlowID, from addresses and, where it has them whole, ports,
// unless it has one already. Fragments, the first of them too, are hashed without ports: all of
// a datagram stay together. It reports whether the packet has a FlowID now; it borrows it, and
// one that is no whole IP packet stays as it is.
func (h Hasher) Packet(m *Packet) bool {
	if m.Hash != HashNone {
		return true
	}
	f, ports, ok := FlowOf(m)
	if !ok {
		return false
	}
	m.FlowID, m.Hash = h.Flow(f), HashAddrs
	if ports {
		m.Hash = HashPorts
	}
	return true
}

// flowBytes is how far into a packet FlowOf looks.
const flowBytes = 128

// FlowOf returns the flow that a packet, which begins with an IP header, belongs to, and whether
// it has ports. ok is false if the header is not whole. Of IPv6 extension headers it passes
// over hop-by-hop options, routing and destination options, as far as the first 128 bytes go. It
// borrows the packet.
func FlowOf(m *Packet) (f Flow, ports, ok bool) {
	b, _ := m.Pullup(min(flowBytes, m.Len())) // as many, however the packet is cut
	if len(b) == 0 {
		return f, false, false
	}
	off := 0
	switch b[0] >> 4 {
	case 4:
		off = int(b[0]&15) * 4
		if off < 20 || len(b) < off {
			return f, false, false
		}
		f.Src, f.Dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		f.Proto = b[9]
		ports = binary.BigEndian.Uint16(b[6:])&0x3fff == 0 // neither more to come, nor an offset
	case 6:
		if len(b) < 40 {
			return f, false, false
		}
		f.Src, f.Dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		f.Proto, off, ports = lastHeader(b)
	default:
		return f, false, false
	}
	ports = ports && hasPorts(f.Proto) && len(b) >= off+4
	if ports {
		f.SrcPort, f.DstPort = binary.BigEndian.Uint16(b[off:]), binary.BigEndian.Uint16(b[off+2:])
	}
	return f, ports, true
}

// lastHeader returns the protocol of an IPv6 packet, where its header begins, and whether it is
// whole.
func lastHeader(b []byte) (proto uint8, off int, whole bool) {
	const hopByHop, routing, fragment, options = 0, 43, 44, 60
	proto, off = b[6], 40
	for {
		switch proto {
		case hopByHop, routing, options:
			if len(b) < off+2 {
				return proto, off, false
			}
			proto, off = b[off], off+8*(int(b[off+1])+1)
		case fragment:
			if len(b) < off+8 {
				return proto, off, false
			}
			return b[off], off + 8, false
		default:
			return proto, off, true
		}
	}
}

// hasPorts reports whether a protocol's header begins with ports.
func hasPorts(proto uint8) bool {
	const tcp, udp, dccp, sctp, udpLite = 6, 17, 33, 132, 136
	switch proto {
	case tcp, udp, dccp, sctp, udpLite:
		return true
	}
	return false
}

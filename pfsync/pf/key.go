package pf

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// A Dir is a direction: into this machine, or out of it.
type Dir uint8

// The directions.
const (
	In  Dir = wire.In
	Out Dir = wire.Out
)

// String returns "in" or "out".
func (d Dir) String() string {
	switch d {
	case In:
		return "in"
	case Out:
		return "out"
	}
	return fmt.Sprintf("Dir(%d)", uint8(d))
}

// The protocols that pf knows more of than their number.
const (
	ICMP   = 1
	TCP    = 6
	UDP    = 17
	ICMPv6 = 58
	PFSync = wire.Protocol
)

// A Key is what a state is found by (struct pf_state_key): both ends of a conversation, in the order
// in which an incoming packet has them. Address and port 0 are the source's of a packet that comes
// in, and the destination's of one that goes out; so both directions of a conversation through one
// interface have one key. IPv4 addresses are in the first 4 bytes. ICMP has its identifier as the
// port of who asks, and the type of the question as the other's.
type Key struct {
	Addr    [2][16]byte
	Port    [2]uint16
	RDomain uint16
	AF      uint8 // wire.AFInet or wire.AFInet6
	Proto   uint8
}

// KeyOf returns the key of packets from src to dst in the given direction.
func KeyOf(dir Dir, proto uint8, src, dst netip.AddrPort) (k Key) {
	s, d := side(dir)
	k.AF, k.Proto = wire.AFInet, proto
	if src.Addr().Is6() {
		k.AF = wire.AFInet6
	}
	copy(k.Addr[s][:], src.Addr().AsSlice())
	copy(k.Addr[d][:], dst.Addr().AsSlice())
	k.Port[s], k.Port[d] = src.Port(), dst.Port()
	return k
}

// side returns where in a key the source and the destination of a packet are.
func side(dir Dir) (src, dst int) {
	if dir == In {
		return 0, 1
	}
	return 1, 0
}

// End returns address and port i of the key.
func (k *Key) End(i int) netip.AddrPort {
	return netip.AddrPortFrom(k.addr(i), k.Port[i])
}

func (k *Key) addr(i int) netip.Addr {
	if k.AF == wire.AFInet {
		return netip.AddrFrom4([4]byte(k.Addr[i][:4]))
	}
	return netip.AddrFrom16(k.Addr[i])
}

// Flow returns the flow of the key's packets, in one of their directions, as mbuf.FlowOf sees them:
// of protocols that have no ports, without.
func (k *Key) Flow() mbuf.Flow {
	f := mbuf.Flow{Src: k.addr(0), Dst: k.addr(1), Proto: k.Proto}
	if k.Proto == TCP || k.Proto == UDP {
		f.SrcPort, f.DstPort = k.Port[0], k.Port[1]
	}
	return f
}

// hash spreads keys over a table. Who does not know the seed cannot have them meet.
func (k *Key) hash(seed uint64) uint64 {
	le := binary.LittleEndian
	h := mum(le.Uint64(k.Addr[0][:])^seed, le.Uint64(k.Addr[0][8:])^mix0)
	h = mum(le.Uint64(k.Addr[1][:])^h, le.Uint64(k.Addr[1][8:])^mix1^seed)
	rest := uint64(k.Port[0])<<48 | uint64(k.Port[1])<<32 | uint64(k.RDomain)<<16 | uint64(k.AF)<<8 | uint64(k.Proto)
	return mum(rest^h, mix2^seed)
}

// The constants are the first digits of the fractional parts of square roots of primes.
const (
	mix0 = 0x6a09e667f3bcc909
	mix1 = 0xbb67ae8584caa73b
	mix2 = 0x3c6ef372fe94f82b
)

func mum(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// String returns "tcp 10.0.0.1:1024 10.0.0.2:80".
func (k Key) String() string {
	proto := fmt.Sprint("proto ", k.Proto)
	switch k.Proto {
	case ICMP:
		proto = "icmp"
	case TCP:
		proto = "tcp"
	case UDP:
		proto = "udp"
	case ICMPv6:
		proto = "icmp6"
	}
	return fmt.Sprint(proto, " ", k.End(0), " ", k.End(1))
}

func (k *Key) put(w *wire.Key) {
	w.Addr, w.Port, w.RDomain, w.AF = k.Addr, k.Port, k.RDomain, k.AF
}

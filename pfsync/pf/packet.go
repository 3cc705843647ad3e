package pf

import (
	"encoding/binary"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// look is how much of a packet is looked at. Headers that go on longer are not understood.
const look = 256

// What TCP's flags are.
const (
	fin = 1 << iota
	syn
	rst
	_
	ack
)

// A packet is what pf sees of one (struct pf_pdesc).
type packet struct {
	af, proto        uint8
	src, dst         [16]byte
	sport, dport     uint16 // of ICMP, the identifier and the type of the question
	len              int    // of the datagram
	multicast, error bool   // error: an ICMP error
	inner            []byte // what an ICMP error is about

	// Of TCP:
	flags    uint8
	seq, ack uint32
	win      uint16
	payload  uint32
	wscale   uint8 // wscaleSeen and the shift, of a segment with SYN
}

const wscaleSeen = 0x80 // PF_WSCALE_FLAG

var be = binary.BigEndian

// parse reads the headers of a datagram. It reports [mbuf.Malformed] for one that is not what it
// says, and [mbuf.Denied] for fragments: they have no ports, and nobody reassembles them here.
func parse(b []byte, n int) (p packet, why mbuf.Reason) {
	off := 0
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		off = 4 * int(b[0]&15)
		total := int(be.Uint16(b[2:]))
		if off < 20 || total < off || total > n || off > len(b) {
			return p, mbuf.Malformed
		}
		if be.Uint16(b[6:])&0x3fff != 0 {
			return p, mbuf.Denied
		}
		p.af, p.proto, p.len = wire.AFInet, b[9], total
		copy(p.src[:], b[12:16])
		copy(p.dst[:], b[16:20])
		p.multicast = b[16]&0xf0 == 0xe0 || be.Uint32(b[16:]) == 0xffffffff
	case len(b) >= 40 && b[0]>>4 == 6:
		p.af, p.len = wire.AFInet6, 40+int(be.Uint16(b[4:]))
		if p.len > n {
			return p, mbuf.Malformed
		}
		copy(p.src[:], b[8:24])
		copy(p.dst[:], b[24:40])
		p.multicast = b[24] == 0xff
		if p.proto, off, why = lastHeader(b); why != mbuf.Done {
			return p, why
		}
	default:
		return p, mbuf.Malformed
	}
	h, n := b[off:], p.len-off
	if len(h) > n {
		h = h[:max(n, 0)] // padding of the link
	}
	switch p.proto {
	case TCP:
		if len(h) < 20 || int(h[12]>>4)*4 < 20 || int(h[12]>>4)*4 > n {
			return p, mbuf.Malformed
		}
		p.tcp(h, n)
	case UDP:
		if len(h) < 8 {
			return p, mbuf.Malformed
		}
		p.sport, p.dport = be.Uint16(h), be.Uint16(h[2:])
	case ICMP, ICMPv6:
		if len(h) < 8 {
			return p, mbuf.Malformed
		}
		p.icmp(h)
	}
	return p, mbuf.Done
}

// lastHeader passes over hop-by-hop options, routing and destination options.
func lastHeader(b []byte) (proto uint8, off int, why mbuf.Reason) {
	const hopByHop, routing, fragment, options = 0, 43, 44, 60
	for proto, off = b[6], 40; ; {
		switch proto {
		case hopByHop, routing, options:
			if len(b) < off+2 {
				return proto, off, mbuf.Malformed
			}
			proto, off = b[off], off+8*(int(b[off+1])+1)
			if off > len(b) {
				return proto, off, mbuf.Malformed
			}
		case fragment:
			return proto, off, mbuf.Denied
		default:
			return proto, off, mbuf.Done
		}
	}
}

func (p *packet) tcp(h []byte, n int) {
	p.sport, p.dport = be.Uint16(h), be.Uint16(h[2:])
	p.seq, p.ack = be.Uint32(h[4:]), be.Uint32(h[8:])
	header := int(h[12]>>4) * 4
	p.flags, p.win, p.payload = h[13], be.Uint16(h[14:]), uint32(n-header)
	if p.flags&syn == 0 {
		return
	}
	const end, nop, wscale = 0, 1, 3
	for o := h[20:min(header, len(h))]; len(o) > 0 && o[0] != end; {
		if o[0] == nop {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return
		}
		if o[0] == wscale && o[1] == 3 {
			p.wscale = wscaleSeen | min(o[2], 14)
		}
		o = o[o[1]:]
	}
}

// end returns the sequence number behind the segment.
func (p *packet) end() uint32 {
	n := p.seq + p.payload
	if p.flags&syn != 0 {
		n++
	}
	if p.flags&fin != 0 {
		n++
	}
	return n
}

// questions are the types of ICMP and ICMPv6 messages that are answered, by those of the answers.
var questions = map[uint8]map[uint8]uint8{
	ICMP:   {0: 8, 14: 13, 16: 15, 18: 17}, // echo, timestamp, information, mask
	ICMPv6: {129: 128},                     // echo
}

func (p *packet) icmp(h []byte) {
	kind, id := h[0], be.Uint16(h[4:])
	for answer, question := range questions[p.proto] {
		switch kind {
		case question:
			p.sport, p.dport = id, uint16(question)
			return
		case answer:
			p.sport, p.dport = uint16(question), id
			return
		}
	}
	if p.proto == ICMP {
		p.error = kind == 3 || kind == 4 || kind == 11 || kind == 12
	} else {
		p.error = kind < 128
	}
	if p.error {
		p.inner = h[8:]
		return
	}
	p.sport, p.dport = uint16(kind), uint16(kind) // redirects, solicitations and the like
}

// key returns what a state of the packet's is found by.
func (p *packet) key(dir Dir) Key {
	s, d := side(dir)
	k := Key{AF: p.af, Proto: p.proto}
	k.Addr[s], k.Addr[d] = p.src, p.dst
	k.Port[s], k.Port[d] = p.sport, p.dport
	return k
}

// about returns the key of the state that an ICMP error is about: the packet that it quotes went
// the other way.
func (p *packet) about(dir Dir) (k Key, ok bool) {
	b := p.inner
	q := packet{af: p.af}
	off := 40
	switch {
	case p.af == wire.AFInet && len(b) >= 20 && b[0]>>4 == 4 && b[0]&15 >= 5:
		off = 4 * int(b[0]&15)
		q.proto = b[9]
		copy(q.src[:], b[12:16])
		copy(q.dst[:], b[16:20])
	case p.af == wire.AFInet6 && len(b) >= 40 && b[0]>>4 == 6:
		q.proto = b[6]
		copy(q.src[:], b[8:24])
		copy(q.dst[:], b[24:40])
	default:
		return k, false
	}
	if len(b) < off+8 {
		return k, false
	}
	switch h := b[off:]; q.proto {
	case TCP, UDP:
		q.sport, q.dport = be.Uint16(h), be.Uint16(h[2:])
	case ICMP, ICMPv6:
		if q.icmp(h); q.error {
			return k, false
		}
	}
	if dir == In {
		return q.key(Out), true
	}
	return q.key(In), true
}

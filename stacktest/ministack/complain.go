package ministack

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/psref"
)

// A problem is why a packet cannot be forwarded, as ICMP and ICMPv6 call it.
type problem struct {
	type4, code4 byte
	type6, code6 byte
	why          mbuf.Reason
}

var (
	hopsExceeded = problem{11, 0, 3, 0, mbuf.TimeExceeded}
	noRoute      = problem{3, 0, 1, 0, mbuf.NoRoute}
	rejected     = problem{3, 1, 1, 6, mbuf.NoRoute}
	noNeighbour  = problem{3, 1, 1, 3, mbuf.NoNeighbour}
	tooBig       = problem{3, 4, 2, 0, mbuf.TooBig} // with the MTU
)

// complain ends a packet that was to be forwarded, and tells who sent it what the problem was
// (icmp_error, icmp6_error), as often as the limit allows. It sends nothing about what this host
// sent itself, nor where an answer would multiply.
func (s *Stack) complain(l *lwp.LWP, m *mbuf.Packet, p problem, mtu uint32) {
	defer m.Free(p.why)
	ip := header(m)
	var ref psref.Ref
	in, ok := s.Ifs.Get(l, &ref, m.In) // false if it came by none
	if !ok {
		return
	}
	src, ok := in.SourceFor(ip.src)
	ref.Release(l)
	if !ok || !answerable(m, ip) {
		return
	}
	if !s.limit.take(time.Now(), s.c.ICMPRate) {
		s.count.limited.Inc()
		return
	}
	e, err := s.Ifs.Pool().From(complaint(m.Bytes(), src, ip.src, p, mtu))
	if err != nil {
		return
	}
	s.count.complaints.Inc()
	_ = s.Output(s.ctx, l, e)
}

// answerable reports whether a packet may be complained of (RFC 1122, 3.2.2; RFC 4443, 2.4).
func answerable(m *mbuf.Packet, ip ipHeader) bool {
	if m.Flags&(mbuf.Broadcast|mbuf.Multicast) != 0 || ip.later || !forwardable(ip.src) || ip.dst.IsMulticast() {
		return false
	}
	b, ok := m.Pullup(ip.len + 1)
	switch {
	case ip.dst.Is4() && ip.proto == ProtoICMP:
		return ok && (b[ip.len] == echoRequest4 || b[ip.len] == echoReply4) // the others may be complaints
	case ip.dst.Is6() && ip.proto == ProtoICMPv6:
		return ok && b[ip.len] >= 128 // these are no complaints
	}
	return true
}

// complaint returns the packet that tells of a problem, with as much of the packet that had it as
// is customary.
func complaint(bad []byte, src, dst netip.Addr, p problem, mtu uint32) []byte {
	if dst.Is6() {
		bad = bad[:min(len(bad), 1280-ip6Header-8)]
		b := make([]byte, ip6Header+8, ip6Header+8+len(bad))
		b[0], b[6], b[7] = 6<<4, ProtoICMPv6, 64
		binary.BigEndian.PutUint16(b[4:], uint16(8+len(bad)))
		copy(b[8:], src.AsSlice())
		copy(b[24:], dst.AsSlice())
		b[40], b[41] = p.type6, p.code6
		binary.BigEndian.PutUint32(b[44:], mtu)
		b = append(b, bad...)
		binary.BigEndian.PutUint16(b[42:], checksum(b[40:], pseudo6(b, len(b)-ip6Header, ProtoICMPv6)))
		return b
	}
	bad = bad[:min(len(bad), int(bad[0]&15)*4+8)]
	b := make([]byte, ip4Header+8, ip4Header+8+len(bad))
	b[0], b[8], b[9] = 4<<4|5, 64, ProtoICMP
	binary.BigEndian.PutUint16(b[2:], uint16(ip4Header+8+len(bad)))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b[:ip4Header], 0))
	b[20], b[21] = p.type4, p.code4
	binary.BigEndian.PutUint32(b[24:], mtu) // "next-hop MTU", in the lower half
	b = append(b, bad...)
	binary.BigEndian.PutUint16(b[22:], checksum(b[20:], 0))
	return b
}

// A limiter allows so many of something a second, and a second's worth at once (ppsratecheck).
type limiter struct {
	mu    hook.Mutex // leaf; guards what follows
	since time.Time  // when this second began
	n     int        // how many there were in it
}

func (r *limiter) take(now time.Time, perSecond int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.since) >= time.Second {
		r.since, r.n = now, 0
	}
	r.n++
	return r.n <= perSecond
}

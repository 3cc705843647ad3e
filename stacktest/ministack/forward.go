package ministack

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

// route returns the way to a destination, by the caches of l: a copy, for which nothing is held
// any more. A thread waits while it is being changed, a softint gets rtable.ErrUpdating.
func (s *Stack) route(ctx context.Context, l *lwp.LWP, dst netip.Addr) (rtable.NextHop, error) {
	ro := s.caches.Cache(l, dst)
	rte, err := ro.LookupContext(ctx, l, s.Routes, dst)
	if err != nil {
		return rtable.NextHop{}, err
	}
	next := *rte.Next()
	ro.Release(l)
	return next, nil
}

// forward sends a packet on that is for somebody else (ip_forward), in a softint.
func (s *Stack) forward(c *netisr.Ctx, m *mbuf.Packet, ip ipHeader, next rtable.NextHop, err error) {
	switch {
	case m.Flags&(mbuf.Broadcast|mbuf.Multicast) != 0 || !forwardable(ip.src) || !forwardable(ip.dst):
		m.Free(mbuf.Denied) // for this link only, or from nowhere
		return
	case ip.hops <= 1:
		s.complain(c.LWP, m, hopsExceeded, 0)
		return
	case errors.Is(err, rtable.ErrNotFound):
		s.complain(c.LWP, m, noRoute, 0)
		return
	case err != nil:
		m.Free(mbuf.NoRoute) // it is being changed: that is no reason to tell anybody that there is none
		return
	case next.Flags&rtable.FlagBlackhole != 0:
		m.Free(mbuf.Denied)
		return
	case next.Flags&rtable.FlagReject != 0:
		s.complain(c.LWP, m, rejected, 0)
		return
	}
	mtu := s.mtu(c.LWP, next)
	switch {
	case mtu == 0:
		m.Free(mbuf.IfDeparted)
		return
	case m.Len() > mtu:
		s.complain(c.LWP, m, tooBig, uint32(mtu)) // this router takes nothing apart, whether it may or not
		return
	}
	b := m.Writable()
	if ip.dst.Is6() {
		b[7]--
	} else {
		b[8]--
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], checksum(b[:ip.len], 0))
	}
	s.sendBy(m, next, ip.dst)
}

// forwardable reports whether packets with this source or destination may cross a router.
func forwardable(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && !a.IsLinkLocalUnicast() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// mtu returns how long a packet may be that goes a way; 0 if its interface is gone.
func (s *Stack) mtu(l *lwp.LWP, next rtable.NextHop) int {
	var ref psref.Ref
	ifp, ok := s.Ifs.Get(l, &ref, next.Out)
	if !ok {
		return 0
	}
	mtu := ifp.MTU()
	ref.Release(l)
	if next.MTU != 0 {
		mtu = min(mtu, int(next.MTU))
	}
	return mtu
}

// Output sends an IP packet that is whole, header and checksum, where its destination is
// (ip_output). It consumes the packet, and queues it: it may be called with any lock held that is
// not the stack's. A thread waits while the route is being changed. Errors: those of
// rtcache.Cache.LookupContext, and of netisr's Dispatch.
func (s *Stack) Output(ctx context.Context, l *lwp.LWP, m *mbuf.Packet) error {
	ip := header(m)
	next, err := s.route(ctx, l, ip.dst)
	switch {
	case err != nil:
		m.Free(mbuf.NoRoute)
		return err
	case next.Flags&(rtable.FlagReject|rtable.FlagBlackhole|rtable.FlagLocal) != 0:
		m.Free(mbuf.NoRoute) // this host does not speak to itself
		return rtable.ErrUnreachable
	}
	return s.sendBy(m, next, ip.dst)
}

// answer sends what has been made of a received packet back to where that came from. An address
// that means something on one link only is on the link the packet came by.
func (s *Stack) answer(ctx context.Context, l *lwp.LWP, m *mbuf.Packet, to netip.Addr) {
	in := m.In
	m.In, m.Flags = ifnet.ID{}, 0 // it is our own now
	if to.IsLinkLocalUnicast() || to.IsMulticast() {
		_ = s.sendBy(m, rtable.NextHop{Out: in}, to) // counted by whoever refuses
		return
	}
	_ = s.Output(ctx, l, m)
}

// nextHop is who a packet that is to be sent is for, on the link.
type nextHop struct{ to netip.Addr }

// sendBy has a packet sent. No lock need be free: it only queues.
func (s *Stack) sendBy(m *mbuf.Packet, next rtable.NextHop, dst netip.Addr) error {
	m.EtherType = ifnet.EtherIPv4
	if dst.Is6() {
		m.EtherType = ifnet.EtherIPv6
	}
	if next.Gateway.IsValid() {
		dst = next.Gateway
	}
	return s.output.Dispatch(m, next.Out, nextHop{dst})
}

// transmit sends a packet, in a softint with no lock held, or leaves it with the neighbour whose
// link address is not known yet.
func (s *Stack) transmit(c *netisr.Ctx, m *mbuf.Packet, n nextHop) {
	if !s.passes(c, m, Out) {
		return
	}
	if n.to.IsMulticast() {
		s.frame(c, m, ifnet.MulticastMAC(n.to))
	} else if mac, ok := s.neighbours.resolve(m, n.to); ok {
		s.frame(c, m, mac)
	}
}

// frame sends a packet to a link address.
func (s *Stack) frame(c *netisr.Ctx, m *mbuf.Packet, mac ifnet.MAC) {
	m.DeleteNonPersistentTags()
	ifnet.PushEther(m, mac, c.Out.MAC(), m.EtherType)
	_ = c.Out.Transmit(c.LWP, m) // counted there
}

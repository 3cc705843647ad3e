package ministack

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

const (
	arpBytes   = 28
	arpRequest = 1
	arpReply   = 2
)

// arpInput takes an ARP packet (in_arpinput), in a softint: it learns what neighbours say of
// themselves, answers who asks for this host or for whom it is a proxy, and objects when somebody
// says to be this host.
func (s *Stack) arpInput(c *netisr.Ctx, m *mbuf.Packet, from ifnet.MAC) {
	b, ok := m.Pullup(min(arpBytes, m.Len()))
	if !ok || len(b) < arpBytes || binary.BigEndian.Uint32(b) != 1<<16|ifnet.EtherIPv4 || b[4] != 6 || b[5] != 4 {
		m.Free(mbuf.Malformed) // not Ethernet and IPv4, of their lengths
		return
	}
	op := binary.BigEndian.Uint16(b[6:])
	sha, spa, tpa := ifnet.MAC(b[8:14]), netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
	switch {
	case op != arpRequest && op != arpReply, !unicast(sha), sha != from, spa.IsMulticast(), spa.IsLoopback():
		m.Free(mbuf.Malformed)
		return
	case s.claimed(c.In, spa, sha):
		m.Free(mbuf.Denied) // somebody says it is us
		return
	}
	mac, mine := s.answers(c.In, tpa, sha)
	cared := false
	if onLink(c.In, spa) {
		cared = s.neighbours.learn(neighbour{c.In.ID(), spa}, word{
			mac: sha, override: true,
			asked:    op == arpReply && mine && m.Flags&mbuf.Broadcast == 0,
			greeting: op == arpRequest && mine,
		})
	}
	switch {
	case op == arpRequest && mine:
	case cared:
		m.Free(mbuf.Done)
		return
	case mine:
		m.Free(mbuf.NoListener) // an answer that nobody has asked for
		return
	default:
		m.Free(mbuf.Foreign)
		return
	}
	m.Trim(m.Len() - arpBytes)
	w := m.Writable()
	binary.BigEndian.PutUint16(w[6:], arpReply)
	copy(w[18:24], w[8:14]) // the target is who asked
	copy(w[24:28], w[14:18])
	copy(w[8:14], mac[:])
	a := tpa.As4()
	copy(w[14:18], a[:])
	ifnet.PushEther(m, sha, mac, ifnet.EtherARP)
	_ = c.In.Transmit(c.LWP, m) // counted there
}

// answers returns the link address with which to answer who asks for an address on an interface, if
// this host is to answer: for an address of its own, for CARP's, and as a proxy.
func (s *Stack) answers(in *ifnet.Interface, a netip.Addr, who ifnet.MAC) (mac ifnet.MAC, ok bool) {
	if in.HasAddr(a) || s.neighbours.isProxy(neighbour{in.ID(), a}) {
		return in.MAC(), true
	}
	return s.CARP.AnswerARP(in.ID(), a, who)
}

// onLink reports whether an address belongs to the link of an interface: others have no business to
// speak of it there.
func onLink(in *ifnet.Interface, a netip.Addr) bool {
	if a.IsUnspecified() || a.IsMulticast() {
		return false
	}
	for _, p := range in.Addrs() {
		if p.Contains(a) {
			return true
		}
	}
	return a.Is6() && a.IsLinkLocalUnicast()
}

// A Conflict is that somebody says to have an address of this host.
type Conflict struct {
	Interface ifnet.ID
	Addr      netip.Addr
	MAC       ifnet.MAC // the other's
	Defended  bool      // whether this host has said, at once, that the address is its own
}

// claimed reports whether somebody with a link address says to have an address that is an
// interface's own, or CARP's. If it is not this host itself that is a conflict (RFC 5227, 2.4): it is
// counted, told of, and defended, but not so often that two hosts would do nothing else.
func (s *Stack) claimed(in *ifnet.Interface, a netip.Addr, mac ifnet.MAC) bool {
	if virtual, ok := s.CARP.AnswerARP(in.ID(), a, mac); ok {
		return mac != virtual // two masters: which of them is to go CARP finds out
	}
	if !in.HasAddr(a) {
		return false
	}
	if mac == in.MAC() {
		return true // our own, come back
	}
	defend := s.neighbours.mayDefend(neighbour{in.ID(), a}, time.Now())
	s.count.conflicts.Inc()
	if defend && s.Announce(in.ID(), a) == nil {
		s.count.defended.Inc()
	}
	if f := s.c.OnConflict; f != nil {
		f(Conflict{in.ID(), a, mac, defend})
	}
	return true
}

func (n *neighbours) mayDefend(k neighbour, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if last, ok := n.defended[k]; ok && now.Sub(last) < n.c.Defend || !n.s.Ifs.Live(k.ifp) {
		return false
	}
	n.defended[k] = now
	return true
}

// Announce tells everybody on a link that an address is this host's (gratuitous ARP, or an
// unsolicited neighbour advertisement): whoever has another link address for it forgets that. It only
// queues. Errors: mbuf.ErrNoBufs, and those of netisr's Dispatch.
func (s *Stack) Announce(ifp ifnet.ID, addr netip.Addr) error {
	m, err := s.Ifs.Pool().Alloc(0)
	if err != nil {
		return err
	}
	return s.neighbours.tells.Dispatch(m, ifp, addr)
}

// tell sends an announcement, with the link address that the interface has by now.
func (n *neighbours) tell(c *netisr.Ctx, m *mbuf.Packet, a netip.Addr) {
	if !c.Out.HasAddr(a) {
		m.Free(mbuf.Superseded) // it has been taken away since
		return
	}
	b := carp.Announce{Addr: a, MAC: c.Out.MAC()}.Frame(nil, c.Out.MAC())
	copy(m.Append(len(b)), b)
	_ = c.Out.Transmit(c.LWP, m) // counted there
}

// A question is who is to be asked for: all of a link if mac is zero, else who had that link address.
type question struct {
	target netip.Addr
	mac    ifnet.MAC
}

// ask sends an ARP request or a neighbour solicitation (arprequest, nd6_ns_output), in a softint with
// no lock held. Which of its addresses the interface asks from it says now.
func (n *neighbours) ask(c *netisr.Ctx, m *mbuf.Packet, q question) {
	src, ok := c.Out.SourceFor(q.target)
	if !ok {
		m.Free(mbuf.Denied) // without one that would be asking for permission to have the address
		return
	}
	var b []byte
	to := q.mac
	if q.target.Is4() {
		if to == (ifnet.MAC{}) {
			to = ifnet.BroadcastMAC
		}
		b = arpQuestion(c.Out.MAC(), src, q.target)
		m.EtherType = ifnet.EtherARP
	} else {
		dst := q.target
		if to == (ifnet.MAC{}) {
			dst = SolicitedNode(q.target)
			to = ifnet.MulticastMAC(dst)
		}
		b = solicitation(c.Out.MAC(), src, dst, q.target)
		m.EtherType = ifnet.EtherIPv6
	}
	copy(m.Append(len(b)), b)
	n.s.frame(c, m, to)
}

func arpQuestion(mac ifnet.MAC, src, target netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, arpRequest} // Ethernet, IPv4, their lengths
	b = append(append(b, mac[:]...), src.AsSlice()...)
	return append(append(b, make([]byte, 6)...), target.AsSlice()...)
}

// Proxy has this host answer for somebody else's address, on an interface's link, as if it were its
// own (arp -s with pub; ndp -s with proxy): packets for it come here, and are forwarded. It ends with
// Unproxy, or with the interface. Errors: ErrNotUnicast, ifnet.ErrGone, ErrClosed.
func (s *Stack) Proxy(ifp ifnet.ID, addr netip.Addr) error {
	if !addr.IsValid() || addr.IsMulticast() || addr.IsUnspecified() {
		return ErrNotUnicast
	}
	return s.with(ifp, func(in *ifnet.Interface) error {
		k := neighbour{ifp, addr}
		n := &s.neighbours
		n.mu.Lock()
		switch {
		case n.closed:
			n.mu.Unlock()
			return ErrClosed
		case !s.Ifs.Live(ifp): // asked under the lock that Purge takes
			n.mu.Unlock()
			return ifnet.ErrGone
		case n.proxies[k]:
			n.mu.Unlock()
			return nil
		}
		n.proxies[k] = true
		n.mu.Unlock()
		if addr.Is6() {
			in.Join(ifnet.MulticastMAC(SolicitedNode(addr)))
		}
		return nil
	})
}

// Unproxy takes Proxy back. Errors: ErrNoNeighbour, ifnet.ErrGone.
func (s *Stack) Unproxy(ifp ifnet.ID, addr netip.Addr) error {
	return s.with(ifp, func(in *ifnet.Interface) error {
		k := neighbour{ifp, addr}
		n := &s.neighbours
		n.mu.Lock()
		was := n.proxies[k]
		delete(n.proxies, k)
		n.mu.Unlock()
		if !was {
			return ErrNoNeighbour
		}
		if addr.Is6() {
			in.Leave(ifnet.MulticastMAC(SolicitedNode(addr)))
		}
		return nil
	})
}

func (n *neighbours) isProxy(k neighbour) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proxies[k]
}

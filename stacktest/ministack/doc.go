// Package ministack is a small IPv4 and IPv6 host or router, to be read, taught with and tested
// against.
//
//	frame ─▶ ifnet.Input ─▶ netisr, protocol "ether": a softint
//	           ├─ ARP ───────────────────────────────── neighbours
//	           ├─ IPv4 ─▶ checks ─┐
//	           └─ IPv6 ─▶ checks ─┴─▶ Filter ─▶ whose is it?
//	                 ours ─▶ wqinput.Protosw ─▶ ICMP, ICMPv6, CARP, one's own: threads
//	                           ├─ echo ─────────────────────────────────┐
//	                           ├─ redirect ─▶ rtable, waits             │
//	                           └─ neighbour discovery ─▶ neighbours     │
//	                 another's ─▶ rtcache ─▶ one hop less, or a complaint ─┐
//	                                                                       ▼
//	Transmit ◀─ link address ◀─ neighbours ◀─ Filter ◀─ "ip" ◀─ netisr.SendQueue, by interface
//	                              │ not known yet
//	                              ├─ the packet is kept
//	                              └─ "ask", "held", "announce" ─▶ netisr.SendQueue
//
// Everything that is wrong with a packet is a reason to drop it, counted by the pool.
//
// Where to begin reading: stack.go puts it together; ip.go and forward.go are a packet's way;
// neighbour.go is what is known of neighbours, arp.go and nd.go how they are spoken to; icmp.go and
// complain.go are what ICMP says; timers.go and filter.go are short.
//
// # Usage
//
//	s, err := ministack.New(ministack.Config{Forward: true})
//	em0, err := s.Ifs.Attach(ifnet.Spec{Name: "em0", Driver: port, MAC: mac, Up: true})
//	err = s.AddAddr(em0.ID(), netip.MustParsePrefix("192.0.2.1/24"))
//	err = s.Routes.Add(rtable.Route{Dst: all, Gateway: gw, Out: em0.ID()})
//
// A protocol of one's own, and a look at each packet on its way in and out:
//
//	q, err := s.Handle(240, "pfsync", handler)
//	Filter: func(c *netisr.Ctx, m *mbuf.Packet, d ministack.Direction) ministack.Verdict { ... }
//
// An address that several stacks share; while this one is its master it answers for it, with the
// virtual link address:
//
//	i, err := s.CARP.Attach(l, em0.ID())
//	err = i.Add(carp.Config{Nodes: []carp.Node{{VHID: 7}}, AdvBase: 1}, vip)
//
// # Concurrency
//
// Everything may be called by anyone. The timer of a neighbour decides under the lock of its entry
// what is to be asked, and has it asked by the send queue, where no lock is held: the lock is never
// let go of in the middle of a decision, and the interface that the question leaves by is whole. In
// FreeBSD the timer once let go of it around the sending, which takes locks that come before, and
// crashed on what a departing interface had cleared meanwhile.
//
// What waited for a neighbour goes in order, and before what came later: it is sent in the stream in
// which everything is that leaves by that interface.
//
// # Lock order
//
//	entry.mu // one at a time
//	  neighbours.mu, timers.mu, those of netisr's streams and of pools // leaves
//	carp.Interface.mu, asked who a virtual address belongs to // with no lock of ours
//
// Nothing is sent, waited for or called back with a lock held.
//
// # Differences from BSD
//
// ARP and neighbour discovery are one state machine, as in NetBSD since 2020; ARP entries there and
// in FreeBSD were once believed for 20 minutes without being asked. An answer that nobody has asked
// for makes no entry, and nobody is believed about an address of another network. The kernels send
// what was held from whoever heard the answer, so that what was being sent may overtake it. A
// conflict is defended once in ten seconds, as RFC 5227 has it. Missing: duplicate address detection
// of one's own addresses, fragments and extension headers, redirects that a router sends, packets to
// oneself, balancing by IP among CARP's nodes; nobody is told that an interface is down. A router
// takes no packet apart: what does not fit is complained of, even if it may be fragmented.
//
// Sources: NetBSD nd.c, if_arp.c, nd6_nbr.c, ip_input.c, ip_icmp.c; RFC 826, 4861, 5227, 1812, 4443.
//
// # Debugging
//
// [Stack.Neighbours] is arp -a, [Stack.Stats] counts what is about no packet. The pool has a reason for
// the end of each packet.
//
// # Testing
//
// With Manual there are no workers: [Stack.Run] does what can be done now, and [Stack.Tick] what
// will be later. With workers everything works in virtual time.
package ministack

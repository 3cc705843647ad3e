// Package carp is the Common Address Redundancy Protocol: nodes share an address, one has it, and
// another takes it over when that one falls silent.
//
// The protocol is here as a pure core. Events go in, actions come out; clock, sockets and locks
// are somebody else's:
//
//	packets ──▶ Parent.Input ─┐                      ┌──▶ Send: an advertisement
//	timers  ──▶ Tick          ├──▶ VHost.Step(now) ──┼──▶ Announce: ARP, neighbour advertisement
//	links, addresses, wishes ─┘   INIT BACKUP MASTER ├──▶ Transition: routes and addresses follow
//	                                                 └──▶ Demoted: others of the stack may have to tell
//
//	Parent   an interface, what was heard on it, and the
//	  Device   sets of addresses on it (a carp interface), each of one or several
//	    VHost    virtual hosts: vhid, skew, state, timers
//	Groups   the demotion counters of a stack
//
// What is on the wire is [Advert] and [Auth], which can be used alone. It is the protocol of
// OpenBSD, NetBSD, FreeBSD and ucarp, and interoperates with all of them. On the interfaces of a
// stack a [Stack] drives the core:
//
//	IP input ──▶ wqinput "carp" ──▶ Interface: a lock around the core ──▶ netisr.SendQueue ──▶ Transmit
//	links, a worker's timers ─────▶            and what follows       ──▶ routes, link addresses, OnChange
//
// On those of a machine that is what the daemon carpd in contrib/linux does.
//
// # Usage
//
//	p := carp.NewParent(carp.ParentConfig{MAC: mac, Simplex: true})
//	d, err := p.Add(carp.Config{Nodes: []carp.Node{{VHID: 7}}, Password: "secret", AdvBase: 1})
//	do(d.Step(now, carp.AddAddr{Addr: netip.MustParseAddr("10.0.0.1")}))
//	for {
//		// until p.Next(), or until something happens:
//		do(p.Step(now, carp.Tick{}))
//		do(p.Input(now, packet))
//	}
//
// In a stack, which has interfaces, a send queue and routes:
//
//	st, err := carp.NewStack(carp.StackConfig{Ifs: ifs, Send: send, Routes: routes})
//	err = protosw.Register(carp.Protocol, st.Queue())
//	em0, err := st.Attach(l, id)
//	err = em0.Add(carp.Config{Nodes: []carp.Node{{VHID: 7}}, AdvBase: 1}, addr)
//
// # Concurrency
//
// A Stack and its Interfaces are for everybody; Close waits, Attach, Add and Step do not for long.
// A Parent with its devices is for one goroutine at a time; [Groups] are for all. Nothing blocks,
// nothing reads a clock. Actions are to be done in their order, and after the lock around the
// parent is let go: what sends may wait, and [Demoted] concerns other parents.
//
// # Lock order
//
//	carp.Interface.turn // held while routes and addresses follow: may wait
//	  carp.Interface.mu // around the core
//	    Groups.mu, and leaves of netisr and mbuf: it puts packets into queues, which call nothing back
//	Stack.mu, and that of an interface's worker // leaves
//
// Nothing is sent, no route is changed and nobody is told with carp.Interface.mu held, and two of
// them are never held at once: a demotion that all have to tell is passed on with none.
//
// # Differences from BSD
//
// It behaves as OpenBSD does. A timer is a point in time in the virtual host and not a callout, so
// one that was cancelled cannot fire late; in the kernels a stale one makes a backup advertise,
// and takes the master out. A configuration is taken wholly or not at all. A bad password is an
// error and not cut off. What the others do and we do not: NetBSD and FreeBSD put demotion into
// the skew, take a received counter over and count on from it, and begin anew on every notice
// about the link; ucarp never bows out. OpenBSD's master-down formula changed in 2025: see
// [MasterDown], which also says what becomes of a group that mixes them. Sources: OpenBSD
// ip_carp.c 1.270 and 1.349, NetBSD ip_carp.c 1.120, FreeBSD ip_carp.c, ucarp carp.c.
//
// # Attacks
//
// A digest proves that somebody who knows the password has signed vhid, addresses and counter. It
// does not cover interval, skew and demotion. Whoever is on the link can copy an advertisement,
// put better values in, correct the checksum and depose a master; or say 255/255 and have every
// backup take over. Advertisements of a node can be repeated, as its counter never changes; only
// our own are known, and dropped. That the TTL is 255 proves that the sender is on the link, no
// more. A short password is found offline from one packet. And a wrong password, or another set
// of addresses, looks like silence: all nodes become master. So: watch BadAuth; keep the link,
// or a VLAN of its own, to the nodes, and filter protocol 112 elsewhere; take long random
// passwords; and where all nodes are this package's, set [Config].Fresh, which refuses repeated
// counters and with them copies of what has been heard. It cannot help against whoever keeps
// the original from arriving.
//
// # Debugging
//
// A [Transition] says why. [Stats] has each packet that was not believed in one counter, by the
// first check that failed. carp/cmd/carpdump prints what is in a capture, and whether a password
// and a set of addresses would have accepted it.
//
// # Testing
//
// Because the core knows no clock, a test is a loop: step, deliver, go to Next.
package carp

// Package ifnet is a stack's interfaces: how they are named, found and held, and how they leave
// while packets that name them are still on their way.
//
// Whatever outlives an interface, a route, a cache, a packet in a queue, carries its [ID] and
// never a pointer. Who wants to use it finds it by ID and refers to it passively:
//
//	frames in ──▶ Input ──▶ input queue ──▶ Receive: counters, taps, filter ──▶ protocols
//	                        (netisr)
//	frames out ◀── driver ◀── counters, taps ◀── Transmit ◀── whoever holds a reference
//
//	Detach: claim ─▶ hooks ─▶ out of sight ─▶ queues drained ─▶ nobody refers to it ─▶ undone
//
// Drivers are here for a loopback interface ([NewLoop]), a pair that is plugged together
// ([NewPair]), and a simulated network with delay, loss, duplicates, reordering and partitions
// ([NewLAN]). Any interface can be captured into a file for tcpdump ([Interface.Capture]).
//
// # Usage
//
//	ifs := ifnet.NewTable(dom)
//	ifs.SetInput(isr.Input) // where received frames wait for a softint
//	em0, err := ifs.Attach(ifnet.Spec{Name: "em0", Driver: port, MAC: mac, Up: true})
//
// To send by an interface that a packet names:
//
//	var ref psref.Ref
//	ifp, ok := ifs.Get(l, &ref, m.Out)
//	if !ok {
//		m.Free(mbuf.IfDeparted)
//		return
//	}
//	err := ifp.Transmit(l, m)
//	ref.Release(l)
//
// To take it away:
//
//	err := ifs.Detach(ctx, l, em0.ID())
//
// # Concurrency
//
// Everything may be called by anyone; an *Interface by who holds a reference to it, and by who
// attached it until it is detached. Get, Live, Transmit and Input never block. Detach waits, in
// the ways its comment says.
//
// # Lock order
//
// Table.mu and the mutex of a LAN are leaves. Drainers, hooks, observers, taps and drivers are
// called with no lock of ours held. What Detach waits for are levels in the lock order: read
// sections, references of class "ifnet", and whatever a drainer's Barrier waits for.
//
// # Differences from BSD
//
// The kernels' if_detach do the same things in different orders: NetBSD drains its queues after
// the announcement, OpenBSD sleeps for references before it destroys queues, FreeBSD bumps the
// generation at the free and purges no queue. Here nobody finds the interface before anything
// is drained, everything is drained before references are waited for (what waits in a queue may
// hold one), and nothing is undone before nobody refers to it. An ID has a generation, that of
// its index, which FreeBSD's packets carry only while they are queued. A rename is an event of
// its own, not a departure and an arrival. Counting and taps are here and not in each driver, and
// happen in the softint. What Attach does, a table of steps, is what Detach undoes. Sources:
// FreeBSD if.c, OpenBSD if.c, NetBSD if.c, if_epair.c, if_loop.c.
//
// # Debugging
//
// A Detach that waits longer than [WithWatchAfter] says reports to the logger for what, and, built
// with -tags invariants or -race, where each reference was taken. An ID prints as index and
// generation, so the same index under another generation is seen to be another interface.
//
// # Testing
//
// Everything works in virtual time; a LAN with a seed does the same again. Under the build tag
// sched every word is a choice point, and Detach does not watch the time.
package ifnet

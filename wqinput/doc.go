// Package wqinput moves the input of a protocol from where nobody may sleep to workers that may.
//
// A packet arrives in a softint, which passes a checkpoint between any two handlers and may
// wait for nothing. ICMP wants to change routes, CARP addresses: both wait for grace periods,
// and for holders of references. So their packets are queued, and handled by threads:
//
//	softint                              a stream                          a thread
//	Input(m, off, proto) ──▶ list, at most 256, per-flow order ──▶ handler(ctx, input)
//	consumes m, never blocks             drained when an                  may sleep; the receiving
//	                                     interface departs                interface is held for it
//
// What is short and waits for nothing belongs in a netisr handler, which costs less.
//
// # Usage
//
//	icmp := wqinput.New(ifs, "icmp", func(ctx context.Context, in *wqinput.Input) {
//		defer in.Packet.Free(mbuf.Done)
//		redirect(ctx, in.LWP, in.Packet, in.Off) // waits for whoever uses the route
//	})
//	defer icmp.Close(ctx)
//
//	var protosw wqinput.Protosw
//	err := protosw.Register(1, icmp)
//	...
//	err = protosw.Input(m, off, proto) // in a softint
//
// # Concurrency
//
// Anyone may call anything. Input never blocks. Flush and Close wait, for as long as their
// context says. Each stream has one worker; a flow belongs to one stream, so its packets are
// handled one at a time and in order, whatever the number of CPUs. Packets without a flow, which
// are no IP packets, all belong to the first stream. There is no order between flows, nor
// between this protocol and others: ICMP may be overtaken by TCP.
//
// # Lock order
//
// The mutex of a stream is a leaf. No lock of ours is held around a handler. Waiting for the
// handlers of a queue, which Flush, Close and a departing interface do, is a level in the lock
// order: it must not be done with a lock held that a handler takes.
//
// # Differences from BSD
//
// The kernel's lists are per CPU, and a flow keeps its order only as long as it keeps to one
// CPU; here streams are by flow. The kernel holds no reference to the receiving interface,
// which may be gone when the handler asks for it (carp's does not ask, and trusts); here it is
// held around the handler, and a packet whose interface has gone is dropped and counted. There
// departure does not drain the lists; here it does, and no handler runs with a packet of an
// interface whose Detach has returned. There the handlers run under softnet_lock; here under no
// lock. Close does not exist there. Sources: NetBSD wqinput.c, wqinput(9), subr_workqueue.c.
//
// # Debugging
//
// A handler that returns and leaves its packet behind is counted as Leaked, and reported to the
// logger; the packet is freed. Built with -tags invariants, or -race, one that returns and holds
// a reference panics with the place where it took it; with -tags witness, or -race, so does one
// that returns with a lock. Stats has every packet in exactly one counter.
//
// # Testing
//
// With [WithManual] there are no workers, and [Queue.Step] handles one packet in the caller.
// Workers sleep on condition variables, so virtual time works. Under the build tag sched every
// word is a choice point.
package wqinput

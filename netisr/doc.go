// Package netisr hands packets on to those who may deal with them: received ones to the handlers
// of their protocols, and those that are to be sent to where no lock is held.
//
//	ISR:        Dispatch ──▶ stream by source, flow or CPU ──▶ Handler, one at a time per stream
//	                         lists by protocol                  in the worker, or in the caller
//	                                                            (deferred, hybrid, direct)
//
//	SendQueue:  Dispatch(m, out, state) ──▶ stream by interface ──▶ Handle(c, m, state)
//	            under any lock              lists by priority       with no lock, both interfaces held
//
// Both bound what waits, count every packet in exactly one counter, and let go of a packet when an
// interface it names departs. Handlers run in softints and do not sleep; what has to belongs in
// package wqinput.
//
// # Usage
//
//	isr := netisr.New(netisr.Config{Ifs: ifs, Streams: -1})
//	ip, err := isr.Register(netisr.Handler{
//		Name: "ip", Proto: 1, Policy: netisr.PolicyFlow,
//		Handle: func(c *netisr.Ctx, m *mbuf.Packet) { forward(c.LWP, c.In, m) },
//	})
//	err = isr.Queue(1, m)              // consumes m, whatever it returns
//	n, err := isr.QueueList(1, &burst) // what came together, under one lock
//
// To send while holding a lock, say what is to be done with what:
//
//	q := netisr.NewSendQueue(netisr.SendConfig{Ifs: ifs})
//	ns, err := netisr.Register(q, netisr.Spec[*Neighbour]{
//		Name:   "nd6_ns",
//		Handle: func(c *netisr.Ctx, m *mbuf.Packet, n *Neighbour) { solicit(c.LWP, c.Out, m, n); n.Unref() },
//		Free:   func(n *Neighbour, _ mbuf.Reason) { n.Unref() },
//	})
//	n.mu.Lock()
//	n.refs++
//	if err := ns.Dispatch(m, n.out, n); err != nil {
//		n.refs-- // the packet is gone, the reference is still ours
//	}
//	n.mu.Unlock()
//
// # Concurrency
//
// Everything may be called by anyone. Dispatch and Queue never block: they take one leaf lock.
// What waits, Unregister, Flush and Close, takes a context and the caller's LWP, and refuses a
// handler, which would wait for itself. A stream runs one handler at a time. What was queued
// before by the same protocol in the same stream was handled before; with a SendQueue, what was
// queued before for the same interface with the same priority, whatever its type. There is no
// order between streams, between protocols, between Queue and ModeDirect, nor while the mode is
// being changed.
//
// # Lock order
//
// The mutex of a stream is a leaf. Handlers, Free, Drained, M2Flow and M2CPU are called with no
// lock of ours held. Waiting for handlers is a level in the lock order: it must not be done with
// a lock held that a handler takes.
//
// # Differences from BSD
//
// FreeBSD dispatches directly unless told otherwise; here the default is deferred, because a
// library cannot know what its caller holds. FreeBSD's unregister frees what is queued and lets a
// handler run that has been unregistered, and leaves its worker spinning if a list was emptied;
// its worker takes a whole list at once, so twice the limit may wait; packets are checked for a
// departed interface when their turn comes, by an index and a generation of 16 bits each. Here
// Unregister and Detach return when nothing runs any more and everything is freed, limits are
// exact, and direct dispatch has an end ([MaxDepth]). hybrid borrows any idle stream, because a
// goroutine has no CPU; Config.StrictHybrid asks for one that says so. A SendQueue exists in no
// kernel as such: IGMP and MLD use netisr so, without giving anything back. There is no vnet.
//
// The guarantee D5 of the literature, that Detach waits for no other interface's handler, holds
// for what drains the queues; Detach itself waits until every softint has passed a checkpoint,
// which the handler that runs has to end for.
//
// Sources: FreeBSD netisr.c, netisr(9), netstat(1); NetBSD pktqueue.c; OpenBSD ifq.c.
//
// # Debugging
//
// [ISR.Snapshot] prints as netstat -Q does. A handler that returns and leaves its packet is
// counted and reported; built with -tags invariants, or -race, one that returns with a reference
// panics, and names the place where it took it; with -tags witness, or -race, so does one that
// returns with a lock or waits.
//
// # Testing
//
// With Manual there are no workers, and Step handles one packet in the caller. Workers sleep on
// condition variables, so virtual time works. Under the build tag sched every word is a choice
// point.
package netisr

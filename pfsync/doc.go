// Package pfsync tells other firewalls of the states of this one, so that they go on with its
// conversations when it dies: OpenBSD's pfsync as it was rewritten in 2023, wire version 6.
//
//	pf: insert, update, delete ──▶ slice 0 ─┐                     a slice: queues, and one packet in the making
//	                               slice 1 ─┼──▶ netisr.SendQueue ──▶ sync interface
//	                               ...      │
//	bulk transfer, requests, CLR ───────────┘
//	sync interface ──▶ wqinput "pfsync" ──▶ pf: import, merge, remove;  UPD_REQ;  INS_ACK lets packets go
//
// States are dealt with in slices, by the hash that steers packets to streams. Each slice has a lock,
// queues, a time by which its packet is written, and packets that it holds back, so with as many slices as
// streams no two streams wait for each other. Nothing is sent with a lock held: what a slice has
// written it dispatches.
//
// # Usage
//
//	dev, err := pfsync.New(pfsync.Config{Table: t, Ifs: ifs, Send: send, Dev: sync0, Demote: demote})
//	err = protosw.Register(wire.Protocol, dev.Queue())
//	err = dev.Up(ctx, l)
//	defer dev.Close(ctx, l)
//
// Demote is told +32 when the device begins to ask for the states of others, and -32 when it knows them
// or has given up: give it to the group that CARP's interfaces are in, and a firewall that has come
// back will not be master before it can go on with what the other one let through.
//
// The protocol has no key and no digest. Whoever can send to the sync interface with a TTL of 255 can
// insert, change and take down any state. So: a cable or a VLAN of its own for it, protocol 240
// blocked on all others, and where neither can be had a driver underneath that seals frames: contrib/linux
// has one.
//
// # Concurrency
//
// A Device is for everybody. Up, Down and Close wait, and are not for softints; the hooks of pf wait
// for nothing. A [Request] is for one goroutine at a time.
//
// # Lock order
//
//	Device.turn   // held while it goes up or down: may wait
//	  pf's locks, of which Table.list is held while a packet of a transfer is written
//	    slice.mu  // taken by hooks, in a read section; held while a packet is written
//	      State.mu of pf, Tunnel.mu, and leaves of netisr and mbuf: it puts packets into queues
//	run.mu, Tunnels.mu // leaves
//
// Two slices' locks are never held at once. Down is not to be called with a lock held that hooks of pf
// or handlers of packets take: it waits for them.
//
// # Differences from BSD
//
// What OpenBSD's has that looks unintended is put right, as the comments at each place say: a transfer
// that takes too long is asked for again and waited for; the answer of a firewall without states is
// believed at once; a request during a transfer gets one of its own afterwards; states that nobody is to
// know, or that are none any more, are not transferred; an MTU without room for a state is refused;
// the interface's name in CLR is followed by zeros; the number of an outbound SA is sent ahead, as it was
// meant to be; a header that does not cover itself is refused. A transfer is not paced at one packet
// in 20 ms but at [Config.BulkEvery] and BulkBurst. There are no timers that could come late: a deadline
// is a field under the lock that guards what it is about. What the kernel does by tasks that it
// queues on its softnet threads a worker of the slice does. IPv4 alone carries it, as in OpenBSD.
// FreeBSD's has another version number: each ignores the other.
// Sources: pfsync(4), OpenBSD if_pfsync.c 1.330 and 1.335, if_pfsync.h 1.65.
//
// # Debugging
//
// [Device.Stats] has the kernel's counters, of each slice too. pfsync/cmd/pfsyncdump prints captures.
//
// # Testing
//
// A device with [Config.Manual] has no workers: see [Device.Step]. Time is the standard clock's, so
// tests run in virtual time.
package pfsync

// Package ifnet names network interfaces.
//
// This first part is the names alone. Routes, caches and whatever waits in a queue outlive
// interfaces: they carry an [ID] and never a pointer, and who wants to send by one has to
// find it by its ID, or learn that it has gone.
//
// # Usage
//
//	out := ifnet.ID{Index: 3, Gen: 1}
//	err := rt.Add(rtable.Route{Dst: dst, Gateway: gw, Out: out})
//
// # Concurrency
//
// An ID is a value, compared with ==.
//
// # Lock order
//
// There is no lock.
//
// # Differences from BSD
//
// The kernels carry a 16-bit index, and NetBSD a generation that packets do not carry: a
// packet that waits for long may meet another interface of its index. Sources: NetBSD if.c,
// mbuf.h; OpenBSD if.c.
//
// # Debugging
//
// An ID prints as its index and generation, so in a log the same index with another
// generation is seen to be another interface.
//
// # Testing
//
// Any two numbers are an ID; no interface need be there.
package ifnet

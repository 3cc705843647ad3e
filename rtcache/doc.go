// Package rtcache remembers what destinations were looked up to.
//
//	                       hit                        miss
//	the table's generation  the same                   has moved on: Add or Delete
//	the entry               not being changed          being changed: ErrUpdating
//	costs                   a passive reference        a lookup, and the same
//	touches                 the cache, one word        the FIB
//
// A [Cache] has one destination, the entry that was found for it, and the generation of the
// table from before it was found. As long as the table is of that generation the entry is in
// it, and still is the longest match: neither it was deleted nor a longer one was added. So one
// comparison makes it safe to look at the entry at all. What is found is held with the
// cache's one reference, so a cache is for one user at a time.
//
// For destinations that seldom come twice use the table itself, which is nearly as fast.
//
// # Usage
//
//	var ro rtcache.Cache // one flow's
//	rte, err := ro.Lookup(l, rt, dst)
//	if err != nil {
//		return err
//	}
//	defer ro.Release(l)
//	send(rte.Next())
//
// A forwarder has many flows and some workers:
//
//	caches := rtcache.NewPerLWP(dom, 0)
//	...
//	ro := caches.Cache(l, dst)
//	rte, err := ro.Lookup(l, rt, dst)
//
// # Concurrency
//
// A Cache has no lock. Its owner is a goroutine, or whoever holds the lock of the structure
// that the cache is in, a socket's for instance. Lookup before Release is refused, and the
// panic names who holds the cache: whether it was another goroutine or a recursion through
// one's own code. (Two goroutines at the same instant are a data race, which -race reports.)
// Nothing here blocks but LookupContext.
//
// # Lock order
//
// None: no lock is taken. The kernel's caches were once linked in a list under a lock of
// their own, rtcache_lock, to be taken before rt_lock; internal/seedcache is that design, for
// the lesson lock-order and for comparison.
//
// # Differences from BSD
//
// The kernel copies a cache with the generation of the moment of copying, so a route deleted
// just before may seem fresh; here the copy is as old as its source. The kernel asserts one
// holder in debugging kernels, and elsewhere corrupts a list; here it is always checked. An
// answer of "no route" is remembered too. The kernel's forwarding caches know one destination
// for each CPU; [PerLWP] has some.
// Sources: NetBSD route.c and route.h, rtcache(9).
//
// # Debugging
//
// [Cache.Stats] tells hits from refills and says why there was nothing to return. Built with
// -tags invariants, or -race, a refusal has the place where the cache was taken, and Unbind
// names who went away with one.
//
// # Testing
//
// Nothing here runs on its own, or by time.
package rtcache

// Package rtable is a routing table whose entries may be held, changed and deleted while
// packets fly.
//
//	lookup, any LWP          writer, one at a time         worker
//	enter a section
//	  find in the snapshot   unlink, publish a snapshot
//	  take a reference                                     wait for every section
//	leave                                                  wait for every reference
//	use the entry                                          free the entry
//	release
//
// A lookup takes no lock and waits for nobody: it looks into an immutable snapshot, and
// refers to what it finds passively (psref). A writer makes the next snapshot beside it
// and publishes that whole. What it took out is freed later, by the table itself, when
// nobody uses it any more. So a packet finds the old route or the new one, never half of
// either, and no packet misses because somebody else's route changes.
//
// For the same destination again and again use a cache in front of it, for an owner of
// few prefixes and no churn a map will do.
//
// # Usage
//
//	t := rtable.New(dom)
//	defer t.Close(ctx)
//	err := t.Add(rtable.Route{Dst: netip.MustParsePrefix("10.0.0.0/8"), Gateway: gw})
//
// A packet, in a thread or a softint:
//
//	var ref psref.Ref
//	rte, err := t.Get(l, &ref, dst)
//	if err != nil {
//		return err // no route
//	}
//	defer ref.Release(l)
//	send(rte.Gateway(), rte.Out()) // may sleep, if l is a thread
//
// To change a route is to delete it and add it again, in one [Table.Batch], which lookups
// see as a whole:
//
//	err := t.Batch(func(b *rtable.Batch) error {
//		if err := b.Delete(rt.Dst); err != nil {
//			return err
//		}
//		return b.Add(rt)
//	})
//
// [Table.Load] adds a million in less than half a second; [Table.DeleteMatching] takes
// away everything through a gateway that is leaving.
//
// # Concurrency
//
// Get, Exact, All, Len and Stats never block. Get allocates nothing and writes no word
// that another LWP writes. Writers wait for each other, for as long as a snapshot takes:
// some ten microseconds for a change of few routes, whatever the size of the table, and
// some tens of milliseconds for thousands at once in a full Internet table. They are
// threads' work: a softint that has something to write leaves it to one. Only Close waits
// for holders. Entries deleted while the worker waits for a grace period share the next
// one.
//
// # Lock order
//
// rt_lock is the writers' and is held while the function of a Batch runs; below it is a
// leaf, freer.mu. The worker holds neither while it waits. A lookup takes no lock.
//
// # Differences from BSD
//
// In the kernel an entry changes in place while RTF_UPDATING keeps lookups away from it,
// and packets miss meanwhile. This version keeps entries immutable: a change is a new
// entry, and who holds the old one goes on with the old route. The kernel's lookups take
// rt_lock for reading and count their references; here those of this version are passive
// all. rt_free frees in a thread and defers in a softint; here the worker frees always, and
// grace periods are shared. The worker frees in the order of deletion, so one holder that
// stays for long keeps what was deleted after it from being freed: that is memory, and
// stops no lookup and no writer. One table has both address families, and prefixes are
// what netip calls so: no masks with holes.
// Sources: NetBSD route.c, rtbl.c, route(4).
//
// This version keeps the table in bart's tries, copied where they change. It keeps no
// metrics, timers and redirects, sends no messages, and knows interfaces by name only: a
// departing interface's routes are deleted by whoever sees it depart.
//
// # Debugging
//
// [Table.Stats] counts; Trash that does not shrink is a reference that nobody releases, and
// built with -tags invariants, or -race, the holder's Unbind names the place. In such
// builds using an entry that the table has freed panics with a *witness.Violation.
//
// # Testing
//
// The worker runs only while there is something to free and sleeps on condition variables:
// in a bubble of testing/synctest, Wait waits until it has freed what can be freed, and a
// reference that is never released fails the bubble at Close.
package rtable

// Package rtable is a routing table whose entries may be held, changed and deleted while
// packets fly.
//
//	                  Lookup            Get              Peek
//	reference         counted           passive (psref)  none
//	how long          until Unref       until Release    section, or softint handler
//	another goroutine yes               no               no
//	may sleep         yes               a thread         no
//	lock              rt_lock, to read  none             none
//	writes            a shared word     own memory       nothing
//	may be updated    yes               no               no
//
// All three find the entry with the longest prefix in a FIB, a trie that one writer changes
// in place under its readers, and meet the same entries. What an entry says does not change
// while anybody looks at it in any of these ways: who changes it flags it, waits for all of
// them, and then has it alone. So a packet finds the old route or the new one, never half of
// either, and no packet misses because somebody else's route changes.
//
//	lookup, any LWP          updater, one at a time    writer, worker
//	enter a section          wait for the turn         unlink from the FIB
//	  find in the FIB        flag it UPDATING          wait for every section
//	  flagged? a miss        wait for every section    wait for every reference
//	  take a reference       wait for every reference  free the entry
//	leave                    change it
//	use the entry            clear the flag, pass the turn on
//	let go
//
// For the same destinations again and again use a cache in front of it, for an owner of
// few prefixes and no churn a map will do.
//
// # Usage
//
//	t := rtable.New(dom)
//	defer t.Close(ctx)
//	err := t.Add(rtable.Route{Dst: netip.MustParsePrefix("10.0.0.0/8"), Gateway: gw, Out: em0})
//
// A packet, in a thread or a softint:
//
//	var ref psref.Ref
//	rte, err := t.Get(l, &ref, dst)
//	if err != nil {
//		return err // no route, or one that is being changed
//	}
//	defer ref.Release(l)
//	send(rte.Next()) // may sleep, if l is a thread
//
// A softint that is done with a packet at the end of its handler borrows instead, for nothing:
//
//	hit := t.Peek(l, dst) // hit.Next is what the packet needs
//
// There are two ways to change a route. [Table.Replace] puts a new entry in the place of the
// old one, which no lookup misses; who holds the old one goes on with the old route.
// [Table.Change] changes the entry itself, under the update protocol: its timers and the
// caches that have it stay, and packets to it miss until all holders have let go. A change
// by hand is
//
//	rte, err := t.Lookup(ctx, l, dst)
//	...
//	defer rte.Unref()
//	u, err := rte.BeginUpdate(ctx, l)
//	...
//	defer u.Finish()
//	rt := u.Route()
//	rt.Gateway = better
//	err = u.Set(rt)
//
// [Table.Batch] makes many changes that lookups see as a whole; [Table.Load] adds a million
// so. [Table.Depart] takes away everything out of an interface that is leaving.
// [Table.Subscribe] tells of changes, beginning with a list that they join without a gap.
// [Tables] has the tables of several routing domains.
//
// # Concurrency
//
// Get, Again, Peek and the bursts never block, take no lock and allocate nothing; Get
// writes no word that another LWP writes, Peek none at all. Lookup and Find wait for writers,
// and, as the table's [Policy] says, for an update. GetContext waits for an update too.
// Exact, Walk, All, Dump, Len and Stats wait for writers, and All, Subscribe and Resync copy
// the whole table.
//
// Writers wait for each other and for who reads under the lock: for some microseconds each,
// for as long as the table takes to compile when many routes change at once. BeginUpdate,
// Change, Redirect, TooBig, DeleteWait and Close wait for holders; they are refused to
// softints. Add, Replace, Delete and Batch wait for no holder: a softint may delete, since the
// table's worker frees the entry. The worker does not wait for one holder while it could free
// what others have let go of.
//
// # Lock order
//
//	rt_lock (Table.mu)
//	  waits.mu, subs.mu, Timers.mu // leaves
//
// rt_lock is held while the function of a Batch, or of Walk or DeleteMatching runs, and never
// while anything is waited for. The seed of this design had a lock for caches outside of it;
// here caches need none.
//
// # Differences from BSD
//
// In the kernel one update runs at a time in the whole system, and an entry is flagged
// before its turn comes; two updaters of one entry, each with a reference, wait for each
// other. Here each entry has its own turn, which comes first, and who queues for it lends
// its reference. The kernel's lookups report no route while an entry is being changed, and
// count and announce a miss; here that is [ErrUpdating], and a thread may wait. The kernel
// takes internal flags from outside; here they are masked at the door. Metrics are changed
// under the update protocol only.
//
// rt_unref looks at the entry after it has given the reference back; here the last one out
// touches only the table. rt_free has one worker, which one leaked reference stops for
// good; here the leak is reported, and the rest is freed. Timers end on time, where the
// kernel looks once a second, and go with their entry. Bulk deletion cannot leak. Route
// messages that do not fit are counted, and who lost some can begin anew. One table has both
// address families, prefixes are what netip calls so: no masks with holes, and only exact
// destinations change. Entries are kept in slabs and used again, as the kernel's pool does.
//
// A gateway's route is looked at when a route by way of it is added or changed, and not
// again when it changes itself. Neighbours and their link-layer addresses are not the table's
// business: FlagConnected says that a net has some.
// Sources: NetBSD route.c, rtbl.c, rtsock_shared.c, ip_icmp.c, icmp6.c; route(4).
//
// # Debugging
//
// [Table.Stats] counts; Trash that does not shrink is a reference that nobody gives back.
// After the table's patience it is reported, [WithLogger], and built with -tags invariants, or
// -race, with the places where it was taken. In such builds entries are never used again,
// and using one that was freed panics with a *witness.Violation. An update that does not come
// to its turn waits for a holder, or for itself: the caller may hold the entry in one way only.
//
// # Testing
//
// The worker, and those of timers, run only while there is something to do and sleep on
// condition variables: in a bubble of testing/synctest, Wait waits until all has been freed
// that can be, and a reference that is never given back fails the bubble at Close. Timers go
// by virtual time. Without -tags sched nothing is slower for being explorable.
package rtable

// Package pserialize models BSD's passive serialization: readers look at shared data
// without a lock or any shared write, and a writer waits until nobody looks any more.
//
//	             may sleep   may cross     taking it costs    who changes the data waits for
//	             inside      goroutines
//	pserialize   no          no            nothing shared     every reader, each time
//	psref        yes         no            nothing shared     holders of this target
//	refcount     yes         yes           one shared word    nobody: the last one frees
//
// # Usage
//
// A reader:
//
//	s := psz.ReadEnter(l)
//	for a := range addrs.All(s) {
//		...
//	}
//	s.Exit()
//
// A writer, under a lock that keeps other writers out:
//
//	addrs.Remove(a)                    // out of sight
//	if err := psz.Perform(ctx, l); err != nil {
//		return err                 // nothing may be concluded
//	}
//	// nobody looks at a any more, unless by a stronger reference (psref)
//
// What a reader wants to keep beyond its section, or sleep on, it refers to by psref
// before it leaves. [List] is a list for such readers; its [Cursor] is for those who
// sleep between elements.
//
// # Concurrency
//
// ReadEnter and Exit never block and allocate nothing. Perform blocks until every section
// that began before it has ended, so it must not be called inside one: it panics rather
// than hang. Given a softint that is online it fails with lwp.ErrWouldSleep. What a writer
// stores before Perform is seen by every section that begins after it; what a reader did
// in a section that Perform waited for happened before Perform returns.
//
// # Lock order
//
// A lock that a read section or a softint handler takes must not be held across Perform.
// Built with -tags witness, or -race, such a pair is reported on the first run that shows
// both halves, whether or not it hung. Inside a section only leaf locks may be taken.
//
// # Differences from BSD
//
// A section belongs to an LWP, not to a CPU: a goroutine may be moved between CPUs inside
// one, and nothing is raised or masked. A thread that blocks in a section against the
// rules delays Perform; the kernel would have panicked. Perform takes a context. The
// kernel asserts that a list entry is fresh when it is inserted; here its re-initialisation
// also asserts that a grace period has passed. The kernel's walk over a list that sleeps
// on its elements can follow the link of a removed element to one that is gone; a Cursor
// notices and starts again.
// Sources: NetBSD subr_pserialize.c, pslist.h, pserialize(9), pslist(9).
//
// # Debugging
//
// Misuse panics with a *witness.Violation. Checked builds also report a reader that
// stands on an element which was initialised under it, and a Perform that waits long.
// [Serializer.Stats] counts grace periods.
//
// # Testing
//
// Perform sleeps on a condition variable that testing/synctest understands: a Perform
// that can never return fails its bubble at once. Under the build tag sched every word is
// a choice point of the schedule explorer.
package pserialize

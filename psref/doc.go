// Package psref models BSD's passive references: a holder may sleep, taking one never
// waits and writes nothing that others write, and whoever destroys the target waits for
// all its holders.
//
//	             may sleep   may cross     taking it costs    destroying waits for
//	                         goroutines
//	pserialize   no          no            nothing shared     every reader
//	psref        yes         no            nothing shared     holders of this target
//	refcount     yes         yes           one shared word    nobody: the last one frees
//
// Use it for things that many look at and that seldom go away: interfaces, addresses,
// routes. A holder that must pass the reference to another goroutine, or keep it for
// long, wants a count instead.
//
// # Usage
//
// Embed a [Target] in the resource. Find the resource in a read section, refer to it,
// leave the section, use it, release it:
//
//	var ref psref.Ref
//	s := psz.ReadEnter(l)
//	ifa := lookup(s, name)
//	ok := ifa != nil && class.Acquire(l, &ref, &ifa.target)
//	s.Exit()
//	if !ok {
//		return ErrNotFound
//	}
//	defer ref.Release(l)
//	use(ifa) // may sleep
//
// To destroy it: take it out of sight, wait for a grace period, wait for its holders.
//
//	list.Remove(ifa)
//	psz.Perform(ctx, l)         // nobody can begin an Acquire any more
//	ifa.target.Destroy(ctx, l)  // nobody holds it any more
//
// Leaving out Perform is a race: a reader who has found the resource may still come to
// Acquire. Acquire then fails, which is safe, but only as long as the memory is not used
// for something else.
//
// # Concurrency
//
// Acquire, Release, Copy and Held are the owner's of the LWP; they never block. Destroy
// blocks until the last holder lets go and is woken by it; nothing polls. What a holder
// did before Release happened before Destroy returns. A thread publishes a reference with
// one atomic exchange; a softint's is plain memory, which the softint itself counts when
// it comes to a checkpoint and somebody waits.
//
// # Lock order
//
// Class.mu is a leaf. Each class is a level in the lock order: holding a reference is
// being inside it, Destroy waits for it. So a lock that a holder takes must not be held
// across Destroy, nor one that a softint handler takes. Built with -tags witness, or
// -race, that is reported on the first run that shows both halves.
//
// # Differences from BSD
//
// Acquire on a target that is being destroyed fails where the kernel asserts: memory is
// the garbage collector's here, only lifetime is ours. Destroy takes a context and may be
// called again after it ended. The kernel polls every tick, because a release there can
// lose its wakeup; here each holder that Destroy finds owes one decrement, and the last
// one wakes it. Destroying what one holds oneself polls for ever there and panics here.
// References belong to an LWP, not to a CPU, and may be released in any order.
// Sources: NetBSD subr_psref.c, psref(9).
//
// # Debugging
//
// Misuse panics with a *witness.Violation whose text names both sides. Built with
// -tags invariants, or -race, each reference remembers where it was acquired, and an LWP
// that unbinds, or goes offline, while it holds one names the place. [Class.Stats] counts.
//
// # Testing
//
// Destroy sleeps on a condition variable that testing/synctest understands: a reference
// that is never released fails its bubble at once. Under the build tag sched every word
// is a choice point of the schedule explorer.
package psref

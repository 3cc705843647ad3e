// Package witness knows in which order locks are taken, and what is waited for under
// them, and says so when two orders could meet in a deadlock. It says so on the first run
// that shows both halves: nobody has to be unlucky, and nothing has to hang.
//
// The order has two kinds of places. A [Class] is a kind of lock. A [Level] is code that
// somebody waits for: a softint's handlers, a read section, whoever holds a reference.
// What waits for what is an edge, and a circle of edges is a deadlock:
//
//	lock L while K is held                      K ──▶ L
//	lock K inside level S                       S ──▶ K
//	wait for level S while K is held            K ──▶ S
//	wait for level S inside level T             T ──▶ S
//
//	a softint takes softnet_lock          softint ──▶ softnet_lock
//	                                         ▲              │
//	a detach waits for softints,             └──────────────┘
//	with softnet_lock held
//
// [Mutex] and [RWMutex] are locks that report here by themselves, and that may be held
// across a wait. For a few lines that neither block nor call out, sync.Mutex is enough.
//
// Books are kept in checked builds: those with the tag witness, and all with -race. In
// others the locks are locks, and everything else compiles to nothing.
//
// # Usage
//
// A class belongs to a package, a lock to a value:
//
//	var tableClass = witness.NewClass("rtable.Table.mu")
//
//	type Table struct {
//		mu witness.RWMutex
//		...
//	}
//
//	t.mu.Init(tableClass)
//
// A function that wants the lock held says t.mu.AssertWHeld(). An order that is known is
// written down, outermost first, and then taking it reversed is reported even before
// anybody has taken it right:
//
//	witness.Order(socketClass, tableClass, neighbourClass)
//
// Two locks of one class must not nest, unless the second is taken with LockNested or the
// class is [DupOK]. A lock without a class is checked as one of a kind. Other people's
// locks report with [Class.WillLock], [Class.Locked] and [Class.Unlocked].
//
// Who runs code that others wait for says so, and so does who waits:
//
//	lv.Enter(l) // as lwp, pserialize and psref do for softints, sections and references
//	lv.Exit(l)
//	lv.WillWait(l)
//	witness.WillSleep(l, "a reply")
//
// # What is reported
//
//	RuleReversal         a circle, of any length
//	RuleContradiction    an Order that closes one
//	RuleTwoOfClass       two of one class nested
//	RuleRecursion        taking what one holds: this and the next would hang, and
//	RuleUpgrade          panic in every mode but Off
//	RuleRecursiveRead    reading twice: a writer in between would stop both
//	RuleSelfWait         waiting for a level inside of it
//	RuleNoSleep          sleeping, or waiting for a level, in a softint or a section
//	RuleNoLock           waiting for a lock in a read section
//	RuleLeaf             waiting for anything with a leaf lock held
//	RuleNotHeld          unlocking what another goroutine holds; AssertHeld
//	RuleHeld             AssertNotHeld, Barrier
//	RuleNotInside        leaving a level twice
//	RuleNotLocked        unlocking what nobody holds; this and the next
//	RuleInUse            in every build: initialising a lock that is held
//
// Readers count like writers: a reader behind a writer that waits waits like anybody. A
// TryLock waits for nothing, so it makes no edge and breaks no rule; what is taken while
// the lock is held does.
//
// # Concurrency
//
// Everything may be called by anyone. Lock, RLock and their relatives block, and pass the
// lock on in the order of coming; a goroutine that waits is durably blocked in the sense
// of testing/synctest. Nothing else blocks. A Mutex belongs to the goroutine that locked
// it. A [Thread] is the books on an LWP and goes with it from goroutine to goroutine; it
// changes hands when the new owner first enters, leaves or waits for a level.
//
// # Lock order
//
// The mutex inside a Mutex and an RWMutex is a leaf. The books have sync.Mutexes of their
// own, which no schedule explorer sees and nothing else is taken under: a shelf of books,
// then a Thread, then a Checker.
//
// # Differences from BSD
//
// FreeBSD's WITNESS knows an order of locks, and NetBSD's LOCKDEBUG who holds them; that a
// wait for softints is an edge, neither does. Classes are values rather than names: two
// that are called the same are two. WITNESS learns from the lock taken last, this from
// everything held. A condition variable is not known: who sleeps on one in a place where
// that matters says WillSleep. There are no spin locks, recursive locks or priorities;
// a leaf lock is what a spin lock would be. NetBSD's adaptive mutexes go to who comes
// first, ours in turn: it costs a switch of goroutines whenever somebody waits.
// Sources: witness(4), lock(9), mutex(9), rwlock(9), NetBSD subr_lockdebug.c.
//
// # Debugging
//
// The [Default] Checker panics with a [*Violation], whose text is one sentence and whose
// sites are the stacks of every edge of the circle. [Checker.SetMode] makes it print or
// only count, and [Checker.Stats] has the counts. Each rule is reported once for a pair of
// classes, except that in mode [Panic] it panics each time.
//
// In a checked build (November 2026, AMD EPYC, two cores) a lock and its unlock cost 0.7 µs
// and no allocation, a leaf or a level 0.4 µs, and about 2 and 1.3 µs with -race; the first
// take of a new pair some more. The race detector sees the books' mutexes, which could hide a race between two
// goroutines on one shelf; there are 256 shelves to make that rare.
//
// # Testing
//
// A test that breaks rules on purpose makes a [NewChecker] in mode [Count], so that what
// it teaches the order is not there for others. The locks are explored with all others
// under the build tag sched. A deadlock in a bubble fails at once; in a checked build it
// is reported before it happens.
package witness

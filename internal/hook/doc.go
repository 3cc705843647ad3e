// Package hook is the one door through which this module touches shared memory.
//
// Every word that two goroutines may look at, every short lock, every condition
// variable and every goroutine a package starts is one of the types here. In an
// ordinary build they are inlined pass-throughs to sync and sync/atomic and cost
// nothing. Under the build tag sched each operation is first a choice point: it asks
// whether the calling goroutine is a [Task] of a schedule explorer and, if so, lets
// the explorer decide who runs next. So the explorer drives the code that ships and
// not a copy of it.
//
// # Which lock is which
//
// A [Mutex] guards a few lines that neither block nor call out: a leaf, below which no
// other lock is taken. Whatever may be held across a wait is a witness.Mutex, which is
// built from these types. Whoever waits does so on a [Cond], whose sleepers park on
// channels: virtual time and the deadlock detection of testing/synctest see them.
//
// # Memory order
//
// All operations are sequentially consistent, as those of sync/atomic are. The proofs
// in this module rest on that, and a litmus suite checks it.
package hook

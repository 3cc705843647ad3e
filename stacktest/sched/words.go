package sched

import "github.com/softnet-go/softnet/internal/hook"

// Words, locks and condition variables every operation on which is a choice point under
// the tag sched, and plain sync and sync/atomic without it. The packages of this module
// are built from them; code of yours that is, or whose stand-ins in a test are, can be
// explored. Each zero value is ready for use. None may be copied.
//
// The words have the methods of their namesakes in sync/atomic: Load, Store, Swap, Add
// (numbers only), CompareAndSwap.
type (
	// Uint32 is a shared 32-bit word.
	Uint32 = hook.Uint32
	// Uint64 is a shared 64-bit word.
	Uint64 = hook.Uint64
	// Int32 is a shared signed 32-bit word.
	Int32 = hook.Int32
	// Int64 is a shared signed 64-bit word.
	Int64 = hook.Int64
	// Bool is a shared flag.
	Bool = hook.Bool
	// Pointer is a shared pointer to a T.
	Pointer[T any] = hook.Pointer[T]

	// Mutex has Lock, TryLock and Unlock.
	Mutex = hook.Mutex
	// Cond has Wait(mu *Mutex), WaitContext(ctx, mu *Mutex) error, Signal and Broadcast, all
	// called with the Mutex held. Waiting may end with the context; it never ends without
	// a reason.
	Cond = hook.Cond
)

// Go starts a goroutine as code under test should: one an exploration knows of.
func Go(name string, f func()) { hook.Go(name, f) }

// Point is a choice point where the actor does nothing: a place to stand between two
// things a real program would do with time between them. Without the tag sched it gives
// way to other goroutines now and then.
func Point(name string) { point(name) }

// Yield gives way to others, as a loop must that waits by looking again: the caller goes
// on only when each actor that could go on has done so, or there is none. Without the tag
// sched it is runtime.Gosched.
func Yield() { yield() }

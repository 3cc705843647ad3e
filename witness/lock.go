package witness

import (
	"context"
	"sync/atomic"

	"github.com/softnet-go/softnet/internal/hook"
)

// identity is what a lock is called, and what class it is of. It is no hook type: the
// books are not among the steps of a schedule.
type identity struct{ p atomic.Pointer[Class] }

func (id *identity) init(c *Class, locked bool) {
	if locked {
		panic(&Violation{Rule: RuleInUse, Text: "witness: " + id.name() + " is initialised while it is locked"})
	}
	id.p.Store(c)
}

// class returns the lock's class. A lock without one becomes the only one of a class of
// its own, named after the function that took it first.
// In unchecked builds nobody asks, and it is nil.
func (id *identity) class() *Class {
	if !Enabled {
		return nil
	}
	return id.known()
}

func (id *identity) known() *Class {
	c := id.p.Load()
	if c == nil {
		id.p.CompareAndSwap(nil, NewClass("the unnamed lock of "+capture(2).function()))
		c = id.p.Load()
	}
	return c
}

func (id *identity) name() string {
	if c := id.p.Load(); c != nil {
		return c.String()
	}
	return "an unnamed lock"
}

// notLocked panics because op wants the lock to be locked, in the way how says.
func (id *identity) notLocked(op, how string) {
	panic(&Violation{Rule: RuleNotLocked, Text: "witness: " + op + " of " + id.name() + ", which is not locked" + how})
}

// notHeld panics because the lock is not held, in the way how says.
func (id *identity) notHeld(how string) {
	panic(&Violation{Rule: RuleNotHeld, Text: "witness: " + notHeld(id.name(), how)})
}

func notHeld(name, how string) string { return name + " must be held" + how + " here, and is not" }

// never is the context of a wait that does not end.
var never context.Context

// sleep waits on cv, and returns nil when woken and otherwise why ctx ended.
func sleep(ctx context.Context, cv *hook.Cond, mu *hook.Mutex) error {
	if ctx == never {
		cv.Wait(mu)
		return nil
	}
	return cv.WaitContext(ctx, mu)
}

package witness

import (
	"context"

	"github.com/softnet-go/softnet/internal/hook"
)

// An RWMutex is a lock for one writer or many readers, which may be held across a wait
// (krwlock_t). The zero RWMutex is unlocked and has no class; [RWMutex.Init] gives it
// one. It must not be copied. It belongs to the goroutines that locked it; waiting for
// one is as with a [Mutex].
//
// Nobody starves: while a writer waits no new reader gets in, and when a writer leaves,
// the readers that have waited go before the next writer. So a goroutine that reads must
// not read again: a writer that came in between would stop both. Nor is there an upgrade.
type RWMutex struct {
	id      identity
	state   hook.Uint32 // writing, queued, and how many read
	mu      hook.Mutex  // leaf
	readers hook.Cond   // those who wait to read; guarded by mu
	writers hook.Cond   // those who wait to write; guarded by mu
}

const (
	writing = 1 << 31
	waiting = 1 << 30 // somebody waits or has waited: only the holder of mu changes the state
	reading = waiting - 1
)

// Init makes rw a lock of class c. It panics if rw is locked (rw_init).
func (rw *RWMutex) Init(c *Class) { rw.id.init(c, rw.state.Load() != 0) }

// Lock waits until nobody has the lock and takes it for writing (rw_enter, RW_WRITER).
func (rw *RWMutex) Lock() {
	if !Enabled && rw.state.CompareAndSwap(0, writing) {
		return
	}
	rw.lock(never, 0)
}

// LockContext is Lock that gives up when ctx ends, and then returns ctx.Err(). If the
// lock is free it is taken, whatever ctx says.
func (rw *RWMutex) LockContext(ctx context.Context) error { return rw.lock(ctx, 0) }

// LockNested is Lock while another lock of the class is held: it takes rw as one of the
// class's subclass sub ([Class.Nested]).
func (rw *RWMutex) LockNested(sub int) { _ = rw.lock(never, sub) }

// TryLock takes the lock for writing if nobody has it and reports whether it did
// (rw_tryenter). It never waits, so it is free of the order, and allowed where a lock may
// not be waited for.
func (rw *RWMutex) TryLock() bool {
	if !rw.state.CompareAndSwap(0, writing) {
		return false
	}
	rw.id.class().Locked(rw, Exclusive)
	return true
}

func (rw *RWMutex) lock(ctx context.Context, sub int) error {
	c := rw.id.class().Nested(sub)
	c.willLock(rw, Exclusive, ctx == never)
	if !rw.state.CompareAndSwap(0, writing) {
		if err := rw.waitWrite(ctx); err != nil {
			return err
		}
	}
	c.Locked(rw, Exclusive)
	return nil
}

// waitWrite returns nil once the caller is the writer.
func (rw *RWMutex) waitWrite(ctx context.Context) error {
	rw.mu.Lock()
	defer rw.mu.Unlock()
	for {
		s := rw.state.Load()
		if s == 0 && rw.state.CompareAndSwap(0, writing) {
			return nil
		}
		if s != 0 && rw.state.CompareAndSwap(s, s|waiting) {
			break
		}
	}
	err := sleep(ctx, &rw.writers, &rw.mu) // nil: whoever let go made us the writer
	if err != nil {
		rw.pass(rw.state.Load(), false)
	}
	return err
}

// Unlock ends the writing (rw_exit). It panics if nobody writes.
func (rw *RWMutex) Unlock() {
	if !Enabled && rw.state.CompareAndSwap(writing, 0) {
		return
	}
	rw.unlock()
}

func (rw *RWMutex) unlock() {
	if rw.state.Load()&writing == 0 {
		rw.id.notLocked("Unlock", " for writing")
	}
	rw.id.class().Unlocked(rw)
	if rw.state.CompareAndSwap(writing, 0) {
		return
	}
	rw.mu.Lock()
	rw.pass(0, true)
	rw.mu.Unlock()
}

// RLock waits until nobody writes or waits to write, and takes the lock for reading
// (rw_enter, RW_READER).
func (rw *RWMutex) RLock() {
	if !Enabled && rw.tryRead() {
		return
	}
	rw.rlock(never, 0)
}

// RLockContext is RLock that gives up when ctx ends, and then returns ctx.Err(). If the
// lock can be had at once it is taken, whatever ctx says.
func (rw *RWMutex) RLockContext(ctx context.Context) error { return rw.rlock(ctx, 0) }

// RLockNested is RLock while another lock of the class is held: it takes rw as one of
// the class's subclass sub ([Class.Nested]).
func (rw *RWMutex) RLockNested(sub int) { _ = rw.rlock(never, sub) }

// TryRLock takes the lock for reading if nobody writes or waits to write, and reports
// whether it did. Like TryLock it never waits.
func (rw *RWMutex) TryRLock() bool {
	if !rw.tryRead() {
		return false
	}
	rw.id.class().Locked(rw, Shared)
	return true
}

func (rw *RWMutex) tryRead() bool {
	for {
		s := rw.state.Load()
		if s&(writing|waiting) != 0 {
			return false
		}
		if rw.state.CompareAndSwap(s, s+1) {
			return true
		}
	}
}

func (rw *RWMutex) rlock(ctx context.Context, sub int) error {
	c := rw.id.class().Nested(sub)
	c.willLock(rw, Shared, ctx == never)
	if !rw.tryRead() {
		if err := rw.waitRead(ctx); err != nil {
			return err
		}
	}
	c.Locked(rw, Shared)
	return nil
}

// waitRead returns nil once the caller is a reader.
func (rw *RWMutex) waitRead(ctx context.Context) error {
	rw.mu.Lock()
	defer rw.mu.Unlock()
	for !rw.tryRead() {
		s := rw.state.Load()
		if s&(writing|waiting) != 0 && rw.state.CompareAndSwap(s, s|waiting) {
			return sleep(ctx, &rw.readers, &rw.mu) // nil: whoever let go has counted us
		}
	}
	return nil
}

// RUnlock ends one reading (rw_exit). It panics if nobody reads.
func (rw *RWMutex) RUnlock() {
	if Enabled || !rw.doneReading() {
		rw.runlock()
	}
}

// doneReading takes one reader off unless there is more to do.
func (rw *RWMutex) doneReading() bool {
	for {
		s := rw.state.Load()
		if s&waiting != 0 || s&reading == 0 {
			return false
		}
		if rw.state.CompareAndSwap(s, s-1) {
			return true
		}
	}
}

func (rw *RWMutex) runlock() {
	if rw.state.Load()&reading == 0 {
		rw.id.notLocked("RUnlock", " for reading")
	}
	rw.id.class().Unlocked(rw)
	if rw.doneReading() {
		return
	}
	rw.mu.Lock()
	if !rw.doneReading() {
		rw.pass(rw.state.Load()-1, false)
	}
	rw.mu.Unlock()
}

// pass gives the lock to those whose turn it is. s says who still has it. rw.mu is held,
// and somebody waits or has until now, so that nobody else changes the state.
func (rw *RWMutex) pass(s uint32, fromWriter bool) {
	s &^= waiting
	r, w := uint32(rw.readers.Sleepers()), rw.writers.Sleepers()
	switch {
	case s == writing:
	case r > 0 && (w == 0 || fromWriter):
		rw.readers.Broadcast()
		s, r = s+r, 0
	case s == 0 && w > 0:
		rw.writers.Signal()
		s, w = writing, w-1
	}
	if r > 0 || w > 0 {
		s |= waiting
	}
	rw.state.Store(s)
}

// AssertHeld panics unless the caller holds the lock, either way (rw_lock_held). In
// unchecked builds it only knows whether anybody does.
func (rw *RWMutex) AssertHeld() { rw.assertHeld("", writing|reading) }

// AssertRHeld is AssertHeld for reading (rw_read_held).
func (rw *RWMutex) AssertRHeld() { rw.assertHeld(" for reading", reading) }

// AssertWHeld is AssertHeld for writing (rw_write_held).
func (rw *RWMutex) AssertWHeld() { rw.assertHeld(" for writing", writing) }

func (rw *RWMutex) assertHeld(how string, bits uint32) {
	if !Enabled && rw.state.Load()&bits == 0 {
		rw.id.notHeld(how)
	}
	rw.id.class().assertHeld(rw, how)
}

// AssertNotHeld panics if the caller holds the lock. In unchecked builds nobody knows.
func (rw *RWMutex) AssertNotHeld() {
	rw.id.class().AssertNotHeld(rw)
}

package witness

import (
	"context"

	"github.com/softnet-go/softnet/internal/hook"
)

// A Mutex is a lock that may be held across a wait (kmutex_t). The zero Mutex is unlocked
// and has no class: it is checked as one of a kind. [Mutex.Init] gives it a class. A Mutex
// must not be copied. It belongs to the goroutine that locked it, which alone may unlock it.
//
// The lock passes to waiters in the order they came, and to newcomers only when nobody
// waits. A goroutine that waits is parked on a channel, in every build, so that a bubble
// of testing/synctest sees it as durably blocked: virtual time passes, and a deadlock
// fails the test at once.
type Mutex struct {
	id    identity
	state hook.Uint32 // free, held or queued
	mu    hook.Mutex  // leaf
	cv    hook.Cond   // those who wait; guarded by mu
}

// States of a Mutex. From queued only the holder of mu leads away.
const (
	free   = iota
	held   // and nobody waits
	queued // held, and somebody waits or has waited
)

// Init makes m a lock of class c. It panics if m is locked (mutex_init).
func (m *Mutex) Init(c *Class) { m.id.init(c, m.state.Load() != free) }

// Lock waits until the lock is free and takes it (mutex_enter).
func (m *Mutex) Lock() {
	if !Enabled && m.state.CompareAndSwap(free, held) {
		return
	}
	m.lock(never, 0)
}

// LockContext is Lock that gives up when ctx ends, and then returns ctx.Err(). If the
// lock is free it is taken, whatever ctx says.
func (m *Mutex) LockContext(ctx context.Context) error { return m.lock(ctx, 0) }

// LockNested is Lock while another lock of the class is held: it takes m as one of the
// class's subclass sub ([Class.Nested]).
func (m *Mutex) LockNested(sub int) { _ = m.lock(never, sub) }

// TryLock takes the lock if it is free and reports whether it did (mutex_tryenter). It
// never waits, so it is free of the order, and allowed where a lock may not be waited for.
func (m *Mutex) TryLock() bool {
	if !m.state.CompareAndSwap(free, held) {
		return false
	}
	m.id.class().Locked(m, Exclusive)
	return true
}

func (m *Mutex) lock(ctx context.Context, sub int) error {
	c := m.id.class().Nested(sub)
	c.willLock(m, Exclusive, ctx == never)
	if !m.state.CompareAndSwap(free, held) {
		if err := m.wait(ctx); err != nil {
			return err
		}
	}
	c.Locked(m, Exclusive)
	return nil
}

// wait returns nil once the lock is the caller's.
func (m *Mutex) wait(ctx context.Context) (err error) {
	m.mu.Lock()
	if m.state.Swap(queued) == free {
		m.state.Store(held)
	} else {
		err = sleep(ctx, &m.cv, &m.mu) // nil: whoever unlocked left it to us
	}
	m.mu.Unlock()
	return err
}

// Unlock lets the lock go (mutex_exit). If others wait, the one who has waited longest
// has it from now on. It panics if m is not locked.
func (m *Mutex) Unlock() {
	if !Enabled && m.state.CompareAndSwap(held, free) {
		return
	}
	m.unlock()
}

func (m *Mutex) unlock() {
	if m.state.Load() == free {
		m.id.notLocked("Unlock", "")
	}
	m.id.class().Unlocked(m)
	if m.state.CompareAndSwap(held, free) {
		return
	}
	m.mu.Lock()
	if m.cv.Sleepers() == 0 {
		m.state.Store(free)
	}
	m.cv.Signal()
	m.mu.Unlock()
}

// AssertHeld panics unless the caller holds the lock (mutex_owned). In unchecked builds
// it only knows whether anybody does.
func (m *Mutex) AssertHeld() {
	if !Enabled && m.state.Load() == free {
		m.id.notHeld("")
	}
	m.id.class().AssertHeld(m)
}

// AssertNotHeld panics if the caller holds the lock. In unchecked builds nobody knows.
func (m *Mutex) AssertNotHeld() {
	m.id.class().AssertNotHeld(m)
}

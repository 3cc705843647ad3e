//go:build sched

package hook

import (
	"context"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Mutex is a leaf lock: it guards a few lines that neither block nor call out.
// The zero Mutex is unlocked. It must not be copied.
type Mutex struct {
	mu   sync.Mutex
	held atomic.Bool // what a scheduler looks at to know who can go on
}

// Lock takes the lock.
func (m *Mutex) Lock() {
	t := Self()
	switch {
	case t == nil:
		m.mu.Lock()
	case t.Dead():
		m.mu.TryLock() // whoever holds it is dead too
	default:
		_ = t.Park(OpLock, unsafe.Pointer(m), nil, m.free)
		m.mu.Lock()
	}
	m.held.Store(true)
	if leaves {
		leafLocked(m)
	}
}

func (m *Mutex) free() bool { return !m.held.Load() }

// TryLock takes the lock if it is free and reports whether it did.
func (m *Mutex) TryLock() bool {
	Point(OpTryLock, unsafe.Pointer(m))
	ok := m.mu.TryLock()
	if ok {
		m.held.Store(true)
		if leaves {
			leafLocked(m)
		}
	}
	return ok
}

// Unlock releases the lock.
func (m *Mutex) Unlock() {
	if leaves {
		leafUnlocked(m)
	}
	if t := Self(); t != nil {
		t.Point(OpUnlock, unsafe.Pointer(m))
		switch {
		case t.Dead():
			m.mu.TryLock() // whoever held it is dead too
		case !m.held.Load():
			panic("hook: unlock of unlocked mutex") // sync would end the process
		}
	}
	m.held.Store(false)
	m.mu.Unlock()
}

// A Cond has its choice points on entry: a caller that forgot the Mutex must be seen
// between testing its condition and joining the sleepers, and before it wakes them.
func (c *Cond) waits() { Point(OpWait, unsafe.Pointer(c)) }
func (c *Cond) wakes() { Point(OpWake, unsafe.Pointer(c)) }

// sleeper is one goroutine asleep on a Cond.
type sleeper chan struct{}

func newSleeper() sleeper { return make(chan struct{}) }

func (s sleeper) wake() { close(s) }

func (s sleeper) woken() bool {
	select {
	case <-s:
		return true
	default:
		return false
	}
}

// sleep returns nil when woken and otherwise why the context ended.
func (s sleeper) sleep(c *Cond, ctx context.Context) error {
	if t := Self(); t != nil {
		return t.Park(OpSleep, unsafe.Pointer(c), ctx, s.woken)
	}
	if ctx == nil {
		<-s
		return nil
	}
	select {
	case <-s:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

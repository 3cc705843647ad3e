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
	if t := Self(); t != nil {
		if t.Dead() {
			m.mu.TryLock()
			return
		}
		_ = t.Park(OpLock, unsafe.Pointer(m), nil, func() bool { return !m.held.Load() })
	}
	m.mu.Lock()
	m.held.Store(true)
	if leaves {
		leafLocked(m)
	}
}

// TryLock takes the lock if it is free and reports whether it did.
func (m *Mutex) TryLock() bool {
	Point(OpLock, unsafe.Pointer(m))
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
		if t.Dead() {
			m.mu.TryLock() // whoever held it is dead too
		}
	}
	m.held.Store(false)
	m.mu.Unlock()
}

// sleeper is one goroutine asleep on a Cond.
type sleeper chan struct{}

func newSleeper() sleeper { return make(chan struct{}) }

func (s sleeper) wake() {
	Point(OpWake, nil)
	close(s)
}

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
		return t.Park(OpWait, unsafe.Pointer(c), ctx, s.woken)
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

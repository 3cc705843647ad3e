//go:build !sched

package hook

import (
	"context"
	"sync"
)

// Mutex is a leaf lock: it guards a few lines that neither block nor call out.
// The zero Mutex is unlocked. It must not be copied.
type Mutex struct{ mu sync.Mutex }

// Lock takes the lock.
func (m *Mutex) Lock() {
	m.mu.Lock()
	if leaves {
		leafLocked(m)
	}
}

// TryLock takes the lock if it is free and reports whether it did.
func (m *Mutex) TryLock() bool {
	ok := m.mu.TryLock()
	if leaves && ok {
		leafLocked(m)
	}
	return ok
}

// Unlock releases the lock.
func (m *Mutex) Unlock() {
	if leaves {
		leafUnlocked(m)
	}
	m.mu.Unlock()
}

// Go starts f in a goroutine. The name is for schedules and reports.
func Go(name string, f func()) { go f() }

// Exploring reports whether the caller runs under a schedule explorer, where spinning
// for a change that another task must make is only a longer schedule.
func Exploring() bool { return false }

// waits and wakes are where a schedule explorer would have its say.
func (c *Cond) waits() {}
func (c *Cond) wakes() {}

// sleeper is one goroutine asleep on a Cond.
type sleeper chan struct{}

func newSleeper() sleeper { return make(chan struct{}) }

func (s sleeper) wake() { close(s) }

// sleep returns nil when woken and otherwise why the context ended.
func (s sleeper) sleep(_ *Cond, ctx context.Context) error {
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

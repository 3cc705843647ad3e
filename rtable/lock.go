package rtable

import "github.com/softnet-go/softnet/internal/hook"

// A lock keeps writers out of each other's way. Who waits for it waits on a condition
// variable: it may be held while the function of a batch runs.
type lock struct {
	mu   hook.Mutex // leaf
	held bool       // guarded by mu
	free hook.Cond  // guarded by mu
}

func (x *lock) Lock() {
	x.mu.Lock()
	for x.held {
		x.free.Wait(&x.mu)
	}
	x.held = true
	x.mu.Unlock()
}

func (x *lock) Unlock() {
	x.mu.Lock()
	x.held = false
	x.free.Signal()
	x.mu.Unlock()
}

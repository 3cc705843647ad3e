package hook

import (
	"context"
	"slices"
)

// Cond is a condition variable (condvar(9)). Sleepers park on channels, so a bubble of
// testing/synctest counts them as durably blocked, and a wait can end with a context.
// Every method is called with the caller's Mutex held: a wakeup cannot slip between a
// sleeper's test and its sleep. The zero Cond is ready for use.
type Cond struct {
	sleepers []sleeper // guarded by the Mutex that goes with the Cond; oldest first
}

// Wait releases mu, sleeps until woken, and takes mu again (cv_wait).
func (c *Cond) Wait(mu *Mutex) { _ = c.wait(nil, mu) }

// WaitContext is Wait that also ends with ctx; it then returns ctx.Err(). When a wakeup
// and the end of ctx come together the wakeup counts, so a Signal is never lost.
func (c *Cond) WaitContext(ctx context.Context, mu *Mutex) error {
	return c.wait(ctx, mu)
}

func (c *Cond) wait(ctx context.Context, mu *Mutex) error {
	c.waits()
	s := newSleeper()
	c.sleepers = append(c.sleepers, s)
	mu.Unlock()
	err := s.sleep(c, ctx)
	mu.Lock()
	if err == nil {
		return nil
	}
	i := slices.Index(c.sleepers, s)
	if i < 0 {
		return nil // woken before we had the lock again
	}
	c.sleepers = slices.Delete(c.sleepers, i, i+1)
	return err
}

// Signal wakes the sleeper that has waited longest, if there is one (cv_signal).
func (c *Cond) Signal() {
	c.wakes()
	if len(c.sleepers) > 0 {
		c.sleepers[0].wake()
		c.sleepers = slices.Delete(c.sleepers, 0, 1)
	}
}

// Broadcast wakes every sleeper (cv_broadcast).
func (c *Cond) Broadcast() {
	c.wakes()
	for _, s := range c.sleepers {
		s.wake()
	}
	c.sleepers = nil
}

// Sleepers returns how many goroutines sleep on c.
func (c *Cond) Sleepers() int { return len(c.sleepers) }

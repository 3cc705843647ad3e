//go:build sched

package sched

import (
	"context"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/softnet-go/softnet/internal/hook"
)

// timeoutCtx is a context on a schedule's own clock. It is one of the custom contexts that
// package context knows how to derive children from without a goroutine: AfterFunc tells
// them in the moment it ends.
type timeoutCtx struct {
	s      *schedule
	parent context.Context
	what   string        // for the lanes
	at     time.Duration // when it ends, if timed
	timed  bool
	done   chan struct{}

	mu    sync.Mutex // std: contexts are also looked at by goroutines of package context
	err   error
	funcs []*func() // to be called when it ends
}

// virtualKey finds the nearest timeoutCtx among a context's ancestors.
type virtualKey struct{}

// Deadline implements context.Context.
func (c *timeoutCtx) Deadline() (time.Time, bool) {
	d, ok := c.parent.Deadline()
	if own := c.s.x.start.Add(c.at); c.timed && (!ok || own.Before(d)) {
		return own, true
	}
	return d, ok
}

// Done implements context.Context.
func (c *timeoutCtx) Done() <-chan struct{} {
	c.follow()
	return c.done
}

// Err implements context.Context.
func (c *timeoutCtx) Err() error {
	c.follow()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value implements context.Context.
func (c *timeoutCtx) Value(key any) any {
	if key == (virtualKey{}) {
		return c
	}
	return c.parent.Value(key)
}

// AfterFunc is what package context asks for: f is called, at once and by whoever ends c.
func (c *timeoutCtx) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	p := &f
	c.funcs = append(c.funcs, p)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.Index(c.funcs, p)
		if i >= 0 {
			c.funcs = slices.Delete(c.funcs, i, i+1)
		}
		return i >= 0
	}
}

// follow ends c if its parent has ended. A parent of package context tells nobody without
// a goroutine, so c looks whenever it is looked at, and the schedule at each step.
func (c *timeoutCtx) follow() {
	if err := c.parent.Err(); err != nil {
		c.finish(err)
	}
}

// finish ends c and reports whether it had not ended.
func (c *timeoutCtx) finish(err error) bool {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return false
	}
	c.err = err
	funcs := c.funcs
	c.funcs = nil
	close(c.done)
	c.mu.Unlock()
	for _, f := range funcs {
		(*f)()
	}
	return true
}

func (s *schedule) newContext(parent context.Context, what string) *timeoutCtx {
	c := &timeoutCtx{s: s, parent: parent, what: what, done: make(chan struct{})}
	s.alive = append(s.alive, c)
	return c
}

func (s *schedule) context() context.Context {
	if s.ctx == nil {
		s.ctx = s.newContext(context.Background(), "schedule")
	}
	return s.ctx
}

func (s *schedule) withCancel(parent context.Context) (context.Context, func()) {
	c := s.newContext(parent, "cancel")
	return c, c.cancel
}

func (s *schedule) withTimeout(parent context.Context, d time.Duration) (context.Context, func()) {
	c := s.newContext(parent, "timeout "+d.String())
	c.at, c.timed, s.x.timed = s.now+max(d, 0), true, true
	if d <= 0 {
		c.finish(context.DeadlineExceeded)
	}
	return c, c.cancel
}

func (c *timeoutCtx) cancel() {
	what := "cancel"
	if c.timed {
		what = "cancel " + c.what
	}
	hook.Point(hook.OpUser, unsafe.Pointer(&what))
	c.finish(context.Canceled)
}

// endContexts makes the contexts follow those they descend from, and forgets the ended.
func (s *schedule) endContexts() {
	if len(s.alive) == 0 {
		return
	}
	s.alive = slices.DeleteFunc(s.alive, func(c *timeoutCtx) bool { return c.Err() != nil })
}

// endAll ends all contexts, and with them what package context holds for their children.
func (s *schedule) endAll() {
	for _, c := range s.alive {
		c.finish(context.Canceled)
	}
	s.alive = nil
}

// timeRuns reports whether some timeout can end.
func (s *schedule) timeRuns() bool {
	return slices.ContainsFunc(s.alive, func(c *timeoutCtx) bool { return c.timed })
}

// fire lets time pass up to the next timeout: the earliest, and of two the one made first.
func (s *schedule) fire() {
	var first *timeoutCtx
	for _, c := range s.alive {
		if c.timed && (first == nil || c.at < first.at) {
			first = c
		}
	}
	s.now = max(s.now, first.at)
	first.finish(context.DeadlineExceeded)
	if s.rec != nil {
		s.rec.note(s, s.clock, first.what+" is over", "")
	}
}

// foreignDeadline reports whether ctx has a deadline that the schedule's clock does not
// know: one of package context.
func foreignDeadline(ctx context.Context) bool {
	at, ok := ctx.Deadline()
	if !ok {
		return false
	}
	if c, _ := ctx.Value(virtualKey{}).(*timeoutCtx); c != nil {
		if own, ok := c.Deadline(); ok && own.Equal(at) {
			return false
		}
	}
	return true
}

// whyEnded says how a wait with ctx ends that the explorer ends.
func whyEnded(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.DeadlineExceeded
}

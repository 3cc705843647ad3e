//go:build sched

package sched

import (
	"context"
	"slices"
	"sync"
	"unsafe"

	"github.com/softnet-go/softnet/internal/hook"
)

// channel is what the runtime's channels are: a buffer, and queues of those who wait,
// served in order. The runtime's would block where the explorer does not see it. This one
// works for goroutines that are no actors as well.
type channel[T any] struct {
	size int // immutable

	mu      sync.Mutex // std, and held for a moment only: no choice point
	buf     []T
	closed  bool
	senders []*party[T] // that wait; only while the buffer is full
	takers  []*party[T] // that wait; only while it is empty
}

// A party waits to send or to receive.
type party[T any] struct {
	v      T
	ok     bool          // v was sent or received; else the channel was closed
	served chan struct{} // closed when it need not wait any more
}

func (p *party[T]) serve(ok bool) {
	p.ok = ok
	close(p.served)
}

func (p *party[T]) isServed() bool {
	select {
	case <-p.served:
		return true
	default:
		return false
	}
}

// shift removes and returns the first of queue, if there is one.
func shift[E any](queue *[]E) (first E, ok bool) {
	if len(*queue) == 0 {
		return first, false
	}
	first = (*queue)[0]
	*queue = (*queue)[1:]
	return first, true
}

func (c *channel[T]) init(size int) { c.size = size }

// point is where others may come before an operation. If ctx has ended that may be noticed
// before the operation, or after it.
func (c *channel[T]) point(op hook.Op, ctx context.Context) error {
	if t := hook.Self(); t != nil {
		return t.Park(op, unsafe.Pointer(c), ctx, func() bool { return true })
	}
	return nil
}

// wait joins a queue, which is done with c.mu held, lets go of c.mu and waits until served.
func (c *channel[T]) wait(op hook.Op, ctx context.Context, queue *[]*party[T], v T) (*party[T], error) {
	p := &party[T]{v: v, served: make(chan struct{})}
	*queue = append(*queue, p)
	c.mu.Unlock()
	var err error
	if t := hook.Self(); t != nil {
		err = t.Park(op, unsafe.Pointer(c), ctx, p.isServed)
	} else if ctx == nil {
		<-p.served
	} else {
		select {
		case <-p.served:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err == nil {
		return p, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(*queue, p)
	if i < 0 {
		return p, nil // served before we could leave
	}
	*queue = slices.Delete(*queue, i, i+1)
	return nil, err
}

func (c *channel[T]) send(ctx context.Context, v T) error {
	if err := c.point(hook.OpSend, ctx); err != nil {
		return err
	}
	if c.put(v) {
		return nil
	}
	p, err := c.wait(hook.OpSend, ctx, &c.senders, v)
	if err == nil && !p.ok {
		panic("send on closed channel")
	}
	return err
}

func (c *channel[T]) trySend(v T) bool {
	_ = c.point(hook.OpSend, nil)
	if c.put(v) {
		return true
	}
	c.mu.Unlock()
	return false
}

// put sends v if that can be done at once. If not, it returns with c.mu held.
func (c *channel[T]) put(v T) bool {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		panic("send on closed channel")
	}
	if p, ok := shift(&c.takers); ok {
		p.v = v
		p.serve(true)
	} else if len(c.buf) < c.size {
		c.buf = append(c.buf, v)
	} else {
		return false
	}
	c.mu.Unlock()
	return true
}

func (c *channel[T]) recv(ctx context.Context) (v T, ok bool, err error) {
	if err := c.point(hook.OpRecv, ctx); err != nil {
		return v, false, err
	}
	c.mu.Lock()
	v, ok = shift(&c.buf)
	if p, waits := shift(&c.senders); waits {
		p.serve(true)
		if ok {
			c.buf = append(c.buf, p.v)
		} else {
			v, ok = p.v, true
		}
	}
	if ok || c.closed {
		c.mu.Unlock()
		return v, ok, nil
	}
	p, err := c.wait(hook.OpRecv, ctx, &c.takers, v)
	if err != nil {
		return v, false, err
	}
	return p.v, p.ok, nil
}

func (c *channel[T]) close() {
	_ = c.point(hook.OpClose, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		panic("close of closed channel")
	}
	c.closed = true
	for _, p := range slices.Concat(c.senders, c.takers) {
		p.serve(false)
	}
	c.senders, c.takers = nil, nil
}

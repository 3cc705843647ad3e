package sched

import "context"

// A Chan is a channel whose operations are choice points under the tag sched, and a plain
// Go channel without it. There is no select: wait for one thing at a time, or with a
// context. Make one with NewChan; it must not be copied.
type Chan[T any] struct{ c channel[T] }

// NewChan makes a channel with room for size values; a send on one without room waits for
// a receiver.
func NewChan[T any](size int) *Chan[T] {
	c := new(Chan[T])
	c.c.init(size)
	return c
}

// Send sends v. It waits while there is no room, and panics if c is closed.
func (c *Chan[T]) Send(v T) { _ = c.c.send(nil, v) }

// SendContext is Send that ends with ctx; it then returns ctx.Err(), and v was not sent.
func (c *Chan[T]) SendContext(ctx context.Context, v T) error { return c.c.send(ctx, v) }

// TrySend sends v if that can be done without waiting, and reports whether it was.
func (c *Chan[T]) TrySend(v T) bool { return c.c.trySend(v) }

// Recv receives a value. It waits while there is none, and returns ok false once c is
// closed and empty.
func (c *Chan[T]) Recv() (v T, ok bool) {
	v, ok, _ = c.c.recv(nil)
	return v, ok
}

// RecvContext is Recv that ends with ctx; it then returns ctx.Err().
func (c *Chan[T]) RecvContext(ctx context.Context) (v T, ok bool, err error) { return c.c.recv(ctx) }

// Close closes c. It panics if c is closed already.
func (c *Chan[T]) Close() { c.c.close() }

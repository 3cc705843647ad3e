//go:build !sched

package sched

import "context"

// channel is a Go channel.
type channel[T any] struct{ ch chan T }

func (c *channel[T]) init(size int) { c.ch = make(chan T, size) }
func (c *channel[T]) close()        { close(c.ch) }

func (c *channel[T]) send(ctx context.Context, v T) error {
	if ctx == nil {
		c.ch <- v
		return nil
	}
	select {
	case c.ch <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *channel[T]) trySend(v T) bool {
	select {
	case c.ch <- v:
		return true
	default:
		return false
	}
}

func (c *channel[T]) recv(ctx context.Context) (v T, ok bool, err error) {
	if ctx == nil {
		v, ok = <-c.ch
		return v, ok, nil
	}
	select {
	case v, ok = <-c.ch:
		return v, ok, nil
	case <-ctx.Done():
		return v, false, ctx.Err()
	}
}

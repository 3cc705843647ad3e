package rtable

import (
	"context"
	"fmt"

	"github.com/softnet-go/softnet/lwp"
)

// A Request is what a routing socket is asked (struct rt_addrinfo and its command).
type Request struct {
	Type  MsgType // MsgAdd, MsgDelete, MsgChange or MsgGet
	Route Route   // to delete or get one its Dst is enough
}

// Request does what is asked and returns the route as it is, or for MsgDelete as it was
// (rtrequest1). Errors: those of [Table.Add], [Table.Delete] and [Table.Change];
// [ErrInvalid] for another type.
func (t *Table) Request(ctx context.Context, l *lwp.LWP, r Request) (Route, error) {
	dst := r.Route.Dst
	switch r.Type {
	case MsgAdd:
		return r.in(t, func(b *Batch) error { return b.Add(r.Route) })
	case MsgDelete:
		return r.in(t, func(b *Batch) error { return b.Delete(dst) })
	case MsgChange:
		var rt Route
		err := t.update(ctx, l, dst, func(u *Update) error {
			err := u.Set(r.Route)
			rt = u.Route()
			return err
		})
		if err != nil {
			return Route{}, err
		}
		return rt, nil
	case MsgGet:
		rt, err := t.Exact(dst)
		if err != nil {
			return Route{}, fmt.Errorf("rtable: get %v: %w", dst, err)
		}
		return rt, nil
	}
	return Route{}, fmt.Errorf("rtable: request %v: %w", r.Type, ErrInvalid)
}

// in does f in a batch of its own, and returns the route that it is about.
func (r Request) in(t *Table, f func(b *Batch) error) (rt Route, err error) {
	err = t.Batch(func(b *Batch) error {
		if err := f(b); err != nil {
			return err
		}
		s := b.steps[0]
		rt = t.mem.LoadOwn().entry(max(s.old, s.new)).route()
		rt.Flags |= FlagUp
		return nil
	})
	return rt, err
}

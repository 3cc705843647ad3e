package rtable

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/softnet-go/softnet/lwp"
)

// How long what a redirect or path MTU discovery has made lasts, unless it is set otherwise.
const (
	RedirectTimeout = 600 * time.Second
	PathMTUTimeout  = 600 * time.Second // RFC 1191
)

// A Redirect says that there is a better gateway to a destination (struct of rtredirect's
// arguments).
type Redirect struct {
	Dst     netip.Addr // whose packets it is about
	Gateway netip.Addr // where to send them
	From    netip.Addr // who says so: it must be the gateway in use
}

func (r Redirect) String() string {
	return fmt.Sprintf("redirect of %v to %v by %v", r.Dst, r.Gateway, r.From)
}

// Redirect follows a redirect (rtredirect): a host route by way of a gateway gets the new
// one, and for everything else a host route of its own is made, which goes after a time, see
// [Table.SetRedirectTimeout]. Subscribers are told in any case.
//
// It may wait for holders of the route, as [Entry.BeginUpdate] does: so it is for the
// deferred input path. Errors: [ErrUnreachable] if the gateway is on no connected net,
// [ErrInvalid] if the redirect is not from the gateway in use or leads out of another
// interface, [ErrHostUnreachable] if the gateway is one of our own addresses, or the
// destination needs none; ctx.Err(), [lwp.ErrWouldSleep], [ErrClosed].
func (t *Table) Redirect(ctx context.Context, l *lwp.LWP, r Redirect) error {
	if l.InSoftint() {
		return fmt.Errorf("rtable: %v: %v: %w", r, l, lwp.ErrWouldSleep)
	}
	rt, made, err := t.redirect(ctx, l, r)
	switch {
	case err != nil:
		t.badRedirects.Inc()
	case made:
		t.dynamic.Inc()
	default:
		t.newGateways.Inc()
	}
	t.emit(Msg{Type: MsgRedirect, Route: rt, Addr: r.From, Reason: err})
	if err != nil {
		return fmt.Errorf("rtable: %v: %w", r, err)
	}
	return nil
}

// redirect returns the route that there is now, and whether it was made.
func (t *Table) redirect(ctx context.Context, l *lwp.LWP, r Redirect) (rt Route, made bool, err error) {
	host := hostPrefix(r.Dst)
	gw, err := t.covering(r.Gateway)
	switch {
	case !host.IsValid() || !r.Gateway.IsValid():
		return Route{Dst: host, Gateway: r.Gateway}, false, ErrInvalid
	case err != nil || gw.Flags&FlagGateway != 0:
		return Route{Dst: host, Gateway: r.Gateway}, false, ErrUnreachable
	case gw.Flags&FlagLocal != 0:
		return Route{Dst: host, Gateway: r.Gateway}, false, ErrHostUnreachable
	}
	for {
		old, err := t.covering(r.Dst)
		rt = Route{Dst: host, Gateway: r.Gateway, Out: gw.Out, Source: old.Source, Flags: FlagDynamic}
		switch {
		case err == nil && (old.Gateway != r.From || old.Out != gw.Out):
			return rt, false, ErrInvalid
		case err == nil && old.Flags&FlagGateway == 0:
			return rt, false, ErrHostUnreachable
		case err != nil || old.Flags&FlagHost == 0:
			err = t.Add(rt)
			made = true
		default:
			err = t.update(ctx, l, host, func(u *Update) error {
				rt = u.Route()
				if rt.Gateway != r.From {
					return ErrInvalid // somebody else was first
				}
				rt.Gateway, rt.Out = r.Gateway, gw.Out
				rt.Flags |= FlagModified
				return u.Set(rt)
			})
			made = false
		}
		switch {
		case err == nil:
			return rt, made, t.arm(ctx, l, t.redirects, host)
		case made && errors.Is(err, ErrExists) || !made && errors.Is(err, ErrNotFound):
			continue // it came, or went, meanwhile
		}
		return rt, made, err
	}
}

// covering returns the route with the longest prefix that contains a.
func (t *Table) covering(a netip.Addr) (Route, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	slot := t.match(a)
	if slot == 0 {
		return Route{}, ErrNotFound
	}
	return t.mem.Load().entry(slot).Route(), nil
}

func hostPrefix(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen())
}

// arm starts the timer of a host route.
func (t *Table) arm(ctx context.Context, l *lwp.LWP, q *Timers, host netip.Prefix) error {
	if q.off() {
		return nil
	}
	e, err := t.Find(ctx, l, host)
	if err != nil {
		return err
	}
	defer e.Unref()
	if err := q.Add(e); err != nil && err != ErrNotFound { // then it needs no timer
		return err
	}
	return nil
}

// off reports whether the timeout is 0: what comes stays.
func (q *Timers) off() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.timeout == 0
}

// expired deletes what has only been learnt. A route that somebody has added, and a
// redirect has changed, stays.
func (t *Table) expired(_ context.Context, _ *lwp.LWP, e *Entry) {
	if rt := e.Route(); rt.Flags&FlagDynamic != 0 && rt.Flags&FlagHost != 0 {
		_ = t.deleteEntry(e) // unless somebody else has
	}
}

// deleteEntry deletes e, and no other entry that has taken its place.
func (t *Table) deleteEntry(e *Entry) error {
	return t.Batch(func(b *Batch) error {
		if slot, _ := t.rib.Get(e.dst()); slot != e.slot {
			return ErrNotFound
		}
		return b.Delete(e.dst())
	})
}

// SetRedirectTimeout sets how long a route made by a redirect lasts, those that are there
// too. With 0 these go at once, and those that come later stay. Error: [ErrInvalid] if d is
// negative.
func (t *Table) SetRedirectTimeout(d time.Duration) error { return setTimeout(t.redirects, d) }

// SetPathMTUTimeout sets the same for what path MTU discovery has found out.
func (t *Table) SetPathMTUTimeout(d time.Duration) error { return setTimeout(t.pathMTUs, d) }

func setTimeout(q *Timers, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("rtable: a timeout of %v: %w", d, ErrInvalid)
	}
	q.SetTimeout(d)
	return nil
}

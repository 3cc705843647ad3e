package carp

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

// work is the worker: a thread that gives the core its Ticks, and settles what those have changed
// who may not wait.
func (i *Interface) work() {
	for i.await() {
		l := i.s.c.Ifs.Domain().Bind()
		i.step(func(now time.Time) []Action { return i.parent.Step(now, Tick{}) })
		_ = i.Settle(context.Background(), l)
		l.Unbind()
	}
	i.wake.mu.Lock()
	i.wake.running = false
	i.wake.cv.Broadcast()
	i.wake.mu.Unlock()
}

// await waits until the core wants a Tick, or something has to be settled. It returns false when
// the interface is closed.
func (i *Interface) await() bool {
	w := &i.wake
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed {
		if w.news || due(w.at, time.Now()) {
			w.news = false
			return true
		}
		ctx, cancel := context.Background(), func() {}
		if !w.at.IsZero() && !hook.Exploring() {
			ctx, cancel = context.WithDeadline(ctx, w.at)
		}
		_ = w.cv.WaitContext(ctx, &w.mu)
		cancel()
	}
	return false
}

// Settle makes routes and link addresses follow the states, and tells of transitions: in order,
// one caller at a time, until nothing is pending. The worker does so by itself: Settle is for who
// wants to wait for what follows from a [Interface.Step]. l may not be a softint. Errors: ctx.Err().
func (i *Interface) Settle(ctx context.Context, l *lwp.LWP) error {
	if err := i.turn.LockContext(ctx); err != nil {
		return err
	}
	defer i.turn.Unlock()
	for {
		i.mu.Lock()
		told := i.pending
		i.pending = nil
		routes, macs := i.wanted()
		i.mu.Unlock()
		i.hear(l, macs)
		i.connect(routes)
		if len(told) == 0 {
			return nil
		}
		for _, t := range told {
			i.s.c.Log.Info("carp: transition", "if", i.id, "vhid", t.VHost.VHID(), "from", t.From, "to", t.To, "why", t.Why)
			if f := i.s.c.OnChange; f != nil {
				f(Change{i.id, t.VHost.VHID(), t.From, t.To, t.Why})
			}
		}
	}
}

// wanted returns the routes and link addresses that go with the states. mu is held.
func (i *Interface) wanted() (routes map[netip.Prefix]bool, macs map[ifnet.MAC]bool) {
	routes, macs = map[netip.Prefix]bool{}, map[ifnet.MAC]bool{}
	for _, d := range i.parent.devices {
		if d.masters() != 0 {
			for _, a := range d.addrs {
				routes[netip.PrefixFrom(a, a.BitLen())] = true
				if a.Is6() {
					macs[ifnet.MulticastMAC(solicitedNode(a))] = true // where it is asked for
				}
			}
		}
		for _, v := range d.vhosts {
			for _, mac := range []ifnet.MAC{d.MAC(), VirtualMAC(v.VHID())} {
				if d.TakesFrame(mac) {
					macs[mac] = true
				}
			}
		}
	}
	return routes, macs
}

// solicitedNode returns the group of who may have an IPv6 address: ff02::1:ff and its last 24 bits.
func solicitedNode(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// connect makes the routes those that are wanted (carp_setroute). A route that somebody else has
// put there is left alone.
func (i *Interface) connect(want map[netip.Prefix]bool) {
	t := i.s.c.Routes
	if t == nil {
		return
	}
	for _, p := range sorted(i.applied) {
		if !want[p] {
			if err := t.Delete(p); err != nil {
				i.s.c.Log.Warn("carp: route not deleted", "dst", p, "error", err)
			}
			delete(i.applied, p)
		}
	}
	for _, p := range sorted(want) {
		if !i.applied[p] {
			if err := t.Add(rtable.Route{Dst: p, Out: i.id, Flags: rtable.FlagLocal}); err != nil {
				i.s.c.Log.Warn("carp: route not added", "dst", p, "error", err)
				continue
			}
			i.applied[p] = true
		}
	}
}

// hear makes the link addresses that the interface hears those that are wanted.
func (i *Interface) hear(l *lwp.LWP, want map[ifnet.MAC]bool) {
	i.with(l, func(ifp *ifnet.Interface) {
		for mac := range i.heard {
			if !want[mac] {
				ifp.Leave(mac)
			}
		}
		for mac := range want {
			if !i.heard[mac] {
				ifp.Join(mac)
			}
		}
		i.heard = want
	})
}

// with calls f with the interface, if it is still there.
func (i *Interface) with(l *lwp.LWP, f func(ifp *ifnet.Interface)) {
	var ref psref.Ref
	if ifp, ok := i.s.c.Ifs.Get(l, &ref, i.id); ok {
		f(ifp)
		ref.Release(l)
	}
}

func sorted(m map[netip.Prefix]bool) []netip.Prefix {
	return slices.SortedFunc(maps.Keys(m), func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
}

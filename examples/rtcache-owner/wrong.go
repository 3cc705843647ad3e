package rtcacheowner

import (
	"context"
	"net/netip"

	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

// cache remembers a route and refers to it, and trusts its users.
type cache struct {
	dst netip.Addr
	rte *rtable.Entry
	ref psref.Ref
}

func (c *cache) lookup(l *lwp.LWP, rt *rtable.Table, dst netip.Addr) *rtable.Entry {
	if c.ref.Held() {
		if c.dst == dst {
			return c.rte
		}
		c.ref.Release(l) // it was for another destination
	}
	rte, err := rt.Get(l, &c.ref, dst)
	if err != nil {
		panic(err)
	}
	c.dst, c.rte = dst, rte
	return rte
}

// wrong looks up the packet's route and its gateway's in the worker's cache.
func wrong(r *event.Recorder) (broken error) {
	dom := lwp.NewDomain()
	rt := table(dom)
	l, owner := dom.Bind(), dom.Bind()
	var ro cache

	rte := ro.lookup(l, rt, dst)
	r.Record("packet", "look up", dst.String(), rte.Dst().String())

	// Output has to know the gateway's link address: another lookup, some calls further down.
	hop := ro.lookup(l, rt, rte.Gateway())
	r.Record("packet", "look up", gateway.String(), hop.Dst().String())

	deleted(rt, owner)
	r.Record("owner", "delete", "10.0.0.0/8", "and nobody holds it")
	if rte.Freed() {
		r.Record("packet", "send", dst.String(), "USE AFTER FREE")
		broken = errUseAfterFree
	} else {
		r.Record("packet", "send", dst.String(), "via "+rte.Gateway().String())
	}
	ro.ref.Release(l)
	l.Unbind()
	owner.Unbind()
	if err := rt.Close(context.Background()); err != nil {
		return err
	}
	return broken
}

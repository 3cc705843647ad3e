package rtcacheowner

import (
	"context"
	"net/netip"
	"strings"

	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
	"github.com/softnet-go/softnet/witness"
)

// right has a cache that refuses a second user, and a second cache.
func right(r *event.Recorder) (broken error) {
	dom := lwp.NewDomain()
	rt := table(dom)
	l, owner := dom.Bind(), dom.Bind()
	var ro rtcache.Cache

	rte, err := ro.Lookup(l, rt, dst)
	if err != nil {
		panic(err)
	}
	r.Record("packet", "look up", dst.String(), rte.Dst().String())

	// What wrong does is refused, here on the first try and in every build.
	r.Record("packet", "refused", refusal(l, &ro, rt, rte.Gateway()), "")

	// Each use has a cache of its own. A worker with many uses has many: rtcache.PerLWP.
	// TASK: release ro before this lookup and use it again. What may be done with rte then?
	var ro2 rtcache.Cache
	hop, err := ro2.Lookup(l, rt, rte.Gateway())
	if err != nil {
		panic(err)
	}
	r.Record("packet", "look up", gateway.String(), hop.Dst().String())

	deleted(rt, owner)
	r.Record("owner", "delete", "10.0.0.0/8", "and leave it to be freed")
	if rte.Freed() {
		r.Record("packet", "send", dst.String(), "USE AFTER FREE")
		broken = errUseAfterFree
	} else {
		r.Record("packet", "send", dst.String(), "via "+rte.Gateway().String())
	}
	ro2.Release(l)
	ro.Release(l)
	l.Unbind()
	owner.Unbind()
	if err := rt.Close(context.Background()); err != nil {
		return err
	}
	r.Record("owner", "closed", "the table", "all is freed")
	return broken
}

// refusal tries to use a cache that is held and returns what it is told.
func refusal(l *lwp.LWP, c *rtcache.Cache, rt *rtable.Table, a netip.Addr) (text string) {
	defer func() {
		if v, ok := recover().(*witness.Violation); ok {
			_, text, _ = strings.Cut(v.Text, ": ")
			text, _, _ = strings.Cut(text, ":")
		}
	}()
	_, _ = c.Lookup(l, rt, a)
	return ""
}

package rtcacheowner

import (
	"context"
	"errors"
	"net/netip"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/rtable"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "rtcache-owner",
	Title:    "a packet's route, and then its gateway's, are looked up in one cache",
	Breaks:   "the cache has one reference: the second use takes it away from the first",
	Fixes:    "one holder at a time, who is named; and a cache for each use",
	Packages: []string{"rtcache", "rtable", "psref"},
	Wrong:    wrong,
	Right:    right,
}

var errUseAfterFree = errors.New("the packet's route was freed while it was under way")

var (
	dst     = netip.MustParseAddr("10.1.2.3")
	gateway = netip.MustParseAddr("192.0.2.1")
)

// table returns one with a route to dst by way of a gateway, and one to the gateway.
func table(dom *lwp.Domain) *rtable.Table {
	rt := rtable.New(dom)
	em0 := ifnet.ID{Index: 1, Gen: 1}
	for _, r := range []rtable.Route{
		{Dst: netip.MustParsePrefix("192.0.2.0/24"), Out: em0, Flags: rtable.FlagConnected},
		{Dst: netip.MustParsePrefix("10.0.0.0/8"), Gateway: gateway},
	} {
		if err := rt.Add(r); err != nil {
			panic(err)
		}
	}
	return rt
}

// deleted deletes the packet's route, and waits until it is freed if it may be.
func deleted(rt *rtable.Table, l *lwp.LWP) {
	ctx, cancel := context.WithTimeout(context.Background(), lesson.Step)
	defer cancel()
	_ = rt.DeleteWait(ctx, l, netip.MustParsePrefix("10.0.0.0/8")) // or the table's worker frees it
}

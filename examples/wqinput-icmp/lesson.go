package wqinputicmp

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "wqinput-icmp",
	Title:    "a redirect arrives for a route that somebody uses",
	Breaks:   "the softint that received it may not wait until the route is free to be changed: the redirect is lost",
	Fixes:    "the message is queued for a thread, which waits and changes the route",
	Packages: []string{"wqinput", "netisr", "rtable"},
	Wrong:    wrong,
	Right:    right,
}

var errLost = errors.New("THE REDIRECT IS LOST: packets go on taking the detour")

var (
	far        = netip.MustParsePrefix("198.51.100.9/32")
	router     = netip.MustParseAddr("192.0.2.2")
	better     = netip.MustParseAddr("192.0.2.77")
	icmpHeader = 20
)

// A world is a host that sends by way of a router, and somebody who is doing so.
type world struct {
	dom *lwp.Domain
	ifs *ifnet.Table
	rt  *rtable.Table
	em0 ifnet.ID
}

func newWorld() (*world, error) {
	w := &world{dom: lwp.NewDomain()}
	w.ifs, w.rt = ifnet.NewTable(w.dom), rtable.New(w.dom)
	ifp, err := w.ifs.Attach(ifnet.Spec{Name: "em0", Driver: ifnet.NewLoop(), Up: true})
	if err != nil {
		return nil, err
	}
	w.em0 = ifp.ID()
	return w, errors.Join(
		w.rt.Add(rtable.Route{Dst: netip.MustParsePrefix("192.0.2.0/24"), Out: w.em0, Source: netip.MustParseAddr("192.0.2.1")}),
		w.rt.Add(rtable.Route{Dst: far, Gateway: router, Out: w.em0}),
	)
}

// use holds the route for a while, as a connection does that sends.
func (w *world) use(r *event.Recorder) {
	l := w.dom.Bind()
	defer l.Unbind()
	var ref psref.Ref
	if _, err := w.rt.Get(l, &ref, far.Addr()); err != nil {
		panic(err)
	}
	r.Record("sender", "hold", far.String(), "via "+router.String())
	time.Sleep(3 * lesson.Step)
	r.Record("sender", "release", far.String(), "")
	ref.Release(l)
}

// redirect does what the message says.
func (w *world) redirect(ctx context.Context, l *lwp.LWP) error {
	return w.rt.Redirect(ctx, l, rtable.Redirect{Dst: far.Addr(), Gateway: better, From: router})
}

// end says where packets go now.
func (w *world) end(r *event.Recorder) error {
	rt, err := w.rt.Exact(far)
	if err != nil {
		return err
	}
	r.Record("", "route", far.String(), "via "+rt.Gateway.String())
	if err := w.rt.Close(context.Background()); err != nil {
		return err
	}
	if rt.Gateway != better {
		return errLost
	}
	return nil
}

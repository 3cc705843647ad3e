package rtupdate

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

var (
	dst    = netip.MustParseAddr("10.1.2.3")
	first  = rtable.Route{Dst: netip.MustParsePrefix("10.0.0.0/8"), Gateway: netip.MustParseAddr("192.0.2.1"), Out: em0}
	second = rtable.Route{Dst: first.Dst, Gateway: netip.MustParseAddr("198.51.100.1"), Out: em1}
)

// right changes it under the update protocol.
func right(r *event.Recorder) (broken error) {
	ctx := context.Background()
	dom := lwp.NewDomain()
	rt := rtable.New(dom)
	if err := rt.Add(first); err != nil {
		return err
	}
	found := make(chan struct{})
	var wg sync.WaitGroup

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		var ref psref.Ref
		rte, err := rt.Get(l, &ref, dst)
		if err != nil {
			panic(err)
		}
		r.Record("thread", "hold", rte.Dst().String(), "")
		close(found)
		gateway := rte.Gateway()
		r.Record("thread", "ask for", gateway.String(), "")
		time.Sleep(3 * lesson.Step)

		var what string
		what, broken = send(gateway.String(), rte.Out())
		r.Record("thread", "send", what, "")
		// TASK: release above the sleep. Who notices, and in which build?
		ref.Release(l)
	})

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		<-found
		time.Sleep(lesson.Step)
		rte, err := rt.Lookup(ctx, l, dst)
		if err != nil {
			panic(err)
		}
		r.Record("updater", "begin", rte.Dst().String(), "UPDATING, until nobody holds it")
		u, err := rte.BeginUpdate(ctx, l)
		if err != nil {
			panic(err)
		}
		r.Record("updater", "alone with", rte.Dst().String(), "")
		time.Sleep(lesson.Step)
		// TASK: change the route with rt.Replace instead of an update. Who misses now?
		if err := u.Set(second); err != nil {
			panic(err)
		}
		u.Finish()
		r.Record("updater", "finish", rte.Dst().String(), "")
		rte.Unref()
	})

	wg.Go(func() {
		<-found
		time.Sleep(3 * lesson.Step / 2)
		l := dom.BindSoftint("input")
		defer l.Unbind()
		if hit := rt.Peek(l, dst); hit.Err() != nil {
			r.Record("softint", "miss", dst.String(), hit.Err().Error())
		}
	})

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		<-found
		time.Sleep(2 * lesson.Step)
		r.Record("another", "wait for", dst.String(), "a thread may")
		var ref psref.Ref
		rte, err := rt.GetContext(ctx, l, &ref, dst)
		if err != nil {
			panic(err)
		}
		time.Sleep(lesson.Step / 2)
		what, err := send(rte.Gateway().String(), rte.Out())
		r.Record("another", "send", what, "")
		if err != nil {
			broken = err
		}
		ref.Release(l)
	})

	wg.Wait()
	if err := rt.Close(ctx); err != nil {
		return err
	}
	return broken
}

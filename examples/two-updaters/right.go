package twoupdaters

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/rtable"
)

// right does the same with the table's own protocol.
func right(r *event.Recorder) (broken error) {
	ctx := context.Background()
	dom := lwp.NewDomain()
	rt := rtable.New(dom)
	route := rtable.Route{Dst: netip.MustParsePrefix("10.0.0.0/8"), Gateway: netip.MustParseAddr("192.0.2.1"), Out: ifnet.ID{Index: 1, Gen: 1}}
	if err := rt.Add(route); err != nil {
		return err
	}
	update := func(who string, after time.Duration, gateway string) {
		l := dom.Bind()
		defer l.Unbind()
		time.Sleep(after)
		rte, err := rt.Lookup(ctx, l, netip.MustParseAddr("10.1.2.3"))
		if err != nil {
			panic(err)
		}
		defer rte.Unref()
		r.Record(who, "look up", "10.0.0.0/8", "a reference")
		time.Sleep(2 * lesson.Step)

		// The turn, then the flag, then the reference again. Who has to wait for the turn lends
		// its reference meanwhile.
		r.Record(who, "begin", "10.0.0.0/8", "")
		u, err := rte.BeginUpdate(ctx, l)
		if err != nil {
			panic(err)
		}
		time.Sleep(lesson.Step / 4)
		r.Record(who, "alone with", "10.0.0.0/8", "")
		time.Sleep(2 * lesson.Step)
		to := u.Route()
		to.Gateway = netip.MustParseAddr(gateway)
		if err := u.Set(to); err != nil {
			panic(err)
		}
		// TASK: leave out Finish. What does the other one say, and the table when it is closed?
		r.Record(who, "finish", "10.0.0.0/8", "via "+gateway)
		u.Finish()
	}
	var wg sync.WaitGroup
	wg.Go(func() { update("first", 0, "192.0.2.2") })
	wg.Go(func() { update("second", lesson.Step, "192.0.2.3") })
	wg.Wait()
	return rt.Close(ctx)
}

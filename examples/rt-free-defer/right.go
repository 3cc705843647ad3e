package rtfreedefer

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

// right has the table's worker free it.
func right(r *event.Recorder) (broken error) {
	ctx := context.Background()
	dom := lwp.NewDomain()
	psz, rt := pserialize.New(dom), rtable.New(dom)
	net10 := netip.MustParsePrefix("10.0.0.0/8")
	if err := rt.Add(rtable.Route{Dst: net10, Gateway: netip.MustParseAddr("192.0.2.1"), Out: ifnet.ID{Index: 1, Gen: 1}}); err != nil {
		return err
	}
	held := make(chan struct{})
	var wg sync.WaitGroup

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		var ref psref.Ref
		rte, err := rt.Get(l, &ref, netip.MustParseAddr("10.1.2.3"))
		if err != nil {
			panic(err)
		}
		r.Record("thread", "hold", net10.String(), "")
		close(held)
		time.Sleep(2 * lesson.Step)
		r.Record("thread", "grace period", "", "wait for every softint")
		if err := psz.Perform(ctx, l); err != nil {
			panic(err)
		}
		if rte.Freed() {
			broken = errSlept
		}
		r.Record("thread", "release", net10.String(), "")
		ref.Release(l)
	})

	wg.Go(func() {
		l := dom.BindSoftint("input")
		defer l.Unbind()
		<-held
		time.Sleep(lesson.Step)
		// TASK: call rt.DeleteWait here instead. What does it say, and why at once?
		if err := rt.Delete(net10); err != nil {
			panic(err)
		}
		r.Record("softint", "delete", net10.String(), "and go on")
		l.Checkpoint()
	})

	wg.Go(func() {
		<-held
		time.Sleep(3 * lesson.Step)
		if err := rt.Close(ctx); err != nil {
			panic(err)
		}
		r.Record("rt_free", "free", net10.String(), "after the last release")
	})

	wg.Wait()
	if st := rt.Stats(); st.Freed != 1 {
		return errSlept
	}
	return broken
}

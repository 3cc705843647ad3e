package lagggarp

import (
	"context"
	"sync"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

// right dispatches the announcement, twice because the address changes twice.
func right(r *event.Recorder) error {
	ctx := context.Background()
	lagg, trunk := newLock("lagg"), newLock("trunk")
	dom := lwp.NewDomain()
	ifs := ifnet.NewTable(dom)
	vlan, err := ifs.Attach(ifnet.Spec{Name: "vlan0", Driver: ifnet.NewLoop(), Up: true})
	if err != nil {
		return err
	}
	q := netisr.NewSendQueue(netisr.SendConfig{Ifs: ifs, Manual: true})
	last := ""
	garp, err := netisr.Register(q, netisr.Spec[string]{
		Name: "garp",
		Handle: func(_ *netisr.Ctx, m *mbuf.Packet, mac string) {
			trunk.lock(r, "worker")
			lagg.lock(r, "worker")
			last = mac
			r.Record("worker", "send", mac, "")
			lagg.unlock(r, "worker")
			trunk.unlock(r, "worker")
			m.Free(mbuf.Done)
		},
		// TASK: leave out Key. Is it wrong then, or only twice as loud? And what if the worker
		// took the last packet first?
		Key: func(*mbuf.Packet, string) any { return "the address of vlan0" },
	})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup

	wg.Go(func() {
		for _, mac := range []string{"02:..:0b", "02:..:0c"} {
			lagg.lock(r, "ifconfig")
			r.Record("ifconfig", "change", "address", mac)
			m, err := ifs.Pool().Alloc(28)
			if err != nil {
				panic(err)
			}
			if err := garp.Dispatch(m, vlan.ID(), mac); err != nil {
				panic(err)
			}
			r.Record("ifconfig", "dispatch", mac, "")
			lagg.unlock(r, "ifconfig")
		}
	})
	wg.Go(func() {
		time.Sleep(lesson.Step)
		q.RunUntilIdle()
	})

	wg.Wait()
	l := dom.Bind()
	defer l.Unbind()
	if err := q.Close(ctx, l); err != nil {
		return err
	}
	if last != "02:..:0c" {
		return errRecursion
	}
	return nil
}

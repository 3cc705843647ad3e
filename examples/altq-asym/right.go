package altqasym

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

// right has both paths dispatch to a queue that has a lock of its own.
func right(r *event.Recorder) error {
	ctx := context.Background()
	dom := lwp.NewDomain()
	ifs := ifnet.NewTable(dom)
	em0, err := ifs.Attach(ifnet.Spec{Name: "em0", Driver: ifnet.NewLoop(), Up: true})
	if err != nil {
		return err
	}
	q := netisr.NewSendQueue(netisr.SendConfig{Ifs: ifs, Manual: true})
	sent := 0
	ty, err := netisr.Register(q, netisr.Spec[string]{Name: "output", Handle: func(c *netisr.Ctx, m *mbuf.Packet, name string) {
		r.Record("driver", "send", name, "by "+c.Out.Name())
		sent++
		m.Free(mbuf.Done)
	}})
	if err != nil {
		return err
	}
	dispatch := func(who, name string) {
		m, err := ifs.Pool().Alloc(64)
		if err != nil {
			panic(err)
		}
		if err := ty.Dispatch(m, em0.ID(), name); err != nil {
			panic(err)
		}
		r.Record(who, "dispatch", name, "")
	}
	dispatch("IPv4", "X")
	var kernelLock sync.Mutex
	var wg sync.WaitGroup
	wg.Go(func() {
		kernelLock.Lock() // it may hold what it likes
		r.Record("IPv4", "lock", "KERNEL_LOCK", "")
		time.Sleep(2 * lesson.Step)
		dispatch("IPv4", "A")
		kernelLock.Unlock()
		r.Record("IPv4", "unlock", "KERNEL_LOCK", "")
	})
	wg.Go(func() {
		time.Sleep(lesson.Step)
		dispatch("IPv6", "B")
	})
	wg.Wait()
	// TASK: let the driver take KERNEL_LOCK when it sends, as old drivers do. Is that a reversal?
	st := ty.Stats()
	q.RunUntilIdle()
	r.Record("driver", "count", "queue", fmt.Sprintf("length %d, and %d packets in it", st.Len, sent))
	l := dom.Bind()
	defer l.Unbind()
	if err := q.Close(ctx, l); err != nil {
		return err
	}
	if st.Len != sent || ifs.Pool().Outstanding() != 0 {
		return errUnreachable
	}
	return nil
}

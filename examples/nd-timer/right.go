package ndtimer

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

// right has somebody else send, who holds the interface and no lock.
func right(r *event.Recorder) (broken error) {
	ctx := context.Background()
	dom := lwp.NewDomain()
	ifs := ifnet.NewTable(dom)
	q := netisr.NewSendQueue(netisr.SendConfig{Ifs: ifs, Manual: true})
	var ids []ifnet.ID
	for i, name := range []string{"em0", "em1"} {
		ifp, err := ifs.Attach(ifnet.Spec{Name: name, Driver: ifnet.NewLoop(), MAC: ifnet.MAC{2, 5: byte(i + 1)}, Up: true})
		if err != nil {
			return err
		}
		ids = append(ids, ifp.ID())
	}
	var entry sync.Mutex
	refs := 1 // guarded by entry
	unref := func() {
		entry.Lock()
		defer entry.Unlock()
		refs--
	}
	// TASK: leave out Free. Which number is wrong in the end?
	solicit, err := netisr.Register(q, netisr.Spec[string]{
		Name: "nd6_ns",
		Handle: func(c *netisr.Ctx, m *mbuf.Packet, target string) {
			if c.Out.MAC() == (ifnet.MAC{}) {
				broken = errCleared
			}
			r.Record("worker", "send", target, "from "+c.Out.MAC().String())
			unref()
			m.Free(mbuf.Done)
		},
		Free: func(target string, why mbuf.Reason) {
			r.Record("detach", "give back", target, why.String())
			unref()
		},
	})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup

	wg.Go(func() {
		entry.Lock()
		r.Record("timer", "lock", "entry", "it is time to ask again")
		for i, target := range []string{"fe80::a", "fe80::b"} {
			m, err := ifs.Pool().Alloc(72)
			if err != nil {
				panic(err)
			}
			refs++
			if solicit.Dispatch(m, ids[i], target) != nil {
				refs-- // still ours, and so is the lock
			}
			r.Record("timer", "dispatch", target, "with a reference to the entry")
		}
		entry.Unlock()
		r.Record("timer", "unlock", "entry", "once, at the end")
	})

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		time.Sleep(lesson.Step)
		if err := ifs.Detach(ctx, l, ids[0]); err != nil {
			panic(err)
		}
		r.Record("detach", "clear", "link address", "nobody can be using it")
	})

	wg.Go(func() {
		time.Sleep(2 * lesson.Step)
		q.RunUntilIdle()
	})

	wg.Wait()
	l := dom.Bind()
	defer l.Unbind()
	if err := q.Close(ctx, l); err != nil {
		return err
	}
	if refs != 1 || ifs.Pool().Outstanding() != 0 {
		return errCleared
	}
	return broken
}

package psrefhold

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
)

// right has the reader take a passive reference before it leaves its section, and the
// owner wait for all of those before it frees.
func right(r *event.Recorder) (broken error) {
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	class := psref.NewClass(dom, "rtentry")
	defer class.Close()
	var table atomic.Pointer[entry] // a routing table with room for one route
	first := &entry{dst: "10.0.0.0/8", gateway: "192.0.2.1"}
	class.Init(&first.Target)
	table.Store(first)
	found := make(chan struct{})
	var wg sync.WaitGroup

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()

		// Inside the section the route cannot be freed: time enough to take a reference,
		// after which it cannot be freed outside of it either.
		// TASK: take the reference after s.Exit instead. Does the test notice? Why does
		// that mean little?
		s := psz.ReadEnter(l)
		rt := table.Load()
		var ref psref.Ref
		held := class.Acquire(l, &ref, &rt.Target)
		r.Record("reader", "find", rt.dst, "")
		s.Exit()
		close(found)
		if !held {
			return // it is being destroyed: that is a miss
		}
		r.Record("reader", "hold", rt.dst, "")

		// The gateway's link address is not known yet. Asking for it takes a while, so
		// it cannot be done inside the section.
		r.Record("reader", "sleep", "", "until the gateway has answered")
		time.Sleep(3 * lesson.Step)

		var what string
		what, broken = rt.use()
		r.Record("reader", "send", rt.dst, what)

		// TASK: move these two lines above the sleep. What is printed, and which of the
		// owner's lines moves?
		r.Record("reader", "release", rt.dst, "")
		ref.Release(l)
	})

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		<-found
		time.Sleep(lesson.Step)

		// Nobody finds the route any more...
		rt := table.Swap(nil)
		r.Record("owner", "unlink", rt.dst, "")

		// ...and nobody who found it is in a section any more: nobody is about to take
		// a reference...
		if err := psz.Perform(context.Background(), l); err != nil {
			panic(err)
		}
		r.Record("owner", "grace period", "", "every reader has left its section")

		// ...and nobody who took one still has it.
		// TASK: delete the call of Destroy. What is left is wrong.go, except that now
		// somebody notices. Who, and why not in wrong.go?
		r.Record("owner", "wait", rt.dst, "for whoever holds it")
		if err := rt.Destroy(context.Background(), l); err != nil {
			panic(err)
		}
		st := class.Stats()
		r.Record("owner", "waited", st.Longest.Round(time.Millisecond).String(), "")

		rt.freed.Store(true)
		r.Record("owner", "free", rt.dst, "")
	})

	wg.Wait()
	return broken
}

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
)

// wrong does what is taught about lockless reading: the reader looks in a read section,
// the owner unlinks and waits for a grace period before it frees. Both keep the rules.
func wrong(r *event.Recorder) (broken error) {
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	var table atomic.Pointer[entry] // a routing table with room for one route
	table.Store(&entry{dst: "10.0.0.0/8", gateway: "192.0.2.1"})
	found := make(chan struct{})
	var wg sync.WaitGroup

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()

		// Inside the section the route cannot be freed.
		s := psz.ReadEnter(l)
		rt := table.Load()
		r.Record("reader", "find", rt.dst, "")
		s.Exit()
		close(found)

		// The gateway's link address is not known yet. Asking for it takes a while, so
		// it cannot be done inside the section.
		r.Record("reader", "sleep", "", "until the gateway has answered")
		time.Sleep(3 * lesson.Step)

		var what string
		what, broken = rt.use()
		r.Record("reader", "send", rt.dst, what)
	})

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		<-found
		time.Sleep(lesson.Step)

		// Nobody finds the route any more...
		rt := table.Swap(nil)
		r.Record("owner", "unlink", rt.dst, "")

		// ...and nobody who found it is in a section any more.
		if err := psz.Perform(context.Background(), l); err != nil {
			panic(err)
		}
		r.Record("owner", "grace period", "", "every reader has left its section")

		rt.freed.Store(true)
		r.Record("owner", "free", rt.dst, "")
	})

	wg.Wait()
	return broken
}

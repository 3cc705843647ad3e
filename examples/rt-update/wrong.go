package rtupdate

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/event"
)

// route is an entry whose fields are changed in place. Each can be read at any time.
type route struct {
	gateway atomic.Pointer[string]
	out     atomic.Pointer[ifnet.ID]
}

func (rt *route) set(gateway string, out ifnet.ID) {
	rt.gateway.Store(&gateway)
	rt.out.Store(&out)
}

// wrong changes a route under the table's lock, as it is found under the table's lock.
func wrong(r *event.Recorder) (broken error) {
	var rtLock sync.Mutex
	table := map[string]*route{"10.0.0.0/8": {}}
	table["10.0.0.0/8"].set("192.0.2.1", em0)
	found := make(chan struct{})
	var wg sync.WaitGroup

	wg.Go(func() {
		rtLock.Lock()
		rt := table["10.0.0.0/8"]
		rtLock.Unlock()
		r.Record("thread", "find", "10.0.0.0/8", "")
		close(found)

		// Its link address has to be asked for: the packet waits, and the lock cannot be held.
		gateway := *rt.gateway.Load()
		r.Record("thread", "ask for", gateway, "")
		time.Sleep(3 * lesson.Step)

		var what string
		what, broken = send(gateway, *rt.out.Load())
		r.Record("thread", "send", what, "")
	})

	wg.Go(func() {
		<-found
		time.Sleep(lesson.Step)
		rtLock.Lock()
		table["10.0.0.0/8"].set("198.51.100.1", em1)
		rtLock.Unlock()
		r.Record("updater", "change", "10.0.0.0/8", "to 198.51.100.1 by "+em1.String())
	})

	wg.Wait()
	return broken
}

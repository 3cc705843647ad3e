package ndtimer

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
)

// wrong drops the entry's lock around the sending, because the output path takes such locks.
func wrong(r *event.Recorder) (broken error) {
	var entry sync.Mutex
	var mac atomic.Pointer[string] // the interface's; what detaching clears
	em0 := "02:00:00:00:00:01"
	mac.Store(&em0)
	var wg sync.WaitGroup

	wg.Go(func() {
		entry.Lock()
		r.Record("timer", "lock", "entry", "it is time to ask again")
		entry.Unlock()
		r.Record("timer", "unlock", "entry", "to send")
		time.Sleep(2 * lesson.Step) // source selection, a header, ...
		if mac.Load() == nil {
			broken = errCleared
			r.Record("timer", "read", "link address", "there is none")
			return
		}
		r.Record("timer", "send", "solicitation", *mac.Load())
	})

	wg.Go(func() {
		time.Sleep(lesson.Step)
		entry.Lock() // it does wait for the timer, as long as that has the lock
		r.Record("detach", "unlink", "entry", "")
		entry.Unlock()
		mac.Store(nil)
		r.Record("detach", "clear", "link address", "")
	})

	wg.Wait()
	return broken
}

package rtfreedefer

import (
	"context"
	"sync"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
)

// wrong has the softint free what it deletes, when the last reference has gone.
func wrong(r *event.Recorder) (broken error) {
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // as long as anybody looks
	defer cancel()
	held, released := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		r.Record("thread", "hold", "10.0.0.0/8", "")
		close(held)
		time.Sleep(2 * lesson.Step)

		// Before it lets go it takes an address of its interface out of sight, say.
		r.Record("thread", "grace period", "", "wait for every softint")
		if err := psz.Perform(ctx, l); err != nil {
			time.Sleep(lesson.Step)
			r.Record("thread", "give up", "", "a softint came to no checkpoint")
			return
		}
		r.Record("thread", "release", "10.0.0.0/8", "")
		close(released)
	})

	wg.Go(func() {
		l := dom.BindSoftint("input")
		defer l.Unbind()
		<-held
		time.Sleep(lesson.Step)
		r.Record("softint", "delete", "10.0.0.0/8", "")
		r.Record("softint", "wait", "10.0.0.0/8", "for whoever holds it")
		select {
		case <-released:
			r.Record("softint", "free", "10.0.0.0/8", "")
		case <-ctx.Done():
			r.Record("softint", "give up", "", "the holder does not let go")
			broken = errSlept
			time.Sleep(lesson.Step / 2)
		}
	})

	wg.Wait()
	return broken
}

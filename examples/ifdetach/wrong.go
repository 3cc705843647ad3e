package ifdetach

import (
	"context"
	"sync"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
)

// wrong waits for who refers to the interface, and then empties its queues: nobody can put anything
// in any more, it thinks, once nobody has it.
func wrong(r *event.Recorder) (broken error) {
	dom := lwp.NewDomain()
	psz, class := pserialize.New(dom), psref.NewClass(dom, "ifnet")
	var em0 psref.Target
	class.Init(&em0)

	// A packet waits to be sent, and with it a neighbour entry, which refers to em0.
	holder := dom.Bind()
	var ref psref.Ref
	class.Acquire(holder, &ref, &em0)
	r.Record("queue", "hold", "em0", "by a packet's neighbour entry")
	drain := func() {
		ref.Release(holder)
		holder.Unbind()
		r.Record("queue", "drop", "packet", "and what it holds")
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		time.Sleep(lesson.Step)
		r.Record("detach", "take out of sight", "em0", "")
		if err := psz.Perform(ctx, l); err != nil {
			panic(err)
		}
		r.Record("detach", "wait", "em0", "for who refers to it")
		if err := em0.Destroy(ctx, l); err != nil {
			broken = errStuck
			r.Record("detach", "give up", "em0", "somebody does")
		}
		drain()
	})
	wg.Wait()
	return broken
}

package wqinputicmp

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

// wrong follows the redirect where it was received.
func wrong(r *event.Recorder) error {
	ctx := context.Background()
	w, err := newWorld()
	if err != nil {
		return err
	}
	isr := netisr.New(netisr.Config{Ifs: w.ifs})
	_, err = isr.Register(netisr.Handler{
		Name: "ip", Proto: 1, Policy: netisr.PolicySource,
		Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
			r.Record("softint", "receive", "redirect", "to "+better.String())
			if err := w.redirect(ctx, c.LWP); errors.Is(err, lwp.ErrWouldSleep) {
				r.Record("softint", "drop", "redirect", lwp.ErrWouldSleep.Error())
				m.Free(mbuf.Denied)
				return
			}
			m.Free(mbuf.Done)
		},
	})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() { w.use(r) })
	wg.Go(func() {
		time.Sleep(lesson.Step)
		m, err := w.ifs.Pool().Alloc(56)
		if err != nil {
			panic(err)
		}
		m.In = w.em0
		if err := isr.Queue(1, m); err != nil {
			panic(err)
		}
	})
	wg.Wait()
	l := w.dom.Bind()
	defer l.Unbind()
	if err := isr.Close(ctx, l); err != nil {
		return err
	}
	return w.end(r)
}

package wqinputicmp

import (
	"context"
	"sync"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/wqinput"
)

// right hands the message on to a thread.
func right(r *event.Recorder) error {
	ctx := context.Background()
	w, err := newWorld()
	if err != nil {
		return err
	}
	var protosw wqinput.Protosw
	icmp := wqinput.New(w.ifs, "icmp", func(ctx context.Context, in *wqinput.Input) {
		r.Record("thread", "wait", far.String(), "for who uses it")
		if err := w.redirect(ctx, in.LWP); err != nil {
			panic(err)
		}
		r.Record("thread", "change", far.String(), "via "+better.String())
		in.Packet.Free(mbuf.Done)
	}, wqinput.WithStreams(1))
	if err := protosw.Register(1, icmp); err != nil {
		return err
	}
	isr := netisr.New(netisr.Config{Ifs: w.ifs})
	_, err = isr.Register(netisr.Handler{
		Name: "ip", Proto: 1, Policy: netisr.PolicySource,
		Handle: func(_ *netisr.Ctx, m *mbuf.Packet) {
			r.Record("softint", "receive", "redirect", "to "+better.String())
			// TASK: call w.redirect here with the LWP of a thread that you bind on the spot. Who
			// notices, and what does it say?
			if err := protosw.Input(m, icmpHeader, 1); err != nil {
				panic(err)
			}
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
	if err := icmp.Close(ctx); err != nil {
		return err
	}
	return w.end(r)
}

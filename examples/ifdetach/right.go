package ifdetach

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
	"github.com/softnet-go/softnet/psref"
)

// A driver says when it is closed.
type driver struct{ r *event.Recorder }

func (d driver) Open(*ifnet.Interface) error { return nil }
func (d driver) Close() error {
	d.r.Record("detach", "undo", "em0", "nobody can observe it")
	return nil
}
func (d driver) Transmit(_ *lwp.LWP, m *mbuf.Packet) error {
	m.Free(mbuf.Done)
	return nil
}

// right is the library's Detach: claim, hooks, out of sight, drain, wait, undo.
func right(r *event.Recorder) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	dom := lwp.NewDomain()
	ifs := ifnet.NewTable(dom)
	em0, err := ifs.Attach(ifnet.Spec{Name: "em0", Driver: driver{r}, Up: true})
	if err != nil {
		return err
	}
	q := netisr.NewSendQueue(netisr.SendConfig{Ifs: ifs, Manual: true})
	holder := dom.Bind()
	ns, err := netisr.Register(q, netisr.Spec[*psref.Ref]{
		Name:   "nd6_ns",
		Handle: func(*netisr.Ctx, *mbuf.Packet, *psref.Ref) { panic("nobody steps") },
		Free: func(ref *psref.Ref, why mbuf.Reason) {
			ref.Release(holder)
			holder.Unbind()
			r.Record("queue", "drop", "packet", "and what it holds: "+why.String())
		},
	})
	if err != nil {
		return err
	}
	var ref psref.Ref
	if _, ok := ifs.Get(holder, &ref, em0.ID()); !ok {
		return errStuck
	}
	m, err := ifs.Pool().Alloc(72)
	if err != nil {
		return err
	}
	if err := ns.Dispatch(m, em0.ID(), &ref); err != nil {
		return err
	}
	r.Record("queue", "hold", "em0", "by a packet's neighbour entry")

	// TASK: say goodbye in a hook, with ifs.OnLeaving. When does it run, and is it sent? What does
	// ifnet.WithFlush change, and why not here, where nobody steps?
	var wg sync.WaitGroup
	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		time.Sleep(lesson.Step)
		r.Record("detach", "detach", "em0", "")
		err = ifs.Detach(ctx, l, em0.ID())
	})
	wg.Wait()
	if err != nil {
		return errStuck
	}
	if _, ok := ifs.ByName("em0"); ok || ifs.Pool().Outstanding() != 0 {
		return errStuck
	}
	r.Record("detach", "depart", "em0", "")
	l := dom.Bind()
	defer l.Unbind()
	return q.Close(ctx, l)
}

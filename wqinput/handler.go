package wqinput

import (
	"context"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/deferq"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
)

// A Handler takes a packet, in a thread: it may sleep, wait for grace periods, change routes and
// addresses. No lock is held. It consumes the packet: ends it, hands it over or keeps it. ctx is
// that of the queue, and ends when nobody wants to wait any longer for handlers to end.
type Handler func(ctx context.Context, in *Input)

// An Input is what a handler is given, until it returns.
type Input struct {
	// LWP is the worker's: a thread, which may sleep, wait and hold things.
	LWP *lwp.LWP
	// Packet is the handler's to end, hand over or keep. Off is where the protocol's own header
	// begins, and Proto which protocol it is.
	Packet *mbuf.Packet
	Off    int
	Proto  uint8
	// In is the interface by which the packet came, whole until the handler returns even if it
	// is being detached; nil if it came by none.
	In *ifnet.Interface
}

// A job is what a packet waits with.
type job struct {
	off   int
	proto uint8
}

func (q *Queue) handle(l *lwp.LWP, stream int, it *deferq.Item[job], in, _ *ifnet.Interface) {
	p := &q.inputs[stream]
	*p = Input{LWP: l, Packet: it.M, Off: it.Arg.off, Proto: it.Arg.proto, In: in}
	q.handler(q.ctx, p)
	*p = Input{} // whoever kept it has nothing
}

// A drainer is a queue as departing interfaces see it.
type drainer Queue

func (d *drainer) Name() string { return "wqinput " + d.name }

// Purge drops what came by the interface, or is to leave by it.
func (d *drainer) Purge(id ifnet.ID) int {
	return d.engine.Purge(func(it *deferq.Item[job]) (deferq.Fate, bool) { return deferq.Departed, it.Concerns(id) })
}

// Barrier waits until no handler has a packet that concerns the interface.
func (d *drainer) Barrier(ctx context.Context, _ *lwp.LWP, id ifnet.ID) error {
	if err := (*Queue)(d).mayWait(ctx); err != nil {
		return err
	}
	return d.engine.Barrier(ctx, func(it *deferq.Item[job]) bool { return it.Concerns(id) })
}

// Down drops nothing: what has come has come.
func (d *drainer) Down(ifnet.ID) int { return 0 }

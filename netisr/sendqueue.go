package netisr

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/deferq"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/witness"
)

// A Prio says what goes before what within a stream.
type Prio int

// The priorities, the most urgent first. Nothing waits for more than 16 that are more urgent.
const (
	Control Prio = iota // what keeps the network alive: neighbour solicitations, advertisements
	High
	Normal
	Bulk
	prios
)

// A DepartPolicy says which packets a departing interface takes along.
type DepartPolicy int

// The policies.
const (
	DropEither DepartPolicy = iota // those that came by it, and those that are to leave by it
	DropOut                        // only these; the others forget where they came from
)

// A DownPolicy says what happens to packets whose interface is down.
type DownPolicy int

// The policies.
const (
	DropDown   DownPolicy = iota // they are refused, and dropped when it goes down
	IgnoreDown                   // the handler decides
)

// A Placement says which stream sends a packet.
type Placement int

// The placements.
const (
	ByOut  Placement = iota // that of the interface: its packets keep their order
	ByFlow                  // that of the flow: only its packets do
)

// SendConfig is what a SendQueue is made of.
type SendConfig struct {
	Ifs     *ifnet.Table
	Name    string // for reports; "netisr send" if empty
	Streams int    // GOMAXPROCS, but at most 4, if 0
	Manual  bool   // there are no workers: see SendQueue.Step

	Log       *slog.Logger // handlers that leave packets behind; discards if nil
	Recovered func(any)    // as in Config
	// Watch, if not nil, is called before each Handle, in the worker, with the name of the type; and
	// what it returns afterwards, even if Handle panicked. It is for tests and traces.
	Watch func(c *Ctx, name string, m *mbuf.Packet) (done func())
}

// A SendQueue sends packets later, when no lock is held (deferred transmission). Who has decided to
// send while holding a lock, because the decision needs it, cannot send: the interface's code
// would take locks that belong before that one. It dispatches the packet and what the sending
// needs to know, and leaves; a worker that holds nothing does the rest. A packet does not survive
// its interface, and whatever it was saved with is given back then.
//
// Make one with [NewSendQueue], and types of packets with [Register]; it must not be copied. Its
// methods may be called by anyone.
type SendQueue struct {
	cfg    SendConfig
	engine *deferq.Engine[job]
	level  *witness.Level
	ctxs   []Ctx // of the workers
}

// A job is what a packet waits with.
type job struct {
	t     sender
	state any
	key   any
	hops  int
}

// A sender is a Type of any state.
type sender interface {
	handle(c *Ctx, m *mbuf.Packet, state any)
	free(state any, why mbuf.Reason)
}

// NewSendQueue returns a queue without types, and starts its workers. It panics without interfaces.
func NewSendQueue(c SendConfig) *SendQueue {
	if c.Ifs == nil {
		panic(&witness.Violation{Rule: "netisr: bad config", Text: "netisr: NewSendQueue without SendConfig.Ifs: packets leave by interfaces"})
	}
	if c.Streams <= 0 {
		c.Streams = min(4, runtime.GOMAXPROCS(0))
	}
	if c.Name == "" {
		c.Name = "netisr send"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	q := &SendQueue{cfg: c, level: witness.NewLevel(c.Name+" handler", 0), ctxs: make([]Ctx, c.Streams)}
	q.engine = deferq.New(deferq.Config[job]{
		Name: c.Name, Ifs: c.Ifs, Streams: c.Streams, Lists: int(prios), Softint: true, Manual: c.Manual,
		Order: func() deferq.Order { return &deferq.Priorities{} }, Log: c.Log, Level: q.level,
		Handle: q.handle, Drop: drop, Recovered: c.Recovered,
	}, func(*deferq.Engine[job]) ifnet.Drainer { return (*sendDrainer)(q) })
	return q
}

func (q *SendQueue) handle(l *lwp.LWP, stream int, it *deferq.Item[job], in, out *ifnet.Interface) {
	c := &q.ctxs[stream]
	*c = Ctx{LWP: l, Stream: stream, Mode: ModeDeferred, In: in, Out: out, hops: it.Arg.hops}
	if q.cfg.Watch != nil {
		defer q.cfg.Watch(c, it.Client().Name, it.M)()
	}
	it.Arg.t.handle(c, it.M, it.Arg.state)
	*c = Ctx{} // whoever kept it has nothing
}

// drop gives back what a packet was saved with.
func drop(it *deferq.Item[job], why deferq.Fate) {
	reason := why.Reason()
	if why == deferq.Stale {
		reason = mbuf.IfDeparted
	}
	it.Arg.t.free(it.Arg.state, reason)
}

// mayWait returns an error to who may not wait for handlers.
func (q *SendQueue) mayWait(l *lwp.LWP) error {
	if l.CPU.Softint {
		return fmt.Errorf("%w: %w", ErrWouldDeadlock, lwp.ErrWouldSleep)
	}
	q.level.WillWait(nil)
	return nil
}

// Step does what a worker of a queue without workers would do: it sends one packet, in the caller,
// and reports whether there was one.
func (q *SendQueue) Step() bool { return q.engine.Step() }

// RunUntilIdle steps until nothing is queued, and returns how many packets that was.
func (q *SendQueue) RunUntilIdle() (n int) {
	for q.Step() {
		n++
	}
	return n
}

// Flush waits until every packet that was queued before has been sent or dropped. l may not be a
// softint. Errors: [ErrWouldDeadlock], ctx.Err().
func (q *SendQueue) Flush(ctx context.Context, l *lwp.LWP) error {
	if err := q.mayWait(l); err != nil {
		return err
	}
	return q.engine.Flush(ctx)
}

// Close refuses further packets, waits until what is queued has been sent, and ends the workers.
// When ctx ends first it drops what is queued and returns ctx.Err(): call it again to wait for the
// handler that runs; with a context that has ended it discards. It may be called again, and by
// several at once. l may not be a softint. Errors: [ErrWouldDeadlock], ctx.Err().
func (q *SendQueue) Close(ctx context.Context, l *lwp.LWP) error {
	if err := q.mayWait(l); err != nil {
		return err
	}
	return q.engine.Close(ctx)
}

// A sendDrainer is a SendQueue as departing interfaces see it.
type sendDrainer SendQueue

func (d *sendDrainer) Name() string { return d.cfg.Name }

// Purge drops what is to leave by the interface, and, where the type says so, what came by it.
func (d *sendDrainer) Purge(id ifnet.ID) int {
	return d.engine.Purge(func(it *deferq.Item[job]) (deferq.Fate, bool) {
		if it.Out == id || it.In == id && !it.Client().ForgetIn {
			return deferq.Departed, true
		}
		if it.In == id {
			it.In, it.M.In = ifnet.ID{}, ifnet.ID{}
		}
		return 0, false
	})
}

func (d *sendDrainer) Barrier(ctx context.Context, _ *lwp.LWP, id ifnet.ID) error {
	d.level.WillWait(nil)
	return d.engine.Barrier(ctx, func(it *deferq.Item[job]) bool { return it.Concerns(id) })
}

// Down drops what waits for the interface, but for types that ignore that it is down.
func (d *sendDrainer) Down(id ifnet.ID) int {
	return d.engine.Purge(func(it *deferq.Item[job]) (deferq.Fate, bool) {
		return deferq.Down, it.Out == id && it.Client().DropDown
	})
}

// Flush waits until everything that is queued has been sent or dropped: for ifnet.WithFlush.
func (d *sendDrainer) Flush(ctx context.Context) error {
	d.level.WillWait(nil)
	return d.engine.Flush(ctx)
}

package netisr

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/deferq"
	"github.com/softnet-go/softnet/internal/hook"
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

const (
	// SendQLimit is how many packets of a type wait in a stream, if Spec does not say.
	SendQLimit = 256
	// SendReserve is how many more handlers may queue.
	SendReserve = 32
	// SendMaxHops is how often handlers may queue a packet again.
	SendMaxHops = 8
)

// A Spec says how packets of a type are sent, and what S they are saved with.
type Spec[S any] struct {
	Name string

	// Handle sends a packet: ends it, hands it over or keeps it, and takes over the state. It runs
	// in a softint, with no lock held: it may take any, but not sleep. What was true when the
	// packet was dispatched need not be true any more: what matters is to be asked again.
	Handle func(c *Ctx, m *mbuf.Packet, state S)
	// Free gives back the state of a packet that will never reach Handle: for mbuf.IfDeparted,
	// IfDown, Type, Shutdown or Superseded. It runs in a worker or in who detaches, unregisters or
	// closes, never in who dispatched, and with no lock of ours held. It may dispatch, but not
	// wait. nil if the state needs no giving back.
	Free func(state S, why mbuf.Reason)

	Prio     Prio // Control if 0
	QLimit   int  // how many wait in a stream; SendQLimit if 0
	Reserve  int  // how many more may be queued by handlers, with DispatchCtx; SendReserve if 0
	MaxHops  int  // how often a packet may be queued by handlers; SendMaxHops if 0
	Depart   DepartPolicy
	WhenDown DownPolicy
	Place    Placement
	NoOut    bool // packets may name no interface to leave by

	// Key, if not nil, has a packet take the place of one that is queued for the same interface
	// with the same key, which is dropped: only the last word counts. It runs in the caller.
	Key func(m *mbuf.Packet, state S) any
	// Drained is told when a stream has handled a batch: time to send more.
	Drained func(stream int)
}

// A Type is a kind of packets that a SendQueue sends.
type Type[S any] struct {
	q      *SendQueue
	spec   Spec[S]
	client *deferq.Client[job]
	mu     hook.Mutex // leaf
	gone   bool       // Unregister has returned nil; guarded by mu
}

// Register adds a type. Errors: *[RegError], [ErrClosed].
func Register[S any](q *SendQueue, s Spec[S]) (*Type[S], error) {
	for field, n := range map[string]*int{"QLimit": &s.QLimit, "Reserve": &s.Reserve, "MaxHops": &s.MaxHops} {
		if *n < 0 {
			return nil, &RegError{s.Name, field, fmt.Sprintf("%d is negative", *n)}
		}
		if *n == 0 {
			*n = map[string]int{"QLimit": SendQLimit, "Reserve": SendReserve, "MaxHops": SendMaxHops}[field]
		}
	}
	switch {
	case s.Name == "":
		return nil, &RegError{s.Name, "Name", "is missing"}
	case s.Handle == nil:
		return nil, &RegError{s.Name, "Handle", "is missing"}
	case s.Prio < Control || s.Prio >= prios:
		return nil, &RegError{s.Name, "Prio", fmt.Sprintf("%d is none", s.Prio)}
	case s.Depart < DropEither || s.Depart > DropOut:
		return nil, &RegError{s.Name, "Depart", fmt.Sprintf("%d is none", s.Depart)}
	case s.WhenDown < DropDown || s.WhenDown > IgnoreDown:
		return nil, &RegError{s.Name, "WhenDown", fmt.Sprintf("%d is none", s.WhenDown)}
	case s.Place < ByOut || s.Place > ByFlow:
		return nil, &RegError{s.Name, "Place", fmt.Sprintf("%d is none", s.Place)}
	}
	if q.engine.Closed() {
		return nil, ErrClosed
	}
	t := &Type[S]{q: q, spec: s, client: q.engine.NewClient(s.Name, int(s.Prio), s.QLimit)}
	t.client.Drained = s.Drained
	t.client.DropDown = s.WhenDown == DropDown
	t.client.ForgetIn = s.Depart == DropOut
	return t, nil
}

func (t *Type[S]) handle(c *Ctx, m *mbuf.Packet, state any) {
	s, _ := state.(S) // a nil S that is an interface is no S any more
	t.spec.Handle(c, m, s)
}

func (t *Type[S]) free(state any, why mbuf.Reason) {
	if t.spec.Free != nil {
		s, _ := state.(S)
		t.spec.Free(s, why)
	}
}

// Dispatch has a packet sent later, by way of out. It consumes the packet, always. The state it
// takes over if it returns nil: then exactly one of Handle and Free is called for it. On an error
// the state is still the caller's, who drops it under whatever rules it lives by.
//
// It never blocks, and runs neither Handle nor Free: it may be called with any lock held, by a
// timer, or by a handler. Errors: [ErrNoBufs], [ErrIfDeparted], [ErrIfDown], [ErrNoProto] when the
// type is unregistered, [ErrClosed], [ErrInvalid] without an interface where one is needed.
func (t *Type[S]) Dispatch(m *mbuf.Packet, out ifnet.ID, state S) error {
	return t.dispatch(m, out, state, 0, 0)
}

// DispatchCtx is Dispatch for handlers: what is within the pipeline already may use the reserve
// behind a full queue, or it would wait for itself. It counts how often the packet was sent on by
// handlers. Errors: those of Dispatch, and [ErrLoop].
func (t *Type[S]) DispatchCtx(c *Ctx, m *mbuf.Packet, out ifnet.ID, state S) error {
	return t.dispatch(m, out, state, t.spec.Reserve, c.hops+1)
}

func (t *Type[S]) dispatch(m *mbuf.Packet, out ifnet.ID, state S, reserve, hops int) error {
	if out.IsZero() && !t.spec.NoOut {
		m.Free(mbuf.IfDeparted)
		return fmt.Errorf("netisr: %s: dispatch by no interface: %w", t.spec.Name, ErrInvalid)
	}
	m.Out = out
	stream := int(out.Index) % t.q.cfg.Streams
	if t.spec.Place == ByFlow {
		stream = int(m.FlowID % uint32(t.q.cfg.Streams))
	}
	if hops > t.spec.MaxHops {
		t.q.engine.Refuse(stream, t.client, deferq.Looped)
		m.Free(mbuf.Loop)
		return ErrLoop
	}
	it := deferq.Item[job]{M: m, In: m.In, Out: out, Arg: job{t: t, state: state, hops: hops}}
	var same func(*deferq.Item[job]) bool
	if t.spec.Key != nil {
		key := t.spec.Key(m, state)
		it.Arg.key = key
		same = func(old *deferq.Item[job]) bool { return old.Arg.key == key }
	}
	why := t.q.engine.Put(stream, t.client, it, reserve, same)
	if why != deferq.Accepted {
		m.Free(why.Reason())
	}
	return refusals[why]
}

// Pressure returns how full the fullest stream is, from 0 to 1 and somewhat above.
func (t *Type[S]) Pressure() float64 {
	most := 0
	for _, w := range t.q.engine.Stats(t.client) {
		most = max(most, w.Len)
	}
	return float64(most) / float64(t.spec.QLimit)
}

// Unregister ends the type: its packets are refused from now on, and what is queued is dropped. It
// waits for the handler where it runs; when it has returned nil nothing of it runs or will. l may
// not be a softint. When ctx ends first it returns ctx.Err(): call it again to go on. Errors:
// [ErrNotRegistered], [ErrWouldDeadlock], ctx.Err().
func (t *Type[S]) Unregister(ctx context.Context, l *lwp.LWP) error {
	if err := t.q.mayWait(l); err != nil {
		return err
	}
	t.mu.Lock()
	gone := t.gone
	t.mu.Unlock()
	if gone {
		return ErrNotRegistered
	}
	if err := t.q.engine.Unregister(ctx, t.client); err != nil {
		return err
	}
	t.mu.Lock()
	t.gone = true
	t.mu.Unlock()
	return nil
}

// SendStats is a snapshot of a type's counters, over all streams:
//
//	Queued = Handled + Departed + Down + Unregistered + Discarded + Superseded + StaleIf + Len + InHand
type SendStats struct {
	Queued, Handled uint64

	StaleIf, Departed, Down, Unregistered, Discarded, Superseded uint64 // queued, and not handled

	QDrops, RefusedIf, RefusedDown, RefusedType, RefusedClosed, Loops uint64 // not queued

	Panics, Leaked uint64 // among Handled

	Len, InHand int
	Watermark   int // the most that waited in a stream
}

// Stats returns the type's counters.
func (t *Type[S]) Stats() (s SendStats) {
	for _, w := range t.q.engine.Stats(t.client) {
		s.Queued += w.Queued
		s.Handled += w.Handled
		s.StaleIf += w.Dropped[deferq.Stale]
		s.Departed += w.Dropped[deferq.Departed]
		s.Down += w.Dropped[deferq.Down]
		s.Unregistered += w.Dropped[deferq.Unregistered]
		s.Discarded += w.Dropped[deferq.Discarded]
		s.Superseded += w.Dropped[deferq.Superseded]
		s.QDrops += w.Refused[deferq.Full]
		s.RefusedIf += w.Refused[deferq.IfGone]
		s.RefusedDown += w.Refused[deferq.IfDown]
		s.RefusedType += w.Refused[deferq.NoClient]
		s.RefusedClosed += w.Refused[deferq.Closed]
		s.Loops += w.Refused[deferq.Looped]
		s.Panics += w.Panics
		s.Leaked += w.Leaked
		s.Len += w.Len
		s.InHand += w.InHand
		s.Watermark = max(s.Watermark, w.Watermark)
	}
	return s
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

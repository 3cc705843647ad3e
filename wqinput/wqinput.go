package wqinput

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/deferq"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/witness"
)

// The errors of Input, Flush and Close, for errors.Is.
var (
	ErrNoBufs        = mbuf.ErrNoBufs // the stream is full (ENOBUFS)
	ErrNoProto       = errors.New("nobody takes the protocol")
	ErrIfDeparted    = errors.New("the packet's interface has departed")
	ErrClosed        = errors.New("the queue is closed")
	ErrTaken         = errors.New("the protocol is taken")
	ErrWouldDeadlock = errors.New("a handler would wait for itself")
)

// Limit is how many packets wait in a stream at most, unless [WithLimit] says otherwise: what
// NetBSD has per CPU.
const Limit = 256

// A Queue moves the packets of a protocol from where nobody may sleep to workers that may
// (struct wqinput). Make one with [New]; it must not be copied. Its methods may be called by
// anyone.
type Queue struct {
	ifs       *ifnet.Table
	name      string
	handler   Handler
	streams   int
	limit     int
	hasher    mbuf.Hasher
	log       *slog.Logger
	recovered func(any)
	manual    bool

	engine *deferq.Engine[job]
	client *deferq.Client[job]
	inputs []Input // what is given to the handler: of each stream its worker's

	ctx    context.Context // of the handlers
	cancel context.CancelFunc
	level  *witness.Level // what waiting for a handler means
}

// An Option changes what New makes.
type Option func(*Queue)

// WithStreams sets how many streams there are, each with one worker and a list of its own. The
// default is GOMAXPROCS.
func WithStreams(n int) Option {
	return func(q *Queue) { q.streams = n }
}

// WithLimit sets how many packets wait in a stream at most. What is being handled does not count.
func WithLimit(n int) Option { return func(q *Queue) { q.limit = n } }

// WithHasher sets which hasher finds the flow of packets that come without: the stack's own, so
// that all of it agrees.
func WithHasher(h mbuf.Hasher) Option { return func(q *Queue) { q.hasher = h } }

// WithLogger sets where handlers that leave a packet behind are reported. The default discards.
func WithLogger(log *slog.Logger) Option { return func(q *Queue) { q.log = log } }

// WithRecover has a worker survive a handler's panic, and call f with what it recovered. Without
// it the panic goes on.
func WithRecover(f func(any)) Option { return func(q *Queue) { q.recovered = f } }

// WithManual has the queue start no workers: [Queue.Step] does what they would do.
func WithManual() Option { return func(q *Queue) { q.manual = true } }

// New returns a queue whose workers call h for each packet (wqinput_create). The name is that of
// the protocol, for reports. It panics without a handler, streams or room for a packet.
func New(ifs *ifnet.Table, name string, h Handler, opts ...Option) *Queue {
	q := &Queue{
		ifs: ifs, name: name, handler: h, limit: Limit, streams: runtime.GOMAXPROCS(0),
		log:   slog.New(slog.DiscardHandler),
		level: witness.NewLevel("wqinput "+name+" handler", 0),
	}
	for _, o := range opts {
		o(q)
	}
	if h == nil || q.streams < 1 || q.limit < 1 {
		panic(&witness.Violation{Rule: "wqinput: bad option", Text: fmt.Sprintf(
			"wqinput: queue %q is made with handler %t, %d streams and room for %d packets: it needs all of them", name, h != nil, q.streams, q.limit)})
	}
	q.ctx, q.cancel = context.WithCancel(context.WithValue(context.Background(), inside{}, q))
	q.inputs = make([]Input, q.streams)
	q.engine = deferq.New(deferq.Config[job]{
		Name: name + "_wqinput", Ifs: ifs, Streams: q.streams, Lists: 1, Manual: q.manual, Log: q.log, Level: q.level,
		Order:  func() deferq.Order { return &deferq.Passes{} },
		Handle: q.handle, Drop: func(*deferq.Item[job], deferq.Fate) {}, Recovered: q.recovered,
	}, func(*deferq.Engine[job]) ifnet.Drainer { return (*drainer)(q) })
	q.client = q.engine.NewClient(name, 0, q.limit)
	return q
}

// inside is the key under which a handler's context has its queue.
type inside struct{}

// Input queues a packet for its handler (wqinput_input). off is where the protocol's header
// begins in it, and proto which protocol it is. It consumes the packet: one that is refused is
// freed. It never blocks, whoever calls it and whatever they hold, if the packet's tags can be
// freed there. The packets of a flow are handled in the order in which Input was called for
// them, one at a time. Errors: [ErrNoBufs], [ErrIfDeparted], [ErrClosed].
func (q *Queue) Input(m *mbuf.Packet, off int, proto uint8) error {
	stream := uint32(0)
	if q.streams > 1 && q.hasher.Packet(m) {
		stream = m.FlowID % uint32(q.streams)
	}
	why := q.engine.Put(int(stream), q.client, deferq.Item[job]{M: m, In: m.In, Out: m.Out, Arg: job{off, proto}}, 0, nil)
	if why != deferq.Accepted {
		m.Free(why.Reason())
	}
	return refusals[why]
}

// refusals are the errors of Input.
var refusals = [deferq.Refusals]error{deferq.Full: ErrNoBufs, deferq.IfGone: ErrIfDeparted, deferq.Closed: ErrClosed}

// Step does what a worker of a queue without workers would do: it handles one packet, in the
// caller, and reports whether there was one. The streams take turns.
func (q *Queue) Step() bool { return q.engine.Step() }

// Flush waits until every packet that was queued before has been handled or dropped. Errors:
// ctx.Err(), [ErrWouldDeadlock].
func (q *Queue) Flush(ctx context.Context) error {
	if err := q.mayWait(ctx); err != nil {
		return err
	}
	return q.engine.Flush(ctx)
}

// Close refuses further packets, waits until those that are queued have been handled, and ends
// the workers; NetBSD has no such thing. When ctx ends first it frees what is queued, ends the
// context of the handlers, and returns ctx.Err() without waiting for those: call it again to
// wait for them. Close with a context that has ended discards. It may be called again, and by
// several at once. Errors: ctx.Err(), [ErrWouldDeadlock].
func (q *Queue) Close(ctx context.Context) error {
	if err := q.mayWait(ctx); err != nil {
		return err
	}
	err := q.engine.Close(ctx)
	q.cancel()
	return err
}

// mayWait returns an error in a handler of the queue, which would wait for itself.
func (q *Queue) mayWait(ctx context.Context) error {
	if ctx.Value(inside{}) == q {
		return fmt.Errorf("wqinput: %s: %w", q.name, ErrWouldDeadlock)
	}
	q.level.WillWait(nil)
	return nil
}

// String returns the queue's name.
func (q *Queue) String() string { return q.name }

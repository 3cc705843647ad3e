package wqinput

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
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

// A Handler takes a packet, in a thread: it may sleep, wait for grace periods, change routes and
// addresses. No lock is held. It consumes the packet: ends it, hands it over or keeps it. ctx is
// that of the queue, and ends when nobody wants to wait any longer for handlers to end.
type Handler func(ctx context.Context, in *Input)

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
	limit     int
	hasher    mbuf.Hasher
	log       *slog.Logger
	recovered func(any)
	manual    bool
	streams   []*stream

	ctx    context.Context // of the handlers
	cancel context.CancelFunc
	remove func()         // takes the queue off the interfaces' drainers
	level  *witness.Level // what waiting for a handler means
	closed hook.Bool      // set once, by Close
}

// An Option changes what New makes.
type Option func(*Queue)

// WithStreams sets how many streams there are, each with one worker and a list of its own. The
// default is GOMAXPROCS.
func WithStreams(n int) Option {
	return func(q *Queue) { q.streams = make([]*stream, n) }
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
		ifs: ifs, name: name, handler: h, limit: Limit,
		log:     slog.New(slog.DiscardHandler),
		streams: make([]*stream, runtime.GOMAXPROCS(0)),
		level:   witness.NewLevel("wqinput "+name+" handler", 0),
	}
	for _, o := range opts {
		o(q)
	}
	if h == nil || len(q.streams) < 1 || q.limit < 1 {
		panic(&witness.Violation{Rule: "wqinput: bad option", Text: fmt.Sprintf(
			"wqinput: queue %q is made with handler %t, %d streams and room for %d packets: it needs all of them", name, h != nil, len(q.streams), q.limit)})
	}
	q.ctx, q.cancel = context.WithCancel(context.WithValue(context.Background(), inside{}, q))
	for i := range q.streams {
		q.streams[i] = &stream{q: q}
		s := q.streams[i]
		s.queue, s.fist = mbuf.NewQueue(s.String()), mbuf.NewHand("the hand of "+s.String())
	}
	q.remove = ifs.AddDrainer((*drainer)(q))
	if !q.manual {
		for _, s := range q.streams {
			hook.Go(s.String(), s.main)
		}
	}
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
	n := uint32(0)
	if len(q.streams) > 1 && q.hasher.Packet(m) {
		n = m.FlowID % uint32(len(q.streams))
	}
	err := q.streams[n].put(item{m: m, in: m.In, out: m.Out, off: off, proto: proto})
	if err != nil {
		m.Free(freeReason(err))
	}
	return err
}

// live reports whether an interface is there, or none is meant.
func (q *Queue) live(id ifnet.ID) bool { return id.IsZero() || q.ifs.Live(id) }

// Step does what a worker of a queue without workers would do: it handles one packet, in the
// caller, and reports whether there was one. The streams take turns.
func (q *Queue) Step() bool {
	l := q.ifs.Domain().Bind()
	defer l.Unbind()
	for _, s := range q.streams {
		if s.turn(l, false) {
			return true
		}
	}
	return false
}

// Flush waits until every packet that was queued before has been handled or dropped. Errors:
// ctx.Err(), [ErrWouldDeadlock].
func (q *Queue) Flush(ctx context.Context) error {
	if err := q.mayWait(ctx); err != nil {
		return err
	}
	for _, s := range q.streams {
		s.mu.Lock()
		upto := s.queued
		s.mu.Unlock()
		if err := s.wait(ctx, func() bool { return s.oldestLocked() < upto }); err != nil {
			return err
		}
	}
	return nil
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
	q.closed.Store(true)
	for _, s := range q.streams {
		s.shut()
	}
	for q.manual && ctx.Err() == nil && q.Step() {
	}
	var err error
	for _, s := range q.streams {
		over := func() bool { return s.ended }
		if q.manual {
			over = func() bool { return s.oldestLocked() == s.queued }
		}
		err = s.wait(ctx, func() bool { return !over() })
		if err != nil {
			break
		}
	}
	if err != nil {
		q.cancel()
		for _, s := range q.streams {
			s.purge(func(*item) bool { return true }, dropShutdown)
		}
		return err
	}
	q.cancel()
	q.remove()
	return nil
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

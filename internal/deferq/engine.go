package deferq

import (
	"context"
	"log/slog"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/witness"
)

// Config is what an engine is made of.
type Config[T any] struct {
	Name    string // for reports
	Ifs     *ifnet.Table
	Streams int
	Lists   int // of a stream
	Order   func() Order
	Softint bool // workers are softints: handlers may not sleep
	Manual  bool // there are no workers
	// BindThreads has each worker keep its OS thread.
	BindThreads bool
	Log         *slog.Logger
	Level       *witness.Level // what waiting for a handler means

	// Handle calls the handler of an item's client. The packet is the handler's.
	Handle func(l *lwp.LWP, stream int, it *Item[T], in, out *ifnet.Interface)
	// Drop is told of an item that will not be handled, before its packet is freed.
	Drop func(it *Item[T], why Fate)
	// Recovered, if not nil, is called with what a handler panicked with; else the panic goes on.
	Recovered func(any)
}

// An Engine is streams and those who handle what is queued in them.
type Engine[T any] struct {
	Config[T]
	urgent  bool // lists are in order of urgency
	streams []*stream[T]
	closed  hook.Bool
	remove  func()
}

// A Client is who handles items: a protocol, a type.
type Client[T any] struct {
	Name     string
	Drained  func(stream int) // told at the end of a batch, if not nil
	DropDown bool             // nothing waits for an interface that is down
	ForgetIn bool             // a packet does not leave with the interface it came by: it forgets it

	list  int
	limit hook.Uint32
	ended hook.Bool
	work  []ledger // by stream, whose lock guards it
}

// A ledger is a stream's Work, which other streams do not touch.
type ledger struct {
	Work
	_ [hook.LineBytes]byte
}

// New returns an engine, and starts its workers. drainer is what departing interfaces ask.
func New[T any](c Config[T], drainer func(*Engine[T]) ifnet.Drainer) *Engine[T] {
	e := &Engine[T]{Config: c, streams: make([]*stream[T], c.Streams)}
	for i := range e.streams {
		s := &stream[T]{eng: e, index: i, lists: make([]ring[T], c.Lists), lens: make([]int, c.Lists), order: c.Order(), from: c.Lists}
		_, e.urgent = s.order.(*Priorities)
		s.queue, s.fist = mbuf.NewQueue(s.String()), mbuf.NewHand("the hand of "+s.String())
		e.streams[i] = s
	}
	e.remove = c.Ifs.AddDrainer(drainer(e))
	if !c.Manual {
		for _, s := range e.streams {
			hook.Go(s.String(), s.main)
		}
	}
	return e
}

// NewClient returns a client whose items wait in a list, in each stream as many as its limit.
func (e *Engine[T]) NewClient(name string, list, limit int) *Client[T] {
	c := &Client[T]{Name: name, list: list, work: make([]ledger, len(e.streams))}
	c.limit.Store(uint32(limit))
	return c
}

// SetLimit changes how many items wait in a stream. What waits already stays.
func (c *Client[T]) SetLimit(n int) { c.limit.Store(uint32(n)) }

// Limit returns how many items wait in a stream at most.
func (c *Client[T]) Limit() int { return int(c.limit.Load()) }

// Ended reports whether the client was unregistered.
func (c *Client[T]) Ended() bool { return c.ended.Load() }

func (e *Engine[T]) live(id ifnet.ID) bool { return id.IsZero() || e.Ifs.Live(id) }

// survive is deferred around handlers.
func (e *Engine[T]) survive() {
	if e.Recovered == nil {
		return
	}
	if r := recover(); r != nil {
		e.Recovered(r)
	}
}

// Put queues an item in a stream, or says why not: the packet is the caller's then.
func (e *Engine[T]) Put(stream int, c *Client[T], it Item[T], reserve int, same func(*Item[T]) bool) Refusal {
	return e.streams[stream].put(c, it, reserve, same)
}

// PutAll queues packets in a stream, with arg for each, under one lock. In whys it says for each
// whether it did: if not, the packet is the caller's.
func (e *Engine[T]) PutAll(stream int, c *Client[T], ms []*mbuf.Packet, arg T, whys []Refusal) {
	e.streams[stream].putAll(c, ms, arg, whys)
}

// Borrow has an item handled by the caller if nobody has the stream. It reports whether it was; if
// not, why says whether it was refused.
func (e *Engine[T]) Borrow(l *lwp.LWP, stream int, c *Client[T], it Item[T]) (took bool, why Refusal) {
	return e.streams[stream].borrow(l, c, it)
}

// Refuse counts a refusal that was not the stream's.
func (e *Engine[T]) Refuse(stream int, c *Client[T], why Refusal) {
	e.streams[stream].bump(c, func(w *Work) { w.Refused[why]++ })
}

// Step handles one item in the caller, and reports whether there was one.
func (e *Engine[T]) Step() bool {
	for _, s := range e.streams {
		if s.step() {
			return true
		}
	}
	return false
}

// Purge drops the items that f gives a fate, and returns how many. f may change those it keeps.
func (e *Engine[T]) Purge(f func(*Item[T]) (why Fate, gone bool)) (n int) {
	for _, s := range e.streams {
		n += s.purge(f)
	}
	return n
}

// Barrier waits until no handler runs for an item that is a match: for those that run now.
func (e *Engine[T]) Barrier(ctx context.Context, match func(*Item[T]) bool) error {
	for _, s := range e.streams {
		if err := s.wait(ctx, s.during(match)); err != nil {
			return err
		}
	}
	return nil
}

// Flush waits until what is queued now has left.
func (e *Engine[T]) Flush(ctx context.Context) error {
	for _, s := range e.streams {
		s.mu.Lock()
		upto := s.queued
		s.mu.Unlock()
		if err := s.wait(ctx, func() bool { return s.oldestLocked() < upto }); err != nil {
			return err
		}
	}
	return nil
}

// Unregister ends a client: it is refused and purged at once, and when Unregister returns nil
// nothing of it runs.
func (e *Engine[T]) Unregister(ctx context.Context, c *Client[T]) error {
	c.ended.Store(true)
	e.Purge(func(it *Item[T]) (Fate, bool) { return Unregistered, it.c == c })
	for _, s := range e.streams {
		busy := s.during(func(it *Item[T]) bool { return it.c == c })
		if err := s.wait(ctx, func() bool { return busy() || s.telling == c }); err != nil {
			return err
		}
	}
	return nil
}

// Close refuses further items, waits until those that are queued have been handled, and ends the
// workers. When ctx ends first it drops what is queued, and returns ctx.Err() without waiting
// for handlers; call it again for that. Who borrows a stream is not waited for: see Unregister.
func (e *Engine[T]) Close(ctx context.Context) error {
	e.closed.Store(true)
	for _, s := range e.streams {
		s.shut()
	}
	for _, s := range e.streams {
		if err := s.over(ctx); err != nil {
			e.Purge(func(*Item[T]) (Fate, bool) { return Discarded, true })
			return err
		}
	}
	e.remove()
	return nil
}

// Stats returns what each stream has done for a client, each at one moment.
func (e *Engine[T]) Stats(c *Client[T]) []Work {
	all := make([]Work, len(e.streams))
	for i, s := range e.streams {
		s.mu.Lock()
		all[i] = s.statsLocked(c)
		s.mu.Unlock()
	}
	return all
}

// Closed reports whether Close has been called.
func (e *Engine[T]) Closed() bool { return e.closed.Load() }

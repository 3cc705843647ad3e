package netisr

import (
	"context"
	"fmt"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/deferq"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
)

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

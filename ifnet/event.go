package ifnet

import (
	"context"
	"net/netip"
	"slices"

	"github.com/softnet-go/softnet/lwp"
)

// An EventKind is what has happened to an interface.
type EventKind uint8

// The kinds of events.
const (
	Attached EventKind = 1 + iota
	Departed           // nothing of it is left; its ID names nobody any more
	WentUp
	WentDown
	LinkChanged // see Interface.HasLink
	Renamed     // Old is what it was called
	MACChanged
	MTUChanged
	AddrAdded   // Addr
	AddrRemoved // Addr
	GroupsChanged
)

var eventNames = [...]string{"no event", "attached", "departed", "up", "down", "link changed", "renamed",
	"link address changed", "MTU changed", "address added", "address removed", "groups changed"}

// String returns what the kind is called in reports.
func (k EventKind) String() string { return eventNames[k] }

// An Event is what has happened, by value: who is told can keep it, though the interface be gone.
type Event struct {
	Kind EventKind
	ID   ID
	Name string       // what the interface is called now, or was at last
	Old  string       // with Renamed
	Addr netip.Prefix // with AddrAdded and AddrRemoved
}

// registered is what somebody has registered and may take back.
type registered[T any] struct{ what T }

// add appends to a list that is guarded by mu, and returns what takes it out again.
func add[T any](t *Table, list *[]*registered[T], what T) (cancel func()) {
	r := &registered[T]{what}
	t.mu.Lock()
	*list = append(slices.Clip(*list), r)
	t.mu.Unlock()
	return func() {
		t.mu.Lock()
		*list = slices.DeleteFunc(slices.Clone(*list), func(x *registered[T]) bool { return x == r })
		t.mu.Unlock()
	}
}

// OnEvent has f called for each event, by whoever made it happen, with no lock held, in the order
// of registration: after an event of one interface come its later ones. f may do anything but
// detach the interface it is told of. The returned function ends it; f may then still be running.
func (t *Table) OnEvent(f func(Event)) (cancel func()) { return add(t, &t.observers, f) }

func (t *Table) tell(ev Event) {
	t.mu.Lock()
	all := t.observers
	t.mu.Unlock()
	for _, o := range all {
		o.what(ev)
	}
}

// A Drainer has packets that wait: a queue. It is asked, by whoever detaches an interface or takes
// it down, with no lock held, to let go of those that came by it or are to leave by it.
//
// A drainer refuses, under the lock of its queue, what names an interface that is not live: so
// nothing comes behind a Purge.
type Drainer interface {
	// Name is for reports.
	Name() string
	// Purge takes out of the queue, and frees, whatever names the interface, which nobody finds
	// any more. It returns how many packets. It must not wait for handlers.
	Purge(id ID) int
	// Barrier waits until no handler runs that was given a packet which names the interface: for
	// those that run now, and not for others to come to an end, or for the queue to be empty. l
	// may wait.
	Barrier(ctx context.Context, l *lwp.LWP, id ID) error
	// Down is told that the interface went down. It returns how many packets were dropped.
	Down(id ID) int
}

// A Flusher is a drainer that can be asked to send what it has.
type Flusher interface {
	// Flush waits until everything that is queued now has left the queue.
	Flush(ctx context.Context) error
}

// AddDrainer has a drainer asked from now on. The returned function ends it.
func (t *Table) AddDrainer(d Drainer) (remove func()) { return add(t, &t.drainers, d) }

func (t *Table) allDrainers() (ds []Drainer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range t.drainers {
		ds = append(ds, d.what)
	}
	return ds
}

// A leaving is a hook that is run when the interface leaves.
type leaving struct {
	f func(ctx context.Context, l *lwp.LWP, ifp *Interface)
}

// OnLeaving has f called when an interface is about to be detached, before anything is undone:
// it can still be found, and sent by (if_detachhook_add). The last hook comes first. f may wait,
// and may detach other interfaces, such as those on top of this one, but must not detach this.
// cancel ends it; f may then be running, if it was not f that called it. Errors: [ErrGone],
// [ErrDetaching].
func (t *Table) OnLeaving(id ID, f func(ctx context.Context, l *lwp.LWP, ifp *Interface)) (cancel func(), err error) {
	h := &leaving{f: f}
	var ifp *Interface
	err = t.with(id, func(i *Interface) (Event, error) {
		if ifp = i; state(ifp.state.Load()) != there {
			return Event{}, ErrDetaching
		}
		ifp.hooks = append(ifp.hooks, h)
		return Event{}, nil
	})
	if err != nil {
		return nil, err
	}
	return func() {
		t.mu.Lock()
		ifp.hooks = slices.DeleteFunc(ifp.hooks, func(x *leaving) bool { return x == h })
		t.mu.Unlock()
	}, nil
}

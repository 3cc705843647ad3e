package carp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/wqinput"
)

// The errors of a Stack and its Interfaces, besides those of [Parent.Add].
var (
	ErrNoVHost = errors.New("carp: no such virtual host")
	ErrTaken   = errors.New("carp: the interface has it already")
	ErrClosed  = errors.New("carp: closed")
	ErrUnicast = errors.New("carp: a stack's interface advertises to groups only")
)

// A Change is a transition, as those who are told of it see it.
type Change struct {
	Interface ifnet.ID
	VHID      uint8
	From, To  State
	Why       string
}

// A StackConfig is what a Stack is made of.
type StackConfig struct {
	Ifs    *ifnet.Table
	Send   *netisr.SendQueue
	Routes *rtable.Table    // where a master's addresses are connected; nil for nowhere
	Groups *Groups          // the stack's; new ones if nil
	Log    *slog.Logger     // discards if nil
	Input  []wqinput.Option // of the queue that advertisements wait in
	// OnChange is told of each transition, in order, with no lock held, by who may wait. It must not
	// close the interface.
	OnChange func(Change)
}

// A Stack is CARP as a protocol of a stack: its queue of input, and the interfaces that it runs
// on. Make one with [NewStack]; it must not be copied. Its methods may be called by anyone.
type Stack struct {
	c     StackConfig
	queue *wqinput.Queue
	send  *netisr.Type[sending]

	mu     hook.Mutex // leaf; guards what follows
	on     map[ifnet.ID]*Interface
	closed bool
}

// NewStack returns CARP for a stack. Its [Stack.Queue] has to be registered for protocol 112.
// Errors: those of netisr.Register.
func NewStack(c StackConfig) (*Stack, error) {
	if c.Groups == nil {
		c.Groups = new(Groups)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stack{c: c, on: map[ifnet.ID]*Interface{}}
	var err error
	if s.send, err = netisr.Register(c.Send, netisr.Spec[sending]{
		Name: "carp", Prio: netisr.Control, Handle: s.transmit, Free: s.unsent,
	}); err != nil {
		return nil, fmt.Errorf("carp: %w", err)
	}
	s.queue = wqinput.New(c.Ifs, "carp", s.input, c.Input...)
	return s, nil
}

// Queue returns where the stack's IP input hands over packets of protocol 112 (carp_proto_input):
// what an advertisement changes, routes and addresses, a softint cannot.
func (s *Stack) Queue() *wqinput.Queue { return s.queue }

// Groups returns the groups of the stack.
func (s *Stack) Groups() *Groups { return s.c.Groups }

// Close closes all interfaces, as [Interface.Close] does, and waits until nothing of the protocol
// runs any more. When ctx ends first it returns ctx.Err(): call it again to go on.
func (s *Stack) Close(ctx context.Context, l *lwp.LWP) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	var errs []error
	for _, i := range s.interfaces() {
		errs = append(errs, i.Close(ctx, l))
	}
	errs = append(errs, s.queue.Close(ctx))
	if err := s.send.Unregister(ctx, l); !errors.Is(err, netisr.ErrNotRegistered) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *Stack) find(id ifnet.ID) *Interface {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.on[id]
}

// interfaces returns them in one order, that of their IDs.
func (s *Stack) interfaces() (is []*Interface) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.on {
		is = append(is, i)
	}
	slices.SortFunc(is, func(a, b *Interface) int { return int(a.id.Index) - int(b.id.Index) })
	return is
}

// Demote adds to the counter of a group by hand, and has masters tell it at once. It reports false,
// and does nothing, if the counter would be below 0 or above 255.
func (s *Stack) Demote(group string, by int) bool {
	ok := s.c.Groups.Set(group, by)
	if ok && by > 0 {
		s.advertise()
	}
	return ok
}

// advertise has every master of the stack send at once: one interface after the other, with no lock
// held in between.
func (s *Stack) advertise() {
	for _, i := range s.interfaces() {
		i.step(func(now time.Time) []Action { return i.parent.Step(now, Advertise{}) })
	}
}

// input takes a packet, in a thread: routes change before it returns.
func (s *Stack) input(ctx context.Context, in *wqinput.Input) {
	m := in.Packet
	var i *Interface
	if in.In != nil {
		i = s.find(in.In.ID())
	}
	b, ok := m.Pullup(m.Len())
	if i == nil || !ok {
		m.Free(mbuf.NoListener)
		return
	}
	why := mbuf.Denied
	i.step(func(now time.Time) []Action {
		was := i.parent.stats.Accepted
		do := i.parent.Input(now, b)
		if i.parent.stats.Accepted > was {
			why = mbuf.Done
		}
		return do
	})
	m.Free(why)
	i.Settle(ctx, in.LWP)
}

// A sending is what an advertisement or an announcement needs to be sent, when no lock is held.
type sending struct {
	i        *Interface
	vhid     uint8
	family   Family
	advert   Advert
	announce Announce  // if its Addr is valid
	mac      ifnet.MAC // the link source; zero is the interface's own
}

// transmit sends, in a softint.
func (s *Stack) transmit(c *netisr.Ctx, m *mbuf.Packet, what sending) {
	mac := what.mac
	if mac == (ifnet.MAC{}) {
		mac = c.Out.MAC()
	}
	var frame []byte
	if what.announce.Addr.IsValid() {
		frame = what.announce.Frame(nil, mac)
	} else {
		frame = Frame(nil, what.dst(), mac, what.advert.AppendIP(nil, what.source(c.Out), what.dst(), 0))
	}
	copy(m.Append(len(frame)), frame)
	err := c.Out.Transmit(c.LWP, m)
	if !what.announce.Addr.IsValid() {
		what.i.sent(what, err)
	}
}

// unsent is told of what will not be sent. That an interface has gone is known otherwise.
func (s *Stack) unsent(what sending, why mbuf.Reason) {
	if why == mbuf.IfDown && !what.announce.Addr.IsValid() {
		what.i.sent(what, ifnet.ErrDown)
	}
}

func (w *sending) dst() netip.Addr {
	if w.family == V4 {
		return w.i.group4
	}
	return Group6
}

// source returns the first IPv4 address of the interface, or its link-local one; invalid if it has
// none.
func (w *sending) source(ifp *ifnet.Interface) (src netip.Addr) {
	for _, p := range ifp.Addrs() {
		a := p.Addr()
		if w.family == V4 && a.Is4() || w.family == V6 && a.Is6() && a.IsLinkLocalUnicast() {
			return a
		}
	}
	return src
}

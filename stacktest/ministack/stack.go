package ministack

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/atomic"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
	"github.com/softnet-go/softnet/wqinput"
)

// The protocols of a stack's ISR.
const protoEther netisr.Proto = 1

// IP protocol numbers.
const (
	ProtoICMP   = 1
	ProtoICMPv6 = 58
)

// Config is what a Stack is made of.
type Config struct {
	Pool    *mbuf.Pool // a new one if nil
	Streams int        // of each queue; 1 if 0
	Manual  bool       // no workers: see Stack.Run

	Forward    bool            // it is a router
	Filter     Filter          // looks at every packet, if not nil
	Neighbours NeighbourConfig // of ARP and neighbour discovery
	ICMPRate   int             // how many packets a second it complains of: 100 if 0, none if negative
	OnConflict func(Conflict)  // is told of conflicts, by a handler: it may not wait
	OnCARP     func(carp.Change)
}

// A Stack is a host, or a router, with interfaces, routes and neighbours. Make one with [New], attach
// interfaces to Ifs, give them addresses with [Stack.AddAddr], and add routes. Its methods may be
// called by anyone, those that take a context by who may wait.
type Stack struct {
	Dom     *lwp.Domain
	Ifs     *ifnet.Table
	Routes  *rtable.Table
	ISR     *netisr.ISR
	Send    *netisr.SendQueue
	CARP    *carp.Stack     // hears 224.0.0.18 on the interfaces that are attached to it
	Protosw wqinput.Protosw // who takes which IP protocol: see Stack.Handle

	c          Config
	ctx        context.Context // of those who do not wait
	caches     *rtcache.PerLWP
	output     *netisr.Type[nextHop]
	neighbours neighbours
	limit      limiter
	count      struct {
		conflicts, defended, static, full, refused, unasked, complaints, limited atomic.Uint64
	}

	mu     hook.Mutex       // leaf; guards what follows
	queues []*wqinput.Queue // of Handle
	closed bool
}

// Stats is a snapshot of a stack's counters; what became of packets its pool counts.
type Stats struct {
	Conflicts uint64 // others said to have an address of ours
	Defended  uint64 // of them, answered
	Static    uint64 // others said to have an address that was set by hand
	Full      uint64 // packets that made room, among those that wait for a neighbour
	Refused   uint64 // neighbours there was no room for
	Unasked   uint64 // questions for neighbours that could not even be queued

	Complaints uint64 // packets that somebody was told of by ICMP
	Limited    uint64 // packets that nobody was told of, because there were too many
}

// Stats returns the counters.
func (s *Stack) Stats() Stats {
	c := &s.count
	return Stats{
		Conflicts: c.conflicts.Load(), Defended: c.defended.Load(), Static: c.static.Load(),
		Full: c.full.Load(), Refused: c.refused.Load(), Unasked: c.unasked.Load(),
		Complaints: c.complaints.Load(), Limited: c.limited.Load(),
	}
}

// New returns a stack without interfaces, and starts it.
func New(c Config) (*Stack, error) {
	if c.Pool == nil {
		c.Pool = mbuf.NewPool(mbuf.PoolConfig{Name: "ministack"})
	}
	c.Streams = max(c.Streams, 1)
	c.ICMPRate = cmp.Or(c.ICMPRate, 100)
	s := &Stack{Dom: lwp.NewDomain(), c: c, ctx: context.Background()}
	s.caches = rtcache.NewPerLWP(s.Dom, 0)
	s.Ifs = ifnet.NewTable(s.Dom, ifnet.WithPool(c.Pool))
	s.Routes = rtable.New(s.Dom)
	s.ISR = netisr.New(netisr.Config{Ifs: s.Ifs, Streams: c.Streams, Manual: c.Manual})
	s.Send = netisr.NewSendQueue(netisr.SendConfig{Ifs: s.Ifs, Streams: c.Streams, Manual: c.Manual})
	for _, register := range []func() error{
		func() (err error) {
			_, err = s.ISR.Register(netisr.Handler{Name: "ether", Proto: protoEther, Policy: netisr.PolicySource, Handle: s.etherInput})
			return err
		},
		func() (err error) {
			s.output, err = netisr.Register(s.Send, netisr.Spec[nextHop]{Name: "ip", Prio: netisr.Normal, Handle: s.transmit})
			return err
		},
		func() error { return s.neighbours.init(s) },
		func() (err error) {
			s.CARP, err = carp.NewStack(carp.StackConfig{Ifs: s.Ifs, Send: s.Send, Routes: s.Routes, Input: s.options(), OnChange: c.OnCARP})
			return err
		},
		func() error { return s.handle(carp.Protocol, s.CARP.Queue()) },
		func() error { _, err := s.Handle(ProtoICMP, "icmp", s.icmpInput); return err },
		func() error { _, err := s.Handle(ProtoICMPv6, "icmp6", s.icmp6Input); return err },
	} {
		if err := register(); err != nil {
			return nil, err
		}
	}
	s.Ifs.SetInput(s.ISR.Input(protoEther))
	return s, nil
}

func (s *Stack) options(more ...wqinput.Option) []wqinput.Option {
	opts := []wqinput.Option{wqinput.WithStreams(s.c.Streams)}
	if s.c.Manual {
		opts = append(opts, wqinput.WithManual())
	}
	return append(opts, more...)
}

// Handle has a handler take the packets of an IP protocol that are for this host, in threads. The
// stack closes its queue. Errors: wqinput.ErrTaken, ErrClosed.
func (s *Stack) Handle(proto uint8, name string, h wqinput.Handler, opts ...wqinput.Option) (*wqinput.Queue, error) {
	q := wqinput.New(s.Ifs, name, h, s.options(opts...)...)
	if err := s.handle(proto, q); err != nil {
		_ = q.Close(s.ctx) // nothing was ever in it
		return nil, err
	}
	return q, nil
}

func (s *Stack) handle(proto uint8, q *wqinput.Queue) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.mu.Unlock()
	if err := s.Protosw.Register(proto, q); err != nil {
		return err
	}
	s.mu.Lock()
	s.queues = append(s.queues, q)
	s.mu.Unlock()
	return nil
}

func (s *Stack) handlers() []*wqinput.Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.queues)
}

// AddAddr gives an interface an address, as an administrator does: with a route to its network and
// one that says that it is ours, and it is announced to the link. An IPv6 address is listened for.
// Errors: those of ifnet.Table.AddAddr and rtable.Table.Add; then there may be some of it.
func (s *Stack) AddAddr(ifp ifnet.ID, p netip.Prefix) error {
	return s.with(ifp, func(in *ifnet.Interface) error {
		a := p.Addr()
		if err := s.Ifs.AddAddr(ifp, p); err != nil {
			return err
		}
		if a.Is6() {
			in.Join(ifnet.MulticastMAC(SolicitedNode(a)))
			in.Join(ifnet.MulticastMAC(netip.IPv6LinkLocalAllNodes()))
		}
		if !p.IsSingleIP() && !a.IsLinkLocalUnicast() {
			err := s.Routes.Add(rtable.Route{Dst: p.Masked(), Out: ifp, Flags: rtable.FlagConnected})
			if err != nil && !errors.Is(err, rtable.ErrExists) { // another address of the network may have made it
				return err
			}
		}
		if !a.IsLinkLocalUnicast() {
			if err := s.Routes.Add(rtable.Route{Dst: netip.PrefixFrom(a, a.BitLen()), Out: ifp, Flags: rtable.FlagLocal}); err != nil {
				return err
			}
		}
		_ = s.Announce(ifp, a) // nobody may be listening yet, or the interface be down
		return nil
	})
}

// RemoveAddr takes back AddAddr; the route to the network goes with its last address. Errors: those of
// ifnet.Table.RemoveAddr and rtable.Table.Delete; then some of it may be left.
func (s *Stack) RemoveAddr(ifp ifnet.ID, a netip.Addr) error {
	return s.with(ifp, func(in *ifnet.Interface) error {
		i := slices.IndexFunc(in.Addrs(), func(p netip.Prefix) bool { return p.Addr() == a })
		if i < 0 {
			return ifnet.ErrInvalid
		}
		p := in.Addrs()[i]
		if err := s.Ifs.RemoveAddr(ifp, a); err != nil {
			return err
		}
		if a.Is6() {
			in.Leave(ifnet.MulticastMAC(SolicitedNode(a)))
			in.Leave(ifnet.MulticastMAC(netip.IPv6LinkLocalAllNodes()))
		}
		if a.IsLinkLocalUnicast() {
			return nil
		}
		errs := []error{s.Routes.Delete(netip.PrefixFrom(a, a.BitLen()))}
		shared := slices.ContainsFunc(in.Addrs(), func(q netip.Prefix) bool { return q.Masked() == p.Masked() })
		if !p.IsSingleIP() && !shared {
			errs = append(errs, s.Routes.Delete(p))
		}
		return errors.Join(errs...)
	})
}

// with calls f with an interface, if there is one.
func (s *Stack) with(id ifnet.ID, f func(ifp *ifnet.Interface) error) error {
	l := s.Dom.Bind()
	defer l.Unbind()
	var ref psref.Ref
	ifp, ok := s.Ifs.Get(l, &ref, id)
	if !ok {
		return ifnet.ErrGone
	}
	defer ref.Release(l)
	return f(ifp)
}

// Detach takes an interface away, with its routes and neighbours. Errors: those of
// ifnet.Table.Detach.
func (s *Stack) Detach(ctx context.Context, ifp ifnet.ID) error {
	l := s.Dom.Bind()
	defer l.Unbind()
	if err := s.Ifs.Detach(ctx, l, ifp); err != nil {
		return err
	}
	_, err := s.Routes.Depart(ifp)
	return err
}

// Run does what the workers of a stack without workers would, until nothing is left to do at this
// time, and returns how much that was. The timers of neighbours that are due are part of it.
func (s *Stack) Run() (n int) {
	for s.step() {
		n++
	}
	return n
}

func (s *Stack) step() bool {
	if s.ISR.Step() {
		return true
	}
	for _, q := range s.handlers() {
		if q.Step() {
			return true
		}
	}
	return s.Send.Step() || s.c.Manual && s.Tick(time.Now()) > 0
}

// Tick makes the timers of neighbours go off that are due at a time, and returns how many did: for
// a stack without workers, and for tests that do not want to wait. It may not be called by a softint.
func (s *Stack) Tick(now time.Time) int { return s.neighbours.tick(now) }

// Close ends the stack: what has come is dealt with, what waits for neighbours is dropped, and
// nothing runs any more. When ctx ends first it returns ctx.Err(), and drops what waits: call it
// again to wait for the rest.
func (s *Stack) Close(ctx context.Context) error {
	l := s.Dom.Bind()
	defer l.Unbind()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	errs := []error{s.ISR.Close(ctx, l)} // from the front to the back: each may feed the next
	for _, q := range s.handlers() {
		errs = append(errs, q.Close(ctx))
	}
	errs = append(errs, s.CARP.Close(ctx, l), s.Send.Close(ctx, l), s.neighbours.close(ctx), s.Routes.Close(ctx))
	return errors.Join(errs...)
}

// etherInput takes a received frame, in a softint.
func (s *Stack) etherInput(c *netisr.Ctx, m *mbuf.Packet) {
	if !c.In.Receive(m) {
		return
	}
	_, src, ok := ifnet.PullEther(m)
	switch {
	case !ok:
		m.Free(mbuf.Malformed)
	case m.EtherType == ifnet.EtherARP:
		s.arpInput(c, m, src)
	case m.EtherType == ifnet.EtherIPv4:
		s.ip4Input(c, m)
	case m.EtherType == ifnet.EtherIPv6:
		s.ip6Input(c, m)
	default:
		c.In.CountNoProto()
		m.Free(mbuf.NoProto)
	}
}

package carp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// The locks of an interface: who settles what has changed may wait for routes, and asks the core.
var (
	turnClass = witness.NewClass("carp.Interface.turn")
	coreClass = witness.NewClass("carp.Interface.mu")
)

// An Interface is CARP on one interface of the stack: the [Parent], a lock around it, a worker that
// keeps its time, and what follows from a transition. While a virtual host without balancing is
// master, its addresses are local routes out of the interface, and the interface hears its virtual link
// address and the groups in which its IPv6 addresses are asked for. Make one with [Stack.Attach]. Its methods may be called by anyone but a softint, unless
// they say otherwise.
type Interface struct {
	s      *Stack
	id     ifnet.ID
	group4 netip.Addr // immutable
	cancel []func()   // of what it has registered

	turn    witness.Mutex         // held while settling: one at a time, in order
	applied map[netip.Prefix]bool // routes that are ours; guarded by turn
	heard   map[ifnet.MAC]bool    // link addresses that the interface hears for us; likewise

	mu      witness.Mutex // guards parent with all devices, and pending
	parent  *Parent
	pending []Transition // not yet settled

	wake struct {
		mu      hook.Mutex // leaf; guards what follows
		cv      hook.Cond
		at      time.Time // when the core wants a Tick
		news    bool      // something is pending
		closed  bool
		running bool // the worker
	}
}

// Attach begins CARP on an interface, without devices. It ends with [Interface.Close], or when the
// interface leaves: then whatever was advertised on it is over before the interface has gone.
// Errors: [ErrTaken], [ErrClosed], ifnet.ErrGone, ifnet.ErrDetaching.
func (s *Stack) Attach(l *lwp.LWP, id ifnet.ID) (*Interface, error) {
	var ref psref.Ref
	ifp, ok := s.c.Ifs.Get(l, &ref, id)
	if !ok {
		return nil, fmt.Errorf("carp: %w", ifnet.ErrGone)
	}
	defer ref.Release(l)
	i := &Interface{s: s, id: id, group4: Group4, applied: map[netip.Prefix]bool{}, heard: map[ifnet.MAC]bool{}}
	i.turn.Init(turnClass)
	i.mu.Init(coreClass)
	i.parent = NewParent(ParentConfig{MAC: ifp.MAC(), Simplex: true, Groups: s.c.Groups})

	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return nil, ErrClosed
	case s.on[id] != nil:
		s.mu.Unlock()
		return nil, ErrTaken
	}
	s.on[id] = i
	s.mu.Unlock()
	leaving, err := s.c.Ifs.OnLeaving(id, func(ctx context.Context, l *lwp.LWP, _ *ifnet.Interface) { _ = i.Close(ctx, l) })
	if err != nil {
		s.forget(i)
		return nil, fmt.Errorf("carp: %w", err)
	}
	i.cancel = []func(){leaving, s.c.Ifs.OnEvent(i.happened)}
	for _, f := range []Family{V4, V6} {
		ifp.Join(ifnet.MulticastMAC(f.Group()))
	}
	i.wake.running = true
	hook.Go("carp timers", i.work)
	return i, nil
}

func (s *Stack) forget(i *Interface) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.on[i.id] == i {
		delete(s.on, i.id)
	}
}

// Close detaches all devices, without bowing out, and waits until what follows from that is done
// and the worker has ended. A master that shall bow out is told [Down] before. It may be called
// again. Errors: ctx.Err(), and then it goes on with the next call.
func (i *Interface) Close(ctx context.Context, l *lwp.LWP) error {
	i.step(func(now time.Time) []Action { return i.parent.Step(now, Detach{}) })
	i.wake.mu.Lock()
	i.wake.closed = true
	i.wake.cv.Broadcast()
	for i.wake.running {
		if err := i.wake.cv.WaitContext(ctx, &i.wake.mu); err != nil {
			i.wake.mu.Unlock()
			return err
		}
	}
	cancel := i.cancel
	i.cancel = nil
	i.wake.mu.Unlock()
	i.s.forget(i)
	for _, f := range cancel {
		f()
	}
	if cancel != nil {
		i.with(l, func(ifp *ifnet.Interface) {
			for _, f := range []Family{V4, V6} {
				ifp.Leave(ifnet.MulticastMAC(f.Group()))
			}
		})
	}
	return i.Settle(ctx, l)
}

// ID returns the interface of the stack.
func (i *Interface) ID() ifnet.ID { return i.id }

// Add makes a device, with its addresses, and starts it. Errors: [ErrConfig], [ErrVHID],
// [ErrUnicast], [ErrClosed].
func (i *Interface) Add(c Config, addrs ...netip.Addr) (err error) {
	if c.Peer.IsValid() && c.Peer != i.group4 {
		return ErrUnicast
	}
	i.step(func(now time.Time) (do []Action) {
		if i.isClosed() {
			err = ErrClosed
			return nil
		}
		var d *Device
		if d, err = i.parent.Add(c); err != nil {
			return nil
		}
		if !i.hasLink() {
			do = d.Step(now, LinkDown{})
		}
		for _, a := range addrs {
			do = append(do, d.Step(now, AddAddr{a})...)
		}
		return do
	})
	return err
}

// Step gives an event to the device with a virtual host. Errors: [ErrNoVHost].
func (i *Interface) Step(vhid uint8, ev Event) error {
	err := ErrNoVHost
	i.step(func(now time.Time) []Action {
		if v := i.parent.find(vhid); v != nil {
			err = nil
			return v.dev.Step(now, ev)
		}
		return nil
	})
	return err
}

// State returns the state of a virtual host; INIT if there is none.
func (i *Interface) State(vhid uint8) State {
	i.mu.Lock()
	defer i.mu.Unlock()
	if v := i.parent.find(vhid); v != nil {
		return v.state
	}
	return Init
}

// Stats returns the counters.
func (i *Interface) Stats() Stats {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.parent.Stats()
}

// step asks the core, and has sent what it wants to send: in order, by the queue, which calls
// nothing of ours. What follows from transitions waits for settle.
func (i *Interface) step(f func(now time.Time) []Action) {
	i.mu.Lock()
	all := i.do(f(time.Now()))
	at, news := i.parent.Next(), len(i.pending) > 0
	i.mu.Unlock()
	i.wake.mu.Lock()
	i.wake.at, i.wake.news = at, i.wake.news || news
	i.wake.cv.Broadcast()
	i.wake.mu.Unlock()
	if all {
		i.s.advertise()
	}
}

// do does actions, with mu held, and reports whether all masters of the stack have to advertise.
func (i *Interface) do(actions []Action) (all bool) {
	var dry *Device // there was no memory for what it wanted to send
	for _, a := range actions {
		switch a := a.(type) {
		case Transition:
			i.pending = append(i.pending, a)
		case Demoted:
			all = all || a.All
		case Announce:
			_ = i.dispatch(sending{i: i, announce: a, mac: a.MAC}) // the next one comes with the third advertisement
		case Send:
			w := sending{i: i, vhid: a.VHost.VHID(), family: a.Family, advert: a.Advert}
			w.mac, _ = a.VHost.dev.SourceMAC(a.VHost)
			if a.VHost.dev == dry {
				continue
			}
			if err := i.dispatch(w); err != nil {
				all = i.do(a.VHost.dev.Step(time.Now(), Sent{a.Family, err})) || all
				if errors.Is(err, mbuf.ErrNoBufs) {
					dry = a.VHost.dev
				}
			}
		}
	}
	return all
}

func (i *Interface) dispatch(w sending) error {
	m, err := i.s.c.Ifs.Pool().Alloc(0)
	if err != nil {
		return err
	}
	return i.s.send.Dispatch(m, i.id, w)
}

// sent tells the core what became of an advertisement.
func (i *Interface) sent(w sending, err error) {
	i.step(func(now time.Time) []Action {
		if v := i.parent.find(w.vhid); v != nil {
			return v.dev.Step(now, Sent{w.family, err})
		}
		return nil
	})
}

// happened is told what has become of interfaces.
func (i *Interface) happened(ev ifnet.Event) {
	if ev.ID != i.id {
		return
	}
	switch ev.Kind {
	case ifnet.WentUp, ifnet.WentDown, ifnet.LinkChanged:
		i.step(func(now time.Time) []Action {
			if i.hasLink() {
				return i.parent.Step(now, LinkUp{})
			}
			return i.parent.Step(now, LinkDown{})
		})
	}
}

// hasLink reports whether the interface is up and has a link.
func (i *Interface) hasLink() (has bool) {
	l := i.s.c.Ifs.Domain().Bind()
	defer l.Unbind()
	i.with(l, func(ifp *ifnet.Interface) { has = ifp.IsUp() && ifp.HasLink() })
	return has
}

func (i *Interface) isClosed() bool {
	i.wake.mu.Lock()
	defer i.wake.mu.Unlock()
	return i.wake.closed
}

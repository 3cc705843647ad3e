package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/wqinput"
)

// A network is interfaces that come and go, and queues of packets that name them: what a world has
// besides its objects, if its setting says so. Each place has one interface after the other; gone
// says which was the last whose Detach has returned.
type network struct {
	ifs  *ifnet.Table
	pool *mbuf.Pool
	isr  *netisr.ISR
	send *netisr.SendQueue
	wq   *wqinput.Queue
	ip   atomic.Pointer[netisr.Reg]
	out  *netisr.Type[*atomic.Int64]

	places []place
	owners atomic.Int64 // how many places have an owner

	mu  sync.Mutex
	all []*states // that actors have saved; guarded by mu

	charge  atomic.Pointer[string] // what a handler is convicted of
	handled atomic.Uint64
	purged  atomic.Uint64 // states that were given back
	away    atomic.Uint64 // packets that were refused

	// BUSTED: handlers that do what they should not.
	keep  bool                            // keep the interface
	kept  atomic.Pointer[ifnet.Interface] // what was kept
	stash bool                            // keep the packet, in a list that no departure drains
	late  chan *mbuf.Packet
}

// A place is where one interface follows another.
type place struct {
	now, gone atomic.Uint64 // index<<32 | gen
	_         [112]byte
}

func pack(id ifnet.ID) uint64  { return uint64(id.Index)<<32 | uint64(id.Gen) }
func unpack(w uint64) ifnet.ID { return ifnet.ID{Index: uint32(w >> 32), Gen: uint32(w)} }

func newNetwork(dom *lwp.Domain, s setting) *network {
	n := &network{pool: mbuf.NewPool(mbuf.PoolConfig{Limit: 4096}), places: make([]place, s.interfaces), keep: s.keep, stash: s.stash, late: make(chan *mbuf.Packet, 64)}
	n.ifs = ifnet.NewTable(dom, ifnet.WithPool(n.pool))
	recovered := func(v any) { n.convict("a handler panicked: %v", v) }
	n.isr = netisr.New(netisr.Config{Ifs: n.ifs, Streams: 2, Recovered: recovered})
	n.send = netisr.NewSendQueue(netisr.SendConfig{Ifs: n.ifs, Streams: 2, Recovered: recovered})
	n.wq = wqinput.New(n.ifs, "torture", func(_ context.Context, in *wqinput.Input) {
		n.saw(in.In, in.Packet)
		if in.Packet.FlowID%16 == 0 {
			<-time.After(50 * time.Microsecond) // it may sleep
		}
		in.Packet.Free(mbuf.Done)
	}, wqinput.WithStreams(2), wqinput.WithRecover(recovered))
	n.register()
	var err error
	n.out, err = netisr.Register(n.send, netisr.Spec[*atomic.Int64]{
		Name: "out",
		Handle: func(c *netisr.Ctx, m *mbuf.Packet, ends *atomic.Int64) {
			n.saw(c.Out, m)
			ends.Add(1)
			m.Free(mbuf.Done)
		},
		Free: func(ends *atomic.Int64, _ mbuf.Reason) { ends.Add(1); n.purged.Add(1) },
	})
	if err != nil {
		panic(err)
	}
	return n
}

func (n *network) register() {
	r, err := n.isr.Register(netisr.Handler{Name: "ip", Proto: 1, Policy: netisr.PolicyFlow, Mode: netisr.ModeHybrid, Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
		n.saw(c.In, m)
		if n.keep {
			n.kept.Store(c.In)
		}
		if n.stash {
			m.Keep(stashed)
			select {
			case n.late <- m:
				return
			default:
				m.Take(stashed, nil)
			}
		}
		m.Free(mbuf.Done)
	}})
	if err != nil {
		panic(err)
	}
	n.ip.Store(r)
}

var stashed = mbuf.NewQueue("a list of its own")

func (n *network) convict(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	n.charge.CompareAndSwap(nil, &s)
}

// saw looks at what a handler is given: an interface that is whole, and that has not gone.
func (n *network) saw(ifp *ifnet.Interface, m *mbuf.Packet) {
	n.handled.Add(1)
	if ifp.MAC() == (ifnet.MAC{}) || len(ifp.Addrs()) != 0 || !ifp.IsUp() {
		n.convict("a handler sees interface %v undone", ifp.ID())
	}
	n.notGone(ifp.ID())
	if !m.In.IsZero() {
		n.notGone(m.In)
	}
}

func (n *network) notGone(id ifnet.ID) {
	for i := range n.places {
		if g := unpack(n.places[i].gone.Load()); g.Index == id.Index && g.Gen >= id.Gen {
			n.convict("a handler is given a packet of interface %v, which has gone", id)
		}
	}
}

// own has an interface come, be there for a moment, and go.
func own(a *actor) {
	n := a.net
	if a.place < 0 {
		a.place = int(n.owners.Add(1)-1) % len(n.places)
	}
	p := &n.places[a.place]
	ifp, err := n.ifs.Attach(ifnet.Spec{Name: fmt.Sprintf("em%d", a.place), Driver: ifnet.NewLoop(), MAC: ifnet.MAC{2, 1}, Up: true})
	if err != nil {
		convict("attach: %v", err)
	}
	id := ifp.ID()
	p.now.Store(pack(id))
	for range 1 + a.rng.IntN(40) {
		runtime.Gosched()
	}
	if err := n.ifs.Detach(a.life, a.l, id); err != nil {
		convict("detach of %v: %v", id, err)
	}
	p.gone.Store(pack(id))
	a.t.n[departures]++
}

// produce has packets queued, by whatever way, that name interfaces which may be going.
func produce(a *actor) {
	n := a.net
	if c := n.charge.Load(); c != nil {
		convict("%s", *c)
	}
	pick := func() ifnet.ID { return unpack(n.places[a.rng.IntN(len(n.places))].now.Load()) }
	for range 32 {
		in, out := pick(), pick()
		if in.IsZero() || out.IsZero() {
			runtime.Gosched() // an owner has yet to come
			return
		}
		m, err := n.pool.Alloc(64)
		if err != nil {
			runtime.Gosched()
			return
		}
		m.In, m.FlowID, m.Hash = in, a.rng.Uint32(), mbuf.HashOpaque
		switch a.rng.IntN(4) {
		case 0:
			err = n.isr.Queue(1, m)
		case 1:
			err = n.isr.Dispatch(a.l, 1, m)
		case 2:
			err = n.wq.Input(m, 0, 1)
		default:
			if a.states == nil {
				a.states = n.newStates()
			}
			a.states.taken++
			if err = n.out.Dispatch(m, out, &a.states.ends); err != nil {
				a.states.taken--
			}
		}
		if err != nil {
			n.away.Add(1)
		}
		a.t.n[ops]++
	}
}

// rearrange ends the registration of a protocol and makes another.
func rearrange(a *actor) {
	for range 20 {
		runtime.Gosched()
	}
	if err := a.net.ip.Load().Unregister(a.life, a.l); err != nil {
		convict("unregister: %v", err)
	}
	a.net.register()
	a.t.n[resumed]++
}

// useKept is BUSTED: it uses the interface that a handler kept.
func useKept(a *actor) {
	if ifp := a.net.kept.Load(); ifp != nil && ifp.MAC() == (ifnet.MAC{}) {
		convict("an interface that a handler kept is used undone")
	}
	runtime.Gosched()
}

// useStashed is BUSTED: it gives packets that a handler kept to another handler.
func useStashed(a *actor) {
	select {
	case m := <-a.net.late:
		for range 20 {
			runtime.Gosched()
		}
		m.Take(stashed, nil)
		a.net.notGone(m.In)
		m.Free(mbuf.Done)
	default:
		runtime.Gosched()
	}
	if c := a.net.charge.Load(); c != nil {
		convict("%s", *c)
	}
}

func (n *network) newStates() *states {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &states{}
	n.all = append(n.all, s)
	return s
}

// states are what an actor has saved with packets.
type states struct {
	taken int64
	ends  atomic.Int64
}

// settle waits until nothing is queued, and audits: everything has had one end.
func (n *network) settle(ctx context.Context, l *lwp.LWP) {
	for name, err := range map[string]error{"isr": n.isr.Flush(ctx, l), "send": n.send.Flush(ctx, l), "wqinput": n.wq.Flush(ctx)} {
		if err != nil {
			convict("%s is not drained although nobody queues: %v", name, err)
		}
	}
	for len(n.late) > 0 {
		m := <-n.late
		m.Take(stashed, nil)
		m.Free(mbuf.Done)
	}
	if c := n.charge.Load(); c != nil {
		convict("%s", *c)
	}
	if k := n.pool.Outstanding(); k > 0 {
		convict("%d packets are in no queue and not freed", k)
	}
	if ids := n.ifs.All(); len(ids) > 0 {
		convict("interfaces %v are there and nobody's", ids)
	}
	for _, s := range n.all {
		if s.taken != s.ends.Load() {
			convict("%d states were taken over, and there were %d ends", s.taken, s.ends.Load())
		}
	}
	s := n.out.Stats()
	if s.Queued != s.Handled+s.StaleIf+s.Departed+s.Down+s.Unregistered+s.Discarded+s.Superseded {
		convict("the sender's books do not balance: %+v", s)
	}
}

func (n *network) close(l *lwp.LWP) {
	ctx := context.Background()
	for name, err := range map[string]error{"isr": n.isr.Close(ctx, l), "send": n.send.Close(ctx, l), "wqinput": n.wq.Close(ctx)} {
		if err != nil {
			convict("%s does not close: %v", name, err)
		}
	}
}

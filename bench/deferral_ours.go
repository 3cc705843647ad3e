package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

const (
	window   = 1024 // packets that a producer has
	perFlow  = 64   // of them to a flow: a flow's packets come one after the other
	flowsOf  = window / perFlow
	queueLen = pair * window
)

// A carrier takes packets to where they are handled.
type carrier struct {
	push func(id int, ms []*mbuf.Packet)
	stop func()
}

// A ferry is packets that go back and forth between producers and their handler.
type ferry struct {
	dom  *lwp.Domain
	ifs  *ifnet.Table
	em   ifnet.ID
	pool *mbuf.Pool
	back *mbuf.Owner // has what was handled
	push func(id int, ms []*mbuf.Packet)

	loose   bool // the carrier keeps no order
	shores  [pair]shore
	arrived [pair]arrivals
}

// A shore is a producer's.
type shore struct {
	window []*mbuf.Packet
	next   int
	seq    [flowsOf]uint32
	_      [128]byte
}

// arrivals are what the handler knows of a producer's flows.
type arrivals struct {
	last [flowsOf]uint32
	_    [128]byte
}

func newFerry(producers int) *ferry {
	f := &ferry{dom: lwp.NewDomain(), pool: mbuf.NewPool(mbuf.PoolConfig{}), back: mbuf.NewQueue("back")}
	f.ifs = ifnet.NewTable(f.dom, ifnet.WithPool(f.pool))
	ifp, err := f.ifs.Attach(ifnet.Spec{Name: "em0", Driver: ifnet.NewLoop(), Up: true})
	must(err)
	f.em = ifp.ID()
	for id := range producers {
		for range window {
			m, err := f.pool.Alloc(64)
			must(err)
			m.In, m.Hash = f.em, mbuf.HashOpaque
			m.Keep(f.back)
			f.shores[id].window = append(f.shores[id].window, m)
		}
	}
	return f
}

// send sends n packets in batches. Flow 0 of the first producer is stream 0's, of the second
// stream 1's, if there are two.
func (f *ferry) send(id, n, batch int) {
	s := &f.shores[id]
	for n > 0 {
		k := min(n, batch, len(s.window)-s.next)
		ms := s.window[s.next : s.next+k]
		flow := s.next / perFlow
		f.await(ms[k-1])
		for _, m := range ms {
			f.await(m)
			m.Take(f.back, nil)
			s.seq[flow]++
			m.FlowID, m.Mark = uint32(pair*flow+id), s.seq[flow]
		}
		f.push(id, ms)
		if s.next += k; s.next == len(s.window) {
			s.next = 0
		}
		n -= k
	}
}

// cross sends a packet, and returns it.
func (f *ferry) cross() *mbuf.Packet {
	s := &f.shores[0]
	m := s.window[s.next]
	f.send(0, 1, 1)
	return m
}

// await waits until a packet has come back.
func (f *ferry) await(m *mbuf.Packet) {
	for !m.OwnedBy(f.back) {
		runtime.Gosched()
	}
}

// settle waits until everything that was sent has come back.
func (f *ferry) settle() {
	for id := range f.shores {
		for _, m := range f.shores[id].window {
			f.await(m)
		}
	}
}

// handle is the handler of all carriers.
func (f *ferry) handle(m *mbuf.Packet) {
	a, flow := &f.arrivals(m).last, m.FlowID/pair
	if !f.loose && m.Mark != a[flow]+1 {
		panic(fmt.Sprintf("packet %d of flow %d was handled after %d", m.Mark, m.FlowID, a[flow]))
	}
	a[flow] = m.Mark
	m.Keep(f.back)
}

func (f *ferry) arrivals(m *mbuf.Packet) *arrivals { return &f.arrived[m.FlowID%pair] }

func (f *ferry) count() (n int) {
	for id := range f.shores {
		if f.shores[id].window != nil {
			n++
		}
	}
	return n
}

// isr returns an ISR with a stream for each producer.
func (f *ferry) isr() *netisr.ISR {
	i := netisr.New(netisr.Config{Ifs: f.ifs, Streams: f.count()})
	_, err := i.Register(netisr.Handler{
		Name: "bench", Proto: 1, Policy: netisr.PolicyFlow, QLimit: queueLen,
		Handle: func(_ *netisr.Ctx, m *mbuf.Packet) { f.handle(m) },
	})
	must(err)
	return i
}

func newISR(f *ferry, batch int) carrier {
	i := f.isr()
	c := carrier{stop: func() { f.close(i.Close) }}
	if batch == 1 {
		c.push = func(_ int, ms []*mbuf.Packet) { must(i.Queue(1, ms[0])) }
		return c
	}
	var lists [pair]mbuf.List
	c.push = func(id int, ms []*mbuf.Packet) {
		lists[id].Push(ms...)
		_, err := i.QueueList(1, &lists[id])
		must(err)
	}
	return c
}

func newISRSingle(f *ferry, _ int) carrier {
	i := f.isr()
	return carrier{func(_ int, ms []*mbuf.Packet) {
		for _, m := range ms {
			must(i.Queue(1, m))
		}
	}, func() { f.close(i.Close) }}
}

func newSendQueue(f *ferry, _ int) carrier {
	q := netisr.NewSendQueue(netisr.SendConfig{Ifs: f.ifs, Streams: f.count()})
	ty, err := netisr.Register(q, netisr.Spec[*ferry]{
		Name: "bench", Place: netisr.ByFlow, QLimit: queueLen,
		Handle: func(_ *netisr.Ctx, m *mbuf.Packet, f *ferry) { f.handle(m) },
	})
	must(err)
	return carrier{func(_ int, ms []*mbuf.Packet) {
		for _, m := range ms {
			must(ty.Dispatch(m, f.em, f))
		}
	}, func() { f.close(q.Close) }}
}

func (f *ferry) close(wait func(context.Context, *lwp.LWP) error) {
	l := f.dom.Bind()
	defer l.Unbind()
	must(wait(context.Background(), l))
}

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"

	"github.com/puzpuzpuz/xsync/v4"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/pfsync"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// states is a firewall's states: found, kept, and told of.
func states() []row {
	find := on(1, "", func() body { return million().find })
	gomap := on(1, "a Go map of the same keys", func() body { return million().gomap })
	xmap := on(1, "xsync.Map", func() body { return million().xsync })
	one := on(1, "one slice, one core", func() body { return newTeller(1, 1, steered).update })
	copied := on(1, "the same fields put one by one", func() body { return newTeller(1, 1, steered).put })
	reflected := on(1, "encoding/binary", func() body { return newTeller(1, 1, steered).binary })
	return []row{
		{"pf Find, a million states, random", find, []line{atMost(3, gomap), beside(xmap)}},
		{"pf Find, a million states, random, two cores", on(2, "", func() body { return million().find }), []line{
			beside(on(2, "xsync.Map", func() body { return million().xsync })),
			beside(on(2, "RWMutex + Go map", func() body { return million().locked })),
		}},
		{"pf state, of a million, with all tables", fixed("", "B", stateBytes), []line{noLargerThan(320), beside(fixed("a Go map of keys to pointers, alone", "B", mapBytes))}},
		{"pf Insert, and Remove and purge", on(1, "", func() body { return newChurn().pf }), []line{
			beside(on(1, "a Go map: insert and delete", func() body { return newChurn().gomap })),
			beside(on(1, "xsync.Map: insert and delete", func() body { return newChurn().xsync })),
		}},
		{"pfsync, a whole state written", on(1, "", func() body { return newTeller(1, 1, steered).export }), []line{atMost(2, copied), beside(reflected)}},
		{"pfsync, an update queued, written and handed over", one, []line{beside(on(1, "the same fields put one by one", func() body { return newTeller(1, 1, steered).putUpdate }))}},
		{"pfsync, two slices, flows steered, two cores", on(2, "", func() body { return newTeller(2, 2, steered).update }), []line{atMost(1.18, one)}},
		{"pfsync, two slices, flows steered, states of each apart, two cores", on(2, "", func() body { return newTeller(2, 2, apart).update }), []line{beside(one)}},
		{"pfsync, two slices, flows anywhere, two cores", on(2, "", func() body { return newTeller(2, 2, anywhere).update }), []line{beside(one)}},
	}
}

func end(n uint32) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 24), byte(n >> 16), byte(n >> 8)}), uint16(n)<<8|1)
}

func keyOf(n uint32) pf.Key { return pf.KeyOf(pf.Out, pf.UDP, end(n), end(^n)) }

// A stock is a million states, and the same in other people's tables.
type stock struct {
	tab   *pf.Table
	order []pf.Key
	m     map[pf.Key]*pf.State
	x     *xsync.Map[pf.Key, *pf.State]
	mu    sync.RWMutex
}

const many = 1_000_000

var million = sync.OnceValue(func() *stock {
	s := &stock{m: make(map[pf.Key]*pf.State, many), x: xsync.NewMap[pf.Key, *pf.State](xsync.WithPresize(many))}
	dom := lwp.NewDomain()
	l := dom.Bind()
	s.tab = pf.New(dom, pf.Config{Limit: many, Manual: true})
	for i := range uint32(many) {
		k := keyOf(i)
		st := sure(s.tab.Insert(l, k, k, pf.Out, ""))
		s.m[k] = st
		s.x.Store(k, st)
		s.order = append(s.order, k)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(many, func(i, j int) { s.order[i], s.order[j] = s.order[j], s.order[i] })
	return s
})

// through has f called with keys in an order that has nothing to do with where they are.
func (s *stock) through(id, n int, f func(k *pf.Key) bool) {
	at := id * many / 2
	for range n {
		if !f(&s.order[at]) {
			panic("a state was not found")
		}
		if at++; at == many {
			at = 0
		}
	}
}

func (s *stock) find(id, n int) {
	s.through(id, n, func(k *pf.Key) bool { return s.tab.Find(k, pf.Out, "em0") != nil })
}

func (s *stock) gomap(id, n int) {
	s.through(id, n, func(k *pf.Key) bool { return s.m[*k] != nil })
}

func (s *stock) xsync(id, n int) {
	s.through(id, n, func(k *pf.Key) bool { st, _ := s.x.Load(*k); return st != nil })
}

func (s *stock) locked(id, n int) {
	s.through(id, n, func(k *pf.Key) bool {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return s.m[*k] != nil
	})
}

// heap returns how much memory what f makes and returns takes.
func heap(f func() any) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	return float64(after.HeapAlloc) - float64(before.HeapAlloc)
}

func stateBytes() float64 {
	return heap(func() any {
		dom := lwp.NewDomain()
		tab := pf.New(dom, pf.Config{Limit: many, Manual: true})
		l := dom.Bind()
		for i := range uint32(many) {
			k := keyOf(i)
			sure(tab.Insert(l, k, k, pf.Out, ""))
		}
		return tab
	}) / many
}

func mapBytes() float64 {
	return heap(func() any {
		m := map[pf.Key]*pf.State{}
		for i := range uint32(many) {
			m[keyOf(i)] = nil
		}
		return m
	}) / many
}

// A churn has states come and go, of which there are ten thousand.
type churn struct {
	tab *pf.Table
	l   *lwp.LWP
	m   map[pf.Key]*pf.State
	x   *xsync.Map[pf.Key, *pf.State]
}

const few = 10_000

func newChurn() *churn {
	dom := lwp.NewDomain()
	var none pf.Timeouts // whoever has not been used in this second is over
	return &churn{
		pf.New(dom, pf.Config{Limit: 2 * few, Manual: true, Timeouts: &none}), dom.Bind(),
		map[pf.Key]*pf.State{}, xsync.NewMap[pf.Key, *pf.State](),
	}
}

func (c *churn) pf(_, n int) {
	for i := range uint32(n) {
		k := keyOf(i % few)
		sure(c.tab.Insert(c.l, k, k, pf.Out, ""))
		if i%64 == 63 {
			c.tab.Purge(c.l, few)
		}
	}
	c.tab.Purge(c.l, 2*few)
}

func (c *churn) gomap(_, n int) {
	for i := range uint32(n) {
		k := keyOf(i % few)
		c.m[k] = new(pf.State)
		delete(c.m, k)
	}
}

func (c *churn) xsync(_, n int) {
	for i := range uint32(n) {
		k := keyOf(i % few)
		c.x.Store(k, new(pf.State))
		c.x.Delete(k)
	}
}

// A teller is a device that tells of states, to nobody: what it has written finds no room, and is freed.
type teller struct {
	tab *pf.Table
	dev *pfsync.Device
	own [2][]*pf.State // of each core
	l   [2]*lwp.LWP
	w   []wire.State
	u   []wire.Update
	buf [1500]byte
}

const told = 1024 // states of each core

// How flows are dealt to cores.
type dealing int

const (
	steered  dealing = iota // by the hash that picks slices
	apart                   // likewise, and what one core writes to lies apart from what the other does
	anywhere                // one after the other
)

func newTeller(cores, slices int, how dealing) *teller {
	dom := lwp.NewDomain()
	t := &teller{tab: pf.New(dom, pf.Config{Limit: 1 << 14, Manual: true})}
	ifs := ifnet.NewTable(dom, ifnet.WithPool(mbuf.NewPool(mbuf.PoolConfig{})))
	port, _ := ifnet.NewPair()
	ifp := sure(ifs.Attach(ifnet.Spec{Name: "sync0", Driver: port, Up: true}))
	send := netisr.NewSendQueue(netisr.SendConfig{Ifs: ifs, Manual: true})
	t.dev = sure(pfsync.New(pfsync.Config{Table: t.tab, Ifs: ifs, Send: send, Dev: ifp.ID(), Slices: slices, Manual: true}))
	l := dom.Bind()
	if err := t.dev.Up(context.Background(), l); err != nil {
		panic(err)
	}
	for i := uint32(0); len(t.own[0]) < told || len(t.own[1]) < told; i++ {
		k := keyOf(i)
		st := sure(t.tab.Insert(l, k, k, pf.Out, ""))
		core := i % 2
		if how != anywhere {
			core = st.Hash() % 2
		}
		if len(t.own[core]) < told && (how != apart || core == 0 || len(t.own[0]) == told) {
			t.own[core] = append(t.own[core], st)
		} else {
			t.tab.RemoveSilently(l, st)
		}
	}
	for id := range cores {
		t.l[id] = dom.BindSoftint(fmt.Sprint("core ", id))
	}
	l.Unbind()
	for _, st := range t.own[0] {
		var w wire.State
		st.Export(&w, t.tab.Now())
		t.w = append(t.w, w)
		var u wire.Update
		st.ExportUpdate(&u)
		t.u = append(t.u, u)
	}
	return t
}

// update has a packet of each state let through.
func (t *teller) update(id, n int) {
	own, l := t.own[id], t.l[id]
	for i := range n {
		t.tab.Update(l, own[i%told])
		if i%64 == 63 {
			l.Checkpoint()
		}
	}
}

func (t *teller) export(_, n int) {
	now := t.tab.Now()
	for i := range n {
		var w wire.State
		t.own[0][i%told].Export(&w, now)
		w.Append(t.buf[:0])
	}
}

func (t *teller) put(_, n int) {
	for i := range n {
		t.w[i%told].Append(t.buf[:0])
	}
}

func (t *teller) putUpdate(_, n int) {
	for i := range n {
		t.u[i%told].Append(t.buf[:0])
	}
}

// plain is a state as a program would have it that leaves the writing to a library.
type plain struct {
	ID             uint64
	IfName         [16]byte
	Keys           [2]plainKey
	Halves         [2]plainHalf
	Route          [16]byte
	Rules          [3]uint32
	Age, Expire    uint32
	Packets, Bytes [2]uint64
	Creator        uint32
	RTable         [2]int32
	MSS            uint16
	Rest           [14]byte
}

type plainKey struct {
	Addr    [2][16]byte
	Port    [2]uint16
	RDomain uint16
	AF, _   uint8
}

type plainHalf struct {
	Scrub       [8]byte
	Lo, Hi, Dif uint32
	Win, MSS    uint16
	Level, Wide uint8
	_           [6]uint8
}

func (t *teller) binary(_, n int) {
	p := new(plain)
	for range n {
		if b := sure(binary.Append(t.buf[:0], binary.BigEndian, p)); len(b) != wire.INS.Size() {
			panic("it is no state")
		}
	}
}

// sure returns what cannot fail.
func sure[T any](v T, err error) T {
	must(err)
	return v
}

package main

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gaissmai/bart"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/fib"
	"github.com/softnet-go/softnet/internal/internet"
	"github.com/softnet-go/softnet/internal/seedcache"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
)

// routes is the full table, by way of a few gateways.
var routes = sync.OnceValue(func() []rtable.Route {
	ps := internet.Prefixes()
	rts := make([]rtable.Route, len(ps))
	for i, p := range ps {
		g := byte(i*7%24) + 1
		rts[i] = rtable.Route{Dst: p, Gateway: netip.AddrFrom4([4]byte{192, 0, 2, g}), Out: ifnet.ID{Index: uint32(g), Gen: 1}}
	}
	return rts
})

// full is the table that all probes of ours share, and what stands for no safety at all.
var full = sync.OnceValue(func() *fullTable {
	t := &fullTable{dom: lwp.NewDomain()}
	t.rt = rtable.New(t.dom)
	if err := t.rt.Load(slices.Values(routes())); err != nil {
		panic(err)
	}
	var rib bart.Table[uint32]
	t.words, t.hops = make([]uint32, len(routes())+1), make([]*rtable.NextHop, 25)
	for i, r := range routes() {
		rib.Insert(r.Dst, uint32(i)+1)
		t.words[i+1] = r.Out.Index
		t.hops[r.Out.Index] = &rtable.NextHop{Gateway: r.Gateway, Out: r.Out}
	}
	t.fib.Load(rib.AllSorted())
	t.seed = seedcache.New(t.rt)
	for id := range pair {
		t.threads[id], t.softints[id] = thread(t.dom), offline(t.dom)
	}
	return t
})

type fullTable struct {
	dom   *lwp.Domain
	rt    *rtable.Table
	seed  *seedcache.Set
	fib   fib.Table // the same prefixes, as numbers of words
	words []uint32  // numbers of hops
	hops  []*rtable.NextHop

	// Probes come and go; the LWPs are for all of them, one at a time.
	threads, softints [pair]*lwp.LWP
}

// addresses returns n that have a route, each time the same.
func addresses(six bool, n int) []netip.Addr {
	rng, rts := rand.New(rand.NewPCG(1, 2)), routes()
	as := make([]netip.Addr, 0, n)
	for len(as) < n {
		p := rts[rng.IntN(len(rts))].Dst
		if p.Addr().Is6() != six {
			continue
		}
		b := p.Addr().AsSlice()
		for i := range b {
			b[i] |= byte(rng.Uint32()) & byte(0xff>>min(max(p.Bits()-8*i, 0), 8))
		}
		a, _ := netip.AddrFromSlice(b)
		as = append(as, a)
	}
	return as
}

var addressLists = struct {
	sync.Mutex
	of map[[2]int][]netip.Addr
}{of: map[[2]int][]netip.Addr{}}

// list is addresses, made once.
func list(six bool, n int) []netip.Addr {
	addressLists.Lock()
	defer addressLists.Unlock()
	key := [2]int{n}
	if six {
		key[1] = 1
	}
	if addressLists.of[key] == nil {
		addressLists.of[key] = addresses(six, n)
	}
	return addressLists.of[key]
}

// A tour is addresses, and where each goroutine is in them: a window begins where the last
// ended, or it would find in the caches what that has left there.
type tour struct {
	to []netip.Addr
	at [pair]struct {
		i int
		_ [120]byte
	}
}

func newTour(six bool, n int) tour {
	t := tour{to: list(six, n)}
	for id := range t.at {
		t.at[id].i = id * n / pair
	}
	return t
}

// next returns the next n addresses, n at the most.
func (t *tour) next(id, n int) []netip.Addr {
	at := &t.at[id]
	if at.i == len(t.to) {
		at.i = 0
	}
	n = min(n, len(t.to)-at.i)
	at.i += n
	return t.to[at.i-n : at.i]
}

// A router looks up where packets go, as softints or as threads.
type router struct {
	*fullTable
	tour
	soft   bool
	caches [pair]rtcache.Cache
	seeds  [pair]*seedcache.Cache
	flap   []rtable.Route
	gone   bool // whether flap[0] is out of the table
	last   time.Time
}

func newRouter(soft, six bool, many int) *router {
	r := &router{fullTable: full(), tour: newTour(six, many), soft: soft}
	for id := range pair {
		r.seeds[id] = r.seed.NewCache()
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for len(r.flap) < 512 {
		if rt := routes()[rng.IntN(len(routes()))]; rt.Dst.Addr().Is6() == six && !slices.Contains(r.flap, rt) {
			r.flap = append(r.flap, rt)
		}
	}
	return r
}

// as runs f as one of the softints, which is at work meanwhile, or of the threads.
func (r *router) as(id int, f func(l *lwp.LWP)) {
	if !r.soft {
		f(r.threads[id])
		return
	}
	l := r.softints[id]
	l.Online()
	f(l)
	l.Offline()
}

func (r *router) get(id, n int) {
	r.as(id, func(l *lwp.LWP) {
		for n > 0 {
			as := r.next(id, n)
			n -= len(as)
			r.getAll(l, as)
		}
	})
}

func (r *router) getAll(l *lwp.LWP, as []netip.Addr) {
	var ref psref.Ref
	for _, a := range as {
		if _, err := r.rt.Get(l, &ref, a); err == nil {
			ref.Release(l)
		}
		l.Checkpoint()
	}
}

func (r *router) peek(id, n int) {
	r.as(id, func(l *lwp.LWP) {
		for n > 0 {
			as := r.next(id, n)
			n -= len(as)
			own[id].sum += r.peekAll(l, as)
		}
	})
}

func (r *router) peekAll(l *lwp.LWP, as []netip.Addr) (sum int) {
	for _, a := range as {
		if h := r.rt.Peek(l, a); h.Err() == nil {
			sum += int(h.Next.Out.Index)
		}
		l.Checkpoint()
	}
	return sum
}

func (r *router) peekBurst(id, n int) {
	r.as(id, func(l *lwp.LWP) {
		var hits [fib.Burst]rtable.Hit
		for n > 0 {
			as := r.next(id, min(n, fib.Burst))
			n -= len(as)
			r.rt.PeekBurst(l, as, hits[:])
			l.Checkpoint()
		}
	})
}

func (r *router) getBurst(id, n int) {
	r.as(id, func(l *lwp.LWP) {
		var hits [fib.Burst]rtable.Hit
		var refs [fib.Burst]psref.Ref
		for n > 0 {
			as := r.next(id, min(n, fib.Burst))
			n -= len(as)
			r.rt.GetBurst(l, refs[:], as, hits[:])
			for i := len(as) - 1; i >= 0; i-- {
				if hits[i].Err() == nil {
					refs[i].Release(l)
				}
			}
			l.Checkpoint()
		}
	})
}

func (r *router) lookup(id, n int) {
	l, ctx := r.threads[id], context.Background()
	for n > 0 {
		as := r.next(id, n)
		n -= len(as)
		for _, a := range as {
			if e, err := r.rt.Lookup(ctx, l, a); err == nil {
				e.Unref()
			}
		}
	}
}

// change withdraws a route or announces it again.
func (r *router) change(_, n int) {
	for range n {
		rt := r.flap[0]
		var err error
		if r.gone = !r.gone; r.gone {
			err = r.rt.Delete(rt.Dst)
		} else {
			err = r.rt.Add(rt)
			r.flap = append(r.flap[1:], rt)
		}
		if err != nil {
			panic(err)
		}
	}
	if r.gone { // the next probe wants it there
		r.gone = false
		if err := r.rt.Add(r.flap[0]); err != nil {
			panic(err)
		}
	}
}

// changeAtARate does a change when it is time for it.
func (r *router) changeAtARate() {
	const every = time.Second / 10_000
	r.change(0, 2)
	for time.Since(r.last) < 2*every {
		runtime.Gosched() // the table's worker has no core of its own
	}
	r.last = time.Now()
}

// hit asks a cache for what it knows.
func (r *router) hit(id, n int) {
	r.as(id, func(l *lwp.LWP) {
		c, a := &r.caches[id], r.to[id]
		for range n {
			if _, err := c.Lookup(l, r.rt, a); err == nil {
				c.Release(l)
			}
			l.Checkpoint()
		}
	})
}

// seedHit does the same with the seed's locks.
func (r *router) seedHit(id, n int) {
	l, c, a := r.threads[id], r.seeds[id], r.to[id]
	for range n {
		if _, err := c.Lookup(l, a); err == nil {
			c.Release(l)
		}
	}
}

// A forwarder's burst: a checkpoint after so many packets.
const burst = 32

func (r *router) forward(id, n int) {
	r.as(id, func(l *lwp.LWP) {
		sum := 0
		for n > 0 {
			as := r.next(id, min(n, burst))
			n -= len(as)
			for _, a := range as {
				if h := r.rt.Peek(l, a); h.Err() == nil {
					sum += int(h.Next.Out.Index)
				}
			}
			l.Checkpoint()
		}
		own[id].sum += sum
	})
}

func (r *router) forwardHolding(id, n int) {
	r.as(id, func(l *lwp.LWP) {
		var ref psref.Ref
		sum := 0
		for n > 0 {
			as := r.next(id, min(n, burst))
			n -= len(as)
			for _, a := range as {
				if e, err := r.rt.Get(l, &ref, a); err == nil {
					sum += int(e.Out().Index)
					ref.Release(l)
				}
			}
			l.Checkpoint()
		}
		own[id].sum += sum
	})
}

// forwardUnsafe is the same in a table that nobody ever changes.
func (r *router) forwardUnsafe(id, n int) {
	sum := 0
	for n > 0 {
		as := r.next(id, min(n, burst))
		n -= len(as)
		for _, a := range as {
			var v uint32
			if a.Is4() {
				v = r.fib.Lookup4(fib.Word4(a))
			} else {
				v = r.fib.Lookup6(fib.Words6(a))
			}
			if v != 0 {
				sum += int(r.hops[r.words[v]].Out.Index)
			}
		}
	}
	own[id].sum += sum
}

func millis(f func()) float64 {
	runtime.GC()
	start := time.Now()
	f()
	return float64(time.Since(start)) / float64(time.Millisecond)
}

func loadOurs() float64 {
	rt := rtable.New(lwp.NewDomain())
	return millis(func() {
		if err := rt.Load(slices.Values(routes())); err != nil {
			panic(err)
		}
	})
}

func loadKept() float64 {
	return millis(func() {
		var t bart.Table[*rtable.Route]
		for _, rt := range routes() {
			t.Insert(rt.Dst, &rt)
		}
	})
}

func loadNumbers() float64 {
	return millis(func() {
		var t bart.Table[uint32]
		for i, rt := range routes() {
			t.Insert(rt.Dst, uint32(i))
		}
	})
}

// fibBytes returns the bytes of the FIB of one family's routes, a route.
func fibBytes(six bool) float64 {
	rt, n := rtable.New(lwp.NewDomain()), 0
	err := rt.Load(func(yield func(rtable.Route) bool) {
		for _, r := range routes() {
			if r.Dst.Addr().Is6() == six {
				n++
				if !yield(r) {
					return
				}
			}
		}
	})
	if err != nil {
		panic(err)
	}
	return float64(rt.Stats().FIB) / float64(n)
}

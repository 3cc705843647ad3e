package main

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/gaissmai/bart"
	iradix "github.com/hashicorp/go-immutable-radix/v2"

	"github.com/softnet-go/softnet/internal/fib"
	"github.com/softnet-go/softnet/rtable"
)

// A kept is a route as a table of pointers keeps it.
type kept struct {
	rtable.Route
	refs atomic.Int64
}

// fullPeers is the full table as others have it.
var fullPeers = sync.OnceValue(func() *peerTables {
	p := &peerTables{bart: new(bart.Table[*kept])}
	for _, r := range routes() {
		p.bart.Insert(r.Dst, &kept{Route: r})
	}
	p.snap.Store(p.bart.Clone())
	return p
})

type peerTables struct {
	mu   sync.RWMutex
	bart *bart.Table[*kept]
	snap atomic.Pointer[bart.Table[*kept]]
}

// radixTree is the IPv4 part as a radix tree, which is large and slow to make.
var radixTree = sync.OnceValue(func() *iradix.Tree[*kept] {
	txn := iradix.New[*kept]().Txn()
	for _, r := range routes() {
		if a := r.Dst.Addr(); a.Is4() {
			txn.Insert(radixKey(fib.Word4(a), r.Dst.Bits()), &kept{Route: r})
		}
	}
	return txn.Commit()
})

// routers look up as a router does.
type routers struct {
	*peerTables
	tour
	flap []rtable.Route
	gone bool
}

func newRouters(six bool, many int) *routers {
	r := &routers{peerTables: fullPeers(), tour: newTour(six, many)}
	for _, rt := range routes() {
		if rt.Dst.Addr().Is6() == six && len(r.flap) < 512 {
			r.flap = append(r.flap, rt)
		}
	}
	return r
}

// each calls f with as many addresses as are wanted.
func (r *routers) each(id, n int, f func(as []netip.Addr)) {
	for n > 0 {
		as := r.next(id, n)
		n -= len(as)
		f(as)
	}
}

func (r *routers) bare(id, n int) {
	r.each(id, n, func(as []netip.Addr) {
		sum := 0
		for _, a := range as {
			if _, ok := r.bart.Lookup(a); ok {
				sum++
			}
		}
		own[id].sum += sum
	})
}

func (r *routers) read(id, n int) {
	r.each(id, n, func(as []netip.Addr) {
		sum := 0
		for _, a := range as {
			if k, ok := r.bart.Lookup(a); ok {
				sum += int(k.Out.Index)
			}
		}
		own[id].sum += sum
	})
}

func (r *routers) locked(id, n int) {
	r.each(id, n, func(as []netip.Addr) {
		sum := 0
		for _, a := range as {
			r.mu.RLock()
			if k, ok := r.bart.Lookup(a); ok {
				sum += int(k.Out.Index)
			}
			r.mu.RUnlock()
		}
		own[id].sum += sum
	})
}

func (r *routers) counted(id, n int) {
	r.each(id, n, func(as []netip.Addr) {
		sum := 0
		for _, a := range as {
			r.mu.RLock()
			k, ok := r.bart.Lookup(a)
			if ok {
				k.refs.Add(1)
			}
			r.mu.RUnlock()
			if ok {
				sum += int(k.Out.Index)
				k.refs.Add(-1)
			}
		}
		own[id].sum += sum
	})
}

func (r *routers) persistent(id, n int) {
	r.each(id, n, func(as []netip.Addr) {
		sum := 0
		for _, a := range as {
			if k, ok := r.snap.Load().Lookup(a); ok {
				sum += int(k.Out.Index)
			}
		}
		own[id].sum += sum
	})
}

func (r *routers) radix(id, n int) {
	root := radixTree().Root()
	r.each(id, n, func(as []netip.Addr) {
		sum := 0
		for _, a := range as {
			if _, k, ok := root.LongestPrefix(radixKey(fib.Word4(a), 32)); ok {
				sum += int(k.Out.Index)
			}
		}
		own[id].sum += sum
	})
}

// change withdraws a route or announces it again, in a new table that shares the rest.
func (r *routers) change(_, n int) {
	for range n {
		rt := r.flap[0]
		if r.gone = !r.gone; r.gone {
			r.snap.Store(r.snap.Load().DeletePersist(rt.Dst))
		} else {
			r.snap.Store(r.snap.Load().InsertPersist(rt.Dst, &kept{Route: rt}))
			r.flap = append(r.flap[1:], rt)
		}
	}
}

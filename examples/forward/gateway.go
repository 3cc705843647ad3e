package forward

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

// The gateways that all routes lead to. The first are steady; the neighbour entry of
// some is renewed again and again; the last leave and come back.
const (
	gateways = 24
	renewing = 18 // from here on
	leaving  = 22 // from here on
)

func renews(out ifnet.ID) bool { return out.Index > renewing && out.Index <= leaving }

func leaves(out ifnet.ID) bool { return out.Index > leaving }

// gatewayOf returns which gateway a prefix is routed to: a fixed hash (FNV-1a), so that
// every run has the same.
func gatewayOf(p netip.Prefix) int {
	h := uint32(2166136261)
	for _, b := range p.Addr().As16() {
		h = (h ^ uint32(b)) * 16777619
	}
	return int((h ^ uint32(p.Bits())) * 16777619 >> 16 % gateways)
}

// A gateway is what a packet is sent to: an address and, once it is known, a link address.
// Here it is a target that packets refer to, and a seal that says whether it is whole.
type gateway struct {
	psref.Target
	out  ifnet.ID
	nth  uint32        // of those that there have been at this place
	link atomic.Uint64 // its link address: linkAddr() while it is alive
}

const poison = 0xdeadbeefdeadbeef

func (g *gateway) linkAddr() uint64 {
	return 0x02_0000000000 | uint64(g.out.Index)<<32 | uint64(g.nth)
}

func (g *gateway) whole() bool { return g.link.Load() == g.linkAddr() }

func (g *gateway) String() string {
	return fmt.Sprintf("gateway %d (its neighbour entry %d)", g.out.Index, g.nth)
}

// routeTo returns the route of p through the i-th gateway in its gen-th presence.
func routeTo(p netip.Prefix, i int, gen uint32) rtable.Route {
	rt := rtable.Route{Dst: p, Out: ifnet.ID{Index: uint32(i) + 1, Gen: gen}}
	if p.Addr().Is4() {
		rt.Gateway = netip.AddrFrom4([4]byte{192, 0, 2, byte(i) + 1})
	} else {
		var a [16]byte
		binary.BigEndian.PutUint32(a[:], 0x20010db8)
		a[15] = byte(i) + 1
		rt.Gateway = netip.AddrFrom16(a)
	}
	return rt
}

// install makes a gateway and puts it in its place, or nothing if gen is 0. It returns the
// one that was there.
func (r *router) install(i int, gen, nth uint32) (old *gateway) {
	if gen == 0 {
		return r.places[i].Swap(nil)
	}
	g := &gateway{out: ifnet.ID{Index: uint32(i) + 1, Gen: gen}, nth: nth}
	g.link.Store(g.linkAddr())
	r.class.Init(&g.Target)
	return r.places[i].Swap(g)
}

// retire frees a gateway that is in no place any more: after a grace period nobody is
// about to refer to it, and after Destroy nobody does.
func (r *router) retire(ctx context.Context, l *lwp.LWP, g *gateway) {
	if r.unsafe != skipPerform {
		if err := r.psz.Perform(ctx, l); err != nil {
			r.faults.add(stuck, "%v: a read section does not end", g)
			return
		}
	}
	if err := g.Destroy(ctx, l); err != nil {
		r.faults.add(stuck, "%v: a holder does not let go", g)
		return
	}
	g.link.Store(poison)
}

package forward

import (
	"math/rand/v2"
	"net/netip"
)

const (
	flaps     = 64 // routes that flap: few have most of the changes, as on the Internet
	flapEvery = 8  // every so-manieth packet goes to one of them
)

// A traffic is where packets may go, and what is known of it beforehand.
type traffic struct {
	prefixes []netip.Prefix
	flapping []netip.Prefix
	flaps    map[netip.Prefix]bool
}

// newTraffic chooses the routes that flap: at most every second, and none whose gateway
// leaves.
func newTraffic(rng *rand.Rand, ps []netip.Prefix) *traffic {
	tr := &traffic{prefixes: ps, flaps: map[netip.Prefix]bool{}}
	for range 16 * flaps {
		p := ps[rng.IntN(len(ps))]
		if len(tr.flapping) < min(flaps, len(ps)/2) && !tr.flaps[p] && gatewayOf(p) < leaving {
			tr.flaps[p] = true
			tr.flapping = append(tr.flapping, p)
		}
	}
	return tr
}

// steady reports whether the route of p never changes.
func (tr *traffic) steady(p netip.Prefix) bool { return !tr.flaps[p] && gatewayOf(p) < leaving }

// leavers returns the prefixes whose gateways leave.
func (tr *traffic) leavers() (ps []netip.Prefix) {
	for _, p := range tr.prefixes {
		if gatewayOf(p) >= leaving {
			ps = append(ps, p)
		}
	}
	return ps
}

// A dest is where a packet goes.
type dest struct {
	addr   netip.Addr
	bits   int8 // of the prefix it was drawn from
	steady bool // whether the route of that prefix never changes
}

// draw returns n destinations: random addresses in random prefixes.
func (tr *traffic) draw(rng *rand.Rand, n int) []dest {
	ds := make([]dest, n)
	for i := range ds {
		p := tr.prefixes[rng.IntN(len(tr.prefixes))]
		if i%flapEvery == 0 && len(tr.flapping) > 0 {
			p = tr.flapping[rng.IntN(len(tr.flapping))]
		}
		ds[i] = dest{randomAddr(rng, p), int8(p.Bits()), tr.steady(p)}
	}
	return ds
}

// randomAddr returns an address in p.
func randomAddr(rng *rand.Rand, p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		host := 0xff >> min(max(p.Bits()-8*i, 0), 8)
		b[i] |= byte(rng.Uint32()) & byte(host)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

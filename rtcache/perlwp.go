package rtcache

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/softnet-go/softnet/lwp"
)

// PerLWP is some caches for each LWP of a domain, which nobody else uses: what a forwarder
// has (the percpu(9) caches of ip_forward, which know one destination each). Make one with
// [NewPerLWP]; it lives as long as its domain, and must not be copied.
type PerLWP struct {
	size  int // caches an LWP has; a power of two
	local *lwp.Local[set]
}

// A set is one LWP's caches, by the destination's hash.
type set struct {
	caches []Cache
	turn   uint64 // raised whenever one is asked for
}

// DefaultSize is how many caches an LWP has unless it is said otherwise.
const DefaultSize = 64

// NewPerLWP returns caches for the LWPs of a domain, at least size for each, or
// [DefaultSize] if size is 0. It panics if size is negative.
func NewPerLWP(dom *lwp.Domain, size int) *PerLWP {
	switch {
	case size < 0:
		panic(violation("no such size", "%d caches an LWP", size))
	case size == 0:
		size = DefaultSize
	}
	return &PerLWP{size: 1 << bits.Len(uint(size-1)), local: lwp.NewLocal[set](dom)}
}

// probes is how many caches a destination may be in.
const probes = 4

// Cache returns the cache of l in which dst is looked up: one that knows it, if there is
// one, or else of those that dst may be in the one that was not asked for longest; and in any
// case one that is not held. It never blocks, and allocates the first time,
// and when all caches dst may be in are held at once.
func (p *PerLWP) Cache(l *lwp.LWP, dst netip.Addr) *Cache {
	s := p.local.Get(l)
	if s.caches == nil {
		s.caches = make([]Cache, p.size)
	}
	s.turn++
	h := hash(dst)
	var free *Cache
	for i := range min(probes, p.size) {
		c := &s.caches[(h+i)&(p.size-1)]
		if c.holder != nil {
			continue
		}
		if c.dst == dst {
			c.turn = s.turn
			return c
		}
		if free == nil || c.turn < free.turn {
			free = c
		}
	}
	if free == nil {
		return new(Cache)
	}
	free.turn = s.turn
	return free
}

// Stats returns the sums of all counters. It may be called when nobody uses the caches: their
// owners write them without a thought for others.
func (p *PerLWP) Stats() (sum Stats) {
	for s := range p.local.All() {
		for i := range s.caches {
			sum.Add(s.caches[i].Stats())
		}
	}
	return sum
}

// hash spreads destinations over the caches.
func hash(a netip.Addr) int {
	b := a.As16()
	x := binary.BigEndian.Uint64(b[:8])*0x9e3779b97f4a7c15 ^ binary.BigEndian.Uint64(b[8:])
	return int(x * 0xff51afd7ed558ccd >> 33)
}

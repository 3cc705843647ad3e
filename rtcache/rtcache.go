package rtcache

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/witness"
)

// A Cache remembers what one destination was looked up to, and holds it for one user at a
// time (struct route). The zero Cache is empty. It must not be copied, and it has no lock:
// whoever owns it keeps others away from it, see [PerLWP].
type Cache struct {
	_ noCopy

	rt  *rtable.Table
	dst netip.Addr
	e   *rtable.Entry // nil: there was no route; not to be looked at while rt has moved on
	gen uint64        // of rt, from before e was found; only that of a Cache with a dst counts

	ref    psref.Ref
	holder *lwp.LWP // who has it between Lookup and Release
	site   invariants.Site

	stats Stats
	turn  uint64 // when a PerLWP has given it out
}

// Stats counts what a Cache was asked. Lookups is the sum of the others.
type Stats struct {
	Lookups  uint64
	Hits     uint64 // answered from the cache, those that say that there is no route among them
	Refills  uint64 // found in the table
	NoRoute  uint64 // not found in the table
	Updating uint64 // neither, because the route was being changed
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Lookups += o.Lookups
	s.Hits += o.Hits
	s.Refills += o.Refills
	s.NoRoute += o.NoRoute
	s.Updating += o.Updating
}

// Lookup returns the entry for dst and holds it, for l, until [Cache.Release]
// (rtcache_lookup). If the cache has it and the table has neither added nor deleted a route
// since, and the entry is not being changed, that is a hit: it costs as much as a passive
// reference, and the entry is not looked at before it is known to be there. Otherwise the
// table is asked, and the answer remembered, no route too.
//
// It takes no lock, never blocks and allocates nothing. Errors: [rtable.ErrNotFound],
// [rtable.ErrUpdating]; nothing is held then. It panics if the cache is held: a cache has
// room for one reference, and who would lend it twice takes it away from the first.
func (c *Cache) Lookup(l *lwp.LWP, rt *rtable.Table, dst netip.Addr) (*rtable.Entry, error) {
	if c.holder != nil {
		c.refuse(l, "looks up "+dst.String()+" in")
	}
	c.holder = l // at once: who comes meanwhile is refused
	if invariants.Enabled {
		c.site = invariants.Here(1)
	}
	if e := c.e; e != nil && c.dst == dst && c.rt == rt && rt.Again(l, &c.ref, e, c.gen) {
		c.stats.Hits++
		return e, nil
	}
	return c.fill(l, rt, dst)
}

// fill answers that there is no route if that is known, and else asks the table. The generation is that of before: what is added or deleted while the
// table looks makes the answer stale, never the other way round.
func (c *Cache) fill(l *lwp.LWP, rt *rtable.Table, dst netip.Addr) (*rtable.Entry, error) {
	gen := rt.Generation()
	if c.e == nil && c.dst == dst && c.rt == rt && gen == c.gen && dst.IsValid() {
		c.stats.Hits++
		c.holder = nil
		return nil, rtable.ErrNotFound
	}
	e, err := rt.Get(l, &c.ref, dst)
	if err == rtable.ErrUpdating { // ask again: nothing has changed
		c.stats.Updating++
		c.holder = nil
		return nil, err
	}
	if err == nil {
		c.stats.Refills++
	} else {
		c.stats.NoRoute++
		c.holder = nil
	}
	c.rt, c.dst, c.e, c.gen = rt, dst, e, gen
	return e, err
}

// LookupContext is [Cache.Lookup] that waits while the route is being changed, as
// [rtable.Table.GetContext] does. Further error: ctx.Err().
func (c *Cache) LookupContext(ctx context.Context, l *lwp.LWP, rt *rtable.Table, dst netip.Addr) (*rtable.Entry, error) {
	for {
		e, err := c.Lookup(l, rt, dst)
		if err != rtable.ErrUpdating || l.InSoftint() {
			return e, err
		}
		if _, err := rt.GetContext(ctx, l, &c.ref, dst); err != nil {
			return nil, err
		}
		c.ref.Release(l) // the update is over: what it has left is looked up as anything else
	}
}

// Release lets go of what Lookup returned (rtcache_unref). The cache still knows it. It
// panics if l does not hold the cache.
func (c *Cache) Release(l *lwp.LWP) {
	if c.holder != l {
		c.refuse(l, "releases")
	}
	c.holder = nil
	c.ref.Release(l)
}

// Holder returns who holds the cache, or nil. It is for assertions.
func (c *Cache) Holder() *lwp.LWP { return c.holder }

// Dst returns the destination that the cache knows, or the zero Addr (rtcache_getdst).
func (c *Cache) Dst() netip.Addr { return c.dst }

// Invalidate makes the cache forget what it knows (rtcache_free). It panics if it is held.
func (c *Cache) Invalidate() {
	if c.holder != nil {
		c.refuse(nil, "invalidates")
	}
	c.rt, c.dst, c.e = nil, netip.Addr{}, nil
}

// Copy makes the cache know what another one knows, which may be held: how old that is comes
// with it, so what was deleted meanwhile is deleted for both (rtcache_copy). Nothing is held
// for it. It panics if the cache is held, or is the other one.
func (c *Cache) Copy(from *Cache) {
	switch {
	case c == from:
		panic(violation("copied onto itself", "a cache is copied onto itself"))
	case c.holder != nil:
		c.refuse(nil, "copies onto")
	}
	c.rt, c.dst, c.e, c.gen = from.rt, from.dst, from.e, from.gen
}

// Stats returns the counters. It is the owner's, as everything else.
func (c *Cache) Stats() Stats {
	s := c.stats
	s.Lookups = s.Hits + s.Refills + s.NoRoute + s.Updating
	return s
}

//go:noinline
func (c *Cache) refuse(l *lwp.LWP, doing string) {
	who := "somebody"
	if l != nil {
		who = l.String()
	}
	if c.holder == nil {
		panic(violation("not held", "%s %s the cache of %v, which nobody holds", who, doing, c.dst))
	}
	v := violation("held", "%s %s the cache of %v, which %v holds: a cache is for one user at a time, who releases it before the next, or itself, uses it again", who, doing, c.dst, c.holder)
	if invariants.Enabled {
		v.Sites = append(v.Sites, witness.Site{What: "held", Stack: c.site.String()})
	}
	panic(v)
}

func violation(rule, format string, args ...any) *witness.Violation {
	return &witness.Violation{Rule: "rtcache: " + rule, Text: "rtcache: " + fmt.Sprintf(format, args...)}
}

// noCopy lets go vet find copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

package rtcache_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// A world is one schedule's table, with a default route by way of .1, and a cache that
// knows what 10.0.0.1 was looked up to.
type world struct {
	*sched.S
	rt    *rtable.Table
	cache rtcache.Cache
	owner *lwp.LWP
}

func explore(t *testing.T, f func(w *world)) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		dom := lwp.NewDomain()
		w := &world{S: s, rt: rtable.New(dom), owner: dom.Bind()}
		require.NoError(s, w.rt.Add(via("10.0.0.0/16", "192.0.2.1")))
		require.Equal(s, "192.0.2.1", gateway(s, &w.cache, w.owner, w.rt, "10.0.0.1"))
		f(w)
		s.After(func() {
			w.owner.Unbind()
			require.NoError(s, w.rt.Close(context.Background()))
		})
	})
}

// look looks 10.0.0.1 up in the cache and uses what it finds for a while: 0 for no route, 9
// for one that is being changed.
func (w *world) look() byte {
	e, err := w.cache.Lookup(w.owner, w.rt, addr("10.0.0.1"))
	switch err {
	case nil:
	case rtable.ErrUpdating:
		return 9
	default:
		return 0
	}
	sched.Point("use")
	w.Assert(!e.Freed(), "freed while it is held")
	gw, again := e.Gateway(), e.Next().Gateway
	w.Assert(gw == again, "torn: %v, then %v", gw, again)
	w.cache.Release(w.owner)
	return gw.As4()[3]
}

// A hit is either before the route was deleted or not a hit, and once it was not it never is
// again.
func TestExplore_HitAgainstDelete(t *testing.T) {
	explore(t, func(w *world) {
		w.Go("packets", func() {
			first, second := w.look(), w.look()
			w.Assert(first <= 1 && second <= first, "gateway %d, then %d", first, second)
		})
		w.Go("writer", func() { require.NoError(w, w.rt.Delete(prefix("10.0.0.0/16"))) })
	})
}

// Filling the cache beside a deletion leaves nothing in it that is gone.
func TestExplore_FillAgainstDelete(t *testing.T) {
	explore(t, func(w *world) {
		w.cache.Invalidate()
		w.Go("packet", func() { w.look() })
		w.Go("writer", func() { require.NoError(w, w.rt.Delete(prefix("10.0.0.0/16"))) })
		w.After(func() { w.Assert(w.look() == 0, "the cache has what was deleted") })
	})
}

// Who has added a more specific route may rely on it: the cache does not answer with the
// old one from then on.
func TestExplore_HitAgainstAMoreSpecificAdd(t *testing.T) {
	explore(t, func(w *world) {
		var added sched.Bool
		w.Go("packets", func() {
			after := added.Load()
			gw := w.look()
			w.Assert(gw == 2 || !after && gw == 1, "gateway %d, after the Add: %v", gw, after)
		})
		w.Go("writer", func() {
			require.NoError(w, w.rt.Add(via("10.0.0.0/24", "192.0.2.2")))
			added.Store(true)
		})
		w.After(func() { w.Assert(w.look() == 2, "the cache never learns") })
	})
}

// The same of a cache that is being filled meanwhile: it may have the old answer, and knows
// how old that is.
func TestExplore_FillAgainstAMoreSpecificAdd(t *testing.T) {
	explore(t, func(w *world) {
		w.cache.Invalidate()
		w.Go("packet", func() { w.look() })
		w.Go("writer", func() { require.NoError(w, w.rt.Add(via("10.0.0.0/24", "192.0.2.2"))) })
		w.After(func() { w.Assert(w.look() == 2, "the cache never learns") })
	})
}

// A hit and an update never look at the entry at once, and what the update has set is seen
// by every hit after it.
func TestExplore_HitAgainstUpdate(t *testing.T) {
	explore(t, func(w *world) {
		w.Go("packets", func() {
			first := w.look()
			second := w.look()
			w.Assert(first != 0 && second != 0, "no route, though one was only changed")
			w.Assert(first != 2 || second == 2, "gateway 2, then %d", second)
		})
		l := w.owner.Domain().Bind()
		w.Go("updater", func() {
			require.NoError(w, w.rt.Change(context.Background(), l, via("10.0.0.0/16", "192.0.2.2")))
			l.Unbind()
		})
	})
}

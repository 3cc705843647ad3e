package rtcache_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
	"github.com/softnet-go/softnet/witness"
)

var (
	ctx = context.Background()
	em0 = ifnet.ID{Index: 1, Gen: 1}
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func via(dst, gw string) rtable.Route {
	return rtable.Route{Dst: prefix(dst), Gateway: addr(gw), Out: em0}
}

// open returns a table with routes, and a thread; all is given back when the test ends.
func open(t *testing.T, rts ...rtable.Route) (*lwp.LWP, *rtable.Table) {
	dom := lwp.NewDomain()
	rt := rtable.New(dom)
	for _, r := range rts {
		require.NoError(t, rt.Add(r))
	}
	l := dom.Bind()
	t.Cleanup(func() {
		l.Unbind()
		closeTable(t, rt)
	})
	return l, rt
}

// closeTable closes a table whose entries a failed test may still hold.
func closeTable(t *testing.T, rt *rtable.Table) {
	patient, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	require.NoError(t, rt.Close(patient))
}

// gateway looks dst up in a cache and lets go of it.
func gateway(t require.TestingT, c *rtcache.Cache, l *lwp.LWP, rt *rtable.Table, dst string) string {
	e, err := c.Lookup(l, rt, addr(dst))
	if err != nil {
		return err.Error()
	}
	defer c.Release(l)
	return e.Gateway().String()
}

func violation(t *testing.T, f func()) (v *witness.Violation) {
	t.Helper()
	defer func() {
		t.Helper()
		v, _ = recover().(*witness.Violation)
		require.NotNil(t, v, "no violation")
	}()
	f()
	return nil
}

// t_rtcache: without a route unreachable; with the default route it goes there; once a more
// specific route is added not there any more; and when that is deleted there again.
func TestLookup_FollowsTheTable(t *testing.T) {
	l, rt := open(t)
	var c rtcache.Cache
	for range 2 {
		require.Equal(t, rtable.ErrNotFound.Error(), gateway(t, &c, l, rt, "10.0.1.2"))
	}
	require.NoError(t, rt.Add(via("0.0.0.0/0", "10.0.0.1")))
	for range 2 {
		require.Equal(t, "10.0.0.1", gateway(t, &c, l, rt, "10.0.1.2"))
	}
	require.NoError(t, rt.Add(via("10.0.1.0/24", "10.0.0.2")))
	for range 2 {
		require.Equal(t, "10.0.0.2", gateway(t, &c, l, rt, "10.0.1.2"))
	}
	require.NoError(t, rt.Delete(prefix("10.0.1.0/24")))
	for range 2 {
		require.Equal(t, "10.0.0.1", gateway(t, &c, l, rt, "10.0.1.2"))
	}
	require.Equal(t, rtcache.Stats{Lookups: 8, Hits: 4, Refills: 3, NoRoute: 1}, c.Stats())
}

// Another destination, or another table, is another question.
func TestLookup_OfSomethingElseIsAMiss(t *testing.T) {
	l, rt := open(t, via("10.0.0.0/8", "192.0.2.1"), via("11.0.0.0/8", "192.0.2.2"))
	other := rtable.New(l.Domain())
	defer closeTable(t, other)
	require.NoError(t, other.Add(via("10.0.0.0/8", "192.0.2.3")))
	require.NoError(t, other.Add(via("12.0.0.0/8", "192.0.2.3"))) // both are of generation 2
	require.Equal(t, rt.Generation(), other.Generation())
	var c rtcache.Cache
	require.Equal(t, "192.0.2.1", gateway(t, &c, l, rt, "10.0.0.1"))
	require.Equal(t, "192.0.2.2", gateway(t, &c, l, rt, "11.0.0.1"))
	require.Equal(t, "192.0.2.1", gateway(t, &c, l, rt, "10.0.0.1"))
	require.Equal(t, "192.0.2.3", gateway(t, &c, l, other, "10.0.0.1"))
	require.Equal(t, rtcache.Stats{Lookups: 4, Refills: 4}, c.Stats())
	_, err := new(rtcache.Cache).Lookup(l, rt, netip.Addr{})
	require.Equal(t, rtable.ErrNotFound, err)
}

// A change of the entry moves no generation: the cache keeps it, refuses it while it is
// changed, and then sees what it says now.
func TestLookup_MeetsAnUpdate(t *testing.T) {
	l, rt := open(t, via("10.0.0.0/8", "192.0.2.1"))
	var c rtcache.Cache
	require.Equal(t, "192.0.2.1", gateway(t, &c, l, rt, "10.0.0.1"))
	e, err := rt.Lookup(ctx, l, addr("10.0.0.1"))
	require.NoError(t, err)
	defer e.Unref()
	u, err := e.BeginUpdate(ctx, l)
	require.NoError(t, err)
	require.Equal(t, rtable.ErrUpdating.Error(), gateway(t, &c, l, rt, "10.0.0.1"))
	require.NoError(t, u.Set(via("10.0.0.0/8", "192.0.2.2")))
	u.Finish()
	require.Equal(t, "192.0.2.2", gateway(t, &c, l, rt, "10.0.0.1"))
	require.Equal(t, rtcache.Stats{Lookups: 3, Hits: 1, Refills: 1, Updating: 1}, c.Stats())
}

// LookupContext waits where Lookup misses, unless its context ends, or a softint asks.
func TestLookupContext_WaitsForAnUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, rt := open(t, via("10.0.0.0/8", "192.0.2.1"))
		e, err := rt.Lookup(ctx, l, addr("10.0.0.1"))
		require.NoError(t, err)
		defer e.Unref()
		u, err := e.BeginUpdate(ctx, l)
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() {
			l := l.Domain().Bind()
			defer l.Unbind()
			var c rtcache.Cache
			hasty, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err := c.LookupContext(hasty, l, rt, addr("10.0.0.1"))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Nil(t, c.Holder())

			start := time.Now()
			e, err := c.LookupContext(ctx, l, rt, addr("10.0.0.1"))
			require.NoError(t, err)
			require.Equal(t, 2*time.Second, time.Since(start))
			require.Equal(t, addr("192.0.2.1"), e.Gateway())
			c.Release(l)
		})
		wg.Go(func() {
			l := l.Domain().BindSoftint("input")
			defer l.Unbind()
			_, err := new(rtcache.Cache).LookupContext(ctx, l, rt, addr("10.0.0.1"))
			require.Equal(t, rtable.ErrUpdating, err)
		})
		time.Sleep(3 * time.Second)
		u.Finish()
		wg.Wait()
	})
}

// What is held is not freed, though it is deleted, and the cache does not find it again.
func TestCache_HoldsWhatItReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, rt := open(t, via("10.0.0.0/8", "192.0.2.1"))
		var c rtcache.Cache
		e, err := c.Lookup(l, rt, addr("10.0.0.1"))
		require.NoError(t, err)
		require.Equal(t, l, c.Holder())
		require.NoError(t, rt.Delete(prefix("10.0.0.0/8")))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.False(t, e.Freed())
		c.Release(l)
		synctest.Wait()
		require.True(t, e.Freed())
		require.Equal(t, rtable.ErrNotFound.Error(), gateway(t, &c, l, rt, "10.0.0.1"))
	})
}

// One holder at a time: who comes second is refused, whoever it is, and told who is first.
func TestCache_IsForOneAtATime(t *testing.T) {
	l, rt := open(t, via("10.0.0.0/8", "192.0.2.1"))
	other := l.Domain().Bind()
	defer other.Unbind()
	var c, free rtcache.Cache
	_, err := c.Lookup(l, rt, addr("10.0.0.1"))
	require.NoError(t, err)
	for name, use := range map[string]func(){
		"another LWP":      func() { _, _ = c.Lookup(other, rt, addr("10.0.0.1")) },
		"a recursion":      func() { _, _ = c.Lookup(l, rt, addr("10.0.0.2")) },
		"to forget":        func() { c.Invalidate() },
		"to be copied to":  func() { c.Copy(&free) },
		"another releases": func() { c.Release(other) },
	} {
		v := violation(t, use)
		require.Equal(t, "rtcache: held", v.Rule, name)
		require.Contains(t, v.Text, l.String()+" holds", name)
		if invariants.Enabled {
			require.True(t, strings.Contains(v.Sites[0].Stack, "TestCache_IsForOneAtATime"), v.Sites)
		}
	}
	c.Release(l)
	require.Equal(t, "rtcache: not held", violation(t, func() { c.Release(l) }).Rule)
	require.Equal(t, "rtcache: copied onto itself", violation(t, func() { c.Copy(&c) }).Rule)
	require.Equal(t, "192.0.2.1", gateway(t, &c, other, rt, "10.0.0.1"))
}

// A copy is as old as its source: a route that was deleted before the copy was made is not
// fresh for being copied (netbsd's rtcache_copy race).
func TestCopy_IsAsOldAsItsSource(t *testing.T) {
	l, rt := open(t, via("10.0.0.0/8", "192.0.2.1"))
	var from, to rtcache.Cache
	_, err := from.Lookup(l, rt, addr("10.0.0.1"))
	require.NoError(t, err)
	to.Copy(&from) // while it is held
	require.Nil(t, to.Holder())
	require.Equal(t, "192.0.2.1", gateway(t, &to, l, rt, "10.0.0.1"))
	require.Equal(t, rtcache.Stats{Lookups: 1, Hits: 1}, to.Stats())
	from.Release(l)

	require.NoError(t, rt.Delete(prefix("10.0.0.0/8")))
	to.Copy(&from)
	require.Equal(t, rtable.ErrNotFound.Error(), gateway(t, &to, l, rt, "10.0.0.1"))
	to.Invalidate()
	require.False(t, to.Dst().IsValid())
}

// Different flows of one LWP do not throw each other out, those that are in use at once get
// caches of their own, and no LWP sees another one's.
func TestPerLWP_HasACacheForEachFlow(t *testing.T) {
	l, rt := open(t, via("10.0.0.0/8", "192.0.2.1"))
	p := rtcache.NewPerLWP(l.Domain(), 16)
	flows := []string{"10.0.0.1", "10.0.0.2", "10.9.0.1", "10.1.2.3"}
	for range 10 {
		for _, dst := range flows {
			require.Equal(t, "192.0.2.1", gateway(t, p.Cache(l, addr(dst)), l, rt, dst))
		}
	}
	require.Equal(t, rtcache.Stats{Lookups: 40, Hits: 36, Refills: 4}, p.Stats())

	other := l.Domain().Bind()
	defer other.Unbind()
	require.NotSame(t, p.Cache(l, addr(flows[0])), p.Cache(other, addr(flows[0])))

	var held []*rtcache.Cache
	for range 40 { // more than there are caches, all to one destination
		c := p.Cache(l, addr(flows[0]))
		_, err := c.Lookup(l, rt, addr(flows[0]))
		require.NoError(t, err)
		held = append(held, c)
	}
	for _, c := range held {
		c.Release(l)
	}
	require.Equal(t, "rtcache: no such size", violation(t, func() { rtcache.NewPerLWP(l.Domain(), -1) }).Rule)
}

func TestLookup_AllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("checked builds remember who holds what")
	}
	l, rt := open(t, via("10.0.0.0/8", "192.0.2.1"))
	softint := l.Domain().BindSoftint("input")
	defer softint.Unbind()
	p := rtcache.NewPerLWP(l.Domain(), 0)
	for _, l := range []*lwp.LWP{l, softint} {
		i := 0
		dsts := []netip.Addr{addr("10.0.0.1"), addr("10.0.0.2"), addr("2001:db8::1")}
		require.Zero(t, testing.AllocsPerRun(100, func() {
			dst := dsts[i%len(dsts)]
			c := p.Cache(l, dst)
			if _, err := c.Lookup(l, rt, dst); err == nil {
				c.Release(l)
			}
			i++
		}))
	}
}

// The reference of a cache is one like any other: who goes away with it is named.
func TestCache_LeakIsReportedByUnbind(t *testing.T) {
	l, rt := open(t, via("10.0.0.0/8", "192.0.2.1"))
	leaker := l.Domain().Bind()
	var c rtcache.Cache
	_, err := c.Lookup(leaker, rt, addr("10.0.0.1"))
	require.NoError(t, err)
	require.Equal(t, "lwp: leak", violation(t, leaker.Unbind).Rule)
	c.Release(leaker)
	leaker.Unbind()
}

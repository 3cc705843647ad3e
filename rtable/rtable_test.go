package rtable_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/witness"
)

var ctx = context.Background()

// em0 is some interface.
var em0 = ifnet.ID{Index: 1, Gen: 1}

// What the table derives of a route by way of a gateway, so that what went in and what comes
// out compare equal.
const upGateway = rtable.FlagUp | rtable.FlagGateway

func host(p netip.Prefix) rtable.Flags {
	if p.IsSingleIP() {
		return rtable.FlagHost
	}
	return 0
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func via(dst string, gw uint32) rtable.Route {
	return rtable.Route{Dst: prefix(dst), Gateway: gateway(gw), Out: em0, Flags: upGateway | host(prefix(dst))}
}

func collect(tab *rtable.Table) (rts []rtable.Route) {
	for _, rt := range tab.All() {
		rts = append(rts, rt)
	}
	return rts
}

// open returns a table with routes that is closed when the test ends.
func open(t *testing.T, rts ...rtable.Route) (*lwp.Domain, *rtable.Table) {
	dom := lwp.NewDomain()
	tab := rtable.New(dom)
	t.Cleanup(func() {
		patient, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		require.NoError(t, tab.Close(patient))
	})
	require.NoError(t, tab.Load(slices.Values(rts)))
	return dom, tab
}

func TestGet_LongestPrefixWins(t *testing.T) {
	dom, tab := open(t, via("0.0.0.0/0", 1), via("10.0.0.0/8", 2), via("10.1.0.0/16", 3), via("10.1.2.3/32", 4),
		via("::/0", 5), via("2001:db8::/32", 6))
	l := dom.Bind()
	defer l.Unbind()
	for dst, gw := range map[string]uint32{
		"192.0.2.1": 1, "10.9.9.9": 2, "10.1.9.9": 3, "10.1.2.3": 4, "::ffff:10.1.2.3": 4,
		"::1": 5, "2001:db8::1": 6, "2001:db8::1%em0": 6,
	} {
		var ref psref.Ref
		e, err := tab.Get(l, &ref, addr(dst))
		require.NoError(t, err, dst)
		require.Equal(t, gateway(gw), e.Gateway(), dst)
		ref.Release(l)
	}
}

func TestGet_ErrNotFound(t *testing.T) {
	dom, tab := open(t, via("10.0.0.0/8", 1))
	l := dom.BindSoftint("test")
	defer l.Unbind()
	for _, dst := range []netip.Addr{{}, addr("11.0.0.0"), addr("::a00:1")} {
		var ref psref.Ref
		e, err := tab.Get(l, &ref, dst)
		require.Nil(t, e)
		require.Equal(t, rtable.ErrNotFound, err)
		require.False(t, ref.Held())
	}
}

func TestGet_AllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("checked builds remember who holds what")
	}
	dom, tab := open(t, via("10.0.0.0/8", 1), via("2001:db8::/32", 2))
	thread, softint := dom.Bind(), dom.BindSoftint("test")
	defer thread.Unbind()
	defer softint.Unbind()
	for _, l := range []*lwp.LWP{thread, softint} {
		for _, dst := range []string{"10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "192.0.2.1"} {
			dst := addr(dst)
			require.Zero(t, testing.AllocsPerRun(100, func() {
				var ref psref.Ref
				if _, err := tab.Get(l, &ref, dst); err == nil {
					ref.Release(l)
				}
			}))
		}
	}
}

func TestAdd_ClearsHostBits(t *testing.T) {
	_, tab := open(t)
	require.NoError(t, tab.Add(via("10.1.2.3/8", 1)))
	require.ErrorIs(t, tab.Add(via("10.9.9.9/8", 2)), rtable.ErrExists)
	rt, err := tab.Exact(prefix("10.7.7.7/8"))
	require.NoError(t, err)
	require.Equal(t, via("10.0.0.0/8", 1), rt)
	require.NoError(t, tab.Delete(prefix("10.5.5.5/8")))
	require.Zero(t, tab.Len())
}

func TestAdd_RefusesWhatIsNoRoute(t *testing.T) {
	_, tab := open(t)
	for _, rt := range []rtable.Route{
		{},
		{Gateway: gateway(1)},
		{Dst: netip.PrefixFrom(addr("10.0.0.0"), 33), Gateway: gateway(1), Out: em0},
		{Dst: prefix("10.0.0.0/8")},
		{Dst: prefix("::ffff:10.0.0.0/104"), Gateway: gateway(1), Out: em0}, // no address would match it
	} {
		require.ErrorIs(t, tab.Add(rt), rtable.ErrInvalid, "%v", rt)
	}
	require.NoError(t, tab.Add(rtable.Route{Dst: prefix("10.0.0.0/8"), Out: ifnet.ID{Index: 1}}))
	require.Equal(t, 1, tab.Len())
}

func TestDelete_ErrNotFound(t *testing.T) {
	_, tab := open(t, via("10.0.0.0/8", 1))
	require.ErrorIs(t, tab.Delete(prefix("10.0.0.0/9")), rtable.ErrNotFound)
	require.ErrorIs(t, tab.Delete(netip.Prefix{}), rtable.ErrNotFound)
	_, err := tab.Exact(prefix("10.0.0.0/9"))
	require.Equal(t, rtable.ErrNotFound, err)
}

// No entry is freed while it is referenced (P2): a thread may sleep with it for an hour,
// a softint may keep it across checkpoints.
func TestEntry_IsNotFreedWhileHeld(t *testing.T) {
	for _, softint := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			dom, tab := open(t, via("10.0.0.0/8", 1))
			l := dom.Bind()
			if softint {
				l.Unbind()
				l = dom.BindSoftint("test")
			}
			defer l.Unbind()
			var ref psref.Ref
			e, err := tab.Get(l, &ref, addr("10.0.0.1"))
			require.NoError(t, err)
			require.Equal(t, upGateway, e.Flags())

			require.NoError(t, tab.Delete(prefix("10.0.0.0/8")))
			pass := func() {
				if !softint {
					time.Sleep(time.Hour)
				}
				for range 3 { // one answers Perform, one Destroy
					synctest.Wait()
					l.Checkpoint()
				}
				synctest.Wait()
			}
			pass()
			require.False(t, e.Freed())
			require.Equal(t, rtable.FlagGateway, e.Flags())
			require.Equal(t, via("10.0.0.0/8", 1), up(e.Route()))
			require.EqualValues(t, 1, tab.Stats().Trash)

			ref.Release(l)
			pass()
			require.True(t, e.Freed())
			require.Zero(t, tab.Stats().Trash)
			if !softint {
				require.Equal(t, time.Hour, tab.Stats().Longest)
			}
		})
	}
}

// No entry is freed while somebody who has found it is about to take a reference.
func TestEntry_IsNotFreedWhileASectionLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t, via("10.0.0.0/8", 1))
		softint := dom.BindSoftint("in its handler")
		require.NoError(t, tab.Delete(prefix("10.0.0.0/8")))
		synctest.Wait()
		require.EqualValues(t, 1, tab.Stats().Trash)
		softint.Unbind()
		synctest.Wait()
		require.Zero(t, tab.Stats().Trash)
	})
}

func TestDelete_ManyShareAGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t)
		softint := dom.BindSoftint("in its handler")
		for i := range 100 {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16)
			require.NoError(t, tab.Add(rtable.Route{Dst: p, Gateway: gateway(1), Out: em0}))
			require.NoError(t, tab.Delete(p))
			synctest.Wait() // the worker waits on behalf of the first
		}
		softint.Unbind()
		synctest.Wait()
		st := tab.Stats()
		require.EqualValues(t, 100, st.Freed)
		require.EqualValues(t, 2, st.Graces, "one for the first, one for the rest")
	})
}

// No packet to an unchanged prefix ever misses because another prefix changes (P3),
// whether that one covers it, lies beside it, or inside it.
func TestGet_UnchangedPrefixNeverMisses(t *testing.T) {
	dom, tab := open(t, via("10.1.0.0/16", 1))
	var done atomic.Bool
	var wg sync.WaitGroup
	for _, softint := range []bool{false, true} {
		wg.Go(func() {
			l := dom.Bind()
			if softint {
				l.Unbind()
				l = dom.BindSoftint("test")
			}
			defer l.Unbind()
			for !done.Load() {
				var ref psref.Ref
				e, err := tab.Get(l, &ref, addr("10.1.2.3"))
				if err != nil || e.Dst() != prefix("10.1.0.0/16") || e.Freed() {
					t.Errorf("got %v, %v", e, err)
				}
				if err == nil {
					ref.Release(l)
				}
				l.Checkpoint()
			}
		})
	}
	others := []string{"0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/15", "10.0.0.0/16", "10.1.2.0/32", "10.1.3.0/24", "10.1.128.0/17"}
	r := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		p := prefix(others[r.IntN(len(others))])
		if tab.Delete(p) != nil {
			require.NoError(t, tab.Add(rtable.Route{Dst: p, Gateway: gateway(2), Out: em0}))
		}
	}
	done.Store(true)
	wg.Wait()
}

// A lookup sees a batch as a whole: who has seen one of its changes sees the other.
func TestBatch_IsSeenAsAWhole(t *testing.T) {
	const last = 300
	route := func(dst string, batch uint32) rtable.Route {
		return rtable.Route{Dst: prefix(dst), Out: ifnet.ID{Index: batch, Gen: 1}}
	}
	dom, tab := open(t, route("10.0.0.0/8", 0), route("2001:db8::/32", 0))
	var wg sync.WaitGroup
	wg.Go(func() {
		l := dom.BindSoftint("test")
		defer l.Unbind()
		batch := func(dst netip.Addr) uint32 {
			var ref psref.Ref
			e, err := tab.Get(l, &ref, dst)
			if err != nil {
				t.Errorf("%v: %v", dst, err)
				return last
			}
			defer ref.Release(l)
			return e.Out().Index
		}
		for first := uint32(0); first < last; l.Checkpoint() {
			first = batch(addr("10.0.0.1"))
			if then := batch(addr("2001:db8::1")); then < first {
				t.Errorf("batch %d is seen, and then the older %d", first, then)
			}
		}
	})
	for i := range uint32(last) {
		require.NoError(t, tab.Batch(func(b *rtable.Batch) error {
			for _, dst := range []string{"10.0.0.0/8", "2001:db8::/32"} {
				if err := errors.Join(b.Delete(prefix(dst)), b.Add(route(dst, i+1))); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	wg.Wait()
}

func TestBatch_AllOrNothing(t *testing.T) {
	_, tab := open(t, via("10.0.0.0/8", 1))
	before := collect(tab)
	err := tab.Load(slices.Values([]rtable.Route{via("11.0.0.0/8", 1), via("10.0.0.0/8", 2)}))
	require.ErrorIs(t, err, rtable.ErrExists)
	require.ErrorContains(t, err, "10.0.0.0/8 via")

	require.PanicsWithValue(t, "no", func() {
		_ = tab.Batch(func(b *rtable.Batch) error {
			require.NoError(t, b.Delete(prefix("10.0.0.0/8")))
			panic("no")
		})
	})
	require.Equal(t, before, collect(tab))
	st := tab.Stats()
	require.EqualValues(t, 1, st.Adds)
	require.Zero(t, st.Deletes)
}

// A route that a batch adds and deletes again was never there.
func TestBatch_StillbornRoutesDoNotCount(t *testing.T) {
	_, tab := open(t)
	require.NoError(t, tab.Batch(func(b *rtable.Batch) error {
		return errors.Join(b.Add(via("10.0.0.0/8", 1)), b.Delete(prefix("10.0.0.0/8")), b.Add(via("10.0.0.0/8", 2)))
	}))
	st := tab.Stats()
	require.EqualValues(t, 1, st.Adds)
	require.Zero(t, st.Deletes)
	require.Equal(t, []rtable.Route{via("10.0.0.0/8", 2)}, collect(tab))
}

// However a batch makes its changes, sharing the old snapshot or on a copy of its own,
// the old one stays as it was: somebody may be walking it.
func TestBatch_LeavesTheOldSnapshotAlone(t *testing.T) {
	var base []rtable.Route
	for i := range uint32(1000) {
		base = append(base, rtable.Route{Dst: netip.PrefixFrom(gateway(i<<8), 24), Gateway: gateway(1), Out: em0, Flags: upGateway})
	}
	for changes := range 10 {
		_, tab := open(t, base...)
		var seen []rtable.Route
		for _, rt := range tab.All() {
			if len(seen) == 0 {
				require.NoError(t, tab.Batch(func(b *rtable.Batch) error {
					for i := range changes {
						rt := base[i*7]
						require.NoError(t, b.Delete(rt.Dst))
						rt.Gateway = gateway(2)
						require.NoError(t, b.Add(rt))
					}
					return nil
				}))
			}
			seen = append(seen, rt)
		}
		require.ElementsMatch(t, base, seen)
		n, err := tab.DeleteMatching(func(rt rtable.Route) bool { return rt.Gateway == gateway(2) })
		require.NoError(t, err)
		require.Equal(t, changes, n)
	}
}

// A batch with as many changes as the table then has routes need not be all of them.
func TestBatch_AsLongAsTheTable(t *testing.T) {
	dom, tab := open(t, via("10.0.0.0/8", 1), via("11.0.0.0/8", 2))
	require.NoError(t, tab.Batch(func(b *rtable.Batch) error {
		return errors.Join(b.Delete(prefix("10.0.0.0/8")), b.Add(via("12.0.0.0/8", 3)))
	}))
	l := dom.BindSoftint("test")
	defer l.Unbind()
	require.Equal(t, rtable.ErrNotFound, tab.Peek(l, addr("10.0.0.1")).Err())
	require.Equal(t, gateway(2), tab.Peek(l, addr("11.0.0.1")).Next.Gateway)
	require.Equal(t, gateway(3), tab.Peek(l, addr("12.0.0.1")).Next.Gateway)
}

func TestBatch_EndsWithItsFunction(t *testing.T) {
	_, tab := open(t)
	var kept *rtable.Batch
	require.NoError(t, tab.Batch(func(b *rtable.Batch) error { kept = b; return nil }))
	for _, use := range []func(){
		func() { _ = kept.Add(via("10.0.0.0/8", 1)) },
		func() { _ = kept.Delete(prefix("10.0.0.0/8")) },
	} {
		requireViolation(t, "rtable: batch has ended", use)
	}
}

func requireViolation(t *testing.T, rule string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		v, _ := recover().(*witness.Violation)
		require.NotNil(t, v, "no violation")
		require.Equal(t, rule, v.Rule)
	}()
	f()
}

// In checked builds every use of an entry that is no longer held is found out once it is
// freed.
func TestEntry_UseAfterFreeIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t, via("10.0.0.0/8", 1))
		l := dom.Bind()
		defer l.Unbind()
		var ref psref.Ref
		e, err := tab.Get(l, &ref, addr("10.0.0.1"))
		require.NoError(t, err)
		ref.Release(l) // and used on
		require.NoError(t, tab.Delete(prefix("10.0.0.0/8")))
		synctest.Wait()
		require.True(t, e.Freed())
		if !invariants.Enabled {
			return
		}
		for _, use := range []func(){
			func() { e.Dst() }, func() { e.Gateway() }, func() { e.Out() }, func() { e.Route() },
		} {
			requireViolation(t, "rtable: use after free", use)
		}
	})
}

func TestClose_IsIdempotentAndFinal(t *testing.T) {
	dom := lwp.NewDomain()
	tab := rtable.New(dom)
	require.NoError(t, tab.Add(via("10.0.0.0/8", 1)))
	for range 3 {
		require.NoError(t, tab.Close(ctx))
	}
	st := tab.Stats()
	require.EqualValues(t, 1, st.Freed)
	require.Zero(t, st.Routes)

	require.ErrorIs(t, tab.Add(via("10.0.0.0/8", 1)), rtable.ErrClosed)
	require.ErrorIs(t, tab.Delete(prefix("10.0.0.0/8")), rtable.ErrClosed)
	_, err := tab.DeleteMatching(func(rtable.Route) bool { return true })
	require.ErrorIs(t, err, rtable.ErrClosed)
	l := dom.Bind()
	defer l.Unbind()
	var ref psref.Ref
	_, err = tab.Get(l, &ref, addr("10.0.0.1"))
	require.Equal(t, rtable.ErrNotFound, err)
}

// Close waits for holders; one that may not wait for ever leaves nothing running behind,
// and takes nothing from one that may.
func TestClose_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom := lwp.NewDomain()
		tab := rtable.New(dom)
		require.NoError(t, tab.Load(slices.Values([]rtable.Route{via("10.0.0.0/8", 1), via("11.0.0.0/8", 1)})))
		l := dom.Bind()
		var ref psref.Ref
		e, err := tab.Get(l, &ref, addr("10.0.0.1"))
		require.NoError(t, err)

		var wg sync.WaitGroup
		wg.Go(func() { // the patient one
			start := time.Now()
			require.NoError(t, tab.Close(ctx))
			require.Equal(t, 3*time.Minute, time.Since(start))
			require.True(t, e.Freed())
		})
		for range 2 {
			hasty, cancel := context.WithTimeout(ctx, time.Minute)
			require.ErrorIs(t, tab.Close(hasty), context.DeadlineExceeded)
			cancel()
			require.False(t, e.Freed())
			require.NotZero(t, tab.Stats().Trash)
		}
		time.Sleep(time.Minute)
		ref.Release(l)
		wg.Wait()
		l.Unbind()
		require.Zero(t, tab.Stats().Trash)
	})
}

// A hasty Close alone stops the worker: the bubble would not end otherwise.
func TestClose_LeavesNothingRunning(t *testing.T) {
	dom := lwp.NewDomain()
	l := dom.Bind()
	var ref psref.Ref
	var tab *rtable.Table
	synctest.Test(t, func(t *testing.T) {
		tab = rtable.New(dom)
		require.NoError(t, tab.Add(via("10.0.0.0/8", 1)))
		_, err := tab.Get(l, &ref, addr("10.0.0.1"))
		require.NoError(t, err)
		hasty, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		require.ErrorIs(t, tab.Close(hasty), context.DeadlineExceeded)
	})
	ref.Release(l)
	require.NoError(t, tab.Close(ctx))
	l.Unbind()
}

func TestRoute_String(t *testing.T) {
	rt := via("10.0.0.0/8", 1)
	require.Equal(t, "10.0.0.0/8 via 192.0.2.1 out 1.1 UP,GATEWAY", rt.String())
	rt.Out = ifnet.ID{Index: 3, Gen: 1}
	require.Equal(t, "10.0.0.0/8 via 192.0.2.1 out 3.1 UP,GATEWAY", rt.String())
	require.Equal(t, "10.0.0.0/8 out 3.1", rtable.Route{Dst: rt.Dst, Out: rt.Out}.String())
}

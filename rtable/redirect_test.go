package rtable_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

// A site is a table as a host on one net has it: its own address, the net, and a default
// route by way of .1; .2 is another gateway, and the destination lies beyond.
func site(t *testing.T) (*lwp.LWP, *rtable.Table) {
	dom, tab := open(t,
		rtable.Route{Dst: prefix("192.0.2.9/32"), Out: em0, Flags: rtable.FlagLocal},
		rtable.Route{Dst: prefix("192.0.2.0/24"), Out: em0, Flags: rtable.FlagConnected},
	)
	require.NoError(t, tab.Add(rtable.Route{Dst: prefix("0.0.0.0/0"), Gateway: addr("192.0.2.1"), Flags: rtable.FlagStatic}))
	l := dom.Bind()
	t.Cleanup(l.Unbind)
	return l, tab
}

var beyond = rtable.Redirect{Dst: addr("203.0.113.5"), Gateway: addr("192.0.2.2"), From: addr("192.0.2.1")}

// letters are the flags of the route with just that prefix, as netstat -r shows them.
func letters(t *testing.T, tab *rtable.Table, dst string) string {
	rt, err := tab.Exact(prefix(dst))
	if err != nil {
		require.ErrorIs(t, err, rtable.ErrNotFound)
		return ""
	}
	return rt.Flags.Letters()
}

// t_icmp_redirect: a redirect makes a host route UGHD by way of the better gateway, and
// redirtimeout later it is gone; neither before nor after.
func TestRedirect_MakesAHostRouteForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, tab := site(t)
		require.NoError(t, tab.Redirect(ctx, l, beyond))
		require.Equal(t, "UGHD", letters(t, tab, "203.0.113.5/32"))
		rt, err := tab.Exact(prefix("203.0.113.5/32"))
		require.NoError(t, err)
		require.Equal(t, beyond.Gateway, rt.Gateway)
		require.Equal(t, em0, rt.Out)
		require.EqualValues(t, 1, tab.Stats().Learnt)

		time.Sleep(rtable.RedirectTimeout - 1)
		require.Equal(t, "UGHD", letters(t, tab, "203.0.113.5/32"))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Empty(t, letters(t, tab, "203.0.113.5/32"))
	})
}

// t_icmp_redirect, redirect_timeout: with redirtimeout=5 the route goes after five seconds;
// the timeout that counts is that of the moment.
func TestRedirect_TimeoutMayBeSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, tab := site(t)
		require.ErrorIs(t, tab.SetRedirectTimeout(-1), rtable.ErrInvalid)
		require.NoError(t, tab.Redirect(ctx, l, beyond))
		require.NoError(t, tab.SetRedirectTimeout(5*time.Second))
		time.Sleep(5*time.Second - 1)
		synctest.Wait()
		require.Equal(t, "UGHD", letters(t, tab, "203.0.113.5/32"))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Empty(t, letters(t, tab, "203.0.113.5/32"))

		// Switched off, what there is goes at once and what comes stays.
		require.NoError(t, tab.Redirect(ctx, l, beyond))
		require.NoError(t, tab.SetRedirectTimeout(0))
		synctest.Wait()
		require.Empty(t, letters(t, tab, "203.0.113.5/32"))
		require.NoError(t, tab.Redirect(ctx, l, beyond))
		time.Sleep(24 * time.Hour)
		require.Equal(t, "UGHD", letters(t, tab, "203.0.113.5/32"))
	})
}

// t_flags: a wrong static host route UGHS becomes UGHMS, and outlasts the timeout.
func TestRedirect_ChangesAHostRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, tab := site(t)
		require.NoError(t, tab.Add(rtable.Route{Dst: prefix("203.0.113.5/32"), Gateway: beyond.From, Flags: rtable.FlagStatic}))
		require.Equal(t, "UGHS", letters(t, tab, "203.0.113.5/32"))
		gen := tab.Generation()
		require.NoError(t, tab.Redirect(ctx, l, beyond))
		require.Equal(t, "UGHMS", letters(t, tab, "203.0.113.5/32"))
		require.Equal(t, gen, tab.Generation(), "the entry is the same")
		rt, err := tab.Exact(prefix("203.0.113.5/32"))
		require.NoError(t, err)
		require.Equal(t, beyond.Gateway, rt.Gateway)
		require.EqualValues(t, 1, tab.Stats().Moved)
		time.Sleep(2 * rtable.RedirectTimeout)
		require.Equal(t, "UGHMS", letters(t, tab, "203.0.113.5/32"))
	})
}

// Each step of rtredirect that refuses, refuses, is counted, and changes nothing.
func TestRedirect_Refusals(t *testing.T) {
	l, tab := site(t)
	require.NoError(t, tab.Load(func(yield func(rtable.Route) bool) {
		_ = yield(rtable.Route{Dst: prefix("198.51.100.0/24"), Out: ifnet.ID{Index: 2, Gen: 1}, Flags: rtable.FlagConnected}) &&
			yield(rtable.Route{Dst: prefix("192.0.2.77/32"), Out: em0, Flags: rtable.FlagLLData})
	}))
	before := collect(tab)
	for _, c := range []struct {
		name string
		r    rtable.Redirect
		want error
	}{
		{"the gateway is beyond a gateway", rtable.Redirect{Dst: beyond.Dst, Gateway: addr("203.0.113.1"), From: beyond.From}, rtable.ErrUnreachable},
		{"not from the gateway in use", rtable.Redirect{Dst: beyond.Dst, Gateway: beyond.Gateway, From: addr("192.0.2.3")}, rtable.ErrInvalid},
		{"out of another interface", rtable.Redirect{Dst: beyond.Dst, Gateway: addr("198.51.100.2"), From: beyond.From}, rtable.ErrInvalid},
		{"the gateway is us", rtable.Redirect{Dst: beyond.Dst, Gateway: addr("192.0.2.9"), From: beyond.From}, rtable.ErrHostUnreachable},
		{"no gateway is in use", rtable.Redirect{Dst: addr("192.0.2.77"), Gateway: beyond.Gateway}, rtable.ErrHostUnreachable},
		{"to nowhere", rtable.Redirect{Gateway: beyond.Gateway}, rtable.ErrInvalid},
		{"by nobody", rtable.Redirect{Dst: beyond.Dst}, rtable.ErrInvalid},
	} {
		require.ErrorIs(t, tab.Redirect(ctx, l, c.r), c.want, c.name)
	}
	require.Equal(t, before, collect(tab))
	require.EqualValues(t, 7, tab.Stats().Refused)
}

// The kernel's redirect may not be followed in a softint, because changing an entry waits.
func TestRedirect_NotInASoftint(t *testing.T) {
	dom, tab := open(t)
	l := dom.BindSoftint("input")
	defer l.Unbind()
	require.ErrorIs(t, tab.Redirect(ctx, l, beyond), lwp.ErrWouldSleep)
	require.ErrorIs(t, tab.TooBig(ctx, l, rtable.TooBig{Dst: beyond.Dst, MTU: 1280}), lwp.ErrWouldSleep)
	require.ErrorIs(t, tab.Change(ctx, l, via("10.0.0.0/8", 1)), lwp.ErrWouldSleep)
	require.ErrorIs(t, tab.DeleteWait(ctx, l, prefix("10.0.0.0/8")), lwp.ErrWouldSleep)
}

// t_mtudisc: a report makes a host route with the MTU, for ten minutes.
func TestTooBig_IsBelievedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, tab := site(t)
		mtu := func(dst string) uint32 {
			rt, err := tab.Exact(prefix(dst))
			require.NoError(t, err)
			return rt.Metrics.MTU
		}
		big := rtable.TooBig{Dst: beyond.Dst, MTU: 1280, Packet: 1500}
		require.NoError(t, tab.TooBig(ctx, l, big))
		require.Equal(t, "UGHD", letters(t, tab, "203.0.113.5/32"))
		require.EqualValues(t, 1280, mtu("203.0.113.5/32"))
		big.MTU = 1400
		require.NoError(t, tab.TooBig(ctx, l, big), "never raised")
		require.EqualValues(t, 1280, mtu("203.0.113.5/32"))
		big.MTU = 1006
		require.NoError(t, tab.TooBig(ctx, l, big))
		require.EqualValues(t, 1006, mtu("203.0.113.5/32"))
		time.Sleep(rtable.PathMTUTimeout)
		synctest.Wait()
		require.Empty(t, letters(t, tab, "203.0.113.5/32"))

		// A host route that was there before stays, and forgets the MTU.
		require.NoError(t, tab.Add(rtable.Route{Dst: prefix("203.0.113.5/32"), Gateway: beyond.From, Flags: rtable.FlagStatic}))
		require.NoError(t, tab.TooBig(ctx, l, big))
		require.EqualValues(t, 1006, mtu("203.0.113.5/32"))
		time.Sleep(rtable.PathMTUTimeout)
		synctest.Wait()
		require.Zero(t, mtu("203.0.113.5/32"))
	})
}

func TestTooBig_WhatIsBelieved(t *testing.T) {
	l, tab := site(t)
	six := addr("2001:db8::5")
	require.NoError(t, tab.Add(rtable.Route{Dst: prefix("2001:db8::/32"), Gateway: addr("fe80::1"), Out: em0}))
	for _, c := range []struct {
		name   string
		big    rtable.TooBig
		err    error
		mtu    uint32
		locked rtable.MetricMask
	}{
		{"an IPv4 router that does not tell: the next plateau", rtable.TooBig{Dst: beyond.Dst, Packet: 1500}, nil, 1492, 0},
		{"just above a plateau", rtable.TooBig{Dst: beyond.Dst, Packet: 1007}, nil, 1006, 0},
		{"exactly a plateau", rtable.TooBig{Dst: beyond.Dst, Packet: 1006}, nil, 508, 0},
		{"too low: discovery is given up", rtable.TooBig{Dst: beyond.Dst, MTU: 295}, nil, 0, rtable.MetricMTU},
		{"a packet that was too small already", rtable.TooBig{Dst: beyond.Dst, Packet: 68}, rtable.ErrInvalid, 0, 0},
		{"IPv6: what is said", rtable.TooBig{Dst: six, MTU: 1400}, nil, 1400, 0},
		{"IPv6: never below what every link takes", rtable.TooBig{Dst: six, MTU: 600, Validated: true}, nil, 1272, 0},
		{"IPv6: not from anybody", rtable.TooBig{Dst: six, MTU: 600}, rtable.ErrInvalid, 0, 0},
		{"IPv6: nonsense", rtable.TooBig{Dst: six, MTU: 55, Validated: true}, rtable.ErrInvalid, 0, 0},
		{"nowhere", rtable.TooBig{MTU: 1400}, rtable.ErrInvalid, 0, 0},
		{"no route", rtable.TooBig{Dst: addr("2001:db9::1"), MTU: 1400}, rtable.ErrNotFound, 0, 0},
	} {
		require.ErrorIs(t, tab.TooBig(ctx, l, c.big), c.err, c.name)
		if c.err != nil {
			continue
		}
		host := netip.PrefixFrom(c.big.Dst, c.big.Dst.BitLen())
		rt, err := tab.Exact(host)
		require.NoError(t, err, c.name)
		require.Equal(t, c.mtu, rt.Metrics.MTU, c.name)
		require.Equal(t, c.locked, rt.Metrics.Locked, c.name)
		require.NoError(t, tab.Delete(host))
	}
}

// A timer goes with its entry, begins anew when it is added again, and is refused to an
// entry that is not in the table any more.
func TestTimers_GoWithTheirEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t, via("10.0.0.0/8", 1), via("11.0.0.0/8", 1))
		l := dom.Bind()
		defer l.Unbind()
		start := time.Now()
		called := map[string]time.Duration{}
		q := tab.NewTimers(time.Minute, func(_ context.Context, _ *lwp.LWP, e *rtable.Entry) {
			called[e.Dst().String()] = time.Since(start)
		})
		ten, err := tab.Find(ctx, l, prefix("10.0.0.0/8"))
		require.NoError(t, err)
		eleven, err := tab.Find(ctx, l, prefix("11.0.0.0/8"))
		require.NoError(t, err)
		require.NoError(t, q.Add(ten))
		require.NoError(t, q.Add(eleven))
		time.Sleep(30 * time.Second)
		require.NoError(t, q.Add(ten), "again")
		require.Equal(t, 2, q.Len())
		require.NoError(t, tab.Delete(prefix("11.0.0.0/8")))
		require.Equal(t, 1, q.Len())
		require.ErrorIs(t, q.Add(eleven), rtable.ErrNotFound)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, map[string]time.Duration{"10.0.0.0/8": 90 * time.Second}, called)
		ten.Unref()
		eleven.Unref()
		require.NoError(t, q.Close(ctx))
		require.ErrorIs(t, q.Add(ten), rtable.ErrClosed)
	})
}

// Destroying a queue calls every callback now, and waits for them.
func TestTimers_CloseCallsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t, via("10.0.0.0/8", 1), via("11.0.0.0/8", 1))
		l := dom.Bind()
		defer l.Unbind()
		called := 0
		q := tab.NewTimers(time.Hour, func(context.Context, *lwp.LWP, *rtable.Entry) {
			time.Sleep(time.Second) // it may
			called++
		})
		for _, dst := range []string{"10.0.0.0/8", "11.0.0.0/8"} {
			e, err := tab.Find(ctx, l, prefix(dst))
			require.NoError(t, err)
			require.NoError(t, q.Add(e))
			e.Unref()
		}
		hasty, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, q.Close(hasty), context.DeadlineExceeded)
		require.NoError(t, q.Close(ctx))
		synctest.Wait()
		require.Equal(t, 2, called)
		require.Zero(t, q.Len())
	})
}

// rtrequest1: what each command answers, and its errors.
func TestRequest_DoesWhatEachCommandSays(t *testing.T) {
	l, tab := site(t)
	ask := func(what rtable.MsgType, rt rtable.Route) (rtable.Route, error) {
		return tab.Request(ctx, l, rtable.Request{Type: what, Route: rt})
	}
	reject := rtable.Route{Dst: prefix("203.0.113.0/24"), Gateway: addr("192.0.2.1"), Flags: rtable.FlagStatic | rtable.FlagReject}
	rt, err := ask(rtable.MsgAdd, reject)
	require.NoError(t, err)
	require.Equal(t, "UGRS", rt.Flags.Letters())
	require.Equal(t, em0, rt.Out, "that of the gateway's route")
	_, err = ask(rtable.MsgAdd, reject)
	require.ErrorIs(t, err, rtable.ErrExists)

	// t_change reject2blackhole
	reject.Flags = rtable.FlagStatic | rtable.FlagBlackhole
	rt, err = ask(rtable.MsgChange, reject)
	require.NoError(t, err)
	require.Equal(t, "UGSB", rt.Flags.Letters())
	got, err := ask(rtable.MsgGet, rtable.Route{Dst: reject.Dst})
	require.NoError(t, err)
	require.Equal(t, rt, got)

	rt, err = ask(rtable.MsgDelete, rtable.Route{Dst: reject.Dst})
	require.NoError(t, err)
	require.Equal(t, got, rt)
	for _, what := range []rtable.MsgType{rtable.MsgDelete, rtable.MsgGet, rtable.MsgChange} {
		_, err = ask(what, reject)
		require.ErrorIs(t, err, rtable.ErrNotFound, what)
	}
	_, err = ask(rtable.MsgMiss, reject)
	require.ErrorIs(t, err, rtable.ErrInvalid)
	require.ErrorContains(t, err, "RTM_MISS")
}

// FIBs have the same interfaces and nothing else in common.
func TestTables_AreApart(t *testing.T) {
	dom := lwp.NewDomain()
	ts := rtable.NewTables(dom, rtable.WithPolicy(rtable.Miss))
	l := dom.Bind()
	defer l.Unbind()
	require.NoError(t, ts.Table(0).Add(via("10.0.0.0/8", 1)))
	require.NoError(t, ts.Table(rtable.MaxFIB).Add(via("10.0.0.0/8", 2)))
	require.Same(t, ts.Table(0), ts.Table(0))
	var ref psref.Ref
	e, err := ts.Table(rtable.MaxFIB).Get(l, &ref, addr("10.0.0.1"))
	require.NoError(t, err)
	require.Equal(t, gateway(2), e.Gateway())
	ref.Release(l)
	_, err = ts.Table(7).Get(l, &ref, addr("10.0.0.1"))
	require.ErrorIs(t, err, rtable.ErrNotFound)

	n, err := ts.Depart(em0)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.NoError(t, ts.Close(ctx))
	_, err = ts.Depart(em0)
	require.ErrorIs(t, err, rtable.ErrClosed)
	require.ErrorIs(t, ts.Table(9).Add(via("10.0.0.0/8", 1)), rtable.ErrClosed, "made after the end")
	requireViolation(t, "rtable: no such FIB", func() { ts.Table(-1) })
	requireViolation(t, "rtable: no such FIB", func() { ts.Table(rtable.MaxFIB + 1) })
}

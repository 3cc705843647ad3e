package rtable_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/rtable"
)

// NetBSD's own test cases of tests/net/route, by scenario. Those of redirects and path MTUs
// are in redirect_test.go, that of caches is in rtcache.

// em1 is another interface than em0.
var em1 = ifnet.ID{Index: 2, Gen: 1}

// t_change: what a change does to each part of a route, and that the rest stays.
func TestNetBSD_Change(t *testing.T) {
	l, tab := site(t)
	change := func(dst string, f func(rt *rtable.Route)) rtable.Route {
		rt, err := tab.Exact(prefix(dst))
		require.NoError(t, err)
		f(&rt)
		require.NoError(t, tab.Change(ctx, l, rt))
		got, err := tab.Exact(prefix(dst))
		require.NoError(t, err)
		return got
	}
	require.NoError(t, tab.Add(rtable.Route{Dst: prefix("198.51.100.0/24"), Out: em1, Flags: rtable.FlagConnected}))
	require.NoError(t, tab.Add(rtable.Route{Dst: prefix("10.0.0.0/8"), Gateway: addr("192.0.2.1"), Flags: rtable.FlagStatic | rtable.FlagDone}))
	was, err := tab.Exact(prefix("10.0.0.0/8"))
	require.NoError(t, err)
	require.Equal(t, rtable.Flags(0x843), was.Flags, "UP, GATEWAY, DONE, STATIC")

	// gateway
	got := change("10.0.0.0/8", func(rt *rtable.Route) { rt.Gateway = addr("192.0.2.2") })
	require.Equal(t, addr("192.0.2.2"), got.Gateway)
	require.Equal(t, was.Flags, got.Flags)
	require.Equal(t, was.Out, got.Out)

	// ifa, ifp, ifp_ifa: the local address, the interface, and both; same gateway and flags
	got = change("10.0.0.0/8", func(rt *rtable.Route) { rt.Source = addr("192.0.2.9") })
	require.Equal(t, addr("192.0.2.9"), got.Source)
	got = change("10.0.0.0/8", func(rt *rtable.Route) { rt.Out = em1 })
	require.Equal(t, em1, got.Out)
	got = change("10.0.0.0/8", func(rt *rtable.Route) { rt.Out, rt.Source = em0, netip.Addr{} })
	require.Equal(t, em0, got.Out)
	require.Equal(t, netip.Addr{}, got.Source)
	require.Equal(t, addr("192.0.2.2"), got.Gateway)
	require.Equal(t, was.Flags, got.Flags)

	// flags: a connected route is rejected and is not again
	require.Equal(t, "URCS", change("192.0.2.0/24", func(rt *rtable.Route) { rt.Flags |= rtable.FlagReject | rtable.FlagStatic }).Flags.Letters())
	require.Equal(t, "UCS", change("192.0.2.0/24", func(rt *rtable.Route) { rt.Flags &^= rtable.FlagReject }).Flags.Letters())

	// default_flags, and default_reject of t_route
	require.Equal(t, "UGS", letters(t, tab, "0.0.0.0/0"))
	require.Equal(t, "UGRS", change("0.0.0.0/0", func(rt *rtable.Route) { rt.Flags |= rtable.FlagReject }).Flags.Letters())
	require.Equal(t, "UGS", change("0.0.0.0/0", func(rt *rtable.Route) { rt.Flags &^= rtable.FlagReject }).Flags.Letters())

	// A change of what is not there.
	require.ErrorIs(t, tab.Change(ctx, l, rtable.Route{Dst: prefix("10.0.0.0/9"), Out: em0}), rtable.ErrNotFound)
}

// t_flags: what flags each kind of route has, and that a flush takes away what was learnt
// and set, and keeps what the addresses have made.
func TestNetBSD_Flags(t *testing.T) {
	_, tab := site(t)
	add := func(dst, gw string, f rtable.Flags) {
		require.NoError(t, tab.Add(rtable.Route{Dst: prefix(dst), Gateway: addr(gw), Flags: f}))
	}
	add("203.0.113.9/32", "192.0.2.1", rtable.FlagStatic)
	add("203.0.113.0/24", "192.0.2.1", rtable.FlagStatic)
	add("198.51.100.9/32", "192.0.2.1", rtable.FlagStatic|rtable.FlagReject)
	add("198.51.100.8/32", "192.0.2.1", rtable.FlagStatic|rtable.FlagBlackhole)
	for dst, want := range map[string]string{
		"192.0.2.9/32": "UHl", "192.0.2.0/24": "UC", "0.0.0.0/0": "UGS",
		"203.0.113.9/32": "UGHS", "203.0.113.0/24": "UGS", "198.51.100.9/32": "UGHRS", "198.51.100.8/32": "UGHSB",
	} {
		require.Equal(t, want, letters(t, tab, dst), dst)
	}
	n, err := tab.DeleteMatching(func(rt rtable.Route) bool { return rt.Flags&rtable.FlagGateway != 0 })
	require.NoError(t, err)
	require.Equal(t, 5, n)
	require.Equal(t, "UHl", letters(t, tab, "192.0.2.9/32"))
	require.Equal(t, "UC", letters(t, tab, "192.0.2.0/24"))
}

// t_route, command_get: an own address, a neighbour, and what lies beyond.
func TestNetBSD_Get(t *testing.T) {
	l, tab := site(t)
	for dst, want := range map[string]string{"192.0.2.9": "UHl", "192.0.2.77": "UC", "203.0.113.5": "UGS"} {
		rte, err := tab.Lookup(ctx, l, addr(dst))
		require.NoError(t, err)
		require.Equal(t, want, rte.Flags().Letters(), dst)
		rte.Unref()
	}
}

// t_ipaddress, same_address: an address that comes and goes brings its two routes and takes
// them away, each time.
func TestNetBSD_SameAddress(t *testing.T) {
	_, tab := open(t)
	for range 3 {
		require.NoError(t, tab.Batch(func(b *rtable.Batch) error {
			if err := b.Add(rtable.Route{Dst: prefix("192.0.2.9/32"), Out: em0, Flags: rtable.FlagLocal}); err != nil {
				return err
			}
			return b.Add(rtable.Route{Dst: prefix("192.0.2.0/24"), Out: em0, Flags: rtable.FlagConnected})
		}))
		require.Equal(t, "UHl", letters(t, tab, "192.0.2.9/32"))
		require.Equal(t, "UC", letters(t, tab, "192.0.2.0/24"))
		n, err := tab.Depart(em0)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Zero(t, tab.Len())
	}
}

package seedcache_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/seedcache"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/rtable"
)

// A change through the set is seen by the caches that were valid before it.
func TestChange_TellsTheCaches(t *testing.T) {
	dom := lwp.NewDomain()
	rt := rtable.New(dom)
	s := seedcache.New(rt)
	c, l := s.NewCache(), dom.Bind()
	dst, out := netip.MustParseAddr("10.0.0.1"), ifnet.ID{Index: 1, Gen: 1}
	_, err := c.Lookup(l, dst)
	require.ErrorIs(t, err, rtable.ErrNotFound)
	for i, p := range []string{"10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24"} {
		rtt := rtable.Route{Dst: netip.MustParsePrefix(p), Gateway: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Out: out}
		require.NoError(t, s.Change(func(rt *rtable.Table) error { return rt.Add(rtt) }))
		for range 2 {
			e, err := c.Lookup(l, dst)
			require.NoError(t, err)
			require.Equal(t, rtt.Gateway, e.Gateway())
			c.Release(l)
		}
	}
	l.Unbind()
	require.NoError(t, rt.Close(context.Background()))
}

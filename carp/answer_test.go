package carp_test

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/rtable"
)

// "The link address with which an interface answers a question for a virtual address": only its
// master does, and only there; and to the stack the address is a local one meanwhile.
func TestAnswerARP_IsTheMasters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := ifnet.NewLAN(ifnet.LANConfig{})
		defer lan.Close()
		n := newNode(t, lan, 1)
		defer n.close()
		n.add(0)
		client := ifnet.MAC{2, 5: 9}
		answer := func(id ifnet.ID, a netip.Addr) (mac ifnet.MAC, ok bool) { return n.carp.AnswerARP(id, a, client) }
		require.NoError(t, n.i.Step(1, carp.Force{State: carp.Backup}))
		_, ok := answer(n.ifp, vip)
		require.False(t, ok, "a backup")
		require.NoError(t, n.i.Step(1, carp.Force{State: carp.Master}))
		synctest.Wait()
		for _, a := range []netip.Addr{vip, vip6} {
			mac, ok := answer(n.ifp, a)
			require.True(t, ok)
			require.Equal(t, carp.VirtualMAC(1), mac)
			rt, err := n.routes.Exact(netip.PrefixFrom(a, a.BitLen()))
			require.NoError(t, err)
			require.NotZero(t, rt.Flags&rtable.FlagLocal)
		}
		_, ok = answer(n.ifp, vip.Next())
		require.False(t, ok, "it is nobody's")
		_, ok = answer(ifnet.ID{Index: n.ifp.Index + 1, Gen: 1}, vip)
		require.False(t, ok, "another interface")
	})
}

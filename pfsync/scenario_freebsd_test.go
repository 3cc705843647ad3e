package pfsync

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// The cases of FreeBSD's own tests (tests/sys/netpfil/pf/pfsync.sh) that are not about its own format
// or its own rules.

// ping returns an echo request, or its answer.
func ping(answer bool) []byte {
	src, dst, kind := client, server, byte(8)
	if answer {
		src, dst, kind = server, client, 0
	}
	s, d := src.As4(), dst.As4()
	b := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, pf.ICMP, 0, 0}, s[:]...)
	return append(append(b, d[:]...), kind, 0, 0, 0, 0x12, 0x34, 0, 1)
}

func pinged(n *node) *pf.State {
	k := pf.KeyOf(pf.Out, pf.ICMP, netip.AddrPortFrom(client, 0x1234), netip.AddrPortFrom(server, 8))
	return n.pf.Find(&k, pf.Out, "em1")
}

func TestFreeBSD_Basic(t *testing.T) {
	for name, defers := range map[string]bool{"basic": false, "basic_defer": true} {
		t.Run(name, func(t *testing.T) {
			pair(t, func(a, b *node) {
				want := pf.Pass
				if defers {
					want = pf.Deferred
				}
				require.Equal(t, want, a.test(pf.Out, ping(false)))
				require.Equal(t, pf.Pass, a.test(pf.In, ping(true)))
				sleep(2 * time.Second)
				require.NotNil(t, pinged(b))
				same(a, b)
			}, func(c *Config, _ *pf.Config) { c.Defer, c.MaxUpdates = defers, 1 })
		})
	}
}

// With defer the other firewalls are told before the packet leaves, and it leaves no earlier than in
// 20 ms if none of them answers; without, it has left before.
func TestFreeBSD_Defer(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		sleep(time.Minute)
		n.hush()
		require.Equal(t, pf.Deferred, n.test(pf.Out, ping(false)))
		sleep(19 * time.Millisecond)
		require.Equal(t, []string{"0s INSx1"}, n.heard())
		require.Empty(t, n.passed)
		sleep(time.Second)
		require.Equal(t, []string{"20ms 28"}, n.passed)
		n.down()
	}, deferring)
	alone(t, func(n *node) {
		n.up()
		sleep(time.Minute)
		n.hush()
		require.Equal(t, pf.Pass, n.test(pf.Out, ping(false)))
		require.Empty(t, n.heard())
		n.down()
	})
}

func TestFreeBSD_Bulk(t *testing.T) {
	nodes(t, 2, func(ns []*node) {
		a, b := ns[0], ns[1]
		a.up()
		require.Equal(t, pf.Pass, a.test(pf.Out, ping(false)))
		sleep(time.Second)
		b.up()
		sleep(2 * time.Second)
		require.NotNil(t, pinged(b))
	})
}

// Packets are to be held back, and there is nothing to synchronise over.
func TestFreeBSD_Timeout(t *testing.T) {
	alone(t, func(n *node) {
		require.Equal(t, pf.Pass, n.test(pf.Out, ping(false)))
		sleep(2 * time.Second)
		require.Zero(t, n.sliceSum(func(s SliceStats) uint64 { return s.DeferAdd }))
	}, deferring)
}

// A state is of a routing table that is not known here.
func TestFreeBSD_RTable(t *testing.T) {
	pair(t, func(a, b *node) {
		k := wire.Key{AF: wire.AFInet, Port: [2]uint16{80, 1}, RDomain: 41}
		w := &wire.State{
			ID: wire.ID{ID: 1, Creator: 9}, IfName: wire.NameOf("em9"), Wire: k, Stack: k, AF: wire.AFInet, Proto: pf.UDP,
			Direction: wire.Out, Timeout: uint8(pf.UDPSingle), RTable: [2]int32{41, 42},
		}
		b.tell(section(wire.INS, w))
		require.Equal(t, [2]int32{41, 42}, b.exported(b.pf.ByID(w.ID)).RTable)
	})
}

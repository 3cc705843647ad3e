package pfsync

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

func deferring(c *Config, _ *pf.Config) { c.Defer = true }

// far is a pair, half of whose peer's answers take as long as d.
func far(t *testing.T, d time.Duration, f func(a, b *node), opts ...option) {
	synctest.Test(t, func(t *testing.T) {
		lan := ifnet.NewLAN(ifnet.LANConfig{Delay: d})
		a, b := newNode(t, lan, 1, opts...), newNode(t, lan, 2, opts...)
		a.up()
		b.up()
		sleep(5 * time.Second)
		a.hush()
		b.hush()
		f(a, b)
		a.close()
		b.close()
		lan.Close()
	})
}

// held has the first packet of a flow held back.
func (n *node) held(f *flow) {
	flags := byte(0)
	if f.proto == pf.TCP {
		flags = syn
	}
	require.Equal(n.t, pf.Deferred, n.test(pf.Out, f.packet(false, flags, 0)))
}

func TestScenario26_AnAcknowledgedPacketLeavesAtOnce(t *testing.T) {
	far(t, 1500*time.Microsecond, func(a, b *node) {
		a.held(tcpFlow(1024))
		sleep(time.Second)
		require.Equal(t, []string{"3ms 40"}, a.passed)
		require.Equal(t, []string{"INSx1"}, a.last(1))
		require.Equal(t, byte(pf.Ack), a.said[0].packet[24+261])
		require.Equal(t, []string{"INS_ACKx1"}, b.last(1))
		require.EqualValues(t, 1, a.sliceSum(func(s SliceStats) uint64 { return s.DeferAdd }))
		require.EqualValues(t, 1, a.sliceSum(func(s SliceStats) uint64 { return s.DeferAck }))
		require.Zero(t, a.sliceSum(func(s SliceStats) uint64 { return s.DeferRun }))
		same(a, b)
		require.Zero(t, b.find(tcpFlow(1024)).Flags()&pf.Ack)
		require.Equal(t, pf.Pass, a.test(pf.Out, tcpFlow(1024).packet(false, syn, 0)), "the second is not held back")
	}, deferring)
}

func TestScenario27_WithoutAPeerItLeavesInTime(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		n.hush()
		n.held(tcpFlow(1024))
		sleep(time.Second)
		require.Equal(t, []string{"20ms 40"}, n.passed)
		require.EqualValues(t, 1, n.sliceSum(func(s SliceStats) uint64 { return s.DeferRun }))
		require.NoError(t, n.dev.SetDefer(false))
		require.Equal(t, pf.Pass, n.test(pf.Out, tcpFlow(1025).packet(false, syn, 0)))
		n.down()
	}, deferring)
}

func TestScenario28_TooManyLeaveEarly(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		n.hush()
		fs := n.in(1, udpFlow, 129)
		for _, f := range fs[:128] {
			n.held(f)
		}
		sleep(time.Millisecond)
		require.Empty(t, n.passed)
		n.held(fs[128])
		sleep(time.Millisecond)
		require.Len(t, n.passed, 2)
		require.EqualValues(t, 1, n.sliceSum(func(s SliceStats) uint64 { return s.DeferOver }))
		require.Equal(t, 127, n.dev.Stats().Slice[1].Held)
		sleep(time.Second)
		require.Len(t, n.passed, 129)
		require.Equal(t, "20ms 28", n.passed[127])
		n.down()
	}, deferring)
}

func TestScenario29_WhatIsHeldBackLeavesWhenTheDeviceGoesDown(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		n.hush()
		n.held(tcpFlow(1024))
		time.Sleep(time.Millisecond)
		n.down()
		synctest.Wait()
		require.Equal(t, []string{"1ms 40"}, n.passed)
		require.Equal(t, 1, n.pf.Outstanding())
	}, deferring)
}

// An update of the state acknowledges as well as an acknowledgement does.
func TestDefer_AnyNewsOfTheStateLetsItGo(t *testing.T) {
	for name, tell := range map[string]func(n *node, st *pf.State){
		"UPD_C": func(n *node, st *pf.State) {
			n.tell(section(wire.UPDC, &wire.Update{ID: st.ID(), Timeout: uint8(pf.TCPFirst)}))
		},
		"UPD": func(n *node, st *pf.State) { n.tell(section(wire.UPD, n.exported(st))) },
		"ACK": func(n *node, st *pf.State) { n.tell(section(wire.INSACK, wire.ID{ID: 1, Creator: 1}, st.ID())) },
	} {
		t.Run(name, func(t *testing.T) {
			alone(t, func(n *node) {
				n.up()
				n.hush()
				n.held(tcpFlow(1024))
				time.Sleep(time.Millisecond)
				tell(n, n.find(tcpFlow(1024)))
				require.Equal(t, []string{"1ms 40"}, n.passed)
				n.down()
			}, deferring)
		})
	}
}

// It is sent though the state has been taken down meanwhile.
func TestDefer_TheStateMayGo(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		n.hush()
		n.held(tcpFlow(1024))
		n.pf.Remove(n.l, n.find(tcpFlow(1024)))
		sleep(15 * time.Millisecond)
		require.Empty(t, n.passed)
		sleep(time.Second)
		require.Equal(t, []string{"20ms 40"}, n.passed)
		n.down()
	}, deferring)
}

// A packet that is held back does not survive its interface.
func TestDefer_TheInterfaceMayGo(t *testing.T) {
	alone(t, func(n *node) {
		ctx, cancel := soon()
		defer cancel()
		a, _ := ifnet.NewPair()
		em1, err := n.ifs.Attach(ifnet.Spec{Name: "em1", Driver: a, MAC: ifnet.MAC{2, 1}, Up: true})
		require.NoError(t, err)
		n.up()
		m, err := n.ifs.Pool().From(tcpFlow(1024).packet(false, syn, 0))
		require.NoError(t, err)
		m.Out = em1.ID()
		require.Equal(t, pf.Deferred, n.pf.Test(n.l, pf.Out, "em1", m))
		require.NoError(t, n.ifs.Detach(ctx, n.l, em1.ID()))
		require.EqualValues(t, 1, n.ifs.Pool().Stats().Frees[mbuf.IfDeparted])
		sleep(time.Second)
		require.Empty(t, n.passed)
		n.down()
	}, deferring)
}

func TestDefer_WhoIsNotHeldBack(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		require.Equal(t, pf.Pass, n.test(pf.In, tcpFlow(1024).packet(false, syn, 0)), "what comes in")
		f := udpFlow(1025)
		f.dst = netip.MustParseAddrPort("224.0.0.251:5353")
		require.Equal(t, pf.Pass, n.test(pf.Out, f.packet(false, 0, 0)), "multicast")
		n.pf.SetRules([]pf.Rule{{NoSync: true}})
		require.Equal(t, pf.Pass, n.test(pf.Out, udpFlow(1026).packet(false, 0, 0)), "whom nobody is told of")
		n.down()
		n.pf.SetRules([]pf.Rule{{}})
		require.Equal(t, pf.Pass, n.test(pf.Out, udpFlow(1027).packet(false, 0, 0)), "with nobody to tell")
		require.ErrorIs(t, (&Device{}).SetDefer(true), ErrConfig)
	}, deferring)
}

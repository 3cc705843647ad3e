package carp_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/wqinput"
)

// A node is a host with one interface on a LAN, that knows no more of IP than to hand protocol 112
// to who takes it.
type node struct {
	t      require.TestingT
	dom    *lwp.Domain
	l      *lwp.LWP
	ifs    *ifnet.Table
	isr    *netisr.ISR
	send   *netisr.SendQueue
	routes *rtable.Table
	carp   *carp.Stack
	i      *carp.Interface
	lan    *ifnet.LAN
	port   *ifnet.Port
	ifp    ifnet.ID
	told   []string
	events []carp.Change
	start  time.Time
}

var (
	vip  = netip.MustParseAddr("10.0.0.100")
	vip6 = netip.MustParseAddr("fd00::100")
)

func newNode(t require.TestingT, lan *ifnet.LAN, number byte, opts ...wqinput.Option) *node {
	n := &node{t: t, lan: lan, port: lan.NewPort()}
	n.open(number, false, opts...)
	return n
}

// open makes the node around its port; manual is without workers but the routing table's and CARP's.
func (n *node) open(number byte, manual bool, opts ...wqinput.Option) {
	t := n.t
	n.dom, n.start = lwp.NewDomain(), time.Now()
	n.l = n.dom.Bind()
	n.ifs = ifnet.NewTable(n.dom, ifnet.WithPool(mbuf.NewPool(mbuf.PoolConfig{Limit: 1000})))
	n.isr = netisr.New(netisr.Config{Ifs: n.ifs, Streams: 1, Manual: manual})
	n.send = netisr.NewSendQueue(netisr.SendConfig{Ifs: n.ifs, Streams: 1, Manual: manual})
	n.routes = rtable.New(n.dom)
	var err error
	n.carp, err = carp.NewStack(carp.StackConfig{
		Ifs: n.ifs, Send: n.send, Routes: n.routes, Input: append([]wqinput.Option{wqinput.WithStreams(1)}, opts...),
		OnChange: func(c carp.Change) {
			n.events = append(n.events, c)
			n.told = append(n.told, fmt.Sprintf("%v %v -> %v", time.Since(n.start), c.From, c.To))
		},
	})
	require.NoError(t, err)
	_, err = n.isr.Register(netisr.Handler{Name: "ether", Proto: 1, Policy: netisr.PolicySource, Handle: n.input})
	require.NoError(t, err)
	n.ifs.SetInput(n.isr.Input(1))
	ifp, err := n.ifs.Attach(ifnet.Spec{Name: "em0", Driver: n.port, MAC: ifnet.MAC{2, 0, 0, 0, 0, number}, Up: true})
	require.NoError(t, err)
	n.ifp = ifp.ID()
	require.NoError(t, n.ifs.AddAddr(n.ifp, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, number}), 24)))
	n.i, err = n.carp.Attach(n.l, n.ifp)
	require.NoError(t, err)
}

func (n *node) input(c *netisr.Ctx, m *mbuf.Packet) {
	if !c.In.Receive(m) {
		return
	}
	_, _, ok := ifnet.PullEther(m)
	b := m.Bytes()
	switch {
	case ok && m.EtherType == ifnet.EtherIPv4 && b[9] == carp.Protocol:
		_ = n.carp.Queue().Input(m, int(b[0]&15)*4, carp.Protocol)
	case ok && m.EtherType == ifnet.EtherIPv6 && b[6] == carp.Protocol:
		_ = n.carp.Queue().Input(m, 40, carp.Protocol)
	default:
		m.Free(mbuf.NoProto)
	}
}

func (n *node) add(skew uint8, with ...func(*carp.Config)) {
	c := carp.Config{Nodes: []carp.Node{{VHID: 1, AdvSkew: skew}}, Password: "secret", AdvBase: 1}
	for _, f := range with {
		f(&c)
	}
	require.NoError(n.t, n.i.Add(c, vip, vip6))
}

func (n *node) state() carp.State { return n.i.State(1) }

// owns reports whether the address is routed out of the interface.
func (n *node) owns() bool {
	_, err4 := n.routes.Exact(netip.PrefixFrom(vip, 32))
	_, err6 := n.routes.Exact(netip.PrefixFrom(vip6, 128))
	require.Equal(n.t, err4 == nil, err6 == nil)
	return err4 == nil
}

func (n *node) close() {
	ctx := context.Background()
	for range 2 { // again does nothing
		require.NoError(n.t, n.carp.Close(ctx, n.l))
	}
	require.NoError(n.t, n.isr.Close(ctx, n.l))
	require.NoError(n.t, n.send.Close(ctx, n.l))
	require.NoError(n.t, n.routes.Close(ctx))
	if n.ifs.Live(n.ifp) {
		require.NoError(n.t, n.ifs.Detach(ctx, n.l, n.ifp))
	}
	require.Zero(n.t, n.ifs.Pool().Outstanding())
	n.l.Unbind()
}

// sleep lets time pass, and then everything happen that happens at that moment.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func two(t *testing.T, f func(a, b *node)) {
	synctest.Test(t, func(t *testing.T) {
		lan := ifnet.NewLAN(ifnet.LANConfig{})
		a, b := newNode(t, lan, 1), newNode(t, lan, 2)
		a.add(0)
		b.add(100)
		sleep(3 * time.Second)
		require.Equal(t, []carp.State{carp.Master, carp.Backup}, []carp.State{a.state(), b.state()})
		f(a, b)
		a.close()
		b.close()
		lan.Close()
	})
}

func TestInterface_AddressesFollowTheMaster(t *testing.T) {
	two(t, func(a, b *node) {
		require.True(t, a.owns())
		require.False(t, b.owns())
		require.Equal(t, []string{"0s INIT -> BACKUP", "0s BACKUP -> INIT", "0s INIT -> BACKUP", "3s BACKUP -> MASTER"}, a.told)
		sleep(500 * time.Millisecond)
		require.NoError(t, a.i.Step(1, carp.Down{}))
		synctest.Wait()
		require.False(t, a.owns())
		require.True(t, b.owns(), "it has heard the bow-out")
		require.Equal(t, "3.5s BACKUP -> MASTER", b.told[len(b.told)-1])
		require.NotZero(t, b.i.Stats().IPackets6)
		require.Zero(t, b.i.Stats().BadAuth)
		require.Equal(t, b.i.Stats().IPackets, a.i.Stats().OPackets)
	})
}

func TestInterface_ALostLinkDemotesAndIsTakenOver(t *testing.T) {
	two(t, func(a, b *node) {
		a.port.Pull(true)
		sleep(500 * time.Millisecond)
		require.Equal(t, carp.Init, a.state())
		require.Equal(t, 1, a.carp.Groups().Demotion("carp"))
		require.False(t, a.owns())
		sleep(3 * time.Second)
		require.True(t, b.owns(), "3.390625 s after the last advertisement")
		a.port.Pull(false)
		synctest.Wait()
		require.Equal(t, carp.Backup, a.state())
		require.Zero(t, a.carp.Groups().Demotion("carp"))
	})
}

func TestInterface_DownIsAsGoodAsALostLink(t *testing.T) {
	two(t, func(a, _ *node) {
		require.NoError(t, a.ifs.Down(a.ifp))
		synctest.Wait()
		require.Equal(t, carp.Init, a.state())
		require.NoError(t, a.ifs.Up(a.ifp))
		synctest.Wait()
		require.Equal(t, carp.Backup, a.state())
		require.Zero(t, a.carp.Groups().Demotion("carp"))
	})
}

func TestInterface_DemotionIsToldAtOnce(t *testing.T) {
	two(t, func(a, b *node) {
		sleep(100 * time.Millisecond)
		require.True(t, a.carp.Demote("carp", 1))
		synctest.Wait()
		require.Equal(t, []carp.State{carp.Backup, carp.Master}, []carp.State{a.state(), b.state()})
		require.True(t, b.owns())
		require.False(t, a.carp.Demote("carp", 255))
	})
}

// Without memory nothing is sent, that is counted, and the protocol goes on: it is nobody's link.
func TestInterface_WithoutMemoryItGoesOn(t *testing.T) {
	two(t, func(a, b *node) {
		pool := a.ifs.Pool()
		var taken []*mbuf.Packet
		for {
			m, err := pool.Alloc(0)
			if err != nil {
				break
			}
			taken = append(taken, m)
		}
		was := a.i.Stats()
		sleep(3500 * time.Millisecond)
		now := a.i.Stats()
		require.EqualValues(t, 3, now.ONoMem-was.ONoMem, "one at each second, and none for the other family")
		require.Equal(t, was.OPackets, now.OPackets)
		require.Zero(t, a.carp.Groups().Demotion("carp"))
		require.Equal(t, carp.Master, b.state())
		for _, m := range taken {
			m.Free(mbuf.Done)
		}
		sleep(3 * time.Second)
		require.Equal(t, []carp.State{carp.Master, carp.Backup}, []carp.State{a.state(), b.state()})
	})
}

// Scenario 36: a full queue drops, and the protocol does not count it.
func TestScenario36_AFullQueueDropsWhatItCannotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := ifnet.NewLAN(ifnet.LANConfig{})
		a, b := newNode(t, lan, 1), newNode(t, lan, 2, wqinput.WithManual(), wqinput.WithLimit(3))
		a.add(0, func(c *carp.Config) { c.AdvBase = 0 })
		b.add(100)
		sleep(100 * time.Millisecond)
		for b.carp.Queue().Step() {
		}
		was, dropped := b.i.Stats(), b.carp.Queue().Stats()
		sleep(100 * time.Millisecond)
		for b.carp.Queue().Step() {
		}
		now, drops := b.i.Stats(), b.carp.Queue().Stats()
		require.EqualValues(t, 3, now.IPackets+now.IPackets6-was.IPackets-was.IPackets6)
		require.Greater(t, drops.NoBufs, dropped.NoBufs)
		a.close()
		b.close()
		lan.Close()
	})
}

// Scenario 39: an interface leaves while advertisements are queued for it, and to it. None is
// delivered, nothing of it is left, and nobody hangs.
func TestScenario39_TheInterfaceLeavesWithAdvertsQueued(t *testing.T) {
	two(t, func(a, b *node) {
		for range 100 {
			require.NoError(t, a.i.Step(1, carp.Advertise{}))
		}
		require.NoError(t, a.i.Step(1, carp.Demote{By: 4}))
		require.NoError(t, a.ifs.Detach(context.Background(), a.l, a.ifp))
		frames := a.lan.Stats().Frames
		synctest.Wait()
		require.Equal(t, frames, a.lan.Stats().Frames, "nothing is sent behind it")
		require.False(t, a.ifs.Live(a.ifp))
		require.False(t, a.owns())
		require.Zero(t, a.carp.Groups().Demotion("carp"))
		require.ErrorIs(t, a.i.Step(1, carp.Up{}), carp.ErrNoVHost)
		_, err := a.carp.Attach(a.l, a.ifp)
		require.ErrorIs(t, err, ifnet.ErrGone)
		sent := a.i.Stats().OPackets
		sleep(time.Minute)
		require.Equal(t, sent, a.i.Stats().OPackets)
		require.True(t, b.owns())
	})
}

func TestInterface_RefusesWhatItCannotDo(t *testing.T) {
	two(t, func(a, _ *node) {
		require.ErrorIs(t, a.i.Add(carp.Config{Nodes: []carp.Node{{VHID: 1}}}), carp.ErrVHID)
		require.ErrorIs(t, a.i.Add(carp.Config{}), carp.ErrConfig)
		require.ErrorIs(t, a.i.Add(carp.Config{Nodes: []carp.Node{{VHID: 2}}, Peer: vip}), carp.ErrUnicast)
		require.ErrorIs(t, a.i.Step(9, carp.Up{}), carp.ErrNoVHost)
		_, err := a.carp.Attach(a.l, a.ifp)
		require.ErrorIs(t, err, carp.ErrTaken)
		require.NoError(t, a.i.Close(context.Background(), a.l))
		require.ErrorIs(t, a.i.Add(carp.Config{Nodes: []carp.Node{{VHID: 2}}}), carp.ErrClosed)
		i, err := a.carp.Attach(a.l, a.ifp)
		require.NoError(t, err)
		a.i = i
	})
}

// Whatever happens to two nodes on a bad network, a while later one of them is master, the
// addresses are its, and every packet has been accounted for.
func TestInterface_AfterTheStormThereIsOneMaster(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			lan := ifnet.NewLAN(ifnet.LANConfig{Seed: rapid.Uint64().Draw(t, "seed"), Loss: 0.1, Duplicate: 0.1, Reorder: 0.1, Delay: time.Millisecond, Jitter: 5 * time.Millisecond})
			nodes := []*node{newNode(t, lan, 1), newNode(t, lan, 2)}
			nodes[0].add(0)
			nodes[1].add(100)
			some := func(t *rapid.T) *node { return rapid.SampledFrom(nodes).Draw(t, "node") }
			t.Repeat(map[string]func(*rapid.T){
				"": func(t *rapid.T) {
					synctest.Wait()
					for _, n := range nodes {
						require.Equal(t, n.state() == carp.Master, n.owns())
					}
				},
				"wait": func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond) },
				"pull": func(t *rapid.T) { some(t).port.Pull(rapid.Bool().Draw(t, "out")) },
				"side": func(t *rapid.T) { some(t).port.SetSide(rapid.IntRange(0, 1).Draw(t, "side")) },
				"admin": func(t *rapid.T) {
					_ = some(t).i.Step(1, rapid.SampledFrom([]carp.Event{carp.Down{}, carp.Up{}}).Draw(t, "admin"))
				},
				"demote": func(t *rapid.T) { n := some(t); n.carp.Demote("carp", 1); n.carp.Demote("carp", -1) },
			})
			for _, n := range nodes {
				n.port.Pull(false)
				n.port.SetSide(0)
				_ = n.i.Step(1, carp.Up{})
			}
			sleep(30 * time.Second)
			masters := 0
			for _, n := range nodes {
				if n.state() == carp.Master {
					masters++
				}
				require.Zero(t, n.carp.Groups().Demotion("carp"))
			}
			require.GreaterOrEqual(t, masters, 1)
			for _, n := range nodes {
				n.close()
			}
			lan.Close()
		})
	})
}

package pfsync

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// nodes runs some, none of which is up.
func nodes(t *testing.T, many int, f func(ns []*node), opts ...option) {
	synctest.Test(t, func(t *testing.T) {
		lan := ifnet.NewLAN(ifnet.LANConfig{})
		var ns []*node
		for i := range many {
			ns = append(ns, newNode(t, lan, byte(i+1), opts...))
		}
		f(ns)
		for _, n := range ns {
			n.close()
		}
		lan.Close()
	})
}

func TestScenario30_AFirewallThatComesIsToldOfAllStates(t *testing.T) {
	nodes(t, 2, func(ns []*node) {
		a, b := ns[0], ns[1]
		a.up()
		sleep(30 * time.Second)
		for port := range uint16(3) {
			settled(a, tcpFlow(1024+port))
		}
		b.hush()
		b.up()
		sleep(time.Second)
		require.Equal(t, []string{"0s +1 pfsync link down", "0s +32 pfsync init", "0s -1 pfsync link up", "0s -32 bulk done"}, b.demoted)
		require.Equal(t, []string{"BUSx1 UPDx3 BUSx1"}, a.last(1))
		require.Equal(t, PhaseDone, b.dev.Stats().Phase)
		same(a, b)
		require.Equal(t, 3, a.dev.Stats().Sent)
	})
}

func TestScenario31_UpWithoutALink(t *testing.T) {
	alone(t, func(n *node) {
		n.port.Pull(true)
		n.up()
		sleep(time.Second)
		require.Equal(t, 33, n.demotion())
		sleep(30 * time.Second)
		require.Equal(t, 1, n.demotion())
		require.Equal(t, PhaseDone, n.dev.Stats().Phase)
		n.port.Pull(false)
		sleep(time.Second)
		require.Equal(t, 0, n.demotion())
		sleep(time.Minute)
		require.Empty(t, n.said)
		n.port.Pull(true)
		sleep(time.Second)
		require.Equal(t, 1, n.demotion())
		n.down()
		require.Equal(t, 0, n.demotion())
	})
}

func TestScenario32_NobodyAnswers(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		sleep(23 * time.Second)
		require.Equal(t, 32, n.demotion())
		require.Equal(t, PhaseSent, n.dev.Stats().Phase)
		sleep(37 * time.Second)
		var want []string
		for i := range 12 {
			want = append(want, fmt.Sprintf("%v UPD_REQx1", 2*time.Duration(i)*time.Second))
		}
		require.Equal(t, want, n.heard())
		require.Equal(t, "24s -32 bulk failed", n.demoted[len(n.demoted)-1])
		require.Equal(t, PhaseDone, n.dev.Stats().Phase)
	})
}

func TestScenario33_APeerWithoutStatesIsBelieved(t *testing.T) {
	nodes(t, 2, func(ns []*node) {
		a, b := ns[0], ns[1]
		a.up()
		sleep(30 * time.Second)
		a.hush()
		b.hush()
		b.up()
		sleep(time.Millisecond)
		require.Equal(t, []string{"BUSx1"}, a.last(1))
		require.Equal(t, PhaseDone, b.dev.Stats().Phase)
		require.Equal(t, "0s -32 bulk done: nothing to tell", b.demoted[3])
	})
}

func TestScenario34_AnEndThatIsLost(t *testing.T) {
	nodes(t, 2, func(ns []*node) {
		a, b := ns[0], ns[1]
		a.up()
		sleep(30 * time.Second)
		for port := range uint16(7) {
			settled(a, tcpFlow(1024+port))
		}
		b.hush()
		b.up()
		for b.dev.Stats().Phase != PhaseBulk {
			sleep(100 * time.Microsecond)
		}
		b.deaf.Store(true)
		sleep(time.Second)
		b.deaf.Store(false)
		require.Equal(t, PhaseBulk, b.dev.Stats().Phase)
		require.Less(t, len(b.states()), 7)
		sleep(4 * time.Second)
		require.Equal(t, []string{"UPD_REQx1", "UPD_REQx1"}, b.last(2))
		require.Equal(t, PhaseDone, b.dev.Stats().Phase)
		same(a, b)
		require.Equal(t, "bulk done", b.demoted[len(b.demoted)-1][len(b.demoted[len(b.demoted)-1])-9:])
	}, func(c *Config, p *pf.Config) { p.Limit, c.BulkBurst, c.BulkEvery = 300, 1, 10*time.Millisecond })
}

func TestScenario35_BothAtOnce(t *testing.T) {
	nodes(t, 2, func(ns []*node) {
		a, b := ns[0], ns[1]
		for port := range uint16(20) {
			a.open(tcpFlow(1024 + port))
			b.open(tcpFlow(2024 + port))
		}
		a.up()
		b.up()
		sleep(time.Minute)
		require.Len(t, a.states(), 40)
		same(a, b)
		for _, n := range ns {
			require.Equal(t, PhaseDone, n.dev.Stats().Phase)
			require.Zero(t, n.demotion())
		}
	})
}

func TestScenario36_TheSameConversationOnBothSides(t *testing.T) {
	pair(t, func(a, b *node) {
		f := udpFlow(1024)
		a.open(f)
		b.open(f)
		sleep(2 * time.Second)
		require.Len(t, a.states(), 1)
		require.Zero(t, a.dev.Stats().BadState, "each INS was refused in silence")
		before := a.states()
		b.pass(f, false, 0, 1)
		sleep(2 * time.Second)
		require.Equal(t, []string{"INSx1", "UPD_REQx1"}, a.last(2))
		require.Equal(t, []string{"INSx1", "UPD_Cx1", "UPDx1"}, b.last(3))
		require.EqualValues(t, 1, a.dev.Stats().BadState)
		require.Equal(t, before, a.states())
	})
}

func TestScenario37_APeerThatComesBackAsSomebodyElse(t *testing.T) {
	nodes(t, 3, func(ns []*node) {
		a, b, again := ns[0], ns[1], ns[2] // the third is the second after it was switched off
		a.up()
		b.up()
		sleep(30 * time.Second)
		settled(b, tcpFlow(1024))
		b.deaf.Store(true)
		b.down()
		again.up()
		sleep(time.Second)
		settled(again, tcpFlow(1025))
		require.Len(t, again.states(), 2, "its old states, under the old name")
		again.pf.Clear(again.l, "")
		sleep(time.Second)
		require.Len(t, a.states(), 1)
		require.Contains(t, a.states()[0], fmt.Sprintf("%08x", b.host))
	})
}

func TestScenario38_DownInTheMiddleOfATransfer(t *testing.T) {
	nodes(t, 2, func(ns []*node) {
		a, b := ns[0], ns[1]
		for port := range uint16(100) {
			a.open(tcpFlow(1024 + port))
			b.open(tcpFlow(2024 + port))
		}
		b.up()
		sleep(30 * time.Second)
		a.up()
		sleep(time.Millisecond)
		a.tell(section(wire.UPDREQ, wire.ID{}))
		sleep(50 * time.Millisecond)
		require.Positive(t, a.dev.Stats().Sent)
		require.Less(t, a.dev.Stats().Sent, 100)
		require.Equal(t, PhaseBulk, a.dev.Stats().Phase)
		r := a.dev.running.Load()
		a.down()
		require.Zero(t, a.demotion())
		require.False(t, r.bulk.active())
		require.Equal(t, PhaseNone, r.req.Phase())
		said := len(a.said)
		sleep(time.Minute)
		require.Len(t, a.said, said, "nothing comes late")
		require.Greater(t, len(b.states()), 100, "what b was told stays")
		require.Less(t, len(b.states()), 200)
		a.up()
		sleep(time.Minute)
		require.Len(t, a.states(), 200)
	}, func(c *Config, _ *pf.Config) { c.BulkEvery, c.BulkBurst = 20*time.Millisecond, 1 })
}

// A request in the middle of a transfer gets a transfer of its own, after that.
func TestBulk_AskedMeanwhile(t *testing.T) {
	nodes(t, 3, func(ns []*node) {
		a, b, c := ns[0], ns[1], ns[2]
		for port := range uint16(100) {
			a.open(tcpFlow(1024 + port))
		}
		a.up()
		sleep(30 * time.Second)
		b.up()
		sleep(10 * time.Millisecond)
		c.up()
		sleep(time.Minute)
		require.Len(t, b.states(), 100)
		require.Len(t, c.states(), 100)
		require.Equal(t, PhaseDone, c.dev.Stats().Phase)
	}, func(c *Config, _ *pf.Config) { c.BulkBurst = 1 })
}

// States that nobody is to know, or that are none any more, are not told of.
func TestBulk_LeavesOut(t *testing.T) {
	nodes(t, 2, func(ns []*node) {
		a, b := ns[0], ns[1]
		a.pf.SetRules([]pf.Rule{{NoSync: true}})
		a.open(tcpFlow(1024))
		a.pf.SetRules([]pf.Rule{{}})
		gone := a.open(tcpFlow(1025))
		a.open(tcpFlow(1026))
		a.pf.Remove(a.l, gone)
		a.up()
		sleep(time.Minute)
		b.up()
		sleep(time.Second)
		require.Equal(t, []string{"BUSx1 UPDx1 BUSx1"}, a.last(1))
		require.Len(t, b.states(), 1)
		require.Zero(t, b.dev.Stats().BadVal)
	}, func(c *Config, p *pf.Config) { p.Manual = true })
}

// How many packets a transfer takes, at the least MTU and at the usual one; each fits.
func TestBulk_Packets(t *testing.T) {
	for _, c := range []struct{ mtu, states, packets int }{
		{1500, 5, 1}, {1500, 6, 2}, {1500, 12, 3}, {308, 5, 7}, {324, 1, 2}, {340, 1, 1}, {1500, 0, 1}, {308, 0, 1},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			nodes(t, 2, func(ns []*node) {
				a, b := ns[0], ns[1]
				for port := range uint16(c.states) {
					a.open(tcpFlow(1024 + port))
				}
				a.up()
				sleep(30 * time.Second)
				a.hush()
				b.up()
				sleep(time.Second)
				require.Len(t, a.said, c.packets)
				for _, s := range a.said {
					require.LessOrEqual(t, len(s.packet), c.mtu-20)
				}
				same(a, b)
				require.Equal(t, PhaseDone, b.dev.Stats().Phase)
			}, func(cf *Config, _ *pf.Config) { cf.MTU = c.mtu })
		})
	}
	alone(t, func(n *node) {
		c := n.dev.c
		c.MTU = 307
		_, err := New(c)
		require.ErrorIs(t, err, ErrConfig, "a state would not fit")
	})
}

// A state that the transfer stands on is not taken off the list before the transfer has moved on.
func TestBulk_PurgeWaitsForThePointers(t *testing.T) {
	nodes(t, 2, func(ns []*node) {
		a, b := ns[0], ns[1]
		var sts []*pf.State
		for port := range uint16(12) {
			sts = append(sts, a.open(udpFlow(1024+port)))
		}
		a.up()
		sleep(25 * time.Second)
		b.up()
		sleep(time.Millisecond)
		require.Equal(t, 5, a.dev.Stats().Sent)
		for _, st := range sts {
			a.pf.RemoveSilently(a.l, st)
		}
		a.pf.Purge(a.l, 100)
		require.Equal(t, []*pf.State{sts[5], sts[11]}, slices.Collect(a.pf.All()), "the two that it stands on")
		sleep(10 * time.Second)
		a.pf.Purge(a.l, 100)
		require.Zero(t, a.pf.Len())
		require.Equal(t, PhaseDone, b.dev.Stats().Phase)
	}, func(c *Config, p *pf.Config) { c.BulkEvery, c.BulkBurst, p.Manual = time.Second, 1, true })
}

// Nothing is left out because a queue is full: the packet is made again.
func TestBulk_NothingIsLostForWantOfRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := ifnet.NewLAN(ifnet.LANConfig{})
		room := func(_ *Config, p *pf.Config) { p.Limit = 10_000 }
		a := newNode(t, lan, 1, room, func(c *Config, _ *pf.Config) { c.Manual, c.BulkBurst = true, 2000 })
		b := newNode(t, lan, 2, room)
		for port := range uint16(6000) {
			a.open(tcpFlow(1024 + port))
		}
		a.up()
		b.up()
		for i := 0; i < 100 && b.dev.Stats().Phase != PhaseDone; i++ {
			a.isr.RunUntilIdle()
			sleep(time.Millisecond) // the handler of what has come in
			a.dev.Step()
			for a.send.Step() {
				synctest.Wait()
			}
		}
		require.NotZero(t, a.dev.Stats().QDrops, "the test wants a queue that is too short")
		same(a, b)
		require.Equal(t, 6000, a.dev.Stats().Sent)
		a.dev.Step()
		a.close()
		b.close()
		lan.Close()
	})
}

func TestDevice_UpAndDown(t *testing.T) {
	alone(t, func(n *node) {
		ctx := context.Background()
		n.down()
		n.up()
		require.ErrorIs(t, n.dev.Up(ctx, n.l), ErrBusy)
		n.down()
		n.up()
		gone, cancel := context.WithCancel(ctx)
		cancel()
		_ = n.dev.Down(gone, n.l)
		n.down()
		require.NoError(t, n.dev.Close(ctx, n.l))
		require.ErrorIs(t, n.dev.Up(ctx, n.l), ErrClosed)
	})
}

// The interface goes, and the device with it.
func TestDevice_TheInterfaceGoes(t *testing.T) {
	pair(t, func(a, b *node) {
		a.open(tcpFlow(1024))
		ctx, cancel := soon()
		defer cancel()
		require.NoError(t, a.ifs.Detach(ctx, a.l, a.ifp))
		require.Zero(t, a.demotion())
		require.ErrorIs(t, a.dev.Up(ctx, a.l), ErrNoDev)
		require.Equal(t, 1, a.pf.Outstanding())
	})
}

// While a state is being told of, by whatever way, the table of the request machine holds.
func TestRequest_Table(t *testing.T) {
	at := time.Unix(1000, 0)
	in := func(p Phase) *Request {
		q := &Request{Wait: time.Minute}
		for _, e := range [][]Event{PhaseNone: {}, PhaseStart: {Up}, PhaseSent: {Up, LinkUp}, PhaseBulk: {Up, LinkUp, BulkStart}, PhaseDone: {Up, LinkUp, BulkStart, BulkEnd}}[p] {
			q.Step(at, e)
		}
		require.Equal(t, p, q.Phase())
		return q
	}
	late := at.Add(time.Hour)
	type cell struct {
		from Phase
		e    Event
		to   Phase
		a    Answer
		wait time.Duration
	}
	ask := Answer{Send: true}
	down := Answer{Demote: -32, Why: "pfsync down"}
	done := func(why string) Answer { return Answer{Demote: -32, Why: why} }
	for _, c := range []cell{
		{PhaseNone, Up, PhaseStart, Answer{Demote: 32, Why: "pfsync init"}, 30 * time.Second},
		{PhaseStart, LinkUp, PhaseSent, ask, 2 * time.Second},
		{PhaseStart, Tick, PhaseDone, done("no link"), 0},
		{PhaseStart, BulkStart, PhaseBulk, Answer{}, time.Minute},
		{PhaseStart, Down, PhaseNone, down, 0},
		{PhaseSent, Tick, PhaseSent, ask, 2 * time.Second},
		{PhaseSent, BulkStart, PhaseBulk, Answer{}, time.Minute},
		{PhaseSent, BulkEnd, PhaseDone, done("bulk done: nothing to tell"), 0},
		{PhaseSent, Down, PhaseNone, down, 0},
		{PhaseBulk, Tick, PhaseSent, ask, 2 * time.Second},
		{PhaseBulk, BulkEnd, PhaseDone, done("bulk done"), 0},
		{PhaseBulk, Down, PhaseNone, down, 0},
		{PhaseDone, Down, PhaseNone, Answer{}, 0},
	} {
		q := in(c.from)
		require.Equal(t, c.a, q.Step(late, c.e), c)
		require.Equal(t, c.to, q.Phase(), c)
		want := time.Time{}
		if c.wait != 0 {
			want = late.Add(c.wait)
		}
		require.Equal(t, want, q.At(), c)
	}
	for _, c := range []struct {
		p  Phase
		es []Event
	}{
		{PhaseNone, []Event{LinkUp, BulkStart, BulkEnd, BulkUpdate, Tick, Down}},
		{PhaseStart, []Event{Up, BulkEnd, BulkUpdate}},
		{PhaseSent, []Event{Up, LinkUp, BulkUpdate}},
		{PhaseBulk, []Event{Up, LinkUp, BulkStart, BulkUpdate}},
		{PhaseDone, []Event{Up, LinkUp, BulkStart, BulkEnd, BulkUpdate, Tick}},
	} {
		for _, e := range c.es {
			q := in(c.p)
			before := q.At()
			require.Equal(t, Answer{}, q.Step(late, e), "%v %v", c.p, e)
			require.Equal(t, c.p, q.Phase())
			require.Equal(t, before, q.At())
		}
	}
	q := in(PhaseSent)
	require.Equal(t, Answer{}, q.Step(at.Add(time.Second), Tick), "a tick that comes early")
	q.Step(at, BulkUpdate)
	require.Equal(t, Answer{}, q.Step(at, BulkEnd), "the end of somebody else's")
	for range 11 {
		require.True(t, q.Step(late, Tick).Send)
		late = late.Add(time.Hour)
	}
	require.Equal(t, done("bulk failed"), q.Step(late, Tick))
}

func TestWait(t *testing.T) {
	require.Equal(t, 1600*time.Second, Wait(100_000, 1500))
	require.Equal(t, 4*time.Second, Wait(400, 1500))
	require.Equal(t, 4*time.Second, Wait(1, 1500))
	require.Equal(t, 8*time.Second, Wait(100, 308))
}

package ministack_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/stacktest/ministack"
)

// ARP and neighbour discovery, cell by cell, in virtual time: each test is one of both.

// A family is an address family as these tests see it: who this host is, who its neighbour, and a
// third, and how questions to everybody are sent.
type family struct {
	me, peer, other netip.Addr
	net             netip.Prefix
	all             ifnet.MAC // where the peer is asked for
	every           ifnet.MAC // where everybody is told
}

var (
	macC     = ifnet.MAC{2, 0, 0, 0, 0, 3}
	families = map[string]family{
		"ARP": {
			netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.9"),
			netip.MustParsePrefix("192.0.2.0/24"), ifnet.BroadcastMAC, ifnet.BroadcastMAC,
		},
		"ND": {
			netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::9"),
			netip.MustParsePrefix("2001:db8::/64"), ifnet.MulticastMAC(ministack.SolicitedNode(netip.MustParseAddr("2001:db8::1"))),
			ifnet.MulticastMAC(netip.IPv6LinkLocalAllNodes()),
		},
	}
)

// A cell is a host with one interface that has an address of one family, in a bubble.
type cell struct {
	*host
	family
	id        ifnet.ID
	conflicts []ministack.Conflict
	n         byte
}

// cells runs a test for both families.
func cells(t *testing.T, c ministack.NeighbourConfig, f func(t *testing.T, c *cell)) {
	for name, fam := range families {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := &cell{family: fam}
				x.host = newStack(t, ministack.Config{Neighbours: c, OnConflict: func(c ministack.Conflict) { x.conflicts = append(x.conflicts, c) }})
				x.plug()
				f(t, x)
				x.end()
			})
		})
	}
}

// plug attaches the interface.
func (c *cell) plug() {
	var err error
	c.ifp, err = c.Ifs.Attach(ifnet.Spec{Name: "em0", Driver: &c.wire, MAC: macB, Up: true})
	require.NoError(c.t, err)
	c.id = c.ifp.ID()
	require.NoError(c.t, c.AddAddr(c.id, netip.PrefixFrom(c.me, c.net.Bits())))
	require.Equal(c.t, []string{c.isAt(c.every, c.me, macB) + ", everybody"}, c.run())
}

// run lets the host do what it has to, and returns what it has sent.
func (c *cell) run() []string {
	c.Run()
	return tell(c.wire.take())
}

// after is run after a time.
func (c *cell) after(d time.Duration) []string {
	time.Sleep(d)
	return c.run()
}

// send sends the next packet to somebody.
func (c *cell) send(to netip.Addr) error {
	c.n++
	m, err := c.pool.From(udp(c.me, to, 64, c.n))
	require.NoError(c.t, err)
	l := c.Dom.Bind()
	defer l.Unbind()
	return c.Output(context.Background(), l, m)
}

func (c *cell) hears(frame []byte) []string { return tell(c.receive(frame)) }

// state returns the state of a neighbour, 0 if there is none.
func (c *cell) state(a netip.Addr) ministack.NeighbourState {
	for _, n := range c.Neighbours() {
		if n.Addr == a {
			return n.State
		}
	}
	return 0
}

func (c *cell) asksFor(to ifnet.MAC, a netip.Addr) string {
	return fmt.Sprintf("to %v: who has %v, says %v", to, a, c.me)
}

func (c *cell) isAt(to ifnet.MAC, a netip.Addr, mac ifnet.MAC) string {
	return fmt.Sprintf("to %v: %v is at %v", to, a, mac)
}

func (c *cell) number(to ifnet.MAC, n int) string {
	return fmt.Sprintf("to %v: %v > %v ttl 64, number %d", to, c.me, c.peer, n)
}

// Who wants to send asks once; what is sent meanwhile waits, and goes in order when the answer comes.
func TestRequest_PacketsWaitForTheAnswerAndGoInOrder(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		for range 3 {
			require.NoError(t, c.send(c.peer))
		}
		require.Equal(t, []string{c.asksFor(c.all, c.peer)}, c.run())
		require.Equal(t, []ministack.Neighbour{{Interface: c.id, Addr: c.peer, State: ministack.Incomplete, Asked: 1, Held: 3}}, c.Neighbours())
		require.Equal(t, []string{c.number(macA, 1), c.number(macA, 2), c.number(macA, 3)}, c.hears(says(macB, macA, c.peer, c.me, true)))
		require.Equal(t, ministack.Reachable, c.state(c.peer))
		require.NoError(t, c.send(c.peer))
		require.Equal(t, []string{c.number(macA, 4)}, c.run(), "nobody is asked again")
	})
}

// What is sent while held packets are on their way out goes behind them.
func TestReply_NothingOvertakesWhatHasWaited(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.NoError(t, c.send(c.peer))
		require.NoError(t, c.send(c.peer))
		c.run()
		require.NoError(t, c.send(c.peer)) // queued before the answer comes
		m, err := c.pool.From(says(macB, macA, c.peer, c.me, true))
		require.NoError(t, err)
		require.NoError(t, c.ifp.Input(m))
		require.True(t, c.ISR.Step())
		require.NoError(t, c.send(c.peer)) // and after it
		require.Equal(t, []string{c.number(macA, 1), c.number(macA, 2), c.number(macA, 3), c.number(macA, 4)}, c.run())
	})
}

// Nobody answers: three questions, a second apart, and what has waited is dropped with a reason.
func TestRequest_UnansweredEndsWithAReason(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.NoError(t, c.send(c.peer))
		ask := []string{c.asksFor(c.all, c.peer)}
		require.Equal(t, ask, c.run())
		require.Empty(t, c.after(999*time.Millisecond))
		require.Equal(t, ask, c.after(time.Millisecond))
		require.Equal(t, ask, c.after(time.Second))
		require.Equal(t, 0, c.drops(mbuf.NoNeighbour))
		require.Empty(t, c.after(time.Second))
		require.Equal(t, 1, c.drops(mbuf.NoNeighbour))
		require.Empty(t, c.Neighbours())
		require.NoError(t, c.send(c.peer))
		require.Equal(t, ask, c.run(), "who comes later begins anew")
		require.NoError(t, c.DeleteNeighbour(c.id, c.peer))
		require.ErrorIs(t, c.DeleteNeighbour(c.id, c.peer), ministack.ErrNoNeighbour)
	})
}

// The hold queue is bounded: the oldest makes room, and is counted.
func TestHold_TheOldestMakesRoom(t *testing.T) {
	cells(t, ministack.NeighbourConfig{Hold: 2}, func(t *testing.T, c *cell) {
		for range 4 {
			require.NoError(t, c.send(c.peer))
		}
		c.run()
		require.Equal(t, 2, c.drops(mbuf.Full))
		require.EqualValues(t, 2, c.Stats().Full)
		require.Equal(t, []string{c.number(macA, 3), c.number(macA, 4)}, c.hears(says(macB, macA, c.peer, c.me, true)))
	})
}

// The table is bounded: no flood of addresses makes it grow, and those set by hand are not refused.
func TestTable_IsBounded(t *testing.T) {
	cells(t, ministack.NeighbourConfig{Max: 1}, func(t *testing.T, c *cell) {
		require.NoError(t, c.send(c.peer))
		require.NoError(t, c.send(c.other))
		require.Equal(t, []string{c.asksFor(c.all, c.peer)}, c.run())
		require.Equal(t, 1, c.drops(mbuf.NoNeighbour))
		require.EqualValues(t, 1, c.Stats().Refused)
		require.NoError(t, c.SetNeighbour(c.id, c.other, macC))
		require.Len(t, c.Neighbours(), 2)
	})
}

// Who asks for this host is answered, and remembered: it is about to be sent to.
func TestRequest_ForThisHostIsAnswered(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.Equal(t, []string{c.isAt(macA, c.me, macB)}, c.hears(asks(macA, c.peer, c.me)))
		want := ministack.Stale // that it hears us is not known
		if c.me.Is6() {
			want = ministack.Delay // the answer was a packet to it
		}
		require.Equal(t, want, c.state(c.peer))
		require.Empty(t, c.hears(asks(macC, c.other, c.peer)))
		require.Zero(t, c.state(c.other), "who asks for somebody else is nothing to us")
	})
}

// Who asks whether an address is taken, having none, is told so, and nothing is learned from it.
func TestRequest_OfWhoHasNoAddressYetIsAnswered(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		none, to, everybody := netip.IPv4Unspecified(), macA, ""
		if c.me.Is6() {
			none, to, everybody = netip.IPv6Unspecified(), c.every, ", everybody"
		}
		require.Equal(t, []string{c.isAt(to, c.me, macB) + everybody}, c.hears(asks(macA, none, c.me)))
		require.Empty(t, c.Neighbours())
	})
}

// Of addresses that are not of this link nobody on it is believed.
func TestRequest_FromAnotherNetworkIsNotBelieved(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		far := netip.MustParseAddr("198.51.100.7")
		if c.me.Is6() {
			far = netip.MustParseAddr("2001:db8:7::7")
		}
		c.hears(asks(macA, far, c.me))
		require.Zero(t, c.state(far))
	})
}

// An answer that nobody has asked for makes no neighbour.
func TestReply_UnaskedIsDropped(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.Empty(t, c.hears(says(macB, macA, c.peer, c.me, true)))
		require.Empty(t, c.Neighbours())
		require.Equal(t, 1, c.drops(mbuf.NoListener))
	})
}

// What a neighbour says to everybody changes what is known of it, and makes nobody known.
func TestGratuitous_MovesWhoIsKnownOnly(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.Empty(t, c.hears(says(ifnet.BroadcastMAC, macA, c.peer, c.peer, false)))
		require.Empty(t, c.Neighbours())
		c.hears(asks(macA, c.peer, c.me))
		require.Empty(t, c.hears(says(ifnet.BroadcastMAC, macC, c.peer, c.peer, false)))
		mac, ok := c.Neighbour(c.id, c.peer)
		require.True(t, ok)
		require.Equal(t, macC, mac)
		require.Equal(t, ministack.Stale, c.state(c.peer), "it was not asked")
		require.NoError(t, c.send(c.peer))
		require.Equal(t, []string{c.number(macC, 1)}, c.run())
	})
}

// What waits is sent when its neighbour says of itself where it is.
func TestGratuitous_SendsWhatWaits(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.NoError(t, c.send(c.peer))
		c.run()
		require.Equal(t, []string{c.number(macA, 1)}, c.hears(says(ifnet.BroadcastMAC, macA, c.peer, c.peer, false)))
		require.Equal(t, ministack.Stale, c.state(c.peer))
	})
}

// Who says to have our address is counted, told of, and answered to everybody, but once in ten
// seconds: two hosts that defend an address against each other would do nothing else.
func TestConflict_IsCountedReportedAndDefended(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		defence := []string{c.isAt(c.every, c.me, macB) + ", everybody"}
		claim := says(ifnet.BroadcastMAC, macA, c.me, c.me, false)
		require.Equal(t, defence, c.hears(claim))
		require.Empty(t, c.hears(claim))
		require.Empty(t, c.hears(asks(macA, c.me, c.peer)), "whatever it says it with")
		conflict := ministack.Conflict{Interface: c.id, Addr: c.me, MAC: macA}
		defended := conflict
		defended.Defended = true
		if c.me.Is4() { // a solicitation of the peer's group is not heard by us
			require.Equal(t, []ministack.Conflict{defended, conflict, conflict}, c.conflicts)
			require.EqualValues(t, 3, c.Stats().Conflicts)
		} else {
			require.Equal(t, []ministack.Conflict{defended, conflict}, c.conflicts)
			require.EqualValues(t, 2, c.Stats().Conflicts)
		}
		require.Empty(t, c.after(10*time.Second-time.Nanosecond))
		require.Empty(t, c.hears(claim))
		time.Sleep(time.Nanosecond)
		require.Equal(t, defence, c.hears(claim))
		require.EqualValues(t, 2, c.Stats().Defended)
		require.Empty(t, c.Neighbours())
	})
}

// A claim in a question for ourselves is one as well.
func TestConflict_OfWhoAsksAsUs(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.Equal(t, []string{c.isAt(c.every, c.me, macB) + ", everybody"}, c.hears(asks(macA, c.me, c.me)))
		require.Equal(t, 1, c.drops(mbuf.Denied))
		require.Len(t, c.conflicts, 1)
	})
}

// Our own words that come back are no conflict.
func TestConflict_IsNoneWithOneself(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.Empty(t, c.hears(says(ifnet.BroadcastMAC, macB, c.me, c.me, false)))
		require.Empty(t, c.conflicts)
		require.Equal(t, 1, c.drops(mbuf.Denied))
	})
}

// An answer is believed for a time; then a packet has the neighbour asked, by its own address, and
// who does not answer three times is forgotten.
func TestExpiry_WhoIsSentToIsAskedAndForgotten(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.NoError(t, c.send(c.peer))
		c.run()
		c.hears(says(macB, macA, c.peer, c.me, true))
		require.Empty(t, c.after(30*time.Second-time.Nanosecond))
		require.Equal(t, ministack.Reachable, c.state(c.peer))
		require.Empty(t, c.after(time.Nanosecond))
		require.Equal(t, ministack.Stale, c.state(c.peer))
		require.NoError(t, c.send(c.peer))
		require.Equal(t, []string{c.number(macA, 2)}, c.run(), "it is used meanwhile")
		require.Equal(t, ministack.Delay, c.state(c.peer))
		ask := []string{c.asksFor(macA, c.peer)}
		require.Equal(t, ask, c.after(5*time.Second))
		require.Equal(t, ministack.Probe, c.state(c.peer))
		require.Equal(t, ask, c.after(time.Second))
		require.Equal(t, []string{c.number(macA, 3)}, tell(func() [][]byte { require.NoError(t, c.send(c.peer)); c.Run(); return c.wire.take() }()))
		require.Equal(t, ask, c.after(time.Second))
		require.Empty(t, c.after(time.Second))
		require.Empty(t, c.Neighbours())
	})
}

// Who answers when it is asked again stays, and is not asked for as long.
func TestExpiry_WhoAnswersStays(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		c.hears(asks(macA, c.peer, c.me))
		require.NoError(t, c.send(c.peer))
		c.run()
		require.Equal(t, []string{c.asksFor(macA, c.peer)}, c.after(5*time.Second))
		require.Empty(t, c.hears(says(macB, macA, c.peer, c.me, true)))
		require.Empty(t, c.after(29*time.Second))
		require.Equal(t, ministack.Reachable, c.state(c.peer))
	})
}

// Who is not sent to is asked nothing, and forgotten in the end.
func TestExpiry_WhoNobodyCaresForIsForgotten(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.NoError(t, c.send(c.peer))
		c.run()
		c.hears(says(macB, macA, c.peer, c.me, true))
		require.Empty(t, c.after(30*time.Second))
		require.Empty(t, c.after(20*time.Minute-time.Nanosecond))
		require.Equal(t, ministack.Stale, c.state(c.peer))
		require.Empty(t, c.after(time.Nanosecond))
		require.Empty(t, c.Neighbours())
	})
}

// A neighbour that was set by hand is not asked for, does not expire, and nobody talks it away.
func TestStatic_StaysAsItWasSet(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.ErrorIs(t, c.SetNeighbour(c.id, c.peer, ifnet.BroadcastMAC), ministack.ErrNotUnicast)
		require.NoError(t, c.SetNeighbour(c.id, c.peer, macA))
		c.hears(says(ifnet.BroadcastMAC, macC, c.peer, c.peer, false))
		c.hears(asks(macC, c.peer, c.me))
		require.EqualValues(t, 2, c.Stats().Static)
		require.NoError(t, c.send(c.peer))
		require.Equal(t, []string{c.number(macA, 1)}, c.run())
		require.Empty(t, c.after(time.Hour))
		require.Equal(t, ministack.Static, c.state(c.peer))
	})
}

// An address that is taken away is nobody's: it is neither answered for nor defended. The network's
// route goes with its last address.
func TestAddr_IsAnsweredForUntilItIsTakenAway(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.NoError(t, c.AddAddr(c.id, netip.PrefixFrom(c.other, c.net.Bits())), "a second one")
		require.Equal(t, []string{c.isAt(c.every, c.other, macB) + ", everybody"}, c.run())
		require.Len(t, c.hears(asks(macA, c.peer, c.other)), 1)
		require.NoError(t, c.RemoveAddr(c.id, c.me))
		require.ErrorIs(t, c.RemoveAddr(c.id, c.me), ifnet.ErrInvalid)
		require.Empty(t, c.hears(asks(macA, c.peer, c.me)))
		require.Empty(t, c.hears(says(ifnet.BroadcastMAC, macA, c.me, c.me, false)))
		require.Empty(t, c.conflicts)
		_, err := c.Routes.Exact(c.net)
		require.NoError(t, err)
		require.NoError(t, c.RemoveAddr(c.id, c.other))
		require.Zero(t, c.Routes.Len())
	})
}

// What waits is sent when its neighbour is set by hand, and the timer of the question is void.
func TestStatic_SendsWhatWaits(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.NoError(t, c.send(c.peer))
		c.run()
		require.NoError(t, c.SetNeighbour(c.id, c.peer, macA))
		require.Equal(t, []string{c.number(macA, 1)}, c.run())
		require.Empty(t, c.after(time.Minute))
		require.Equal(t, ministack.Static, c.state(c.peer))
	})
}

// A proxy answers for others with its own link address, and does not once it is none any more.
func TestProxy_AnswersForOthers(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.NoError(t, c.Proxy(c.id, c.other))
		require.NoError(t, c.Proxy(c.id, c.other), "twice is once")
		question := asks(macA, c.peer, c.other)
		require.Equal(t, []string{c.isAt(macA, c.other, macB)}, c.hears(question))
		require.NoError(t, c.Unproxy(c.id, c.other))
		require.ErrorIs(t, c.Unproxy(c.id, c.other), ministack.ErrNoNeighbour)
		require.Empty(t, c.hears(question))
		require.NoError(t, c.Proxy(c.id, c.other))
		c.detach()
		require.ErrorIs(t, c.Proxy(c.id, c.other), ifnet.ErrGone)
		c.plug()
		require.Empty(t, c.hears(question), "what an interface was told is not told the next one")
	})
}

func (c *cell) detach() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(c.t, c.Detach(ctx, c.id))
}

// An interface that goes takes its neighbours along, and what waits for them is dropped before Detach
// returns. The next interface with its index knows nobody.
func TestDeparture_WhileAQuestionIsOut(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		for range 3 {
			require.NoError(t, c.send(c.peer))
		}
		c.run()
		was := c.id
		c.detach()
		require.Equal(t, 3, c.drops(mbuf.IfDeparted))
		require.Empty(t, c.Neighbours())
		require.ErrorIs(t, c.SetNeighbour(was, c.peer, macA), ifnet.ErrGone)
		require.Empty(t, c.after(time.Hour))
		c.plug()
		require.Equal(t, was.Index, c.id.Index)
		require.Empty(t, c.Neighbours())
		require.NoError(t, c.send(c.peer))
		require.Equal(t, []string{c.asksFor(c.all, c.peer)}, c.run())
	})
}

// A question that was decided on and is not sent yet goes with its interface, as do packets that had
// been answered for.
func TestDeparture_WhileTheAnswerIsDealtWith(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.NoError(t, c.send(c.peer))
		require.NoError(t, c.send(c.peer))
		c.run()
		m, err := c.pool.From(says(macB, macA, c.peer, c.me, true))
		require.NoError(t, err)
		require.NoError(t, c.ifp.Input(m))
		if c.me.Is4() {
			require.True(t, c.ISR.Step())
		} else {
			require.True(t, c.ISR.Step())
			require.True(t, c.Protosw.Lookup(ministack.ProtoICMPv6).Step())
		}
		c.detach()
		require.Equal(t, 2, c.drops(mbuf.IfDeparted))
		require.Empty(t, c.run())
	})
}

// An interface that is down forgets who was there, but for those set by hand.
func TestDown_WhatWaitsIsDropped(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.NoError(t, c.SetNeighbour(c.id, c.other, macC))
		require.NoError(t, c.send(c.peer))
		c.run()
		require.NoError(t, c.Ifs.Down(c.id))
		require.Equal(t, 1, c.drops(mbuf.IfDown))
		require.Zero(t, c.state(c.peer))
		require.Equal(t, ministack.Static, c.state(c.other))
	})
}

// A nosy wire looks into all entries while a frame is sent: that would be a recursion if the lock of
// one were held.
type nosy struct {
	wire
	s    *ministack.Stack
	seen int
}

func (w *nosy) Transmit(l *lwp.LWP, m *mbuf.Packet) error {
	w.seen += len(w.s.Neighbours())
	return w.wire.Transmit(l, m)
}

func (w *nosy) Open(ifp *ifnet.Interface) error { return w.wire.Open(ifp) }

// "No lock of an entry is held while anything is sent": neither questions, by timers too, nor what
// has waited.
func TestEntry_NothingIsSentUnderItsLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newStack(t, ministack.Config{})
		w := &nosy{s: h.Stack}
		var err error
		h.ifp, err = h.Ifs.Attach(ifnet.Spec{Name: "em0", Driver: w, MAC: macB, Up: true})
		require.NoError(t, err)
		for _, f := range families {
			c := &cell{host: h, family: f, id: h.ifp.ID()}
			require.NoError(t, c.AddAddr(c.id, netip.PrefixFrom(f.me, f.net.Bits())))
			require.NoError(t, c.send(f.peer))
			h.Run()
			time.Sleep(time.Second)
			h.Run()
			h.receive(says(macB, macA, f.peer, f.me, true))
		}
		require.Positive(t, w.seen)
		require.GreaterOrEqual(t, len(w.sent), 2*4)
		h.end()
	})
}

// Words of a kind that end a question by being wrong do not.
func TestReply_WrongOnesChangeNothing(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		require.NoError(t, c.send(c.peer))
		c.run()
		group := says(macB, macA, c.peer, c.me, true)
		short := append([]byte{}, group[:len(group)-9]...)
		if c.me.Is4() {
			group[14+8] |= 1 // the sender's link address
			group[6] |= 1
		} else {
			group[14+40+26] |= 1 // the option with its link address
			sum6(group)
		}
		c.hears(group)
		c.hears(short)
		require.Equal(t, 2, c.drops(mbuf.Malformed))
		require.Equal(t, ministack.Incomplete, c.state(c.peer))
	})
}

// Neighbour discovery: who does not insist does not displace who is known, but is a reason to ask.
func TestAdvertisement_WithoutOverrideMakesStale(t *testing.T) {
	cells(t, ministack.NeighbourConfig{}, func(t *testing.T, c *cell) {
		if c.me.Is4() {
			return // ARP knows no such thing
		}
		require.NoError(t, c.send(c.peer))
		c.run()
		c.hears(says(macB, macA, c.peer, c.me, true))
		other := says(macB, macC, c.peer, c.me, false)
		other[14+40+4] &^= 0x20
		sum6(other)
		require.Empty(t, c.hears(other))
		mac, _ := c.Neighbour(c.id, c.peer)
		require.Equal(t, macA, mac)
		require.Equal(t, ministack.Stale, c.state(c.peer))
		answer := says(ifnet.BroadcastMAC, macA, c.peer, c.me, false)
		answer[14+40+4] |= 0x40 // "you have asked me", to everybody
		sum6(answer)
		c.hears(answer)
		require.Equal(t, 1, c.drops(mbuf.Malformed))
	})
}

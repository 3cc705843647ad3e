package carp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
)

func TestScenario32_AnAddressMoreIsAnOutage(t *testing.T) {
	l, a, _ := pair(t)
	l.until(3500 * time.Millisecond)
	l.hosts[1].dead = true
	a.say(AddAddr{vip2})
	l.log(t, "3.5s A: MASTER -> INIT", "3.5s A: INIT -> BACKUP")
	l.until(6500 * time.Millisecond)
	require.Equal(t, Master, a.state())
	auth, err := NewAuth("secret", 1, []netip.Addr{vip2, vip}, nil)
	require.NoError(t, err)
	require.Len(t, a.sent, 1)
	require.Equal(t, auth.Sign(a.sent[0].Counter), a.sent[0].Digest)
	require.Equal(t, []netip.Addr{vip, vip2}, a.told)
	// One less is none.
	a.say(RemoveAddr{vip2})
	require.Equal(t, Master, a.state())
	require.Equal(t, l.now.Add(time.Second), a.d().Next())
}

func TestScenario33_WithoutAddressesOneIsNotUp(t *testing.T) {
	l, a, _ := pair(t)
	a.say(RemoveAddr{vip})
	require.Equal(t, Init, a.state())
	require.True(t, a.d().Next().IsZero())
	l.until(time.Minute)
	require.Empty(t, a.sent)
	a.say(LinkDown{})
	a.say(LinkUp{})
	require.Equal(t, Init, a.state())
}

func TestScenario34_EachFamilyHasItsTimer(t *testing.T) {
	l := newLAN(t)
	a, b := l.host("A", one(0)), l.host("B", one(100))
	for _, h := range l.hosts {
		h.say(AddAddr{vip6})
	}
	l.until(3 * time.Second)
	l.forget()
	lost := false
	l.tap = func(f frame) {
		if f.from == a && f.family == V6 {
			lost = true
			f.packet[7] = 0 // an IPv6 that does not arrive as it should
		}
	}
	l.until(14 * time.Second)
	require.True(t, lost)
	require.Equal(t, []State{Master, Backup}, []State{a.state(), b.state()})
	l.log(t, "6.390625s B: BACKUP -> MASTER", "7s B: MASTER -> BACKUP",
		"10.390625s B: BACKUP -> MASTER", "11s B: MASTER -> BACKUP")
}

func TestScenario35_AddressesAreAnnouncedTwice(t *testing.T) {
	l := newLAN(t)
	a := l.host("A", one(0))
	a.say(AddAddr{vip6})
	l.until(3 * time.Second)
	require.Equal(t, []netip.Addr{vip, vip6}, a.told)
	l.until(4999999 * us)
	require.Equal(t, []netip.Addr{vip, vip6}, a.told)
	l.until(5 * time.Second)
	require.Equal(t, []netip.Addr{vip, vip6, vip}, a.told, "IPv4 again, with the third advertisement")
	l.until(time.Minute)
	require.Len(t, a.told, 3)

	// Not if it was no master in between.
	l = newLAN(t)
	a = l.host("A", one(0))
	l.until(3 * time.Second)
	a.say(Force{Backup})
	l.until(6 * time.Second)
	a.told = nil
	l.until(7999999 * us)
	require.Empty(t, a.told)

	// IPv6 only once.
	l = newLAN(t)
	a = l.host("A", one(0))
	a.say(AddAddr{vip6})
	a.say(RemoveAddr{vip})
	l.until(time.Minute)
	require.Equal(t, []netip.Addr{vip6}, a.told)
}

// Scenario 37: a timer and an advertisement for one instant; whoever is first, the other finds
// that nothing is due.
func TestScenario37_OfTimerAndAdvertOneWins(t *testing.T) {
	for _, first := range []string{"timer", "advert"} {
		l := newLAN(t)
		a := l.host("A", one(100))
		l.now = l.start.Add(3390625 * us)
		if first == "timer" {
			a.say(Tick{})
			a.input(forge(t, func(*Advert) {}))
		} else {
			a.input(forge(t, func(*Advert) {}))
			a.say(Tick{})
		}
		v := a.d().vhosts[0]
		require.Equal(t, Backup, v.state, first)
		require.True(t, v.adAt.IsZero())
		require.Equal(t, l.now.Add(3390625*us), v.mdAt)
		sent := 0
		if first == "timer" {
			sent = 1
		}
		require.Len(t, a.sent, sent)
		l.until(6 * time.Second)
		require.Len(t, a.sent, sent, "a backup whose advertisement timer was cancelled sends nothing")
	}
}

func TestScenario38_TwoMastersShareAnAddress(t *testing.T) {
	cfg := func(s1, s2 uint8) Config {
		return Config{Nodes: []Node{{VHID: 2, AdvSkew: s2}, {VHID: 1, AdvSkew: s1}}, Password: "secret", AdvBase: 1, Balancing: BalanceIP, Preempt: true}
	}
	l := newLAN(t)
	a, b := l.host("A", cfg(0, 100)), l.host("B", cfg(100, 0))
	l.until(20 * time.Second)
	require.Equal(t, uint32(1), a.d().masters())
	require.Equal(t, uint32(2), b.d().masters())
	shared := map[bool]int{}
	for i := range 256 {
		src := netip.AddrFrom4([4]byte{192, 0, byte(i * 7), byte(i)})
		require.NotEqual(t, a.d().Keeps(src, vip), b.d().Keeps(src, vip), "exactly one keeps it")
		require.True(t, b.d().Keeps(src, Group4))
		shared[a.d().Keeps(src, vip)]++
	}
	require.InDelta(t, 128, shared[true], 40)
	require.Equal(t, ifnet.MAC{1, 0, 0x5e, 0, 1, 1}, a.d().MAC())
	_, ok := a.d().SourceMAC(a.d().vhosts[0])
	require.False(t, ok, "the group address is nobody's source")
	_, answers := a.d().AnswerARP(ifnet.MAC{})
	require.True(t, answers)
	_, answers = b.d().AnswerARP(ifnet.MAC{})
	require.False(t, answers, "the leader's master alone")
	require.Empty(t, a.told, "where every node gets every frame nothing is announced")
	a.dead = true
	l.until(30 * time.Second)
	for i := range 256 {
		require.True(t, b.d().Keeps(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), vip))
	}
}

func TestScenario38_ARPBalancingTellsEachClientOne(t *testing.T) {
	cfg := func(s1, s2 uint8) Config {
		return Config{Nodes: []Node{{VHID: 1, AdvSkew: s1}, {VHID: 2, AdvSkew: s2}}, Password: "secret", AdvBase: 1, Balancing: BalanceARP, Preempt: true}
	}
	l := newLAN(t)
	a, b := l.host("A", cfg(0, 100)), l.host("B", cfg(100, 0))
	l.until(20 * time.Second)
	told := map[ifnet.MAC]int{}
	for i := range 256 {
		client := ifnet.MAC{2, 0, 0, 0, byte(i * 3), byte(i)}
		ma, oka := a.d().AnswerARP(client)
		mb, okb := b.d().AnswerARP(client)
		require.Equal(t, ma, mb, "both know whose it is")
		require.NotEqual(t, oka, okb, "and one says so")
		require.Equal(t, oka, a.d().TakesFrame(ma))
		require.Equal(t, okb, b.d().TakesFrame(mb))
		told[ma]++
	}
	require.Len(t, told, 2)
	require.InDelta(t, 128, told[VirtualMAC(1)], 40)
}

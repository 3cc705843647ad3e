package carp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
)

var errNoBufs = mbuf.ErrNoBufs

const us = time.Microsecond

// log requires that these transitions have happened, "3s A: BACKUP -> MASTER", and forgets them.
func (l *lan) log(t *testing.T, want ...string) {
	t.Helper()
	require.Equal(t, strings.Join(want, "\n"), strings.Join(l.events, "\n"))
	l.forget()
}

// pair is A, preferred, and B, skew 100; both have just been elected and A advertised at 3 s.
func pair(t *testing.T, with ...func(*Config)) (l *lan, a, b *host) {
	l = newLAN(t)
	a, b = l.host("A", one(0, with...)), l.host("B", one(100, with...))
	l.until(3 * time.Second)
	require.Equal(t, []State{Master, Backup}, []State{a.state(), b.state()})
	l.forget()
	return l, a, b
}

func TestScenario01_AloneOneListensFirst(t *testing.T) {
	l := newLAN(t)
	a := l.host("A", one(0))
	l.until(2999999 * us)
	require.Empty(t, a.sent)
	l.until(3 * time.Second)
	require.Len(t, a.sent, 1)
	l.until(3999999 * us)
	require.Len(t, a.sent, 1)
	l.until(4 * time.Second)
	require.Len(t, a.sent, 2)
	l.log(t, "0s A: INIT -> BACKUP", "3s A: BACKUP -> MASTER")
}

func TestScenario02_SkewDelaysElectionAndAdverts(t *testing.T) {
	for formula, takes := range map[MasterDown]time.Duration{Classic: 3390625 * us, Scaled: 4171875 * us} {
		l := newLAN(t)
		a := l.host("A", one(100, func(c *Config) { c.MasterDown = formula }))
		l.until(takes - us)
		require.Empty(t, a.sent)
		l.until(takes + 1390625*us - us)
		require.Len(t, a.sent, 1)
		l.until(takes + 1390625*us)
		require.Len(t, a.sent, 2)
	}
}

func TestScenario03_TheBetterOfTwoIsElected(t *testing.T) {
	l := newLAN(t)
	l.host("A", one(0))
	b := l.host("B", one(100))
	l.until(10 * time.Second)
	require.Equal(t, l.start.Add(13390625*us), b.d().Next(), "each advertisement re-arms the timer")
	require.Empty(t, b.sent, "a backup never sends")
	l.log(t, "0s A: INIT -> BACKUP", "0s B: INIT -> BACKUP", "3s A: BACKUP -> MASTER")
}

func TestScenario04_SilenceIsTakenOver(t *testing.T) {
	l, a, b := pair(t)
	a.dead = true
	l.until(time.Minute)
	l.log(t, "6.390625s B: BACKUP -> MASTER")
	require.Equal(t, Master, b.state())
}

func TestScenario05_WithoutPreemptionWhoReturnsStaysBackup(t *testing.T) {
	l, a, b := pair(t)
	a.say(Down{})
	l.until(5 * time.Second)
	a.say(Up{})
	l.until(time.Hour)
	require.Equal(t, []State{Backup, Master}, []State{a.state(), b.state()})
}

func TestScenario06_WithPreemptionItTakesOverAtTheNextAdvert(t *testing.T) {
	l, a, _ := pair(t, preempt)
	a.dead = true
	l.until(6500 * time.Millisecond)
	l.forget()
	a.dead = false
	a.say(Down{}) // it restarts
	a.say(Up{})
	l.forget()
	l.until(20 * time.Second)
	l.log(t, "7.78125s A: BACKUP -> MASTER", "7.78125s B: MASTER -> BACKUP")
}

func TestScenario07_PreemptionOfTheWorseChangesNothing(t *testing.T) {
	l := newLAN(t)
	a, b := l.host("A", one(0)), l.host("B", one(100, preempt))
	l.until(time.Minute)
	require.Equal(t, []State{Master, Backup}, []State{a.state(), b.state()})
}

func TestScenario08_OfTwoEqualMastersTheFirstToHearYields(t *testing.T) {
	l := newLAN(t)
	a, b := l.host("A", one(0)), l.host("B", one(0))
	b.island = 1
	l.until(10500 * time.Millisecond)
	require.Equal(t, []State{Master, Master}, []State{a.state(), b.state()})
	l.forget()
	b.island = 0
	l.until(time.Minute)
	l.log(t, "11s B: MASTER -> BACKUP")
	require.Equal(t, Master, a.state())

	// If their advertisements cross, both yield, and the next timeout decides.
	l = newLAN(t)
	a, b = l.host("A", one(0)), l.host("B", one(0))
	a.say(Force{Master})
	b.step(b.d(), Force{Master})
	a.step(a.d(), Advertise{})
	l.deliver()
	require.Equal(t, []State{Backup, Backup}, []State{a.state(), b.state()})
	l.until(4 * time.Second)
	require.Equal(t, []State{Master, Backup}, []State{a.state(), b.state()})
}

func TestScenario09_ABowOutIsTakenAtOnce(t *testing.T) {
	l, a, b := pair(t)
	l.until(3500 * time.Millisecond)
	a.say(Down{})
	require.Equal(t, []string{"3.5s A: MASTER -> INIT", "3.5s B: BACKUP -> MASTER"}, l.events)
	require.Len(t, a.sent, 1)
	require.True(t, a.sent[0].IsBowOut())
	require.Equal(t, Master, b.state())
	l.until(time.Minute)
	require.Len(t, a.sent, 1, "and nothing after it")
}

func TestScenario10_ABowOutIsNoNewsToASlowBackup(t *testing.T) {
	for base, at := range map[uint8]bool{85: true, 86: false} {
		l := newLAN(t)
		a, b := l.host("A", one(0)), l.host("B", one(100, func(c *Config) { c.AdvBase = base }))
		l.until(10 * time.Second)
		a.say(Down{})
		require.Equal(t, at, b.state() == Master)
		l.until(10*time.Second + Classic.Interval(base, 100) - us)
		require.Equal(t, at, b.state() == Master)
		l.until(10*time.Second + Classic.Interval(base, 100))
		require.Equal(t, Master, b.state())
	}
	require.Equal(t, 258390625*us, Classic.Interval(86, 100))
	l := newLAN(t)
	a, b := l.host("A", one(0)), l.host("B", one(100, preempt, func(c *Config) { c.AdvBase = 86 }))
	l.until(10 * time.Second)
	a.say(Down{})
	require.Equal(t, Master, b.state(), "unless it preempts")
}

func TestScenario11_ABowOutIsNoNewsToASubsecondBackup(t *testing.T) {
	l := newLAN(t)
	a := l.host("A", one(10, func(c *Config) { c.AdvBase = 0 }))
	b := l.host("B", one(100, func(c *Config) { c.AdvBase = 0 }))
	l.until(10 * time.Second)
	require.Equal(t, Backup, b.state())
	a.say(Down{})
	require.Equal(t, Backup, b.state())
	l.until(10*time.Second + 1171875*us - us)
	require.Equal(t, Backup, b.state())
	l.until(10*time.Second + 1171875*us)
	require.Equal(t, Master, b.state())
}

func TestScenario12_ABackupLeavesInSilence(t *testing.T) {
	l, _, b := pair(t)
	b.say(Down{})
	l.until(time.Minute)
	require.Empty(t, b.sent)
	require.Equal(t, Init, b.state())
}

func TestScenario13_AnotherPasswordMakesTwoMasters(t *testing.T) {
	l := newLAN(t)
	a, b := l.host("A", one(0)), l.host("B", one(100, func(c *Config) { c.Password = "Secret" }))
	l.until(10 * time.Second)
	require.Equal(t, []State{Master, Master}, []State{a.state(), b.state()})
	require.Equal(t, uint64(len(b.sent)), a.Stats().BadAuth)
	require.Equal(t, uint64(len(a.sent)), b.Stats().BadAuth)
	require.Zero(t, a.Stats().Accepted)
}

func TestScenario14_AddressesAreASet(t *testing.T) {
	l := newLAN(t)
	a, b := l.host("A", one(0)), l.host("B", one(100))
	a.say(AddAddr{vip2})
	l.until(10 * time.Second)
	require.Equal(t, []State{Master, Master}, []State{a.state(), b.state()})
	require.NotZero(t, b.Stats().BadAuth)

	l = newLAN(t)
	a, b = l.host("A", one(0)), l.host("B", one(100))
	a.say(AddAddr{vip2})
	b.say(RemoveAddr{vip})
	b.say(AddAddr{vip2})
	b.say(AddAddr{vip}) // in the other order
	b.say(Up{})
	l.until(10 * time.Second)
	require.Equal(t, []State{Master, Backup}, []State{a.state(), b.state()})
	require.Zero(t, b.Stats().BadAuth)
}

func TestScenario15_LinkLocalAddressesMayDiffer(t *testing.T) {
	l := newLAN(t)
	a, b := l.host("A", one(0)), l.host("B", one(100))
	for i, h := range l.hosts {
		h.say(AddAddr{netip.MustParseAddr(fmt.Sprintf("fe80::%d", i+1))})
		h.say(AddAddr{vip6})
	}
	l.until(10 * time.Second)
	require.Equal(t, []State{Master, Backup}, []State{a.state(), b.state()})
	require.Zero(t, b.Stats().BadAuth)
	require.NotZero(t, b.Stats().IPackets6)
}

func TestScenario16_WhatIsSignedWithLinkLocalIsAcceptedAndNotSent(t *testing.T) {
	ll := netip.MustParseAddr("fe80::1")
	l := newLAN(t)
	a := l.host("A", one(0))
	a.say(AddAddr{ll})
	l.until(3 * time.Second)
	auth, err := NewAuth("secret", 1, []netip.Addr{vip, ll}, nil)
	require.NoError(t, err)
	require.Equal(t, auth.Sign(a.sent[0].Counter), a.sent[0].Digest)
	require.NotEqual(t, auth.digest(auth.orig, a.sent[0].Counter), a.sent[0].Digest)
	a.input(forge(t, func(ad *Advert) { ad.Digest = auth.digest(auth.orig, ad.Counter) }))
	require.Equal(t, uint64(1), a.Stats().Accepted)
}

func TestScenario17_ALinkAddressSetByHandIsSigned(t *testing.T) {
	byHand := func(c *Config) { c.LLAddr = ifnet.MAC{2, 0, 0, 0, 0, 9} }
	for _, tt := range []struct {
		a, b func(*Config)
		own  ifnet.MAC
		ok   bool
	}{
		{byHand, byHand, ifnet.MAC{}, true},
		{byHand, func(*Config) {}, ifnet.MAC{}, false},
		{byHand, func(*Config) {}, ifnet.MAC{2, 0, 0, 0, 0, 9}, true}, // the parent's own
		{func(c *Config) { c.LLAddr = VirtualMAC(1) }, func(*Config) {}, ifnet.MAC{}, true},
	} {
		l := newLAN(t)
		a, b := l.host("A"), l.host("B", one(100, tt.b))
		a.cfg.MAC = tt.own
		d, err := a.Add(one(0, tt.a))
		require.NoError(t, err)
		a.step(d, AddAddr{vip})
		l.until(10 * time.Second)
		require.Equal(t, tt.ok, b.Stats().BadAuth == 0)
		require.Equal(t, tt.ok, b.state() == Backup)
	}
}

// reject gives a node that is master one packet, and requires that all it does is to count it.
func reject(t *testing.T, p []byte, want Stats) {
	t.Helper()
	l := newLAN(t)
	a := l.host("A", one(50))
	l.until(4 * time.Second)
	was, events := a.Stats(), len(l.events)
	a.input(p)
	got := a.Stats()
	want.IPackets = 1
	want.OPackets, want.Preempt = was.OPackets, was.Preempt
	require.Equal(t, want, got)
	require.Equal(t, Master, a.state())
	require.Len(t, l.events, events)
}

func TestScenario18_WhatCrossedARouterIsRefused(t *testing.T) {
	p := forge(t, func(a *Advert) {})
	p[8] = 254
	reject(t, p, Stats{BadTTL: 1})
}

func TestScenario19_TheChecksumComesBeforeTheDigest(t *testing.T) {
	p := forge(t, func(a *Advert) { a.Digest[0] ^= 1 })
	p[27]++
	reject(t, p, Stats{BadSum: 1})
}

func TestScenario20_TheVHIDComesBeforeTheVersion(t *testing.T) {
	reject(t, forge(t, func(a *Advert) { a.VHID, a.Version = 9, 3 }), Stats{BadVHID: 1})
	reject(t, forge(t, func(a *Advert) { a.Version = 3 }), Stats{BadVer: 1})
}

func TestScenario21_LengthIsAtLeastAHeader(t *testing.T) {
	p := forge(t, func(*Advert) {})
	short := append([]byte(nil), p[:55]...)
	short[3] = 55
	reject(t, short, Stats{BadLen: 1})
	reject(t, p[:19], Stats{HdrOps: 1})
	long := append(forge(t, func(a *Advert) { a.AdvSkew = 200 }), 1, 2, 3, 4)
	long[3] = 60
	reject(t, long, Stats{Accepted: 1})
}

func TestScenario22_OurOwnIsNobodysElse(t *testing.T) {
	for simplex, want := range map[bool]Stats{true: {BadAuth: 1}, false: {OwnLoops: 1}} {
		l := newLAN(t)
		a := l.host("A", one(0))
		a.Parent.cfg.Simplex = simplex
		var own []byte
		l.tap = func(f frame) { own = f.packet }
		l.until(3 * time.Second)
		a.input(own)
		got := a.Stats()
		require.Equal(t, want.BadAuth, got.BadAuth)
		require.Equal(t, want.OwnLoops, got.OwnLoops)
		require.Equal(t, Master, a.state())
	}
}

func TestScenario23_ReplaysAreBelievedUnlessFreshIsAskedFor(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		l, _, b := pair(t, func(c *Config) { c.Fresh = fresh })
		var last []byte
		l.tap = func(f frame) { last = f.packet }
		l.until(5500 * time.Millisecond)
		was := b.Stats()
		for range 1000 {
			b.input(last)
		}
		got := b.Stats()
		if fresh {
			require.Equal(t, uint64(1000), got.BadAuth-was.BadAuth)
			require.Equal(t, l.start.Add(5*time.Second+3390625*us), b.d().Next(), "the timer was not re-armed")
		} else {
			require.Equal(t, uint64(1000), got.Accepted-was.Accepted)
		}
	}
}

func TestScenario24_DemotionIsAnAxisOfItsOwn(t *testing.T) {
	l := newLAN(t)
	a := l.host("A", one(50))
	l.until(3500 * time.Millisecond)
	a.input(forge(t, func(ad *Advert) { ad.Demote = 1 }))
	require.Equal(t, Master, a.state(), "a better one that is demoted more")
	a.say(Demote{By: 1})
	a.input(forge(t, func(ad *Advert) { ad.AdvSkew = 200 }))
	require.Equal(t, Backup, a.state(), "a worse one that is demoted less")
}

func TestScenario25_ADemotedMasterIsReplacedWithoutPreemption(t *testing.T) {
	l, a, b := pair(t)
	l.until(3500 * time.Millisecond)
	a.say(Demote{By: 1})
	require.Equal(t, []State{Backup, Master}, []State{a.state(), b.state()})
	l.log(t, "3.5s B: BACKUP -> MASTER", "3.5s A: MASTER -> BACKUP")
}

func TestScenario26_DemotedAlikeIsNotDemoted(t *testing.T) {
	l, a, b := pair(t)
	a.dead, b.dead = true, true
	a.say(Demote{By: 5})
	b.say(Demote{By: 5})
	a.dead, b.dead = false, false
	l.until(time.Minute)
	require.Equal(t, []State{Master, Backup}, []State{a.state(), b.state()})
}

func TestScenario27_ALostLinkDemotesTheWholeHost(t *testing.T) {
	l := newLAN(t)
	groups := new(Groups)
	a := l.host("A", one(0))
	a2 := &host{Parent: NewParent(ParentConfig{Groups: groups}), lan: l, name: "A2", src: vip2}
	a.Parent.groups = groups
	d2, err := a2.Add(one(0, func(c *Config) { c.Nodes[0].VHID = 2 }))
	require.NoError(t, err)
	a2.step(d2, AddAddr{vip2})
	l.hosts = append(l.hosts, a2)
	l.until(3500 * time.Millisecond)
	l.forget()
	actions := a.d().Step(l.now, LinkDown{})
	require.Equal(t, []Action{
		Transition{a.d().vhosts[0], Master, Init, "the parent's link is down"},
		Demoted{+1, "carpdev", true},
	}, actions, "no bow-out")
	require.Equal(t, 1, groups.Demotion("carp"))
	a2.step(d2, Advertise{})
	require.Len(t, a2.sent, 1)
	require.Equal(t, uint8(1), a2.sent[0].Demote)
}

func TestScenario28_AReturnedLinkGivesDemotionBack(t *testing.T) {
	l, a, _ := pair(t)
	a.say(LinkDown{})
	a.say(LinkDown{})
	require.Equal(t, 1, a.Groups().Demotion("carp"))
	a.say(LinkUp{})
	require.Equal(t, 0, a.Groups().Demotion("carp"))
	require.Equal(t, Backup, a.state())
	l.forget()
	a.say(LinkUp{})
	require.Equal(t, 0, a.Groups().Demotion("carp"))
	require.Empty(t, l.events, "news that are none")
}

func TestScenario29_SendErrorsDemote(t *testing.T) {
	for _, nodes := range []int{1, 2} {
		l := newLAN(t)
		a := l.host("A", Config{Nodes: []Node{{VHID: 1}, {VHID: 2}}[:nodes], AdvBase: 1})
		broken := errors.New("broken")
		send := func(errs ...error) int {
			for _, err := range errs {
				for range nodes {
					a.say(Sent{V4, err})
				}
			}
			return a.Groups().Demotion("carp")
		}
		require.Equal(t, 0, send(broken, broken, nil, broken, broken))
		require.Equal(t, 1, send(broken))
		require.Equal(t, 1, send(broken, broken), "once")
		require.Equal(t, 1, send(nil, nil, broken))
		require.Equal(t, 1, send(nil, nil))
		require.Equal(t, 0, send(nil))
		require.Equal(t, 0, send(errNoMem, errNoMem, errNoMem, errNoMem), "for want of memory")
		require.Equal(t, uint64(4*nodes), a.Stats().ONoMem)
		require.Equal(t, []string{"+1 send error", "-1 send ok"}, a.demote)
	}
}

func TestScenario30_PfsyncReturnsWhatItTook(t *testing.T) {
	for _, path := range [][]int{{+1, +32, -1, -32}, {+32, +1, -32, -1}, {+1, -1, +1, +32, -33}} {
		g := new(Groups)
		sum := 0
		for _, by := range path {
			g.Demote(by, "carp")
			sum += by
			require.Equal(t, sum, g.Demotion("carp"))
		}
		require.Zero(t, sum)
	}
	g := new(Groups)
	require.True(t, g.Demote(+1, "carp"), "0 to 1 is told at once")
	require.False(t, g.Demote(+32, "carp"))
	require.False(t, g.Demote(-33, "carp"))
	require.False(t, g.Demote(+32, "carp"), "a jump over 1 is told by the next advertisement")
	require.False(t, g.Demote(-31, "carp"), "nor is 1 from above")
}

func TestScenario31_AnAttributeStaysInItsBounds(t *testing.T) {
	g := new(Groups)
	require.True(t, g.Set("carp", 250))
	require.False(t, g.Set("carp", 10))
	require.Equal(t, 250, g.Demotion("carp"))
	require.False(t, g.Set("carp", -251))
	require.Equal(t, 250, g.Demotion("carp"))
	require.True(t, g.Set("carp", 5))
}

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

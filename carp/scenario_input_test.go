package carp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
)

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

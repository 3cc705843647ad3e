package carp

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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

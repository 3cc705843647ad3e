package carp

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Scenario 40: whatever happens to two to four nodes, ten quiet seconds on a connected network
// later there is one master, the best of those that run, if they preempt.
func TestScenario40_AfterTheStormThereIsOneMaster(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLAN(t)
		preempts := rapid.Bool().Draw(t, "preempt")
		formula := rapid.SampledFrom([]MasterDown{Classic, Scaled}).Draw(t, "formula")
		for i := range rapid.IntRange(2, 4).Draw(t, "nodes") {
			l.host(fmt.Sprint(i), one(uint8(20*i), func(c *Config) { c.Preempt, c.MasterDown = preempts, formula }))
		}
		for _, h := range l.hosts {
			h.say(AddAddr{vip6})
		}
		some := func(t *rapid.T) *host { return rapid.SampledFrom(l.hosts).Draw(t, "node") }
		t.Repeat(map[string]func(*rapid.T){
			"":      l.check,
			"wait":  func(t *rapid.T) { l.until(l.at() + time.Duration(rapid.IntRange(1, 4e6).Draw(t, "us"))*us) },
			"move":  func(t *rapid.T) { some(t).island = rapid.IntRange(0, 1).Draw(t, "island") },
			"link":  func(t *rapid.T) { some(t).say(rapid.SampledFrom([]Event{LinkDown{}, LinkUp{}}).Draw(t, "link")) },
			"admin": func(t *rapid.T) { some(t).say(rapid.SampledFrom([]Event{Down{}, Up{}}).Draw(t, "admin")) },
			"force": func(t *rapid.T) {
				some(t).say(rapid.SampledFrom([]Event{Force{Backup}, Force{Master}}).Draw(t, "force"))
			},
			"demote": func(t *rapid.T) {
				h := some(t)
				by := rapid.IntRange(1, 40).Draw(t, "by")
				h.say(Demote{By: by})
				h.say(Demote{By: -by})
			},
			"error": func(t *rapid.T) {
				h := some(t)
				h.fail = rapid.SampledFrom([]error{nil, errors.New("broken"), errNoMem}).Draw(t, "error")
			},
		})
		for _, h := range l.hosts {
			h.island, h.fail = 0, nil
			h.say(LinkUp{})
			h.say(Up{})
		}
		l.until(l.at() + 30*time.Second) // send errors take a while to be forgotten
		var masters []*host
		for _, h := range l.hosts {
			if h.state() == Master {
				masters = append(masters, h)
			}
			want := 0
			if h.d().failures >= 3 {
				want = 1 // it could not send when it was master, and has not been since
			}
			require.Equal(t, want, h.Groups().Demotion("carp"), "what was demoted has been given back")
		}
		require.Len(t, masters, 1)
		best := l.hosts[0]
		for _, h := range l.hosts {
			if h.d().Demotion() < best.d().Demotion() {
				best = h
			}
		}
		if preempts {
			require.Equal(t, best.name, masters[0].name)
		}
		require.Zero(t, masters[0].d().Demotion()-best.d().Demotion())
	})
}

// check is what holds at any time.
func (l *lan) check(t *rapid.T) {
	for _, h := range l.hosts {
		v := h.d().vhosts[0]
		switch v.state {
		case Init:
			require.True(t, v.next().IsZero(), "%s is INIT and has a timer", h.name)
		case Backup:
			require.True(t, v.adAt.IsZero() && !v.mdAt.IsZero() && !v.md6At.IsZero(), "%s is BACKUP", h.name)
		case Master:
			require.True(t, !v.adAt.IsZero() && v.mdAt.IsZero() && v.md6At.IsZero(), "%s is MASTER", h.name)
		}
		require.True(t, v.next().IsZero() || !v.next().Before(l.now))
		s := h.Stats()
		require.Equal(t, s.IPackets+s.IPackets6, s.Accepted+s.BadIf+s.BadTTL+s.BadLen+s.HdrOps+s.BadSum+s.BadVHID+s.BadVer+s.BadAuth+s.OwnLoops)
	}
}

// Whatever happens, demotion returns to where it started once everything is well again; and
// while it is not, a group is demoted by what its members are.
func TestDevice_DemotionReturnsToItsStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups := new(Groups)
		start := rapid.IntRange(0, 100).Draw(t, "start")
		groups.Set("carp", start)
		var devices []*Device
		p := NewParent(ParentConfig{Groups: groups})
		add := func(vhid uint8) {
			var in []string
			if vhid%2 == 0 {
				in = []string{"even"}
			}
			d, err := p.Add(Config{Nodes: []Node{{VHID: vhid}}, AdvBase: 1, Groups: in})
			require.NoError(t, err)
			d.Step(t0, AddAddr{vip})
			devices = append(devices, d)
		}
		add(1)
		add(2)
		some := func(t *rapid.T) *Device { return rapid.SampledFrom(devices).Draw(t, "device") }
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				sum, even := start, 0
				for _, d := range p.devices {
					sum += d.demoted
					if d.vhosts[0].VHID()%2 == 0 {
						even += d.demoted
					}
				}
				require.Equal(t, sum, groups.Demotion("carp"))
				require.Equal(t, even, groups.Demotion("even"))
			},
			"link":  func(t *rapid.T) { some(t).Step(t0, rapid.SampledFrom([]Event{LinkDown{}, LinkUp{}}).Draw(t, "link")) },
			"admin": func(t *rapid.T) { some(t).Step(t0, rapid.SampledFrom([]Event{Down{}, Up{}}).Draw(t, "admin")) },
			"sent": func(t *rapid.T) {
				some(t).Step(t0, Sent{V4, rapid.SampledFrom([]error{nil, errors.New("broken"), errNoMem}).Draw(t, "error")})
			},
			"join": func(t *rapid.T) {
				d := some(t)
				c := d.Config()
				c.Groups = nil
				if rapid.Bool().Draw(t, "even") && c.Nodes[0].VHID%2 == 0 {
					c.Groups = []string{"even"}
				}
				if !d.detached && c.Nodes[0].VHID%2 == 1 {
					_, err := d.Configure(t0, c)
					require.NoError(t, err)
				}
			},
			"replace": func(t *rapid.T) {
				d := some(t)
				if !d.detached {
					d.Step(t0, Detach{})
					add(d.vhosts[0].VHID())
				}
			},
		})
		p.Step(t0, Detach{})
		require.Empty(t, p.devices)
		require.Equal(t, start, groups.Demotion("carp"))
		require.Zero(t, groups.Demotion("even"))
	})
}

// A device that moves between groups takes its demotion with it.
func TestDevice_TakesItsDemotionFromGroupToGroup(t *testing.T) {
	p := NewParent(ParentConfig{})
	d, err := p.Add(one(0, func(c *Config) { c.Groups = []string{"blue"} }))
	require.NoError(t, err)
	d.Step(t0, Demote{By: 3})
	require.Equal(t, map[string]int{"blue": 3, "carp": 3}, p.Groups().All())
	require.Equal(t, uint8(6), d.Demotion())
	_, err = d.Configure(t0, one(0, func(c *Config) { c.Groups = []string{"red"} }))
	require.NoError(t, err)
	require.Equal(t, map[string]int{"blue": 0, "red": 3, "carp": 3}, p.Groups().All())
	// Its own counter speaks where its groups are silent, and 255 is the most that can be said.
	p.Groups().Set("carp", -3)
	p.Groups().Set("red", -3)
	require.Equal(t, uint8(3), d.Demotion())
	d.Step(t0, Demote{By: 1000})
	require.Equal(t, uint8(255), d.Demotion())
}

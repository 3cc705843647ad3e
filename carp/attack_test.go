package carp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whoever copies an advertisement and changes what the digest does not cover is believed. These
// tests hold what the package's comment says of it: it is so, and Fresh is against it.
func TestAttack_CopiesOfLiveAdverts(t *testing.T) {
	for name, forge := range map[string]func(a *Advert){
		"better interval": func(a *Advert) { a.AdvBase, a.AdvSkew = 0, 0 },
		"less demoted":    func(a *Advert) { a.AdvSkew = 200; a.Demote = 0 },
	} {
		for _, fresh := range []bool{false, true} {
			l, a, b := pair(t, func(c *Config) { c.Fresh = fresh })
			a.Groups().Set("carp", 2)
			b.Groups().Set("carp", 2)
			// The master of the other side of a partition gives the attacker something to copy.
			b.island = 1
			l.until(7500 * time.Millisecond)
			require.Equal(t, Master, a.state())
			require.Equal(t, Master, b.state())
			l.until(8100 * time.Millisecond)
			// A has advertised at 8 s, after B.
			stolen := b.sent[len(b.sent)-1]
			forge(&stolen)
			a.input(stolen.AppendIP(nil, b.src, Group4, 0))
			if fresh {
				require.Equal(t, Master, a.state(), "%s: what is older than what was sent is refused", name)
				require.Equal(t, uint64(1), a.Stats().BadAuth)
			} else {
				require.Equal(t, Backup, a.state(), name)
			}
		}
	}
}

// A forged bow-out makes a second master, unless the backup has heard the original.
func TestAttack_ForgedBowOut(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		l, a, b := pair(t, func(c *Config) { c.Fresh = fresh })
		l.until(5 * time.Second)
		stolen := a.sent[len(a.sent)-1]
		stolen.AdvBase, stolen.AdvSkew = 255, 255
		b.input(stolen.AppendIP(nil, a.src, Group4, 0))
		require.Equal(t, !fresh, b.state() == Master)
		require.Equal(t, Master, a.state())
	}
}

// Fresh survives a restart, and works in both families.
func TestFresh_CountersGrowAcrossARestart(t *testing.T) {
	fresh := func(c *Config) { c.Fresh = true }
	l, a, b := pair(t, fresh)
	a.say(AddAddr{vip6})
	b.say(AddAddr{vip6})
	l.until(20 * time.Second)
	require.Equal(t, []State{Master, Backup}, []State{a.state(), b.state()})
	require.Zero(t, b.Stats().BadAuth)
	a.say(Detach{})
	d, err := a.Add(one(0, fresh, preempt))
	require.NoError(t, err)
	for _, addr := range []Event{AddAddr{vip}, AddAddr{vip6}} {
		a.step(d, addr)
	}
	l.until(40 * time.Second)
	require.Equal(t, []State{Master, Backup}, []State{a.state(), b.state()})
	require.Zero(t, b.Stats().BadAuth)
	require.Zero(t, a.Stats().BadAuth)
}

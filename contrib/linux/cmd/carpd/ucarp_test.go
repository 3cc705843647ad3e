package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What these tests allow carpd, and what ucarp takes. ucarp looks at packets once a second and at
// its clock once an interval: that is its part of the figures.
const (
	ours      = 250 * time.Millisecond // of a busy machine; on an idle one it is less than 2
	theirs    = 9 * time.Second
	skew100   = 390625 * time.Microsecond
	settled   = 8 * time.Second
	halfAMore = 1500 * time.Millisecond
)

// within requires that we are late by less than ours, and prints by how much.
func within(t *testing.T, what string, nominal, measured time.Duration) {
	t.Helper()
	t.Logf("%s: %v, nominal %v", what, measured.Round(100*time.Microsecond), nominal)
	require.InDelta(t, nominal.Seconds(), measured.Seconds(), ours.Seconds(), what)
}

func both(t *testing.T, f func(t *testing.T, n *network)) {
	needs(t, "ucarp")
	t.Parallel()
	f(t, newNetwork(t))
}

func TestUcarp_ElectionWithUsPreferred(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		a := n.carpd("a", 0)
		n.ucarp("b", 100)
		began := a.transition("INIT", "BACKUP", time.Time{}, settled)
		first := n.await(addrA, began, settled)
		within(t, "election", 3*time.Second, first.at.Sub(began))
		second := n.await(addrA, first.at, settled)
		within(t, "interval", time.Second, second.at.Sub(first.at))
		n.quiet(addrB, 3*time.Second)
	})
}

func TestUcarp_ElectionWithItPreferred(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		n.ucarp("a", 0)
		n.await(addrA, time.Time{}, settled)
		n.carpd("b", 100)
		n.quiet(addrB, 5*time.Second)
	})
}

func TestUcarp_WeTakeOverWhenItCrashes(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		a := n.ucarp("a", 0)
		b := n.carpd("b", 100)
		first := n.await(addrA, time.Time{}, settled)
		n.await(addrA, first.at, settled)
		b.transition("INIT", "BACKUP", time.Time{}, settled)
		a.end(unix.SIGKILL)
		last := n.last(addrA)
		takes := n.await(addrB, last.at, settled)
		within(t, "takeover after the last advertisement", 3*time.Second+skew100, takes.at.Sub(last.at))
		next := n.await(addrB, takes.at, settled)
		within(t, "interval", time.Second+skew100, next.at.Sub(takes.at))
	})
}

func TestUcarp_ItTakesOverWhenWeCrash(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		a := n.carpd("a", 0)
		n.ucarp("b", 100)
		n.await(addrA, time.Time{}, settled)
		a.end(unix.SIGKILL)
		last := n.last(addrA)
		takes := n.await(addrB, last.at, theirs)
		t.Logf("ucarp takes over after %v, nominal %v", takes.at.Sub(last.at), 3*time.Second+skew100)
	})
}

func TestUcarp_WePreempt(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		n.ucarp("b", 100)
		n.await(addrB, time.Time{}, settled)
		a := n.carpd("a", 0, "-preempt")
		took := a.transition("BACKUP", "MASTER", time.Time{}, settled)
		ad := n.await(addrA, time.Time{}, settled)
		var before time.Time
		for _, s := range n.adverts(addrB, time.Time{}) {
			if s.at.Before(ad.at) {
				before = s.at
			}
		}
		require.False(t, before.IsZero())
		within(t, "from its advertisement to ours", 0, ad.at.Sub(before))
		// It answers with one more, and then is silent.
		n.await(addrA, ad.at.Add(halfAMore), settled)
		n.quiet(addrB, 3*time.Second)
		_ = took
	})
}

func TestUcarp_ItPreempts(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		b := n.carpd("b", 100)
		n.await(addrB, time.Time{}, settled)
		n.ucarp("a", 0, "-P")
		ad := n.await(addrA, time.Time{}, theirs)
		yields := b.transition("MASTER", "BACKUP", ad.at, settled)
		within(t, "two masters on our account", 0, yields.Sub(ad.at))
		n.quiet(addrB, 3*time.Second)
	})
}

func TestUcarp_WeBowOut(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		a := n.carpd("a", 0, "-shutdown")
		n.ucarp("b", 100)
		n.await(addrA, time.Time{}, settled)
		began := time.Now()
		a.end(unix.SIGTERM)
		require.Equal(t, 0, a.cmd.ProcessState.ExitCode())
		last := n.await(addrA, began, settled)
		require.True(t, last.ad.IsBowOut())
		takes := n.await(addrB, last.at, settled)
		t.Logf("ucarp takes over %v after the bow-out", takes.at.Sub(last.at))
		require.Less(t, takes.at.Sub(last.at), 2*time.Second, "at once, as ucarp reckons, and not after 3.39 s or more")
		require.Len(t, n.adverts(addrA, began), 1)
	})
}

func TestUcarp_ItStops(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		a := n.ucarp("a", 0, "-z")
		n.await(addrA, time.Time{}, settled)
		b := n.carpd("b", 100)
		b.transition("INIT", "BACKUP", time.Time{}, settled)
		n.await(addrA, time.Now(), settled)
		a.end(unix.SIGTERM)
		last := n.last(addrA)
		takes := n.await(addrB, last.at, settled)
		within(t, "takeover after its last advertisement", 3*time.Second+skew100, takes.at.Sub(last.at))
	})
}

func TestUcarp_OurLinkGoesDown(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		a := n.carpd("a", 0, "-preempt")
		n.ucarp("b", 100)
		n.await(addrA, time.Time{}, settled)
		cut := time.Now()
		n.carrier("a", "down")
		down := a.transition("MASTER", "INIT", cut, settled)
		within(t, "from the carrier's loss to INIT", 0, down.Sub(cut))
		n.await(addrB, cut, theirs)
		up := time.Now()
		n.carrier("a", "up")
		a.transition("INIT", "BACKUP", up, settled)
		back := a.transition("BACKUP", "MASTER", up, settled)
		t.Logf("master again %v after the carrier's return", back.Sub(up))
		n.await(addrA, back.Add(halfAMore), settled)
		n.quiet(addrB, 3*time.Second)
	})
}

func TestUcarp_ItsLinkGoesDown(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		n.ucarp("a", 0)
		n.await(addrA, time.Time{}, settled)
		b := n.carpd("b", 100)
		b.transition("INIT", "BACKUP", time.Time{}, settled)
		n.await(addrA, time.Now(), settled)
		n.carrier("a", "down")
		last := n.last(addrA)
		takes := n.await(addrB, last.at, settled)
		within(t, "takeover after its last advertisement", 3*time.Second+skew100, takes.at.Sub(last.at))
	})
}

func TestUcarp_SplitAndHeal(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		n.ucarp("a", 0)
		n.await(addrA, time.Time{}, settled)
		b := n.carpd("b", 100)
		b.transition("INIT", "BACKUP", time.Time{}, settled)
		cut := time.Now()
		n.plug("b", false)
		alone := b.transition("BACKUP", "MASTER", cut, settled)
		healed := time.Now()
		n.plug("b", true)
		ad := n.await(addrA, healed, settled)
		yields := b.transition("MASTER", "BACKUP", alone, settled)
		within(t, "two masters on our account", 0, yields.Sub(ad.at))
		n.quiet(addrB, 3*time.Second)
	})
}

func TestUcarp_WrongPassword(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		a := n.carpd("a", 0, "-pass", "Secret")
		n.ucarp("b", 100)
		n.await(addrA, time.Time{}, settled)
		n.await(addrB, time.Time{}, theirs)
		since := time.Now()
		n.await(addrA, since.Add(halfAMore), settled)
		n.await(addrB, since.Add(halfAMore), settled)
		require.NoError(t, a.cmd.Process.Signal(unix.SIGUSR1))
		require.Eventually(t, func() bool {
			s := a.out.String()
			return containsAll(s, "signed with another password", "MASTER", " Accepted:0 ", "BadAuth:") && !containsAll(s, "BadAuth:0 ")
		}, settled, 10*time.Millisecond)
	})
}

func TestUcarp_EqualSkew(t *testing.T) {
	both(t, func(t *testing.T, n *network) {
		b := n.carpd("b", 0)
		n.await(addrB, time.Time{}, settled)
		n.plug("a", false)
		n.ucarp("a", 0)
		time.Sleep(4500 * time.Millisecond) // it is master too, and nobody hears it
		healed := time.Now()
		n.plug("a", true)
		// Whoever hears the other first yields: we to an equal one, it to one of a lower address only.
		ad := n.await(addrA, healed, settled)
		yields := b.transition("MASTER", "BACKUP", ad.at, settled)
		within(t, "two masters on our account", 0, yields.Sub(ad.at))
		n.quiet(addrB, 4*time.Second)
		require.NotEmpty(t, n.adverts(addrA, time.Now().Add(-2*time.Second)), "and one is left")
	})
}

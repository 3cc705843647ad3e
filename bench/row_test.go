package main

import (
	"math"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func allRows(t *testing.T) []row {
	rows, err := choose("", regexp.MustCompile(""))
	require.NoError(t, err)
	return rows
}

func TestRows_AreWellFormed(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range allRows(t) {
		require.NotEmpty(t, r.what)
		require.False(t, seen[r.what], "%q names two rows", r.what)
		seen[r.what] = true
		require.NotEmpty(t, r.lines, "%s is held against nothing", r.what)
		for _, l := range r.lines {
			require.Equal(t, l.kind != noTarget, l.target != "", "%s: a target is printed, and only a target", r.what)
			require.True(t, l.peer != nil || l.kind == figureBelow || l.kind == figureAtMost, "%s: a ratio needs a peer", r.what)
			if l.peer != nil {
				require.NotEmpty(t, l.peer.name, "%s: a peer has a name", r.what)
				require.Equal(t, r.ours.unit, l.peer.unit, "%s: a peer is measured in the same unit", r.what)
			}
		}
	}
	for _, p := range probesOf(allRows(t)) {
		require.NotEmpty(t, p.unit)
		if p.value == nil {
			require.GreaterOrEqual(t, p.needs, p.busy)
			require.LessOrEqual(t, p.cores, pair)
		}
	}
}

// Whatever is measured runs: each goroutine does one operation, beside whoever keeps the
// other core busy.
func TestProbes_EachRunsOnce(t *testing.T) {
	for _, r := range allRows(t) {
		t.Run(r.what, func(t *testing.T) {
			for _, p := range probesOf([]row{r}) {
				if p.value != nil {
					require.GreaterOrEqual(t, p.value(), 0.0)
					continue
				}
				w := p.start()
				defer w.end()
				if w.beside != nil {
					defer again(w.beside)()
				}
				var bodies sync.WaitGroup
				for id := range p.cores {
					bodies.Go(func() { w.body(id, 1) })
				}
				bodies.Wait()
			}
		})
	}
}

// The lessons of two cores need two of them; a probe that wants more has no figure.
func TestProbe_NeedsItsCores(t *testing.T) {
	p := on(1000, "", func() body { panic("started") })
	require.True(t, math.IsNaN(p.measure(quick)))
}

func TestOnce_EveryCoreDoesItsShare(t *testing.T) {
	var did [pair]int
	took := load{body: func(id, n int) { did[id] += n }}.once(pair, 7)
	require.Equal(t, [pair]int{7, 7}, did)
	require.Positive(t, took)
}

// What keeps the other core busy has begun before anything is measured against it, and
// has ended when it is told to stop: otherwise this reading were a data race.
func TestAgain_HasRunAndStops(t *testing.T) {
	ran := 0
	again(func() { ran++ })()
	require.Positive(t, ran)
}

func TestFill_GoesByTheShortestOfSomeTries(t *testing.T) {
	run := 0
	n := fill(100*time.Millisecond, func(n int) time.Duration {
		if run++; run%3 == 0 {
			return time.Second // lost its core
		}
		return time.Duration(n) * time.Microsecond
	})
	require.Equal(t, 131072, n)
}

func TestUndisturbed_CountsQuietWindowsOnly(t *testing.T) {
	const ms = time.Millisecond
	quiet := usage{known: true, at: time.Unix(0, int64(100*ms)), cpu: 200 * ms}
	late, off := quiet, quiet
	late.delay = 3 * ms
	off.cpu = 180 * ms
	unknown := late
	unknown.known = false
	for name, tt := range map[string]struct {
		after usage
		quiet bool
	}{
		"nobody else":                      {quiet, true},
		"waited for a core for 3 % of it":  {late, false},
		"used 90 % of two cores":           {off, false},
		"a system that does not say a lot": {unknown, true},
	} {
		start := usage{known: tt.after.known, at: time.Unix(0, 0)}
		require.Equal(t, !tt.quiet, start.disturbed(tt.after, 2), name)
	}

	// Every second window is disturbed, and slow.
	var read, windows int
	got := undisturbed(effort{want: 5, patience: time.Hour}, 2,
		func() usage {
			read++
			if read%4 == 0 {
				return late
			} else if read%2 == 0 {
				return quiet
			}
			return usage{known: true, at: time.Unix(0, 0)}
		},
		func() time.Duration {
			windows++
			return time.Duration(1000*((windows+1)%2) + windows)
		})
	require.Equal(t, 5.0, got, "the median of windows 1, 3, 5, 7 and 9")
	require.Equal(t, 9, windows)

	windows = 0
	require.True(t, math.IsNaN(undisturbed(effort{want: 5, patience: time.Hour}, 2,
		func() usage { return [...]usage{{known: true, at: time.Unix(0, 0)}, late}[windows%2] },
		func() time.Duration { windows++; return 0 })))
	require.Less(t, windows, 100, "it gives up where no window is quiet")
}

func TestJudge(t *testing.T) {
	peer := on(1, "peer", nil)
	for _, tt := range []struct {
		line line
		ours float64
		want verdict
	}{
		{atMost(0.4, exchange), 0.4, ok},
		{atMost(0.4, exchange), 0.41, missed},
		{atMost(0.4, exchange), math.NaN(), unmeasurable},
		{faster(20, peer), 1.0 / 21, ok},
		{faster(20, peer), 1.0 / 19, missed},
		{faster(20, peer), 20, missed},
		{under(time.Microsecond), 999, ok},
		{under(time.Microsecond), 1000, missed},
		{nothing(), 0, ok},
		{nothing(), 1, missed},
		{noLargerThan(16), 16, ok},
		{noLargerThan(16), 24, missed},
		{beside(peer), 1e9, none},
		{beside(peer), math.NaN(), none},
	} {
		require.Equal(t, tt.want, tt.line.judge(tt.ours), "%s: %v", tt.line.target, tt.ours)
	}
}

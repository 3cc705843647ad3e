//go:build sched

package sched

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPath_IsReadAsItIsWritten(t *testing.T) {
	legs := rapid.SliceOf(rapid.Custom(func(t *rapid.T) leg {
		return leg{rapid.IntRange(0, 100).Draw(t, "who"), rapid.Bool().Draw(t, "end"), rapid.IntRange(1, 1000).Draw(t, "steps")}
	}))
	rapid.Check(t, func(t *rapid.T) {
		path := legs.Draw(t, "path")
		back, err := parsePath(formatPath(path))
		require.NoError(t, err)
		require.Equal(t, append([]leg(nil), path...), back)
	})
	require.Equal(t, "a3@!b(27)12z", formatPath([]leg{{1, false, 3}, {0, false, 1}, {2, true, 1}, {27, false, 12}, {26, false, 1}}))
}

func FuzzPath(f *testing.F) {
	f.Add("ab3a2")       // two actors
	f.Add("@!b(27)12z")  // the clock, an ended wait, an actor beyond the letters
	f.Add("a0(9999999a") // cut short
	f.Fuzz(func(t *testing.T, text string) {
		path, err := parsePath(text)
		if err != nil {
			return
		}
		again, err := parsePath(formatPath(path))
		require.NoError(t, err)
		require.Equal(t, path, again)
	})
}

func TestWatchdog_BarksWhenNoScheduleEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		barks := make(chan string, 10)
		x := &explorer{o: Options{Name: "it"}}
		stop := x.watch(time.Minute, func(text string) { barks <- text })
		for range 5 {
			time.Sleep(50 * time.Second)
			x.ran.Add(1)
			synctest.Wait()
			require.Empty(t, barks)
		}
		time.Sleep(3 * time.Minute)
		stop()
		require.Len(t, barks, 1)
		text := <-barks
		require.Contains(t, text, "sched: it: no schedule has ended for 1m0s")
		require.Contains(t, text, "goroutine ")
	})
}

func TestSource_FindsWhatAnOperationIsOn(t *testing.T) {
	for line, want := range map[string]string{
		"if c.slots[i].p":         "c.slots[i].p",
		"x := f(a, b.c[g(1, 2)]":  "b.c[g(1, 2)]",
		"return !d":               "d",
		"hits":                    "hits",
		"for !q.head(x.y(1)).lst": "q.head(x.y(1)).lst",
		"(*p)":                    "(*p)",
	} {
		require.Equal(t, want, lastOperand(line), line)
	}
}

//go:build sched

package sched_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// lostUpdate is two actors that read, add and write back.
func lostUpdate(s *sched.S) {
	var hits sched.Int64
	for _, who := range []string{"one", "two"} {
		s.Go(who, func() { hits.Store(hits.Load() + 1) })
	}
	s.After(func() { s.Assert(hits.Load() == 2, "an update was lost") })
}

// A bubble does not end before all its goroutines have, so this shows that explorations
// leave none behind, and that they work inside one.
func TestExplore_LeavesNoGoroutineBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.NotNil(t, sched.Run(sched.Options{}, lostUpdate).Failure)
		require.True(t, sched.Explore(t, sched.Options{}, points(3, 3)).Exhausted)
		require.NotNil(t, sched.Run(sched.Options{}, func(s *sched.S) {
			var mu sched.Mutex
			s.Go("a", func() { mu.Lock() })
			s.Go("b", func() { mu.Lock() })
			s.Go("c", func() { sched.Point("c") })
		}).Failure)
		require.NotNil(t, sched.Run(sched.Options{}, func(s *sched.S) { panic("at once") }).Failure)
	})
}

func TestExplore_ParallelExplorationsDoNotMeet(t *testing.T) {
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for range 2 {
				require.Equal(t, 1680, lastOf(sched.Run(sched.Options{Preemptions: sched.Unlimited}, points(3, 3)).PerBound))
				require.Equal(t, "ab2a", sched.Run(sched.Options{}, lostUpdate).Failure.Replay)
			}
		})
	}
}

func lastOf(ns []int) int { return ns[len(ns)-1] }

func TestExplore_StopsWhereItIsTold(t *testing.T) {
	r := sched.Explore(t, sched.Options{Schedules: 10}, points(3, 3))
	require.Equal(t, 10, r.Schedules)
	require.False(t, r.Exhausted)
	r = sched.Explore(t, sched.Options{Budget: 1}, points(3, 3))
	require.False(t, r.Exhausted)
	r = sched.Explore(t, sched.Options{Mode: sched.Walk, Schedules: 7}, points(3, 3))
	require.Equal(t, 7, r.Schedules)
}

func TestExplore_SmallestBoundFirst(t *testing.T) {
	r := sched.Run(sched.Options{Preemptions: 5}, lostUpdate)
	require.Len(t, r.PerBound, 2, "bounds 0 and 1")
	require.Equal(t, 1, r.Failure.Preemptions)
	require.Nil(t, sched.Run(sched.Options{Preemptions: sched.NonPreemptive}, lostUpdate).Failure)
}

// What an actor does before its first operation happens at once, in order of creation.
func TestGo_ActorsComeToTheirFirstOperationInOrder(t *testing.T) {
	var order string
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		order = ""
		for _, who := range []string{"a", "b"} {
			s.Go(who, func() {
				order += who
				sched.Go(who+" child", func() { order += strings.ToUpper(who) })
				sched.Point(who)
			})
		}
		s.After(func() { s.Assert(order == "abAB", "in order %q", order) })
	})
	require.Equal(t, "abAB", order)
}

func TestGo_GoroutinesOfTheCodeAreExploredToo(t *testing.T) {
	seen := map[uint64]bool{}
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		var n sched.Uint64
		s.Go("parent", func() {
			sched.Go("child", func() { n.Store(n.Load() + 1) })
			n.Store(n.Load() + 1)
		})
		s.After(func() { seen[n.Load()] = true })
	})
	require.Equal(t, map[uint64]bool{1: true, 2: true}, seen)
}

// A check may wait for what goroutines left behind do; so may the scenario's own function.
func TestAfter_MayWait(t *testing.T) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		var mu sched.Mutex
		var cond sched.Cond
		state := ""
		wait := func(for_ string) {
			mu.Lock()
			defer mu.Unlock()
			for state != for_ {
				cond.Wait(&mu)
			}
		}
		set := func(to string) {
			mu.Lock()
			defer mu.Unlock()
			state = to
			cond.Broadcast()
		}
		sched.Go("worker", func() {
			set("ready")
			wait("closing")
			set("closed")
		})
		wait("ready")
		s.Go("user", func() { sched.Point("use") })
		s.After(func() {
			set("closing")
			wait("closed")
		})
		s.After(func() { s.Assert(state == "closed", "checks run in order") })
	})
}

// recorder is a testing.TB that can be looked at.
type recorder struct {
	testing.TB
	log, errors []string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Name() string              { return "TestOfTheirs/sub" }
func (r *recorder) Log(args ...any)           { r.log = append(r.log, fmt.Sprint(args...)) }
func (r *recorder) Logf(f string, a ...any)   { r.log = append(r.log, fmt.Sprintf(f, a...)) }
func (r *recorder) Errorf(f string, a ...any) { r.errors = append(r.errors, fmt.Sprintf(f, a...)) }

func TestReplay_ShowsTheSameStoryAgain(t *testing.T) {
	scenario := toyScenario(noSecondLook, 1)
	first := sched.Run(sched.Options{Mode: sched.Walk, Seed: 3}, scenario).Failure
	again := sched.Run(sched.Options{Replay: first.Replay}, scenario)
	require.Equal(t, 1, again.Schedules)
	require.Equal(t, first, again.Failure)

	tb := &recorder{}
	sched.Replay(tb, first.Replay, scenario)
	require.Len(t, tb.errors, 1)
	require.Contains(t, tb.errors[0], first.Lanes[:len(first.Lanes)-1])
	require.Contains(t, tb.errors[0], "SOFTNET_REPLAY='TestOfTheirs/sub="+first.Replay+"'")
}

func TestReplay_ByEnvironment(t *testing.T) {
	for env, want := range map[string]int{"TestOfTheirs/sub=ab2a": 1, "ab2a": 1, "TestOfOthers=ab2a": 4} {
		t.Setenv("SOFTNET_REPLAY", env)
		tb := &recorder{}
		r := sched.Explore(tb, sched.Options{}, lostUpdate)
		require.Equal(t, want, r.Schedules, env)
		require.Equal(t, "ab2a", r.Failure.Replay)
	}
}

func TestReplay_OfASchedulePassedIsLoggedWithItsLanes(t *testing.T) {
	tb := &recorder{}
	r := sched.Replay(tb, "a2b2", lostUpdate)
	require.Nil(t, r.Failure)
	require.Empty(t, tb.errors)
	require.Contains(t, tb.log[0], "load hits: 1, explore_test.go")
}

func TestReplay_ThatDoesNotFitSaysSo(t *testing.T) {
	for schedule, want := range map[string]string{
		"ab3a":  "the schedule does not fit: at step 4 actor b cannot go on, only a (one)",
		"a@":    "the schedule does not fit: at step 2 actor @ cannot go on, only a (one), b (two)",
		"a2b2c": "the schedule does not fit: all was over after 4 steps, with c to come",
		"a2b-":  `"a2b-" is no schedule: cannot read it at byte 4`,
		"a0":    "is no schedule",
		"!":     "is no schedule",
		"(3":    "is no schedule",
	} {
		r := sched.Run(sched.Options{Replay: schedule}, lostUpdate)
		require.NotNil(t, r.Failure, schedule)
		require.Equal(t, sched.Nondeterminism, r.Failure.Kind)
		require.Contains(t, r.Failure.Text, want)
	}
}

func TestTable_HasALineForEachExploration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "table.json")
	t.Setenv("SOFTNET_SCHED_TABLE", file)
	sched.Explore(t, sched.Options{Name: "points", Preemptions: 2}, points(2, 2))
	sched.Run(sched.Options{Name: "lost"}, lostUpdate)
	sched.Run(sched.Options{}, lostUpdate) // has no name
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	require.Len(t, lines, 2)
	var row map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &row))
	require.Positive(t, row["ns"])
	delete(row, "ns")
	require.Equal(t, map[string]any{"name": "points", "mode": "exhaustive", "bound": 2., "schedules": 12.,
		"per_bound": []any{2., 4., 6.}, "choice_points": 28., "max_depth": 4., "exhausted": true, "complete": true}, row)
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &row))
	require.Equal(t, "assertion", row["failure"])

	t.Setenv("SOFTNET_SCHED_TABLE", t.TempDir())
	require.Panics(t, func() { sched.Run(sched.Options{Name: "lost"}, lostUpdate) })
}

func TestRandom_SeedDecidesEverything(t *testing.T) {
	for _, mode := range []sched.Mode{sched.PCT, sched.Walk} {
		story := func(seed uint64) (ends []string) {
			sched.Run(sched.Options{Mode: mode, Seed: seed, Schedules: 50}, func(s *sched.S) {
				order := ""
				for _, who := range []string{"a", "b", "c"} {
					s.Go(who, func() {
						for range 5 {
							sched.Point(who)
							order += who
						}
					})
				}
				s.After(func() { ends = append(ends, order) })
			})
			return ends
		}
		require.Len(t, story(1), 50)
		require.Equal(t, story(1), story(1))
		require.NotEqual(t, story(1), story(2))
	}
}

// With n actors, k steps and a bug of depth d, PCT promises 1/(n*k^(d-1)) per schedule.
func TestPCT_KeepsItsPromise(t *testing.T) {
	scenario := func(s *sched.S) { // depth 2: b must run wholly between two steps of a
		var w sched.Uint64
		s.Go("a", func() {
			for range 3 {
				sched.Point("a")
			}
			before := w.Load()
			s.Assert(w.Load() == before, "torn")
			for range 3 {
				sched.Point("a")
			}
		})
		s.Go("b", func() { w.Store(1) })
		s.Go("c", func() {
			for range 5 {
				sched.Point("c")
			}
		})
	}
	const seeds = 100
	schedules := 0
	var chance float64
	for seed := range uint64(seeds) {
		r := sched.Run(sched.Options{Mode: sched.PCT, Depth: 2, Seed: seed}, scenario)
		require.NotNil(t, r.Failure)
		schedules += r.Schedules
		chance = r.Chance
		require.Contains(t, r.String(), "each finds a bug of this depth with probability 1/42 or more")
	}
	require.InEpsilon(t, 1/(3*14.), chance, 1e-9, "3 actors, 14 steps")
	require.Greater(t, float64(seeds)/float64(schedules), chance)
}

//go:build sched

package sched_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// fails explores the scenario, which must fail in a certain way.
func fails(t *testing.T, kind sched.Kind, f func(*sched.S)) *sched.Failure {
	t.Helper()
	r := sched.Run(sched.Options{Name: t.Name(), Steps: 2000}, f)
	require.NotNil(t, r.Failure, "%v", r)
	require.Equal(t, kind, r.Failure.Kind, "%v", r.Failure)
	return r.Failure
}

func TestDeadlock_ReportsWhoWaitsForWhatAndWhere(t *testing.T) {
	f := fails(t, sched.Deadlock, func(s *sched.S) {
		var mu, other sched.Mutex
		var cond sched.Cond
		s.Name(&cond, "the door")
		s.Go("sleeper", func() {
			mu.Lock()
			cond.Wait(&mu)
			mu.Unlock()
		})
		s.Go("holder", func() {
			other.Lock()
			defer other.Unlock()
			cond.Wait(&other)
			other.Lock()
		})
		s.Go("queuer", func() {
			other.Lock()
			other.Lock()
		})
	})
	require.Contains(t, f.Text, "sleeper sleeps on the door")
	require.Regexp(t, `queuer waits for lock other, held by queuer since failure_test.go:\d+`, f.Text)
	for _, frame := range []string{"AndWhere.func1.1\n", "AndWhere.func1.2\n", "AndWhere.func1.3\n"} {
		require.Contains(t, f.Detail, frame)
	}
	require.NotContains(t, f.Detail, "internal/hook", "stacks show the code under test")
}

func TestDeadlock_LostWakeupIsFound(t *testing.T) {
	lost := func(locked bool) func(*sched.S) {
		return func(s *sched.S) {
			var mu sched.Mutex
			var cond sched.Cond
			var ready sched.Bool
			s.Go("waiter", func() {
				mu.Lock()
				for !ready.Load() {
					cond.Wait(&mu)
				}
				mu.Unlock()
			})
			s.Go("signaller", func() {
				ready.Store(true)
				if locked {
					mu.Lock()
					defer mu.Unlock()
				}
				cond.Signal()
			})
		}
	}
	sched.Explore(t, sched.Options{Preemptions: sched.Unlimited}, lost(true))
	f := fails(t, sched.Deadlock, lost(false))
	require.Equal(t, 1, f.Preemptions)
	require.Contains(t, f.Text, "waiter sleeps on cond")
}

func TestDeadlock_OfTheScenarioItself(t *testing.T) {
	f := fails(t, sched.Deadlock, func(s *sched.S) {
		var mu sched.Mutex
		mu.Lock()
		s.Go("a", func() { sched.Point("a") })
		s.After(func() { mu.Lock() })
	})
	require.Contains(t, f.Text, "scenario waits for lock mu")
}

var errBroken = errors.New("broken")

func TestPanic_IsReportedWithItsPlaceAndCause(t *testing.T) {
	f := fails(t, sched.Panic, func(s *sched.S) {
		s.Go("bad", func() { panic(fmt.Errorf("%w: both sides are named", errBroken)) })
	})
	require.Equal(t, "bad panicked: broken: both sides are named", f.Text)
	require.Contains(t, f.Detail, "IsReportedWithItsPlaceAndCause.func1.1\n")
	require.ErrorIs(t, f, errBroken)

	f = fails(t, sched.Panic, func(s *sched.S) { panic("not even an actor") })
	require.Equal(t, "scenario panicked: not even an actor", f.Text)

	f = fails(t, sched.Panic, func(s *sched.S) {
		var mu sched.Mutex
		s.Go("a", func() { mu.Unlock() })
	})
	require.Contains(t, f.Text, "unlock of unlocked mutex")
}

func TestAssertion_InActorInCheckAndByTestify(t *testing.T) {
	f := fails(t, sched.Assertion, func(s *sched.S) {
		s.Go("a", func() {
			s.Assert(true, "no")
			s.Assert(false, "%d is not %d", 1, 2)
			panic("not reached")
		})
	})
	require.Equal(t, "1 is not 2", f.Text)

	f = fails(t, sched.Assertion, func(s *sched.S) {
		s.Go("a", func() {
			s.Errorf("first")
			s.Errorf("second")
		})
	})
	require.Equal(t, "first", f.Text)

	f = fails(t, sched.Assertion, func(s *sched.S) {
		s.After(func() { require.Equal(s, 1, 2) })
	})
	require.Contains(t, f.Text, "Not equal")
}

func TestExit_OfAnActorIsAFailure(t *testing.T) {
	f := fails(t, sched.Exit, func(s *sched.S) { s.Go("a", func() { runtime.Goexit() }) })
	require.Contains(t, f.Text, "a called runtime.Goexit")
}

func TestLeak_OfAGoroutineTheCodeStarted(t *testing.T) {
	worker := func(s *sched.S, prepare func(close func())) {
		var mu sched.Mutex
		var cond sched.Cond
		closed := false
		for range 2 {
			sched.Go("worker", func() {
				mu.Lock()
				defer mu.Unlock()
				for !closed {
					cond.Wait(&mu)
				}
			})
		}
		s.Go("user", func() { sched.Point("uses it") })
		prepare(func() {
			mu.Lock()
			closed = true
			cond.Broadcast()
			mu.Unlock()
		})
	}
	f := fails(t, sched.Leak, func(s *sched.S) { worker(s, func(func()) {}) })
	require.Contains(t, f.Text, "worker sleeps on cond; worker#2 sleeps on cond")
	require.NotContains(t, f.Text, "user")

	sched.Explore(t, sched.Options{}, func(s *sched.S) { worker(s, func(close func()) { s.After(close) }) })
	sched.Explore(t, sched.Options{}, func(s *sched.S) { worker(s, func(func()) { s.Daemon() }) })
	sched.Explore(t, sched.Options{}, func(s *sched.S) { worker(s, func(func()) { s.Daemon("worker") }) })
	fails(t, sched.Leak, func(s *sched.S) { worker(s, func(func()) { s.Daemon("somebody else") }) })
}

func TestLivelock_IsFoundAndYieldIsFair(t *testing.T) {
	spin := func(wait func()) func(*sched.S) {
		return func(s *sched.S) {
			var flag sched.Bool
			for _, who := range []string{"a", "b"} {
				s.Go(who, func() {
					for !flag.Load() {
						wait()
					}
				})
			}
			s.Go("setter", func() { flag.Store(true) })
		}
	}
	f := fails(t, sched.Livelock, spin(func() {}))
	require.Contains(t, f.Text, "sched.Yield")
	require.Contains(t, f.Lanes, "steps not shown")
	require.Less(t, strings.Count(f.Lanes, "\n"), 100)

	r := sched.Explore(t, sched.Options{Preemptions: sched.Unlimited}, spin(sched.Yield))
	require.True(t, r.Complete)
	for _, mode := range []sched.Mode{sched.PCT, sched.Walk} {
		sched.Explore(t, sched.Options{Mode: mode, Schedules: 500}, spin(sched.Yield))
	}

	// Two who yield to each other for ever are a livelock all the same.
	fails(t, sched.Livelock, func(s *sched.S) {
		for _, who := range []string{"a", "b"} {
			s.Go(who, func() {
				for {
					sched.Yield()
				}
			})
		}
	})
	f = fails(t, sched.Livelock, func(*sched.S) {
		for {
			sched.Point("for ever")
		}
	})
	require.Contains(t, f.Text, "the scenario itself")
}

func TestLanes_ShowWhatWordsHold(t *testing.T) {
	f := fails(t, sched.Assertion, func(s *sched.S) {
		var u32 sched.Uint32
		var u64 sched.Uint64
		var i32 sched.Int32
		var i64 sched.Int64
		var flag sched.Bool
		var p, q sched.Pointer[int]
		var slots [2]sched.Bool
		first := new(int)
		s.Name(&q, "head")
		s.Name(first, "first")
		s.Go("a", func() {
			u32.Store(1)
			u64.Add(2)
			i32.Swap(-3)
			i64.CompareAndSwap(0, -4)
			flag.Store(true)
			p.Store(new(int))
			q.Store(p.Load())
			q.Store(nil)
			q.Swap(first)
			for i := range slots {
				slots[i].Load()
			}
			s.Logf("%d of %d", 1, 2)
			s.Failf("seen enough")
		})
	})
	lines := strings.Split(f.Lanes, "\n")
	for i, want := range []string{"#  a", "store u32: 1,", "add u64: 2,", "swap i32: -3,", "cas i64: -4,", "store flag: true,",
		"store p: &A,", "load p: &A,", "store head: &A,", "store head: nil,", "swap head: &first,", "load slots[i]: false,", "load slots[i]#2: false,",
		"1 of 2", "FAILS: seen enough"} {
		require.Contains(t, lines[i], want)
	}
	require.Regexp(t, `failure_test\.go:\d+$`, lines[1])
}

// Whatever actors hold and wait for when a schedule ends, they unwind: their deferred
// calls run, find nothing to wait for, and hurt nobody.
func TestEnd_UnwindsActorsWhateverTheyHold(t *testing.T) {
	unwound := 0
	f := fails(t, sched.Assertion, func(s *sched.S) {
		unwound = 0
		var mu, inner sched.Mutex
		var cond sched.Cond
		var flag sched.Bool
		s.Go("sleeper", func() {
			defer func() { unwound++ }()
			mu.Lock()
			defer mu.Unlock()
			cond.Wait(&mu)
		})
		s.Go("holder", func() {
			defer func() { unwound++ }()
			defer func() { _ = recover() }()
			inner.Lock()
			defer inner.Unlock()
			for {
				sched.Yield()
			}
		})
		s.Go("queuer", func() {
			defer func() { unwound++ }()
			defer func() {
				inner.Lock() // held by the dead
				flag.Store(true)
				if flag.CompareAndSwap(true, false) && inner.TryLock() {
					cond.Broadcast()
				}
				inner.Unlock()
				sched.Go("never", func() { panic("started by the dead") })
				mu.Lock()
				for !flag.Load() {
					cond.Wait(&mu) // nobody will come
				}
			}()
			inner.Lock()
			inner.Unlock()
		})
		s.Go("spinner", func() {
			defer func() { unwound++ }()
			defer func() {
				for !flag.Load() { // nobody will set it
				}
			}()
			mu.Lock()
			cond.Wait(&mu)
		})
		s.Go("failer", func() {
			defer func() { unwound++ }()
			sched.Point("before")
			s.Failf("enough")
		})
	})
	require.Equal(t, "enough", f.Text)
	require.Equal(t, 5, unwound)
}

func TestNondeterminism_IsSaidClearly(t *testing.T) {
	runs := 0
	f := fails(t, sched.Nondeterminism, func(s *sched.S) {
		runs++
		for range 2 {
			s.Go("a", func() {
				sched.Point("1")
				if runs%3 == 0 {
					var w sched.Bool
					w.Load()
				}
				sched.Point("2")
			})
		}
	})
	require.Contains(t, f.Text, "must build its world anew each time")

	runs = 0
	f = fails(t, sched.Nondeterminism, func(s *sched.S) {
		runs++
		s.Go("a", func() {
			sched.Point("1")
			s.Assert(runs > 1, "only the first time")
		})
	})
	require.Contains(t, f.Text, "only the first time")
}

func TestNondeterminism_GoStatementsAreFound(t *testing.T) {
	f := fails(t, sched.Nondeterminism, func(s *sched.S) {
		var w sched.Bool
		s.Go("a", func() {
			met := make(chan struct{})
			go func() {
				w.Store(true)
				close(met)
			}()
			<-met
			w.Load()
		})
	})
	require.Contains(t, f.Text, `an actor started with a go statement came to "store"`)
}

func TestExplore_InsideAnotherIsRefused(t *testing.T) {
	f := fails(t, sched.Panic, func(s *sched.S) {
		s.Go("a", func() { sched.Run(sched.Options{}, func(*sched.S) {}) })
	})
	require.Contains(t, f.Text, "an exploration inside another")
}

// A loop that waits by looking again lets time pass once nobody else can go on, and does
// not make it pass while somebody can.
func TestYield_LetsTimePassLast(t *testing.T) {
	seen := outcomes(t, func(s *sched.S, say func(string)) {
		ctx, cancel := s.WithTimeout(s.Context(), time.Second)
		s.After(cancel)
		var flag sched.Bool
		s.Go("looker", func() {
			for !flag.Load() && ctx.Err() == nil {
				sched.Yield()
			}
			say(fmt.Sprint(ctx.Err() == nil))
		})
		s.Go("setter", func() { flag.Store(true) })
	})
	require.Equal(t, map[string]bool{"true ": true, "false ": true}, seen)

	seen = outcomes(t, func(s *sched.S, say func(string)) {
		ctx, cancel := s.WithTimeout(s.Context(), time.Second)
		for _, who := range []string{"a", "b"} {
			s.Go(who, func() {
				for ctx.Err() == nil {
					sched.Yield()
				}
			})
		}
		s.Go("canceller", cancel) // and then there is no clock to stand behind
	})
	require.Equal(t, map[string]bool{"": true}, seen)
}

package hook_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/stacktest/sched"
)

func TestCond_SignalWakesTheOldestBroadcastAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu hook.Mutex
		var cv hook.Cond
		var woken []int
		for i := range 4 {
			go func() {
				mu.Lock()
				cv.Wait(&mu)
				woken = append(woken, i)
				mu.Unlock()
			}()
			synctest.Wait()
		}
		step := func(f func(), want ...int) {
			mu.Lock()
			f()
			mu.Unlock()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			require.ElementsMatch(t, want, woken)
			require.Equal(t, 4-len(want), cv.Sleepers())
		}
		step(cv.Signal, 0)
		step(cv.Signal, 0, 1)
		step(cv.Broadcast, 0, 1, 2, 3)
		step(cv.Signal, 0, 1, 2, 3)
	})
}

func TestCond_WaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu hook.Mutex
		var cv hook.Cond
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		mu.Lock()
		require.ErrorIs(t, cv.WaitContext(ctx, &mu), context.DeadlineExceeded)
		require.False(t, mu.TryLock(), "the lock is held again")
		require.Zero(t, cv.Sleepers())
		mu.Unlock()
	})
}

// A Signal that meets the end of a sleeper's context wakes somebody all the same: two
// sleep, one signal comes, and one of them takes what was signalled. If it were lost the
// patient one would sleep beside it for ever.
func TestExplore_SignalIsNotLostToAContext(t *testing.T) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		var mu sched.Mutex
		var cv sched.Cond
		given, taken := false, false
		ctx, cancel := s.WithCancel(s.Context())
		take := func(ctx context.Context) {
			mu.Lock()
			defer mu.Unlock()
			for !given && !taken {
				if cv.WaitContext(ctx, &mu) != nil {
					return
				}
			}
			given, taken = false, true
			cv.Broadcast()
		}
		s.Go("impatient", func() { take(ctx) })
		s.Go("patient", func() { take(s.Context()) })
		s.Go("giver", func() {
			mu.Lock()
			given = true
			cv.Signal()
			mu.Unlock()
			cancel()
		})
		s.After(func() { s.Assert(taken, "nobody took it") })
	})
}

// "A wakeup cannot slip between a sleeper's test and its sleep."
func TestExplore_WakeupIsNotLostToWhoIsAboutToSleep(t *testing.T) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		var mu sched.Mutex
		var cv sched.Cond
		given := false
		s.Go("taker", func() {
			mu.Lock()
			for !given {
				cv.Wait(&mu)
			}
			mu.Unlock()
		})
		s.Go("giver", func() {
			mu.Lock()
			given = true
			cv.Signal()
			mu.Unlock()
		})
	})
}

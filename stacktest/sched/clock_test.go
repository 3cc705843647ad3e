//go:build sched

package sched_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// outcomes explores everything and returns what the scenario had to say at the end.
func outcomes(t *testing.T, f func(s *sched.S, say func(string))) map[string]bool {
	t.Helper()
	seen := map[string]bool{}
	r := sched.Explore(t, sched.Options{Preemptions: sched.Unlimited}, func(s *sched.S) {
		said := ""
		f(s, func(w string) { said += w + " " })
		s.After(func() { seen[said] = true })
	})
	require.True(t, r.Complete)
	return seen
}

// sleep waits on nothing but ctx.
func sleep(ctx context.Context) error {
	var mu sched.Mutex
	var cond sched.Cond
	mu.Lock()
	defer mu.Unlock()
	return cond.WaitContext(ctx, &mu)
}

// wakeOrTimeout has one actor wait with ctx for what the other does.
func wakeOrTimeout(s *sched.S, ctx context.Context, say func(string)) {
	var mu sched.Mutex
	var cond sched.Cond
	ready := false
	s.Go("waiter", func() {
		mu.Lock()
		defer mu.Unlock()
		for !ready {
			if err := cond.WaitContext(ctx, &mu); err != nil {
				say(err.Error())
				return
			}
		}
		say("woken")
	})
	s.Go("waker", func() {
		mu.Lock()
		defer mu.Unlock()
		ready = true
		cond.Signal()
	})
}

func TestWithTimeout_MayOrMayNotEndAWait(t *testing.T) {
	seen := outcomes(t, func(s *sched.S, say func(string)) {
		ctx, cancel := s.WithTimeout(s.Context(), time.Second)
		s.After(cancel)
		wakeOrTimeout(s, ctx, say)
	})
	require.Equal(t, map[string]bool{"context deadline exceeded ": true, "woken ": true}, seen)
}

func TestWithTimeout_AloneAlwaysEnds(t *testing.T) {
	seen := outcomes(t, func(s *sched.S, say func(string)) {
		ctx, _ := s.WithTimeout(context.Background(), time.Hour)
		at, ok := ctx.Deadline()
		s.Assert(ok && time.Until(at) > 59*time.Minute, "a deadline to reckon with")
		s.Go("sleeper", func() { say(sleep(ctx).Error()) })
	})
	require.Equal(t, map[string]bool{"context deadline exceeded ": true}, seen)
}

// Timeouts that began together end in order, whatever else happens in between.
func TestWithTimeout_ShorterOnesEndFirst(t *testing.T) {
	seen := outcomes(t, func(s *sched.S, say func(string)) {
		long, _ := s.WithTimeout(s.Context(), 2*time.Second)
		short, _ := s.WithTimeout(s.Context(), time.Second)
		s.Go("sleeper", func() {
			err := sleep(long)
			s.Assert(err != nil && short.Err() != nil, "long ended before short")
		})
		s.Go("looker", func() {
			for _, when := range []string{"early", "late"} {
				sched.Point(when)
				if short.Err() != nil {
					say(when)
				}
			}
		})
	})
	require.Equal(t, map[string]bool{"": true, "late ": true, "early late ": true}, seen)
}

func TestWithTimeout_ChildrenOfPackageContextFollowAtOnce(t *testing.T) {
	outcomes(t, func(s *sched.S, say func(string)) {
		parent, cancel := s.WithTimeout(s.Context(), time.Second)
		child, stop := context.WithCancel(parent)
		grandchild, _ := s.WithCancel(child)
		s.Go("sleeper", func() {
			err := sleep(grandchild)
			s.Assert(err != nil && errors.Is(err, child.Err()) && errors.Is(err, parent.Err()),
				"%v, %v, %v", err, child.Err(), parent.Err())
			<-grandchild.Done()
			<-child.Done()
		})
		s.Go("canceller", cancel)
		s.After(stop)
	})
}

func TestWithTimeout_OfNothingHasEnded(t *testing.T) {
	outcomes(t, func(s *sched.S, say func(string)) {
		ctx, _ := s.WithTimeout(s.Context(), 0)
		s.Assert(errors.Is(ctx.Err(), context.DeadlineExceeded), "%v", ctx.Err())
		s.Go("sleeper", func() { s.Assert(sleep(ctx) != nil, "ended") })
	})
}

func TestWithCancel_IsAnOperation(t *testing.T) {
	seen := outcomes(t, func(s *sched.S, say func(string)) {
		ctx, cancel := s.WithCancel(s.Context())
		s.Go("looker", func() {
			for _, when := range []string{"1", "2"} {
				sched.Point(when)
				if ctx.Err() != nil {
					say(when)
				}
			}
		})
		s.Go("canceller", cancel)
	})
	require.Equal(t, map[string]bool{"": true, "2 ": true, "1 2 ": true}, seen)
}

// A cancel of package context is no operation, but a wait ends with it all the same.
func TestContext_CancelByAnActorIsHonoured(t *testing.T) {
	outcomes(t, func(s *sched.S, say func(string)) {
		ctx, cancel := context.WithCancel(context.Background())
		s.Go("sleeper", func() { s.Assert(errors.Is(sleep(ctx), context.Canceled), "cancelled") })
		s.Go("canceller", func() {
			sched.Point("before")
			cancel()
		})
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f := fails(t, sched.Deadlock, func(s *sched.S) { s.Go("sleeper", func() { sleep(ctx) }) })
	require.Contains(t, f.Text, "sleeper sleeps on cond")
}

// A deadline of package context is on a clock the schedule does not have; that a wait with
// it ends is a choice.
func TestContext_ForeignDeadlineIsAChoice(t *testing.T) {
	seen := outcomes(t, func(s *sched.S, say func(string)) {
		ctx, stop := context.WithTimeout(s.Context(), time.Hour)
		s.After(stop)
		wakeOrTimeout(s, ctx, say)
	})
	require.Equal(t, map[string]bool{"context deadline exceeded ": true, "woken ": true}, seen)
}

// Time does not pass only because it could: when all actors have ended a daemon's timeout
// does not keep the scenario from being over.
func TestClock_StandsWhenNobodyHasToEnd(t *testing.T) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		s.Daemon("ticker")
		ticks := 0
		sched.Go("ticker", func() {
			for {
				ctx, _ := s.WithTimeout(s.Context(), time.Second)
				_ = sleep(ctx)
				ticks++
				s.Assert(ticks < 1000, "ticks for ever")
			}
		})
		s.Go("user", func() { sched.Point("use") })
	})
}

func TestContext_EndsWithTheSchedule(t *testing.T) {
	var ctxs []context.Context
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		ctx, cancel := context.WithCancel(s.Context())
		_ = cancel // the end of the schedule does it
		ctxs = append(ctxs, ctx)
		s.Go("a", func() { sched.Point("a") })
		s.After(func() { s.Assert(ctx.Err() == nil, "not yet") })
	})
	for _, ctx := range ctxs {
		require.ErrorIs(t, ctx.Err(), context.Canceled)
	}
}

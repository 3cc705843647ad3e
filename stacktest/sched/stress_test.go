//go:build !sched

package sched_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/stacktest/sched"
)

var errBroken = errors.New("broken")

func TestStress_FailuresAreReported(t *testing.T) {
	for kind, scenario := range map[sched.Kind]func(*sched.S){
		sched.Assertion: func(s *sched.S) { s.Go("a", func() { s.Assert(1 == 2, "1 is not 2") }) },
		sched.Panic:     func(s *sched.S) { s.Go("a", func() { panic(errBroken) }) },
		sched.Exit:      func(s *sched.S) { s.Go("a", func() { runtime.Goexit() }) },
	} {
		r := sched.Run(sched.Options{}, scenario)
		require.Equal(t, sched.Stress, r.Mode)
		require.NotNil(t, r.Failure)
		require.Equal(t, kind, r.Failure.Kind, "%v", r.Failure)
		require.Equal(t, kind == sched.Panic, errors.Is(r.Failure, errBroken))
	}
	r := sched.Run(sched.Options{}, func(s *sched.S) { s.After(func() { require.Equal(s, 1, 2) }) })
	require.Contains(t, r.Failure.Text, "Not equal")
}

// In a bubble the time that stuck actors are given passes at once.
func TestStress_StuckActorsAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := sched.Run(sched.Options{}, func(s *sched.S) {
			s.Go("stuck", func() { <-release })
			s.Go("quick", func() {})
		})
		require.Equal(t, sched.Deadlock, r.Failure.Kind)
		require.Contains(t, r.Failure.Text, "not ended after 30s: stuck")
		require.NotContains(t, r.Failure.Text, "quick")
		require.Contains(t, r.Failure.Detail, "TestStress_StuckActorsAreNamed")
		close(release)
	})
}

func TestStress_RunsForATimeAndNoLonger(t *testing.T) {
	r := sched.Explore(t, sched.Options{Stress: 10 * time.Millisecond}, func(s *sched.S) {})
	require.Greater(t, r.Schedules, 1)
	require.Less(t, r.Duration, 5*time.Second)
	r = sched.Explore(t, sched.Options{Schedules: 3}, func(s *sched.S) {})
	require.Equal(t, 3, r.Schedules)
	synctest.Test(t, func(t *testing.T) { // where computing takes no time
		sched.Explore(t, sched.Options{}, func(s *sched.S) {})
	})
}

func TestStress_ActorsBeginAfterTheScenarioAndEndBeforeChecks(t *testing.T) {
	sched.Explore(t, sched.Options{Schedules: 100}, func(s *sched.S) {
		ready := false
		var ended sched.Int64
		for range 3 {
			s.Go("a", func() {
				s.Assert(ready, "begun too early")
				s.Go("child", func() { ended.Add(1) })
				sched.Point("between")
				sched.Yield()
				ended.Add(1)
			})
		}
		s.After(func() { s.Assert(ended.Load() == 6, "%d ended", ended.Load()) })
		ready = true
	})
}

func TestStress_TimeoutsAreShort(t *testing.T) {
	sched.Explore(t, sched.Options{Schedules: 20}, func(s *sched.S) {
		ctx, cancel := s.WithTimeout(s.Context(), time.Hour)
		s.After(cancel)
		s.Go("sleeper", func() {
			<-ctx.Done()
			s.Assert(errors.Is(ctx.Err(), context.DeadlineExceeded), "%v", ctx.Err())
		})
	})
}

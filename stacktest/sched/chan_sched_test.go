//go:build sched

package sched_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/stacktest/sched"
)

func TestChan_ActorsMeetInEveryOrder(t *testing.T) {
	for size, want := range []map[string]bool{
		0: {"12": true, "21": true},
		1: {"12": true, "21": true},
	} {
		seen := map[string]bool{}
		sched.Explore(t, sched.Options{Preemptions: sched.Unlimited}, func(s *sched.S) {
			c := sched.NewChan[int](size)
			got := ""
			for i := range 2 {
				s.Go(fmt.Sprint(i+1), func() { c.Send(i + 1) })
			}
			s.Go("taker", func() {
				for range 2 {
					v, ok := c.Recv()
					s.Assert(ok, "open")
					got += fmt.Sprint(v)
				}
			})
			s.After(func() { seen[got] = true })
		})
		require.Equal(t, want, seen)
	}
}

// A sender on a channel without room knows that its value was taken; with room, not.
func TestChan_RendezvousOnlyWithoutRoom(t *testing.T) {
	for size, early := range []bool{0: false, 1: true} {
		seen := outcomes(t, func(s *sched.S, say func(string)) {
			c := sched.NewChan[int](size)
			s.Go("sender", func() {
				c.Send(1)
				say("sent")
			})
			s.Go("taker", func() {
				sched.Point("late")
				say("late")
				c.Recv()
			})
		})
		require.Equal(t, early, seen["sent late "], "size %d", size)
		require.True(t, seen["late sent "])
	}
}

func TestChan_DeadlockAndLostMessageAreFound(t *testing.T) {
	f := fails(t, sched.Deadlock, func(s *sched.S) {
		c := sched.NewChan[int](1)
		s.Go("sender", func() {
			c.Send(1)
			c.Send(2)
		})
		s.Go("taker", func() { c.Recv() })
		s.Go("greedy", func() {
			c.Recv()
			c.Recv()
		})
	})
	require.Contains(t, f.Text, "waits to recv c")

	fails(t, sched.Assertion, func(s *sched.S) { // a select on a message and a timeout loses neither
		c := sched.NewChan[int](0)
		ctx, _ := s.WithTimeout(s.Context(), time.Second)
		var sent, got bool
		s.Go("sender", func() { sent = c.TrySend(1) })
		s.Go("taker", func() { _, got, _ = c.RecvContext(ctx) })
		s.After(func() {
			s.Assert(sent == got, "a message was lost")
			s.Assert(!sent, "this one arrived")
		})
	})
}

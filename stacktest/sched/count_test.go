//go:build sched

package sched_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// points is a scenario of n actors with k operations each.
func points(n, k int) func(*sched.S) {
	return func(s *sched.S) {
		for i := range n {
			s.Go(fmt.Sprint(i), func() {
				for range k {
					sched.Point("p")
				}
			})
		}
	}
}

func TestExplore_CountsAllInterleavings(t *testing.T) {
	for _, c := range []struct{ n, k, want int }{{1, 5, 1}, {2, 2, 6}, {2, 4, 70}, {3, 2, 90}, {3, 3, 1680}, {4, 2, 2520}} {
		r := sched.Explore(t, sched.Options{Preemptions: sched.Unlimited}, points(c.n, c.k))
		require.True(t, r.Complete)
		require.Equal(t, c.want, r.PerBound[len(r.PerBound)-1], "%d actors of %d points", c.n, c.k)
	}
}

func BenchmarkExplore(b *testing.B) {
	for _, preemptions := range []int{2, sched.Unlimited} {
		b.Run(fmt.Sprintf("preemptions=%d", preemptions), func(b *testing.B) {
			o := sched.Options{Preemptions: preemptions, Schedules: 20_000}
			runs := 0
			for b.Loop() {
				runs += sched.Run(o, func(s *sched.S) {
					var mu sched.Mutex
					var n sched.Uint64
					for i := range 3 {
						s.Go(fmt.Sprint(i), func() {
							for range 3 {
								mu.Lock()
								n.Store(n.Load() + 1)
								mu.Unlock()
							}
						})
					}
				}).Schedules
			}
			b.ReportMetric(float64(runs)/b.Elapsed().Seconds(), "schedules/s")
		})
	}
}

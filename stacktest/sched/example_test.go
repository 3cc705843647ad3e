//go:build sched

package sched_test

import (
	"fmt"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// limiter hands out a number of permits, it hopes.
type limiter struct{ left sched.Int64 }

func (l *limiter) take() bool {
	if l.left.Load() == 0 {
		return false
	}
	l.left.Add(-1) // is it still true?
	return true
}

func Example() {
	r := sched.Run(sched.Options{}, func(s *sched.S) {
		var l limiter
		l.left.Store(1)
		for _, who := range []string{"alice", "bob"} {
			s.Go(who, func() { l.take() })
		}
		s.After(func() { s.Assert(l.left.Load() >= 0, "%d permits left", l.left.Load()) })
	})
	fmt.Println(r.Failure.Text)
	fmt.Println("again with", r.Failure.Replay)
	fmt.Print(r.Lanes)
	// Output:
	// -1 permits left
	// again with ab2a
	// #  alice                               bob                                 scenario
	// 1  load l.left: 1, example_test.go:15
	// 2                                      load l.left: 1, example_test.go:15
	// 3                                      add l.left: 0, example_test.go:18
	// 4  add l.left: -1, example_test.go:18
	// 5                                                                          FAILS: -1 permits left
}

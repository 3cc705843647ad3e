//go:build !sched

package sched_test

import (
	"fmt"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// limiter hands out a number of permits.
type limiter struct{ left sched.Int64 }

func (l *limiter) take() bool {
	for {
		n := l.left.Load()
		if n == 0 {
			return false
		}
		if l.left.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// Without the tag sched a scenario is tried on real goroutines for a while. That nothing
// was found means little; under the tag it means that there is nothing.
func Example() {
	r := sched.Run(sched.Options{}, func(s *sched.S) {
		var l limiter
		l.left.Store(1)
		for _, who := range []string{"alice", "bob"} {
			s.Go(who, func() { l.take() })
		}
		s.After(func() { s.Assert(l.left.Load() >= 0, "%d permits left", l.left.Load()) })
	})
	fmt.Println(r.Mode, r.Failure == nil)
	// Output:
	// stress true
}

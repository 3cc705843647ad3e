package sched_test

import (
	"testing"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// permits are handed out while there are some.
type permits struct{ left sched.Int64 }

func (p *permits) take() bool {
	for {
		n := p.left.Load()
		if n == 0 {
			return false
		}
		if p.left.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// The README shows this one.
func TestExplore_TakesAFewLines(t *testing.T) {
	sched.Explore(t, sched.Options{Preemptions: 2}, func(s *sched.S) {
		var p permits
		p.left.Store(1)
		for _, who := range []string{"alice", "bob"} {
			s.Go(who, func() { p.take() })
		}
		s.After(func() { s.Assert(p.left.Load() == 0, "%d permits left", p.left.Load()) })
	})
}

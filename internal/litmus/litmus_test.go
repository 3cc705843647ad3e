package litmus_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// cell is the memory of one run of a shape: two words, all zero.
type cell struct {
	x, y hook.Uint32
	_    [hook.LineBytes - 8]byte
}

// A shape is a few threads, each of which does its operations on a cell and reports what
// it loaded, and the outcome that must not be.
type shape struct {
	name      string
	threads   []func(c *cell) string
	forbidden string
	allowed   []string
}

var digit = [...]string{"0", "1"}

func two(a, b *hook.Uint32) string {
	v := a.Load()
	w := b.Load()
	return digit[v] + digit[w]
}

var shapes = []shape{
	{
		name: "store buffering",
		threads: []func(c *cell) string{
			func(c *cell) string { c.x.Store(1); return digit[c.y.Load()] },
			func(c *cell) string { c.y.Store(1); return digit[c.x.Load()] },
		},
		forbidden: "0,0",
		allowed:   []string{"0,1", "1,0", "1,1"},
	},
	{
		name: "message passing",
		threads: []func(c *cell) string{
			func(c *cell) string { c.x.Store(1); c.y.Store(1); return "" },
			func(c *cell) string { return two(&c.y, &c.x) },
		},
		forbidden: ",10",
		allowed:   []string{",00", ",01", ",11"},
	},
	{
		name: "load buffering",
		threads: []func(c *cell) string{
			func(c *cell) string { v := c.y.Load(); c.x.Store(1); return digit[v] },
			func(c *cell) string { v := c.x.Load(); c.y.Store(1); return digit[v] },
		},
		forbidden: "1,1",
		allowed:   []string{"0,0", "0,1", "1,0"},
	},
	{
		name: "IRIW",
		threads: []func(c *cell) string{
			func(c *cell) string { c.x.Store(1); return "" },
			func(c *cell) string { c.y.Store(1); return "" },
			func(c *cell) string { return two(&c.x, &c.y) },
			func(c *cell) string { return two(&c.y, &c.x) },
		},
		forbidden: ",,10,10",
		allowed: []string{
			",,00,00", ",,00,01", ",,00,10", ",,00,11", ",,01,00", ",,01,01", ",,01,10", ",,01,11",
			",,10,00", ",,10,01", ",,10,11", ",,11,00", ",,11,01", ",,11,10", ",,11,11",
		},
	},
}

func outcome(parts []string) string {
	s := parts[0]
	for _, p := range parts[1:] {
		s += "," + p
	}
	return s
}

// On real cores: the forbidden outcome is not among up to a million, and the threads did meet.
// Each cell is a race of its own: the threads wait for each other in front of it.
func TestLitmus_ForbiddenOutcomesAreNotSeen(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("one processor reorders nothing that could be seen")
	}
	for _, sh := range shapes {
		t.Run(sh.name, func(t *testing.T) {
			n := len(sh.threads)
			runs := 1_000_000
			if invariants.Enabled || n > min(runtime.GOMAXPROCS(0), runtime.NumCPU()) {
				runs = 2000 // the threads cannot all run at once, or not as fast
			}
			const batch = 500
			seen := map[string]int{}
			got := make([][batch]string, n)
			start := time.Now() // a busy machine gets through fewer
			done := 0
			for ; done < runs && time.Since(start) < time.Second; done += batch {
				cells := make([]cell, batch)
				arrived := make([]atomic.Int32, batch)
				var all sync.WaitGroup
				for i, f := range sh.threads {
					all.Go(func() {
						for k := range cells {
							arrived[k].Add(1)
							for spin := 1; arrived[k].Load() < int32(n); spin++ {
								if spin%1024 == 0 {
									runtime.Gosched()
								}
							}
							got[i][k] = f(&cells[k])
						}
					})
				}
				all.Wait()
				for k := range batch {
					parts := make([]string, n)
					for i := range n {
						parts[i] = got[i][k]
					}
					seen[outcome(parts)]++
				}
			}
			t.Logf("%d runs: %v", done, seen)
			require.Zero(t, seen[sh.forbidden], "the words are not sequentially consistent")
			for o := range seen {
				require.Contains(t, sh.allowed, o)
			}
			require.Greater(t, len(seen), 1, "the threads never met: the run proves nothing")
		})
	}
}

// In the explorer: exactly the outcomes that sequential consistency allows, so what it
// exhausts is what the cores can do.
func TestExplore_OutcomesAreThoseOfSequentialConsistency(t *testing.T) {
	for _, sh := range shapes {
		t.Run(sh.name, func(t *testing.T) {
			var mu sync.Mutex // without the tag sched, schedules are real ones
			seen := map[string]bool{}
			r := sched.Explore(t, sched.Options{Preemptions: sched.Unlimited}, func(s *sched.S) {
				c, parts := new(cell), make([]string, len(sh.threads))
				for i, f := range sh.threads {
					s.Go(fmt.Sprint("thread ", i), func() { parts[i] = f(c) })
				}
				s.After(func() {
					mu.Lock()
					seen[outcome(parts)] = true
					mu.Unlock()
				})
			})
			got := slices.Sorted(maps.Keys(seen))
			if r.Complete {
				require.Equal(t, sh.allowed, got)
			} else {
				require.Subset(t, sh.allowed, got)
			}
		})
	}
}

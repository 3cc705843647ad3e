//go:build sched

package sched_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// The reference knows nothing of coroutines, prefixes or choices: it interprets tiny
// programs and, at each step, copies the whole world for everybody who can go on.

// instr is one operation of a tiny program on one of two words or the lock.
type instr struct {
	op   byte // load, store accumulator, add, cas, lock, unlock
	word int
}

func (i instr) String() string { return fmt.Sprintf("%c%d", i.op, i.word) }

type world struct {
	words [2]uint64
	owner int // of the lock, -1 for none
	pc    []int
	acc   []uint64
	cur   int // who made the last step
	used  int // preemptions
}

func (w world) clone() world {
	w.pc, w.acc = slices.Clone(w.pc), slices.Clone(w.acc)
	return w
}

func (w world) can(progs [][]instr, i int) bool {
	return w.pc[i] < len(progs[i]) && (progs[i][w.pc[i]].op != 'k' || w.owner < 0)
}

// step lets i make a step.
func (w world) step(progs [][]instr, i int) world {
	w = w.clone()
	if w.cur >= 0 && w.cur != i && w.can(progs, w.cur) {
		w.used++
	}
	w.cur = i
	in := progs[i][w.pc[i]]
	w.pc[i]++
	switch word := &w.words[in.word]; in.op {
	case 'l':
		w.acc[i] = *word
	case 's':
		*word = w.acc[i]*3 + uint64(i) + 1
	case 'a':
		*word += uint64(i) + 1
		w.acc[i] = *word
	case 'c':
		if *word == w.acc[i] {
			*word = 7*w.acc[i] + uint64(i) + 1
		}
	case 'k':
		w.owner = i
	case 'u':
		w.owner = -1
	}
	return w
}

// enumerate counts the schedules with at most bound preemptions, and how each ends.
func enumerate(progs [][]instr, bound int) (schedules int, ends map[string]bool) {
	ends = map[string]bool{}
	start := world{owner: -1, pc: make([]int, len(progs)), acc: make([]uint64, len(progs)), cur: -1}
	var walk func(w world)
	walk = func(w world) {
		if w.used > bound {
			return
		}
		moved := false
		for i := range progs {
			if w.can(progs, i) {
				moved = true
				walk(w.step(progs, i))
			}
		}
		if !moved {
			schedules++
			ends[fmt.Sprint(w.words, w.acc)] = true
		}
	}
	walk(start)
	return schedules, ends
}

// scenarioOf is the same programs as actors.
func scenarioOf(progs [][]instr, ends map[string]bool) func(*sched.S) {
	return func(s *sched.S) {
		var words [2]sched.Uint64
		var mu sched.Mutex
		acc := make([]uint64, len(progs))
		for i, prog := range progs {
			s.Go(fmt.Sprint(i), func() {
				for _, in := range prog {
					switch word := &words[in.word]; in.op {
					case 'l':
						acc[i] = word.Load()
					case 's':
						word.Store(acc[i]*3 + uint64(i) + 1)
					case 'a':
						acc[i] = word.Add(uint64(i) + 1)
					case 'c':
						word.CompareAndSwap(acc[i], 7*acc[i]+uint64(i)+1)
					case 'k':
						mu.Lock()
					case 'u':
						mu.Unlock()
					}
				}
			})
		}
		s.After(func() { ends[fmt.Sprint([2]uint64{words[0].Load(), words[1].Load()}, acc)] = true })
	}
}

var instrs = rapid.Custom(func(t *rapid.T) instr {
	return instr{rapid.SampledFrom([]byte("lsac")).Draw(t, "op"), rapid.IntRange(0, 1).Draw(t, "word")}
})

// programs draws two or three programs of up to four steps; some put a part of theirs
// between lock and unlock.
var programs = rapid.Custom(func(t *rapid.T) [][]instr {
	progs := make([][]instr, rapid.IntRange(2, 3).Draw(t, "actors"))
	for i := range progs {
		prog := rapid.SliceOfN(instrs, 1, 6-len(progs)).Draw(t, "program")
		if rapid.Bool().Draw(t, "locks") {
			from := rapid.IntRange(0, len(prog)-1).Draw(t, "from")
			to := rapid.IntRange(from+1, len(prog)).Draw(t, "to")
			prog = slices.Concat(prog[:from], []instr{{'k', 0}}, prog[from:to], []instr{{'u', 0}}, prog[to:])
		}
		progs[i] = prog
	}
	return progs
})

func TestExplore_AgreesWithBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		progs := programs.Draw(t, "programs")
		bound := rapid.SampledFrom([]int{0, 1, 2, 3, sched.Unlimited}).Draw(t, "bound")
		want, wantEnds := enumerate(progs, bound)
		if want > 3_000 {
			t.Skip("too many schedules")
		}
		ends := map[string]bool{}
		o := sched.Options{Preemptions: bound}
		if bound == 0 {
			o.Preemptions = sched.NonPreemptive
		}
		r := sched.Run(o, scenarioOf(progs, ends))
		require.Nil(t, r.Failure)
		require.True(t, r.Exhausted)
		require.Equal(t, want, r.PerBound[len(r.PerBound)-1], "schedules")
		require.Equal(t, slices.Sorted(maps.Keys(wantEnds)), slices.Sorted(maps.Keys(ends)), "outcomes")
	})
}

func TestExplore_CompleteMeansThatAHigherBoundAddsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		progs := programs.Draw(t, "programs")
		bound := rapid.IntRange(1, 4).Draw(t, "bound")
		all, _ := enumerate(progs, sched.Unlimited)
		if all > 500 {
			t.Skip("too many schedules")
		}
		r := sched.Run(sched.Options{Preemptions: bound}, scenarioOf(progs, map[string]bool{}))
		require.Equal(t, r.PerBound[len(r.PerBound)-1] == all, r.Complete)
	})
}

// A lock that is taken in two orders: the shortest schedule into the deadlock is known.
func TestShrink_FindsTheFewestSwitches(t *testing.T) {
	scenario := func(s *sched.S) {
		var a, b sched.Mutex
		both := func(first, second *sched.Mutex) {
			for range 2 {
				sched.Point("before")
			}
			first.Lock()
			second.Lock()
			second.Unlock()
			first.Unlock()
			for range 2 {
				sched.Point("after")
			}
		}
		s.Go("ab", func() { both(&a, &b) })
		s.Go("ba", func() { both(&b, &a) })
		s.Go("other", func() {
			for range 4 {
				sched.Point("busy")
			}
		})
	}
	for seed := range uint64(10) {
		for _, mode := range []sched.Mode{sched.PCT, sched.Walk} {
			r := sched.Run(sched.Options{Mode: mode, Seed: seed}, scenario)
			require.NotNil(t, r.Failure, "%v", mode)
			require.Equal(t, sched.Deadlock, r.Failure.Kind)
			require.Equal(t, 1, r.Failure.Preemptions, r.Failure)
			require.Equal(t, 2, r.Failure.Switches, "ab, ba, and back to other, which must end: %v", r.Failure)
		}
	}
	r := sched.Run(sched.Options{}, scenario)
	require.Equal(t, 1, r.Failure.Preemptions)
	require.Equal(t, 2, r.Failure.Switches)
}

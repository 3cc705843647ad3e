package main

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A director changes the circumstances under which a cast acts.
type director struct {
	*world
	t    *tally          // the world's own
	leg  context.Context // ends with the leg
	last time.Duration   // how long the leg lasts
	cast int             // how many actors there are
	rng  *rand.Rand
}

// wait waits for d and reports whether the leg goes on.
func (d *director) wait(t time.Duration) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.leg.Done():
		return false
	}
}

// upTo returns a random part of t.
func (d *director) upTo(t time.Duration) time.Duration { return time.Duration(d.rng.Int64N(int64(t))) }

// swell returns a conductor that lets the first few of a cast act all the time, and of
// the rest 1, 2, 4, ... and at last all.
func swell(first int) func(*director) {
	return func(d *director) {
		var steps []int
		for n := 1; n < d.cast-first; n *= 2 {
			steps = append(steps, first+n)
		}
		for _, n := range append(steps, d.cast) {
			d.gate.let(n)
			if !d.wait(d.last / time.Duration(len(steps)+1)) {
				return
			}
		}
	}
}

// stutter stops everybody and lets everybody go, again and again.
func stutter(d *director) {
	for d.wait(d.upTo(10 * time.Millisecond)) {
		d.gate.let(0)
		d.t.n[pauses]++
		d.wait(d.upTo(5 * time.Millisecond))
		d.gate.let(d.cast)
	}
}

// shuffle lets everybody run on 1, 2 or 7 processors, in turns.
func shuffle(d *director) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for d.wait(d.upTo(10 * time.Millisecond)) {
		runtime.GOMAXPROCS([]int{1, 2, 7}[d.rng.IntN(3)])
		d.t.n[shuffles]++
	}
}

// oversubscribe lets everybody run, in half of the legs, on more processors than there
// are: then the operating system preempts them as well, between any two instructions.
func oversubscribe(d *director) {
	if d.rng.IntN(2) == 0 {
		return
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4 * runtime.NumCPU()))
	<-d.leg.Done()
}

// A gate lets some of a cast pass and makes the rest wait.
type gate struct {
	first   atomic.Int32 // how many pass
	mu      sync.Mutex
	changed chan struct{} // closed when first has changed; guarded by mu
}

// let lets the first n pass.
func (g *gate) let(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.first.Store(int32(n))
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

func (g *gate) open(index int) bool { return index < int(g.first.Load()) }

// wait returns when the gate is open for index or ctx ends.
func (g *gate) wait(ctx context.Context, index int) {
	for {
		g.mu.Lock()
		if g.open(index) {
			g.mu.Unlock()
			return
		}
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		changed := g.changed
		g.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

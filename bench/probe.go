package main

import (
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// A probe is one thing that is measured: something of ours, or of a peer.
type probe struct {
	name  string
	cores int         // how many goroutines run it at once, each on a core of its own
	start func() load // makes what they work on, new for each round
	needs int         // how many cores the load needs with all it starts
	busy  int         // how many of them it never leaves

	value func() float64 // measured without a clock, instead of all the above
	unit  string         // of the figure; ns if it is a time

	n int // how many operations fill a window; 0 until that is known
}

// A body does n operations as goroutine id, which is less than the probe's cores.
type body func(id, n int)

// A load is what a probe runs.
type load struct {
	body   body
	beside func() // if set, keeps another core busy, again and again
	stop   func() // if set, ends what was started for the load
}

// on returns a probe that cores goroutines run.
func on(cores int, name string, start func() body) *probe {
	alone := func() load { return load{body: start()} }
	return &probe{name: name, unit: "ns", cores: cores, start: alone, needs: cores, busy: cores}
}

// against returns a probe that one goroutine runs, and may have to wait in, while another
// keeps a core busy.
func against(name string, start func() load) *probe {
	return &probe{name: name, unit: "ns", cores: 1, start: start, needs: 2, busy: 1}
}

// fixed returns a probe of something that needs no clock.
func fixed(name, unit string, value func() float64) *probe {
	return &probe{name: name, unit: unit, value: value}
}

// allocations returns a probe of the most that an operation of any of ps allocates.
func allocations(ps ...*probe) *probe {
	return fixed("allocations", "allocs", func() (most float64) {
		for _, p := range ps {
			w := p.start()
			w.body(0, 1) // the first time may
			most = max(most, testing.AllocsPerRun(100, func() { w.body(0, 1) }))
			w.end()
		}
		return most
	})
}

// effort says how much is done for a figure.
type effort struct {
	rounds   int
	window   time.Duration // a window is at least this long
	want     int           // undisturbed windows of a round
	patience time.Duration // with a round's windows, disturbed or not
}

var (
	thorough = effort{rounds: 24, window: 2 * time.Millisecond, want: 15, patience: 60 * time.Millisecond}
	quick    = effort{rounds: 2, window: time.Millisecond, want: 5, patience: 20 * time.Millisecond}
)

// measure returns p's figure for one round, not a number if there is none.
func (p *probe) measure(e effort) float64 {
	if p.value != nil {
		return p.value()
	}
	if p.needs > runtime.GOMAXPROCS(0) {
		return math.NaN()
	}
	runtime.GC() // what others left behind
	w := p.start()
	defer w.end()
	if w.beside != nil {
		defer again(w.beside)()
		p.n = 0 // how long one has to wait is seldom the same twice
	}
	if p.n == 0 {
		p.n = fill(e.window, func(n int) time.Duration { return w.once(p.cores, n) })
	}
	run := func() time.Duration { return w.once(p.cores, p.n) }
	run() // warms up
	// Core time: cores times as long, for cores times as many operations.
	return undisturbed(e, p.busy, readUsage, run) / float64(p.n)
}

func (w load) end() {
	if w.stop != nil {
		w.stop()
	}
}

// again runs f in a goroutine until stop is called. When it returns, f has run once.
func again(f func()) (stop func()) {
	var stopping atomic.Bool
	first, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		f()
		close(first)
		for !stopping.Load() {
			f()
		}
	}()
	<-first
	return func() {
		stopping.Store(true)
		<-ended
	}
}

// once lets cores goroutines do n operations each, and returns how long that took.
func (w load) once(cores, n int) time.Duration {
	var ready, finished atomic.Int32
	for id := 1; id < cores; id++ {
		go func() {
			// All start at once, and those who wait spin: a goroutine that has to
			// be woken first would be measured with its wakeup.
			for ready.Add(1); ready.Load() < int32(cores); {
			}
			w.body(id, n)
			finished.Add(1)
		}()
	}
	for ready.Load() < int32(cores-1) {
	}
	start := time.Now()
	ready.Add(1)
	w.body(0, n)
	for finished.Load() < int32(cores-1) {
	}
	return time.Since(start)
}

// fill returns how many operations take at least that long, even in the shortest of a
// few tries: one alone may have lost its core.
func fill(window time.Duration, run func(n int) time.Duration) int {
	const tries = 8
	n := 32
	for try := 0; try < tries; try++ {
		if run(n) < window {
			n, try = 2*n, -1
		}
	}
	return n
}

// usage is what the kernel says a process has had so far.
type usage struct {
	known bool // does it say?
	at    time.Time
	cpu   time.Duration // time on any core
	delay time.Duration // time its threads were ready to run and had no core
}

// What an undisturbed window has at most of delay, and at least of each core.
const (
	maxDelay = 0.02
	minUsed  = 0.93
)

// disturbed reports whether somebody else had a share in the time from u to v, in which
// our threads were to keep that many cores busy.
func (u usage) disturbed(v usage, busy int) bool {
	if !u.known {
		return false
	}
	wall := float64(v.at.Sub(u.at))
	return float64(v.delay-u.delay) > maxDelay*wall || float64(v.cpu-u.cpu) < minUsed*wall*float64(busy)
}

// hopeless is after how many disturbed windows, with none between that was not, it is
// better to come back in another round.
const hopeless = 4

// undisturbed returns the median, in ns, of the windows that nobody disturbed, not a
// number if there are none.
func undisturbed(e effort, busy int, read func() usage, run func() time.Duration) float64 {
	var clean []float64
	lost := 0
	for start := time.Now(); len(clean) < e.want && lost < hopeless && time.Since(start) < e.patience; lost++ {
		before := read()
		took := run()
		if !before.disturbed(read(), busy) {
			clean, lost = append(clean, float64(took)), -1
		}
	}
	return median(clean)
}

// median returns the middle of vs, not a number if there are none.
func median(vs []float64) float64 {
	s := slices.Sorted(slices.Values(vs))
	switch n := len(s); {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return s[n/2]
	default:
		return (s[n/2-1] + s[n/2]) / 2
	}
}

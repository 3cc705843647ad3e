package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
)

// A plan says how long everything may take.
type plan struct {
	lasts    time.Duration // a scenario
	overtime time.Duration // how much longer while something has not happened often enough
	leg      time.Duration // at most: between legs nobody runs and the world is audited
	patience time.Duration // how much later than told actors may end, before it is a hang
	seed     uint64
}

// run plays s, leg by leg, until its time is over.
func (s *scenario) run(p plan) *verdict {
	v := &verdict{scenario: s.name, seed: p.seed, procs: runtime.GOMAXPROCS(0)}
	w := newWorld(s.setting)
	seeds := rand.NewPCG(p.seed, 0)
	start := time.Now()
	for v.charge == nil {
		leg := p.leg
		if left := p.lasts - v.took; left > 0 {
			leg = min(leg, left)
		} else if v.idle = s.idle(v, p.lasts); len(v.idle) == 0 || v.took >= p.lasts+p.overtime {
			v.charge = guard("at the end", w.close)
			break
		}
		v.tally, v.charge = s.play(w, leg, p.patience, seeds)
		v.took = time.Since(start)
	}
	return v
}

// play lets the cast act for one leg and audits the world. It returns what has been
// counted so far, and what the scenario is charged with.
func (s *scenario) play(w *world, lasts, patience time.Duration, seeds rand.Source) (tally, error) {
	ctx, kill := context.WithCancel(context.Background())
	defer kill()
	g, life := errgroup.WithContext(ctx) // the first conviction ends every wait
	leg, end := context.WithTimeout(life, lasts)
	defer end()
	rng := func() *rand.Rand { return rand.New(rand.NewPCG(seeds.Uint64(), seeds.Uint64())) }

	var cast []*actor
	for _, r := range s.cast {
		for range r.n {
			cast = append(cast, &actor{world: w, role: r, index: len(cast), leg: leg, life: life, rng: rng(), place: -1})
		}
	}
	w.gate.let(len(cast))
	if s.conduct != nil {
		d := &director{world: w, t: &w.events, leg: leg, last: lasts, cast: len(cast), rng: rng()}
		g.Go(func() error { s.conduct(d); return nil })
	}
	for _, a := range cast {
		g.Go(func() error { return guard(a.role.name, a.run) })
	}

	ended := make(chan error, 1)
	go func() { ended <- g.Wait() }()
	var charge error
	select {
	case charge = <-ended:
	case <-time.After(lasts + patience):
		charge = fmt.Errorf("hung: somebody has not come to an end %v after the time\n%s", patience, stacks())
		kill()
		select {
		case <-ended:
		case <-time.After(time.Second):
			return tally{}, charge // they do not hang in a wait of ours, and still count
		}
	}
	if charge == nil {
		last := &actor{world: w, life: ctx, rng: rng()}
		charge = guard("after a leg", last.settle)
	}
	return w.sum(), charge
}

// settle ends the departures nobody came back to, and audits the world.
func (a *actor) settle() {
	a.bind(thread)
	for range len(a.limbo) {
		o := <-a.limbo
		if !a.finish(a.life, o) {
			convict("the departure of %v does not end although nobody runs", o)
		}
		a.free(o)
	}
	if a.net != nil {
		a.net.settle(a.life, a.l)
	}
	a.unbind()
	if a.net != nil {
		a.rest()
	}
	a.audit()
}

// rest waits until workers that have nothing to do have gone offline.
func (a *actor) rest() {
	for _, c := range a.dom.Machine().All() {
		for idle(c) != nil && a.life.Err() == nil {
			runtime.Gosched()
		}
	}
}

// stacks returns what every goroutine does.
func stacks() string {
	buf := make([]byte, 4<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

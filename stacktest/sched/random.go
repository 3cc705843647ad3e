//go:build sched

package sched

import (
	"math"
	"math/rand/v2"
)

// random runs schedules chosen by PCT or a random walk.
func (x *explorer) random() {
	s := x.run(&strict{}, nil) // also measures how long schedules are
	for n := uint64(1); ; n++ {
		if s.bad != nil {
			x.found(s, 0)
			return
		}
		x.res.Chance = 0
		if x.o.Mode == PCT {
			n := x.res.MaxActors
			if x.timed {
				n++ // the clock has a priority as well
			}
			x.res.Chance = pctChance(n, x.res.MaxDepth, x.o.Depth)
		}
		if x.spent() {
			return
		}
		rng := rand.New(rand.NewPCG(x.o.Seed, n))
		var how chooser = walk{rng}
		if x.o.Mode == PCT {
			how = newPCT(rng, x.res.MaxDepth, x.o.Depth)
		}
		s = x.run(how, nil)
	}
}

// walk takes every choice at random.
type walk struct{ rng *rand.Rand }

func (w walk) choose(s *schedule) int { return w.rng.IntN(len(s.opts)) }

// pct is probabilistic concurrency testing (Burckhardt and others, ASPLOS 2010): the actor
// of the highest priority goes on. Priorities are random, and at d-1 random steps whoever
// would go on falls behind all others. With n actors and k steps a schedule shows a given
// bug of depth d with probability 1/(n*k^(d-1)) or more.
type pct struct {
	rng   *rand.Rand
	prio  []float64 // by actor; falling behind makes it negative
	drops []int     // steps at which whoever would go on falls behind
}

func newPCT(rng *rand.Rand, steps, depth int) *pct {
	p := &pct{rng: rng}
	for range depth - 1 {
		p.drops = append(p.drops, 1+rng.IntN(max(steps, 1)))
	}
	return p
}

// choose implements chooser.
func (p *pct) choose(s *schedule) int {
	best := p.best(s)
	for i, at := range p.drops {
		if at == s.steps+1 {
			p.drops[i] = 0
			p.prio[s.opts[best].rank()] = -float64(i + 1)
			best = p.best(s)
		}
	}
	return best
}

func (p *pct) best(s *schedule) int {
	best := 0
	for i, o := range s.opts {
		for o.rank() >= len(p.prio) {
			p.prio = append(p.prio, p.rng.Float64())
		}
		if p.prio[o.rank()] > p.prio[s.opts[best].rank()] {
			best = i
		}
	}
	return best
}

// rank is whose priority an option has: a deadline that can only pass with time is the
// clock's affair, else the most urgent waiter would always time out.
func (o option) rank() int {
	if o.end && o.who.ctx.Err() == nil {
		return 0
	}
	return o.who.id
}

func pctChance(actors, steps, depth int) float64 {
	return 1 / (float64(max(actors, 1)) * math.Pow(float64(max(steps, 1)), float64(depth-1)))
}

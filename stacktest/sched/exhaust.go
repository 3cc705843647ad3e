//go:build sched

package sched

import "fmt"

// dfs goes through all schedules in order, changing the last choice that has alternatives
// left. Every schedule is run from the start; a prefix is what the one before has chosen.
type dfs struct {
	bound int // on preemptions
	most  int // switches, if not negative
	nodes []node
	depth int  // nodes met in this schedule
	cut   bool // the bound has hidden a choice
}

// A node is a point with several options.
type node struct {
	choice, n int
	step      int
	sum       uint64 // of the options, to notice when they change
}

// choose implements chooser.
func (d *dfs) choose(s *schedule) int {
	n := len(s.opts)
	for n > 0 && s.preemptions+s.cost(n-1) > d.bound {
		n-- // what costs nothing stands first
	}
	if d.most >= 0 && s.switches >= d.most && s.cur != nil {
		n = min(n, s.own)
	}
	d.cut = d.cut || n < len(s.opts)
	i := 0
	switch n {
	case 0:
		return -1 // it would need more switches
	case 1:
	default:
		if i = d.next(s, n); i < 0 {
			return -1
		}
	}
	s.sticky = s.preemptions+s.cost(i) >= d.bound && d.cut
	return i
}

// next returns the choice at a node: as before while the schedule repeats a prefix.
func (d *dfs) next(s *schedule, n int) int {
	at := node{n: n, step: s.steps, sum: s.sum()}
	d.depth++
	if d.depth > len(d.nodes) {
		d.nodes = append(d.nodes, at)
		return 0
	}
	was := d.nodes[d.depth-1]
	at.choice = was.choice
	if was != at {
		s.failBy(s.main, Nondeterminism, fmt.Sprintf("after %d steps that were the same as before, other actors can go on than then, or they do something else; now it is %s. A scenario must build its world anew each time and not depend on the time, on random numbers, on the order of a map, or on goroutines of its own",
			s.steps, s.could()), nil)
		return -1
	}
	return was.choice
}

// advance prepares the next schedule, and reports whether there is one.
func (d *dfs) advance() bool {
	d.depth = 0
	i := len(d.nodes) - 1
	for i >= 0 && d.nodes[i].choice+1 >= d.nodes[i].n {
		i--
	}
	d.nodes = d.nodes[:i+1]
	if i >= 0 {
		d.nodes[i].choice++
	}
	return i >= 0
}

// sum is a hash of who can go on with what.
func (s *schedule) sum() uint64 {
	h := uint64(14695981039346656037)
	for _, o := range s.opts {
		e := uint64(o.who.id)<<17 | uint64(o.who.op)<<1
		if o.end {
			e |= 1
		}
		h = (h ^ e) * 1099511628211
	}
	return h
}

// exhaust runs all schedules within the bound, those with fewer preemptions first.
func (x *explorer) exhaust() {
	x.res.Bound = x.o.Preemptions
	for _, bound := range bounds(x.o.Preemptions) {
		before := x.res.Schedules
		d := &dfs{bound: bound, most: -1}
		for more := true; more; more = d.advance() {
			if x.spent() {
				return
			}
			s := x.run(d, nil)
			if s.bad != nil {
				x.res.PerBound = append(x.res.PerBound, x.res.Schedules-before)
				x.found(s, bound)
				return
			}
			if d.depth < len(d.nodes) {
				x.shorter(s)
				return
			}
		}
		x.res.PerBound = append(x.res.PerBound, x.res.Schedules-before)
		if !d.cut {
			x.res.Exhausted, x.res.Complete = true, true
			return
		}
	}
	x.res.Exhausted = true
}

// shorter reports that a schedule ended before all of its prefix was met.
func (x *explorer) shorter(s *schedule) {
	s.bad = &Failure{Kind: Nondeterminism, Text: fmt.Sprintf("a schedule ended after %d steps though it began as one that went on", s.steps)}
	x.found(s, 0)
}

// bounds are the bounds to explore one after the other. What a bound costs grows so fast
// that the smaller ones are nearly free; but there is no end of them without a limit.
func bounds(most int) (all []int) {
	if most >= Unlimited {
		return []int{0, 1, 2, most}
	}
	for b := range most + 1 {
		all = append(all, b)
	}
	return all
}

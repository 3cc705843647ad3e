//go:build sched

package sched

// shrinkSteps is how many steps shrinking may take: a fraction of a second.
const shrinkSteps = 200_000

// A shrinker looks for the simplest schedule that fails as a given one does: the fewest
// preemptions, then the fewest switches.
type shrinker struct {
	x    *explorer
	kind Kind
	left int // steps

	path        []leg // the simplest so far
	preemptions int
	switches    int
}

// shrink returns a failing schedule simpler than path, if there is one. None with fewer
// preemptions than from fails.
func (x *explorer) shrink(path []leg, kind Kind, from int) []leg {
	z := &shrinker{x: x, kind: kind, left: shrinkSteps}
	if !z.try(&strict{path: path}, true) {
		return path // it does not fail again: the caller will see that too
	}
	if kind != Livelock { // which has as many switches as it has time for
		for z.merge() {
		}
		z.exact(from)
	}
	return z.path
}

// try runs a schedule, and keeps it if it fails as it should and is simpler, or first.
func (z *shrinker) try(how chooser, first bool) bool {
	s := z.x.run(how, nil)
	z.left -= s.steps + 10
	if s.bad == nil || s.bad.Kind != z.kind {
		return false
	}
	if !first && (s.preemptions > z.preemptions || s.preemptions == z.preemptions && s.switches >= z.switches) {
		return false
	}
	z.path, z.preemptions, z.switches = s.copyPath(), s.preemptions, s.switches
	return true
}

// merge tries, for each leg, to join it to the actor's next one or its next one to it. It
// reports whether the schedule became simpler.
func (z *shrinker) merge() bool {
	for i := range z.path {
		for j := i + 1; j < len(z.path); j++ {
			if z.path[j].who != z.path[i].who {
				continue
			}
			forward := append(append([]leg{}, z.path[:j]...), z.path[j+1:]...)
			forward[i].n += z.path[j].n
			back := append(append([]leg{}, z.path[:i]...), z.path[i+1:]...)
			back[j-1].n += z.path[i].n
			for _, path := range [][]leg{forward, back} {
				if z.left > 0 && z.try(&loose{path: path}, false) {
					return true
				}
			}
			break
		}
	}
	return false
}

// exact searches through all schedules that would be simpler, as far as its steps go.
func (z *shrinker) exact(from int) {
	for bound := from; bound <= z.preemptions; {
		d := &dfs{bound: bound, most: -1}
		if bound == z.preemptions {
			if z.switches == 0 {
				return
			}
			d.most = z.switches - 1
		}
		found := false
		for more := true; more && !found; more = d.advance() {
			if z.left <= 0 {
				return
			}
			found = z.try(d, false)
		}
		if !found {
			bound++
		}
	}
}

// loose follows a path as well as it can: a leg whose actor cannot go on is left out, and
// what is not in the path happens without preemption.
type loose struct {
	path []leg
	gone int
}

// choose implements chooser.
func (c *loose) choose(s *schedule) int {
	for ; len(c.path) > 0; c.path, c.gone = c.path[1:], 0 {
		l := c.path[0]
		if c.gone >= l.n {
			continue
		}
		for i, o := range s.opts {
			if o.who.id == l.who && o.end == l.end {
				c.gone++
				return i
			}
		}
	}
	return 0
}

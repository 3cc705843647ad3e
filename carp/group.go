package carp

import (
	"maps"

	"github.com/softnet-go/softnet/internal/hook"
)

// DefaultGroup is the group every device is in from birth.
const DefaultGroup = "carp"

// maxDemotion is the most the wire can say, and an administrator may set.
const maxDemotion = 255

// Groups are the interface groups of a stack, with the demotion counter of each
// (ifg_carp_demoted). While a group is demoted its members advertise that, and a master
// that is more demoted than the peer yields whatever the intervals say. The zero Groups is empty
// and ready. Safe for concurrent use; nothing blocks.
type Groups struct {
	mu      hook.Mutex // leaf; guards what follows
	demoted map[string]int
}

// Demotion returns the counter of a group, 0 if nobody has ever demoted it.
func (g *Groups) Demotion(name string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.demoted[name]
}

// All returns the counters of all groups that were ever demoted.
func (g *Groups) All() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.demoted)
}

// Set changes the counter of a group by hand (ifconfig -g). It reports false, and changes nothing,
// if the result would be below 0 or above 255. Whoever raises a counter makes all masters
// [Advertise].
func (g *Groups) Set(name string, by int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.demoted[name] + by
	if n < 0 || n > maxDemotion {
		return false
	}
	g.setLocked(name, n)
	return true
}

// Demote changes the counters of several groups, never below 0 (carp_group_demote_adj). It reports
// whether every master of the stack has to [Advertise] at once, which is so when some counter
// has become 1: a jump over it, as pfsync's 32, is told by the next advertisement.
func (g *Groups) Demote(by int, names ...string) (advertise bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		n := max(0, g.demoted[name]+by)
		g.setLocked(name, n)
		advertise = advertise || by > 0 && n == 1
	}
	return advertise
}

// sum returns the demotion of a member of groups.
func (g *Groups) sum(names []string) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		n += g.demoted[name]
	}
	return n
}

func (g *Groups) setLocked(name string, n int) {
	if g.demoted == nil {
		g.demoted = map[string]int{}
	}
	g.demoted[name] = n
}

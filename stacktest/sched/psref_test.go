//go:build sched

package sched_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// toy is a passive reference count reduced to what can go wrong in one: readers publish
// what they hold in a slot of their own, a destroyer unpublishes, marks, and waits until
// no slot shows what it is about to destroy.
type toy struct {
	defect  defect
	current sched.Pointer[thing]
	slots   []sched.Pointer[thing]
	mu      sched.Mutex
	drained sched.Cond
}

type thing struct{ draining, freed sched.Bool }

// A defect is one change to the toy.
type defect int

const (
	none defect = iota
	noSecondLook
	retryTellsNobody
	tellBeforeClearing
	signalForBroadcast
	drainBeforeUnpublish
	neverDraining
	tellWithoutLock
	drainingAfterScan
	waitOnce
	skipLastSlot
	clearWrongSlot
)

func (c *toy) acquire(i int) *thing {
	for {
		p := c.current.Load()
		c.slots[i].Store(p)
		if c.defect == noSecondLook || c.current.Load() == p {
			return p
		}
		if c.defect == clearWrongSlot {
			c.slots[0].Store(nil)
		} else {
			c.slots[i].Store(nil)
		}
		if c.defect != retryTellsNobody {
			c.tell(p)
		}
	}
}

func (c *toy) release(i int, p *thing) {
	if c.defect == tellBeforeClearing {
		c.tell(p)
	}
	c.slots[i].Store(nil)
	if c.defect != tellBeforeClearing {
		c.tell(p)
	}
}

// tell wakes who waits for p.
func (c *toy) tell(p *thing) {
	if !p.draining.Load() {
		return
	}
	if c.defect == tellWithoutLock {
		c.drained.Broadcast()
		return
	}
	c.mu.Lock()
	if c.defect == signalForBroadcast {
		c.drained.Signal()
	} else {
		c.drained.Broadcast()
	}
	c.mu.Unlock()
}

func (c *toy) held(p *thing) (held bool) {
	slots := c.slots
	if c.defect == skipLastSlot {
		slots = slots[:len(slots)-1]
	}
	for i := range slots {
		held = slots[i].Load() == p || held
	}
	return held
}

// replace destroys the current thing and puts another in its place.
func (c *toy) replace(by *thing) {
	var old *thing
	if c.defect == drainBeforeUnpublish {
		old = c.current.Load()
	} else {
		old = c.current.Swap(by)
	}
	if c.defect != neverDraining && c.defect != drainingAfterScan {
		old.draining.Store(true)
	}
	c.mu.Lock()
	for c.held(old) {
		if c.defect == drainingAfterScan {
			old.draining.Store(true)
		}
		c.drained.Wait(&c.mu)
		if c.defect == waitOnce {
			break
		}
	}
	c.mu.Unlock()
	if c.defect == drainBeforeUnpublish {
		c.current.Store(by)
	}
	old.freed.Store(true)
}

// toyScenario has two readers and so many destroyers.
func toyScenario(d defect, destroyers int) func(*sched.S) {
	return func(s *sched.S) {
		c := &toy{defect: d, slots: make([]sched.Pointer[thing], 2)}
		c.current.Store(&thing{})
		for i := range 2 {
			s.Go(fmt.Sprintf("reader %d", i), func() {
				p := c.acquire(i)
				s.Assert(!p.freed.Load(), "use after free by reader %d", i)
				s.Assert(!p.freed.Load(), "use after free by reader %d", i)
				c.release(i, p)
			})
		}
		for i := range destroyers {
			s.Go(fmt.Sprintf("destroyer %d", i), func() { c.replace(&thing{}) })
		}
	}
}

func TestExplore_PassiveReferencesHold(t *testing.T) {
	r := sched.Explore(t, sched.Options{Preemptions: 2}, toyScenario(none, 1))
	require.True(t, r.Exhausted)
	require.Len(t, r.PerBound, 3)
}

// Each defect needs another schedule to show, and most need one that stress never meets.
func TestExplore_KillsEveryDefectOfPassiveReferences(t *testing.T) {
	for _, m := range []struct {
		name       string
		defect     defect
		destroyers int
		bound      int // the fewest preemptions that show it
		kind       sched.Kind
	}{
		{"no second look", noSecondLook, 1, 1, sched.Assertion},
		{"retry tells nobody", retryTellsNobody, 1, 1, sched.Deadlock},
		{"tell before clearing", tellBeforeClearing, 1, 1, sched.Deadlock},
		{"signal for broadcast", signalForBroadcast, 2, 2, sched.Deadlock},
		{"drain before unpublish", drainBeforeUnpublish, 1, 2, sched.Assertion},
		{"never draining", neverDraining, 1, 1, sched.Deadlock},
		{"tell without lock", tellWithoutLock, 1, 2, sched.Deadlock},
		{"draining after scan", drainingAfterScan, 1, 2, sched.Deadlock},
		{"wait once", waitOnce, 1, 2, sched.Assertion},
		{"skip last slot", skipLastSlot, 1, 1, sched.Assertion},
		{"clear wrong slot", clearWrongSlot, 1, 2, sched.Deadlock},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			r := sched.Run(sched.Options{Name: t.Name(), Preemptions: 2}, toyScenario(m.defect, m.destroyers))
			t.Log(r)
			require.NotNil(t, r.Failure)
			require.Equal(t, m.kind, r.Failure.Kind)
			require.Equal(t, m.bound, r.Failure.Preemptions)
			require.LessOrEqual(t, r.Schedules, 5000)
		})
	}
}

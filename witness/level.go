package witness

import (
	"fmt"
	"slices"
)

// Trait is what the code inside a level may not do, or what may be nested.
type Trait uint8

// The traits. Those of a Level can be combined; a Class has DupOK only.
const (
	// NoSleep: the code inside may wait for a lock, for a moment, and for nothing else
	// (cpu_softintr_p, ASSERT_SLEEPABLE).
	NoSleep Trait = 1 << iota
	// NoLock: the code inside takes no lock that its holder may sleep with.
	NoLock
	// DupOK: several of a class may be held, or one be waited for inside another, in an
	// order that the user answers for (WITNESS's LO_DUPOK).
	DupOK
)

// A Level is a pseudo-lock for waits: it stands for code that somebody waits for, such
// as the handlers of a softint, a read section, or whoever holds a passive reference.
// A lock K taken by code inside level L is an edge from L to K; waiting for L while K is
// held is an edge from K to L. The two together are a deadlock that needs only bad luck,
// and are reported by the run that shows the second.
//
// Make one with [NewLevel]. A Level must not be copied. Its methods are safe for
// concurrent use, do nothing in unchecked builds, and never block. Each takes the books
// of the thread that it speaks of, so that they need not be looked up; nil stands for
// the caller's. A level that is no longer referred to takes its part of the order along.
type Level struct{ node node }

// NewLevel returns a level of the default Checker.
func NewLevel(name string, traits Trait) *Level { return std.NewLevel(name, traits) }

// NewLevel returns a level. Two levels are two even if they have one name.
func (ck *Checker) NewLevel(name string, traits Trait) *Level {
	lv := &Level{}
	lv.node.init(ck, name, true, traits)
	return lv
}

func (lv *Level) rank() *node { return &lv.node }

// String returns the name the level was made with.
func (lv *Level) String() string { return lv.node.name }

// Enter says that t's code is inside the level from now on. It may be so several times
// over, and leave several levels in any order.
func (lv *Level) Enter(t *Thread) {
	if Enabled {
		lv.enter(t)
	}
}

func (lv *Level) enter(t *Thread) {
	t = t.lock()
	if i := find(t.inside, lv); i >= 0 {
		t.inside[i].times++
	} else {
		push(&t.inside, &lv.node, lv, 2, fewFrames).times = 1
	}
	t.unlock()
}

// Exit takes back one Enter. Where there was none it reports [RuleNotInside].
func (lv *Level) Exit(t *Thread) {
	if Enabled {
		lv.exit(t)
	}
}

func (lv *Level) exit(t *Thread) {
	t = t.lock()
	i := find(t.inside, lv)
	if i >= 0 {
		if t.inside[i].times--; t.inside[i].times == 0 {
			t.inside = slices.Delete(t.inside, i, i+1)
		}
	}
	t.unlock()
	if i < 0 {
		raise(newFault(RuleNotInside, &lv.node, fmt.Sprintf("%v is left by a thread that is not inside", &lv.node)))
	}
}

// WillWait says that t is about to wait for the level: until whoever is inside has left.
// It reports a wait that can never end ([RuleSelfWait]: t is inside itself, unless the
// level is DupOK), one that has closed or could close a circle ([RuleReversal]), and one
// where t may not sleep ([RuleNoSleep], [RuleLeaf]).
func (lv *Level) WillWait(t *Thread) {
	if Enabled {
		lv.willWait(t)
	}
}

func (lv *Level) willWait(t *Thread) {
	n := &lv.node
	if n.ck.Mode() == Off {
		return
	}
	b, t := t.books()
	faults := b.clashes(n, b.all(t), NoSleep, "")
	for h := range b.all(t) {
		if h.node == n && n.traits&DupOK == 0 {
			faults = append(faults, newFault(RuleSelfWait, n, fmt.Sprintf("%v is waited for from inside, and would wait for itself", n), h.site()))
		}
	}
	faults = append(faults, b.ordered(n, b.all(t))...)
	b.unlock()
	raise(faults...)
}

// WillSleep says that t is about to sleep for something that is no lock and no level:
// what, for the report. It reports [RuleNoSleep] and [RuleLeaf].
func WillSleep(t *Thread, what string) {
	if Enabled {
		willSleep(t, what)
	}
}

func willSleep(t *Thread, what string) {
	b, t := t.books()
	faults := b.clashes(nil, b.all(t), NoSleep, "a thread sleeps for "+what)
	b.unlock()
	raise(faults...)
}

package witness

import (
	"fmt"
	"sync"
)

// Access is how a lock is held.
type Access uint8

// A lock is held by one, or by several who only read.
const (
	Exclusive Access = iota
	Shared
)

// how says it in a sentence.
func (a Access) how() string {
	if a == Shared {
		return " for reading"
	}
	return " for writing"
}

// A Class is a kind of lock: all locks that are taken in the same places for the same
// reason, whatever number of them there is. The order is one of classes, so a reversal
// is found even if the two runs that show it used different locks.
//
// [Mutex] and [RWMutex] report to their class by themselves. The methods here are for
// other locks: call WillLock before waiting for one, Locked when it is held, Unlocked
// before letting it go. After an attempt that does not wait, call Locked alone. A lock
// is named by a pointer to it, or by any other comparable value.
//
// Make one with [NewClass]. A Class must not be copied. Its methods are safe for
// concurrent use, do nothing in unchecked builds, and never block.
type Class struct {
	node node

	mu     sync.Mutex
	nested map[int]*Class // guarded by mu
}

// NewClass returns a class of the default Checker.
func NewClass(name string, traits ...Trait) *Class { return std.NewClass(name, traits...) }

// NewClass returns a class. Two classes are two even if they have one name.
func (ck *Checker) NewClass(name string, traits ...Trait) *Class {
	c := &Class{}
	c.node.init(ck, name, false, traits...)
	return c
}

func (c *Class) rank() *node { return &c.node }

// String returns the name the class was made with.
func (c *Class) String() string { return c.node.name }

// Nested returns a class for those locks of c that are taken while another of c is held
// (lockdep's subclasses): parents before children, say. Each number is a class of its
// own, with its own place in the order; 0 is c itself.
func (c *Class) Nested(sub int) *Class {
	if sub == 0 || !Enabled {
		return c
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nested[sub]
	if n == nil {
		if c.nested == nil {
			c.nested = make(map[int]*Class)
		}
		n = c.node.ck.NewClass(fmt.Sprintf("%s/%d", c.node.name, sub), c.node.traits)
		c.nested[sub] = n
	}
	return n
}

// WillLock says that the caller is about to wait for a lock of the class. It reports
// what has closed or could close a circle ([RuleReversal], [RuleTwoOfClass]), and what
// may not be done here ([RuleNoLock], [RuleLeaf]), and that the caller holds this very
// lock ([RuleRecursion], [RuleUpgrade], [RuleRecursiveRead]). The first two of these panic
// in every mode but Off: the only other way to go on is to hang.
func (c *Class) WillLock(lock any, a Access) {
	c.willLock(lock, a, true)
}

// willLock is WillLock. If forever is false the wait may end without the lock.
func (c *Class) willLock(lock any, a Access, forever bool) {
	if !Enabled || c.node.ck.Mode() == Off {
		return
	}
	n := &c.node
	b := lockSelf()
	var faults []fault
	if i := find(b.holds, lock); i >= 0 {
		f := again(n, &b.holds[i], a)
		f.certain = forever && f.rule != RuleRecursiveRead
		faults = append(faults, f)
	} else {
		faults = b.clashes(n, b.all(nil), NoLock, "")
		faults = append(faults, b.twoOf(n)...)
		faults = append(faults, b.ordered(n, b.all(nil))...)
	}
	b.unlock()
	raise(faults...)
}

// again returns the fault of taking a lock that is held as h says.
func again(n *node, h *hold, a Access) fault {
	rule, text := RuleRecursion, "%v is taken by a goroutine that holds it already, and would wait for itself"
	switch {
	case h.access == Shared && a == Shared:
		rule, text = RuleRecursiveRead, "%v is taken for reading by a goroutine that reads already: a writer that came in between would stop both"
	case h.access == Shared:
		rule, text = RuleUpgrade, "%v is taken for writing by a goroutine that reads, and would wait for itself: there is no upgrade"
	case a == Shared:
		text = "%v is taken for reading by a goroutine that writes, and would wait for itself"
	}
	return newFault(rule, n, fmt.Sprintf(text, n), h.site())
}

// twoOf returns the fault of taking a lock of class n while another one is held.
func (b *books) twoOf(n *node) []fault {
	if n.traits&DupOK != 0 {
		return nil
	}
	for i := range b.holds {
		if h := &b.holds[i]; h.node == n {
			return []fault{newFault(RuleTwoOfClass, n, fmt.Sprintf("two locks of class %v are taken by one goroutine, and nobody said in which order: another may take them the other way round", n), h.site())}
		}
	}
	return nil
}

// Locked says that the caller holds the lock now.
func (c *Class) Locked(lock any, a Access) {
	if Enabled {
		c.locked(lock, a)
	}
}

func (c *Class) locked(lock any, a Access) {
	b := lockSelf()
	push(&b.holds, &c.node, lock, 2, allFrames).access = a
	b.unlock()
}

// Unlocked says that the caller is about to let the lock go. It reports [RuleNotHeld] if
// the caller does not hold it, and then takes it from the books of whoever does.
func (c *Class) Unlocked(lock any) {
	if Enabled {
		c.unlocked(lock)
	}
}

func (c *Class) unlocked(lock any) {
	b := lockSelf()
	held := b.drop(lock)
	b.unlock()
	if !held {
		raise(newFault(RuleNotHeld, &c.node, fmt.Sprintf("%v is unlocked by a goroutine that does not hold it", c), holders(lock)...))
		dropElsewhere(lock)
	}
}

// AssertHeld reports [RuleNotHeld] unless the caller holds the lock (mutex_owned).
func (c *Class) AssertHeld(lock any) {
	c.assertHeld(lock, "")
}

// AssertNotHeld reports [RuleHeld] if the caller holds the lock.
func (c *Class) AssertNotHeld(lock any) {
	if Enabled {
		c.assertNotHeld(lock)
	}
}

// assertHeld asserts that the caller holds the lock: for reading, for writing, or "".
func (c *Class) assertHeld(lock any, how string) {
	if !Enabled {
		return
	}
	b := lockSelf()
	var others []Site
	i := find(b.holds, lock)
	if i >= 0 {
		if how == "" || how == b.holds[i].access.how() {
			b.unlock()
			return
		}
		others = append(others, b.holds[i].site())
	}
	b.unlock()
	if i < 0 {
		others = holders(lock)
	}
	raise(newFault(RuleNotHeld, &c.node, notHeld(c.String(), how), others...))
}

func (c *Class) assertNotHeld(lock any) {
	b := lockSelf()
	i := find(b.holds, lock)
	if i < 0 {
		b.unlock()
		return
	}
	f := newFault(RuleHeld, &c.node, fmt.Sprintf("%v must not be held here, and is", c), b.holds[i].site())
	b.unlock()
	raise(f)
}

package witness

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
)

// books are what is known of one goroutine.
type books struct {
	id    uint64 // the goroutine's; immutable
	shelf *shelf // immutable; its mutex guards the rest
	holds []hold // locks, oldest first
	// threads are those the goroutine runs, as far as they have been inside a level.
	threads []*Thread
}

// hold is something held: a lock, a leaf lock, or being inside a level.
type hold struct {
	node   *node
	key    any // the lock, the leaf or the *Level
	access Access
	times  int // entered, of a level
	at     stack
}

// shelf holds the books of some goroutines. Nobody says when a goroutine ends, so now
// and then those that show nothing are thrown out.
type shelf struct {
	mu    sync.Mutex
	books map[uint64]*books
	sweep int // at how many books to look for those that show nothing

	_ [128]byte
}

// shelves are many, so that goroutines hardly ever meet there: a mutex in common would
// slow them down, and hide their data races from the race detector.
var shelves [256]shelf

// lockBooks returns a goroutine's books with their shelf locked.
func lockBooks(id uint64) *books {
	s := &shelves[id%uint64(len(shelves))]
	s.mu.Lock()
	b := s.books[id]
	if b == nil {
		if len(s.books) >= s.sweep {
			maps.DeleteFunc(s.books, func(_ uint64, b *books) bool { return b.empty() })
			s.sweep = max(4, 2*len(s.books))
		}
		if s.books == nil {
			s.books = make(map[uint64]*books)
		}
		b = &books{id: id, shelf: s}
		s.books[id] = b
	}
	return b
}

// lockSelf returns the caller's books with their shelf locked.
func lockSelf() *books { return lockBooks(goid()) }

func (b *books) unlock() { b.shelf.mu.Unlock() }

// empty reports whether b shows nothing, and lets idle threads go.
func (b *books) empty() bool {
	b.threads = slices.DeleteFunc(b.threads, (*Thread).leave)
	return len(b.holds) == 0 && len(b.threads) == 0
}

// own returns what a nil *Thread stands for.
func (b *books) own() *Thread {
	i := slices.IndexFunc(b.threads, func(t *Thread) bool { return t.own })
	if i < 0 {
		return &Thread{own: true} // the last one was idle, or there was none
	}
	return b.threads[i]
}

// push adds a hold to holds. skip and frames say what to keep of the stack, skip 0
// beginning with the caller.
func push(holds *[]hold, n *node, key any, skip, frames int) *hold {
	*holds = append(*holds, hold{node: n, key: key})
	h := &(*holds)[len(*holds)-1]
	h.at.capture(skip+1, frames)
	return h
}

// find returns the place of the newest hold of key, or -1.
func find(holds []hold, key any) int {
	for i := len(holds) - 1; i >= 0; i-- {
		if holds[i].key == key {
			return i
		}
	}
	return -1
}

// drop ends the newest hold of a lock and reports whether there was one.
func (b *books) drop(lock any) bool {
	i := find(b.holds, lock)
	if i < 0 {
		return false
	}
	b.holds = slices.Delete(b.holds, i, i+1)
	return true
}

// all returns what counts when t waits: the goroutine's locks and the levels t is inside.
// If t is nil, the levels of all its threads.
func (b *books) all(t *Thread) iter.Seq[*hold] {
	return func(yield func(*hold) bool) {
		for i := range b.holds {
			if !yield(&b.holds[i]) {
				return
			}
		}
		for _, u := range b.threads {
			if (t == nil || t == u) && !u.each(yield) {
				return
			}
		}
	}
}

// ordered notes that n is waited for while holds are held, and returns what is wrong
// with that order.
func (b *books) ordered(n *node, holds iter.Seq[*hold]) (faults []fault) {
	var here *stack
	for h := range holds {
		m := h.node
		if m == n || m.ck != n.ck || m == &leaf {
			continue
		}
		e := m.known(n)
		if e == nil {
			if here == nil {
				here = capture(2)
			}
			e = m.learn(n, &edge{by: b.id, waited: *here, held: h.at})
		}
		if bad := e.bad; bad != nil {
			faults = append(faults, fault{rule: bad.Rule, a: m, b: n, build: func() *Violation { return bad }})
		}
	}
	return faults
}

// clashes returns what is wrong with sleeping (or, by trait, locking) under holds: for
// n, or if that is nil for what.
func (b *books) clashes(n *node, holds iter.Seq[*hold], trait Trait, what string) (faults []fault) {
	for h := range holds {
		rule, why := h.forbids(n, trait)
		if rule == "" || told(faults, rule, h.node) {
			continue
		}
		if n != nil {
			what = n.wanted()
		}
		f := newFault(rule, h.node, what+" "+why, h.site())
		if n != nil {
			f.b = n
		}
		faults = append(faults, f)
	}
	return faults
}

func told(faults []fault, rule string, n *node) bool {
	return slices.ContainsFunc(faults, func(f fault) bool { return f.rule == rule && f.a == n })
}

// forbids returns the rule that waiting for n under h breaks, and the words for it.
func (h *hold) forbids(n *node, trait Trait) (rule, why string) {
	switch {
	case h.node == &leaf:
		return RuleLeaf, "while a leaf lock is held, below which nothing is waited for"
	case h.node == n || h.node.traits&trait == 0:
		return "", ""
	case trait == NoLock:
		return RuleNoLock, fmt.Sprintf("inside %v, whose code may take no lock that is slept on", h.node)
	}
	return RuleNoSleep, fmt.Sprintf("inside %v, whose code may not sleep", h.node)
}

// newFault makes a fault of the caller's, here, whose text lacks only who speaks.
func newFault(rule string, n *node, text string, others ...Site) fault {
	here := capture(2)
	v := &Violation{
		Rule:  rule,
		Text:  "witness: " + text,
		Sites: append([]Site{{fmt.Sprintf("here, by goroutine %d", goid()), here.String()}}, others...),
	}
	return fault{rule: rule, a: n, b: n, build: func() *Violation { return v }}
}

// site is where h began.
func (h *hold) site() Site {
	done := "taken"
	if h.node.level {
		done = "entered"
	}
	return Site{fmt.Sprintf("%v %s", h.node, done), h.at.String()}
}

// holders returns where each goroutine that holds a lock has taken it.
func holders(lock any) (sites []Site) {
	everybody(func(b *books) {
		if i := find(b.holds, lock); i >= 0 {
			s := b.holds[i].site()
			s.What += fmt.Sprintf(" by goroutine %d, which holds it", b.id)
			sites = append(sites, s)
		}
	})
	return sites
}

// dropElsewhere ends some goroutine's hold of a lock.
func dropElsewhere(lock any) {
	done := false
	everybody(func(b *books) { done = done || b.drop(lock) })
}

// everybody calls f for all books, each with its shelf locked.
func everybody(f func(b *books)) {
	for i := range shelves {
		s := &shelves[i]
		s.mu.Lock()
		for _, b := range s.books {
			f(b)
		}
		s.mu.Unlock()
	}
}

// Barrier reports [RuleHeld] if the caller holds a lock, be it a leaf, where by the
// contract it holds none: at the end of a handler, say (LOCKDEBUG_BARRIER). The text
// names the place. It does not mind levels.
func Barrier(where string) {
	if Enabled {
		barrier(where)
	}
}

func barrier(where string) {
	b := lockSelf()
	var faults []fault
	for i := range b.holds {
		h := &b.holds[i]
		faults = append(faults, newFault(RuleHeld, h.node, fmt.Sprintf("%v is held at %s", h.node, where), h.site()))
	}
	b.unlock()
	raise(faults...)
}

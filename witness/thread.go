package witness

import (
	"slices"
	"sync"
)

// A Thread is the books on a thread or softint: inside which levels its code runs. It
// goes where its owner goes, from goroutine to goroutine; which locks are held is known
// of each goroutine. In unchecked builds there are none: [Self] returns nil, and nil is
// accepted wherever a *Thread is. In checked builds nil stands for the caller itself.
//
// Like what it stands for, a Thread belongs to one goroutine at a time.
type Thread struct {
	own    bool       // the caller's, for whom nil stands; immutable
	mu     sync.Mutex // guards the rest; taken below a shelf's
	at     uint64     // the goroutine whose books list it, or 0
	inside []hold     // levels, in the order of entering
}

// Self returns books for a thread that begins with the caller, such as an LWP that it
// binds. Each call begins another. They need no closing.
func Self() *Thread {
	if !Enabled {
		return nil
	}
	return new(Thread)
}

// lock locks t, after noting which goroutine runs it: the caller. It returns t, and for
// nil the caller's own.
func (t *Thread) lock() *Thread {
	id := goid()
	if t == nil {
		b := lockBooks(id)
		t = b.own()
		b.unlock()
	}
	t.mu.Lock()
	at := t.at
	if at == id {
		return t
	}
	t.mu.Unlock()
	if at != 0 {
		b := lockBooks(at)
		b.threads = slices.DeleteFunc(b.threads, func(u *Thread) bool { return u == t })
		b.unlock()
	}
	b := lockBooks(id)
	b.empty() // forget those that are idle
	b.threads = append(b.threads, t)
	t.mu.Lock()
	t.at = id
	b.unlock()
	return t
}

func (t *Thread) unlock() { t.mu.Unlock() }

// books returns the caller's books with their shelf locked, after noting that it runs t;
// and t, or for nil the caller's own.
func (t *Thread) books() (*books, *Thread) {
	t = t.lock()
	t.unlock()
	return lockSelf(), t
}

// leave reports whether t is inside no level, and if so is listed nowhere from now on.
func (t *Thread) leave() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.inside) > 0 {
		return false
	}
	t.at = 0
	return true
}

// each yields what t is inside of.
func (t *Thread) each(yield func(*hold) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.inside {
		if !yield(&t.inside[i]) {
			return false
		}
	}
	return true
}

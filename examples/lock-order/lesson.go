package lockorder

import (
	"errors"
	"sync"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "lock-order",
	Title:    "a lookup and a deletion take the same two locks",
	Breaks:   "in opposite orders: nothing hangs today, because they do not meet",
	Fixes:    "one order, rtcache_lock first and rt_lock next, and somebody who watches it",
	Packages: []string{"witness", "rtcache"},
	Wrong:    wrong,
	Right:    right,
}

var errOrder = errors.New("two locks are taken in both orders: one day two threads will wait for each other")

// A watch is the smallest checker of lock orders: it remembers which lock was ever taken
// while which was held, and knows a circle of two when it sees one. package witness is this,
// grown up: circles of any length, readers and writers, waits that are no locks, stacks.
type watch struct {
	r     *event.Recorder
	mu    sync.Mutex
	taken map[[2]string]bool // held, then taken
	err   error
}

// A lock is one that is watched.
type lock struct {
	name string
	mu   sync.Mutex
}

// An actor takes locks, and knows which it has.
type actor struct {
	*watch
	name string
	held []string
}

func (a *actor) lock(l *lock) {
	l.mu.Lock()
	a.r.Record(a.name, "lock", l.name, "")
	a.watch.mu.Lock()
	defer a.watch.mu.Unlock()
	for _, held := range a.held {
		a.taken[[2]string{held, l.name}] = true
		if a.taken[[2]string{l.name, held}] {
			a.r.Record(a.name, "REPORT", l.name+" under "+held, "and "+held+" under "+l.name+" was seen before")
			a.err = errOrder
		}
	}
	a.held = append(a.held, l.name)
}

func (a *actor) unlock(l *lock) {
	a.held = a.held[:len(a.held)-1]
	l.mu.Unlock()
}

// both runs a lookup and, when it is long over, a deletion.
func both(r *event.Recorder, lookup, remove func(a *actor)) error {
	w := &watch{r: r, taken: map[[2]string]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() { lookup(&actor{watch: w, name: "lookup"}) })
	wg.Go(func() {
		time.Sleep(2 * lesson.Step)
		remove(&actor{watch: w, name: "deletion"})
	})
	wg.Wait()
	return w.err
}

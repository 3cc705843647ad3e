package pserializewindow

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/pserialize"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "pserialize-window",
	Title:    "an element moves to another place of a list while a reader stands on it",
	Breaks:   "the reader is carried to the new place and misses what lies between",
	Fixes:    "remove, wait for a grace period, initialise, and only then insert again",
	Packages: []string{"pserialize"},
	Wrong:    wrong,
	Right:    right,
}

// route is an element of the list.
type route struct {
	dst   string
	next  atomic.Pointer[route]   // the list of wrong
	entry pserialize.Entry[route] // the list of right

	// age grows by one when the route is taken off the list, and by another one when it
	// is made fresh for its next place. A reader who came in time sees it grow by one at
	// most while it stands there: two means that it stands on something else by now.
	age atomic.Int32
}

// A lookup is a reader on its way through the list.
type lookup struct {
	r     *event.Recorder
	dst   string        // what it looks for
	slow  string        // the route it spends much time on
	there chan struct{} // closed when it has come to the slow one
	ages  [3]int        // how often it saw a route age by 0, 1, 2
	found bool
}

// visit is what the reader does with one route. It reports whether to go on.
func (k *lookup) visit(rt *route) (goOn bool) {
	before := rt.age.Load()
	if rt.dst == k.slow {
		k.r.Record("reader", "stand on", rt.dst, "comparing takes long")
		close(k.there)
		time.Sleep(2 * lesson.Step) // stands for work: a section may take long but not wait
	}
	age := rt.age.Load() - before
	k.ages[age]++
	k.r.Record("reader", "read", rt.dst, fmt.Sprintf("aged by %d", age))
	k.found = rt.dst == k.dst
	return !k.found
}

var errMissed = errors.New("the reader missed a route that never left the list")

// end is what the reader says when it has come to the end.
func (k *lookup) end() error {
	if !k.found {
		k.r.Record("reader", "end of the list", "", "MISS "+k.dst)
	} else {
		k.r.Record("reader", "found", k.dst, "")
	}
	k.r.Record("", "routes that aged while they were read", "",
		fmt.Sprintf("by 0: %d, by 1: %d, by 2, which is too old: %d", k.ages[0], k.ages[1], k.ages[2]))
	if !k.found {
		return errMissed
	}
	return nil
}

package psrefhold

import (
	"errors"
	"sync/atomic"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/psref"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "psref-hold",
	Title:    "a reader sleeps with a route while its owner destroys it",
	Breaks:   "the grace period covers finding the route, not sleeping with it",
	Fixes:    "a passive reference, taken before the section ends; the owner waits for it",
	Packages: []string{"psref", "pserialize"},
	Wrong:    wrong,
	Right:    right,
}

// entry is a route. Freeing it is made visible: the garbage collector would keep it
// whole for as long as anybody looks, and hide that its life is over.
type entry struct {
	psref.Target // used by right only
	dst, gateway string
	freed        atomic.Bool
}

var errUseAfterFree = errors.New("the reader used the route after its owner had freed it")

// use is what a reader wants a route for.
func (e *entry) use() (what string, err error) {
	if e.freed.Load() {
		return "USE AFTER FREE", errUseAfterFree
	}
	return "via " + e.gateway, nil
}

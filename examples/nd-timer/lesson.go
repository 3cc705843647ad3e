package ndtimer

import (
	"errors"

	"github.com/softnet-go/softnet/examples/internal/lesson"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "nd-timer",
	Title:    "a neighbour's timer sends, and the interface departs",
	Breaks:   "the timer drops the entry's lock to send, and reads the link address that detaching has cleared",
	Fixes:    "it dispatches under the lock, and a worker sends by an interface it holds, or not at all",
	Packages: []string{"netisr", "ifnet", "mbuf"},
	Wrong:    wrong,
	Right:    right,
}

var errCleared = errors.New("NIL DEREFERENCE: the interface has no link address any more")

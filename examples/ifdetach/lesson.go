package ifdetach

import (
	"errors"

	"github.com/softnet-go/softnet/examples/internal/lesson"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "ifdetach",
	Title:    "an interface departs while a queued packet holds it",
	Breaks:   "detaching waits for the references first, and a packet that nobody will send holds one",
	Fixes:    "queues are drained before references are waited for",
	Packages: []string{"ifnet", "netisr", "psref"},
	Wrong:    wrong,
	Right:    right,
}

var errStuck = errors.New("STUCK: a queued packet holds the interface, and the queue is drained after it; given up after a second")

package rtfreedefer

import (
	"errors"

	"github.com/softnet-go/softnet/examples/internal/lesson"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "rt-free-defer",
	Title:    "a softint deletes a route that a thread holds",
	Breaks:   "the softint waits for the holder, and the holder for the softint's checkpoint",
	Fixes:    "the softint deletes; a worker, which may sleep, waits and frees",
	Packages: []string{"rtable", "lwp", "pserialize"},
	Wrong:    wrong,
	Right:    right,
}

var errSlept = errors.New("a softint slept: everybody who waits for its checkpoint slept with it")

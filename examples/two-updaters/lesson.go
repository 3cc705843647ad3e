package twoupdaters

import (
	"errors"

	"github.com/softnet-go/softnet/examples/internal/lesson"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "two-updaters",
	Title:    "two administrators change one route at the same time",
	Breaks:   "flag, then turn: the first waits for the second's reference, the second for the first's turn",
	Fixes:    "turn, then flag, then reference: who queues lends its reference to the turn",
	Packages: []string{"rtable"},
	Wrong:    wrong,
	Right:    right,
}

var errDeadlock = errors.New("nobody can go on: one waits for a reference, the other for the turn")

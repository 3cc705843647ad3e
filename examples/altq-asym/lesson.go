package altqasym

import (
	"errors"

	"github.com/softnet-go/softnet/examples/internal/lesson"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "altq-asym",
	Title:    "IPv4 and IPv6 put packets on one send queue",
	Breaks:   "one path takes the big lock around the queue and the other does not: a packet is lost, and still counted",
	Fixes:    "the lock is the queue's: no path can forget it, and none can hold the wrong one",
	Packages: []string{"netisr", "mbuf", "ifnet"},
	Wrong:    wrong,
	Right:    right,
}

var errUnreachable = errors.New("LEAK: a packet is allocated and in no queue, and the queue's length counts it")

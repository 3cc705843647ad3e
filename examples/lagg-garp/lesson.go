package lagggarp

import (
	"errors"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "lagg-garp",
	Title:    "a lagg changes its address and has to announce it",
	Breaks:   "the announcement goes out by a vlan on top of the lagg, whose output takes the lock that is held",
	Fixes:    "it is dispatched, and sent when nobody holds anything; the last one says the last address",
	Packages: []string{"netisr", "ifnet"},
	Wrong:    wrong,
	Right:    right,
}

var errRecursion = errors.New("DEADLOCK: it waits for a lock that it has itself; given up after a second")

// A lock is one that gives up, so that the lesson ends. What it guards is the lagg's.
type lock struct {
	name string
	free chan struct{}
}

func newLock(name string) *lock {
	l := &lock{name, make(chan struct{}, 1)}
	l.free <- struct{}{}
	return l
}

func (l *lock) lock(r *event.Recorder, who string) bool {
	select {
	case <-l.free:
		r.Record(who, "lock", l.name, "")
		return true
	default:
	}
	r.Record(who, "wait for", l.name, "")
	select {
	case <-l.free:
		r.Record(who, "lock", l.name, "")
		return true
	case <-time.After(time.Second):
		return false
	}
}

func (l *lock) unlock(r *event.Recorder, who string) {
	r.Record(who, "unlock", l.name, "")
	l.free <- struct{}{}
}

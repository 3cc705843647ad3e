package main

import "sync/atomic"

// A counter counts something that shows that a scenario was not idle.
type counter int

const (
	ops        counter = iota // looks, holds and departures
	departures                // objects that left and came back
	overlaps                  // looks at something that left during the section
	graces                    // grace periods
	graceWaits                // of those, that waited for a thread's section
	drains                    // Destroys that returned
	wakeups                   // of those, that had to be woken by a holder
	late                      // references to an object being destroyed, released
	refused                   // Acquires that failed
	parks                     // holds that slept
	answers                   // checkpoints somebody waited for
	offline                   // times a softint went offline
	nested                    // sections inside sections
	copies                    // references copied
	overflows                 // times an LWP held more than one chunk of references
	spills                    // times a softint's stack of references became a set
	cancelled                 // waits that their context ended
	resumed                   // departures that went on after one
	denied                    // waits refused to a softint
	binds                     // Bind and Unbind during the run
	recycled                  // of those, that used an LWP again
	handoffs                  // LWPs that another goroutine had meanwhile
	restarts                  // cursors whose element left under them
	pauses                    // times the actors were held up
	shuffles                  // changes of GOMAXPROCS
	packets                   // handled
	purged                    // packets whose interface left, or went with their queue
	away                      // packets that were refused
	counters
)

func (c counter) String() string {
	return [counters]string{
		"ops", "departures", "overlaps", "graces", "grace-waits", "drains", "wakeups", "late", "refused", "parks", "answers",
		"offline", "nested", "copies", "overflows", "spills", "cancelled", "resumed", "denied", "binds",
		"recycled", "handoffs", "restarts", "pauses", "shuffles", "packets", "purged", "away",
	}[c]
}

// A tally is what one LWP has counted and seen. It is its owner's while a leg runs.
type tally struct {
	n        [counters]uint64
	sections [ages]uint64 // how old things looked from inside read sections
	held     [ages]uint64 // how old things were that were held
}

// A book is the tally of one LWP, and whether somebody has it.
type book struct {
	tally
	taken atomic.Bool
}

func (t *tally) add(u *tally) {
	for i := range t.n {
		t.n[i] += u.n[i]
	}
	for i := range ages {
		t.sections[i] += u.sections[i]
		t.held[i] += u.held[i]
	}
}

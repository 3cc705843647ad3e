// Package event is what everything in this module that shows time passing agrees on:
// one record of who did what to which object, and when.
//
// A lesson, the schedule explorer and a protocol under trace fill the same [Event];
// whatever draws a picture reads nothing else. [Lanes] draws the plainest one, a column
// of text per actor:
//
//	   t  reader                   writer
//	  0s  acquire 10.0.0.0/8
//	10ms                           unlink 10.0.0.0/8
//	10ms                           wait 10.0.0.0/8: held by reader
//	20ms  release 10.0.0.0/8
//	20ms                           destroy 10.0.0.0/8
//
// # Usage
//
//	ring := event.NewRing(256)
//	r := event.New(ring)
//	r.Record("reader", "acquire", "10.0.0.0/8", "")
//	err := event.Lanes(os.Stdout, ring.Events())
//
// A nil [Recorder] is the one that records nothing: code is written as if there always
// were one, and pays one comparison where there is none. Where building the detail
// costs something, ask first:
//
//	if r != nil {
//		r.Record(name, "wait", t.name, fmt.Sprintf("held by %v", holders))
//	}
//
// # Concurrency
//
// Record may be called by anybody at any time, also under a leaf lock: nothing here
// takes a lock or waits. For the same reason the two counters of this package are plain
// sync/atomic words and not internal/hook ones: looking at a schedule must neither
// change it nor give an explorer more of them to try.
//
// # Time
//
// Times count from the making of the Recorder, on the clock of the goroutine that
// records: inside a testing/synctest bubble that is virtual time, and a record made
// there is the same in every run if no two actors speak at one instant unless one has
// waited for the other.
package event

package main

import (
	"fmt"
	"sync/atomic"

	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
)

// An object is what readers look at, holders hold and destroyers destroy. It goes round:
//
//	stock ──publish──▶ published ──unlink──▶ leaving ──wait──▶ stock, of the next generation
//
// What has happened to it stands in its stamp, so whoever looks can tell how old it is.
type object struct {
	id     int
	target psref.Target
	entry  pserialize.Entry[object] // of the world's list
	fixed  int                      // its number among those that never leave the list, or 0

	stamp   atomic.Uint64
	holders atomic.Int32  // kept by some of the holders themselves: psref must agree
	left    chan struct{} // closed when this generation has left; its own for each
	label   label
}

// label is plain memory, written before an object is published and wiped before it is
// used again: the race detector reads it as the promise that all looking lies between.
type label struct{ generation, check uint64 }

func (lb label) whole(generation uint64) bool {
	return lb.generation == generation && lb.check == ^generation
}

// What has happened to an object, as its stamp says; the generation stands above.
const (
	unlinked = 1 << iota // out of sight
	graced               // a grace period has passed since
	drained              // Destroy has returned
	events   = iota
)

func (o *object) generation() uint64 { return o.stamp.Load() >> events }

// happened notes an event. Only one LWP at a time disposes of an object.
func (o *object) happened(event uint64) { o.stamp.Store(o.stamp.Load() | event) }

// An age is how old a thing is for somebody who looks at it: by which waits for that
// kind of onlooker have ended since it left. It is rcutorture's Reader Pipe.
type age int

const (
	current age = iota // published
	leaving            // out of sight; whoever waits for us still waits
	gone               // whoever should have waited for us has not
	reused             // what we look at is something else by now
	ages
)

func (g age) legal() bool { return g <= leaving }

func (g age) String() string {
	return [...]string{"is published", "is leaving", "is gone", "is another one by now"}[g]
}

// ageInSection returns the age of o's generation for somebody in a read section.
func (o *object) ageInSection(generation uint64) age {
	return o.age(generation, graced, unlinked|drained)
}

// ageHeld returns the age of o's generation for somebody who holds a reference.
func (o *object) ageHeld(generation uint64) age {
	return o.age(generation, drained, unlinked|graced)
}

func (o *object) age(generation, over, begun uint64) age {
	switch st := o.stamp.Load(); {
	case st>>events != generation:
		return reused
	case st&over != 0:
		return gone
	case st&begun != 0:
		return leaving
	}
	return current
}

// String returns "object 3.17", the seventeenth generation of the third.
func (o *object) String() string {
	return fmt.Sprintf("object %d.%d", o.id, o.generation())
}

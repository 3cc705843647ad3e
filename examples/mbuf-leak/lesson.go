package mbufleak

import (
	"errors"
	"fmt"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/mbuf"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "mbuf-leak",
	Title:    "a queue is full, and says so",
	Breaks:   "\"false: you still have it\" is forgotten by one of its callers, and the pool runs dry",
	Fixes:    "a call that takes a packet has it whatever happens, and frees it for a reason that is counted",
	Packages: []string{"mbuf", "netisr", "wqinput"},
	Wrong:    wrong,
	Right:    right,
}

var errDeaf = errors.New("DEAF: no packet is left to receive with, and nobody has them")

const (
	packets = 8 // that the pool has
	room    = 2 // in the queue
	flood   = 12
)

// receive is a driver's: it takes a packet from the pool for what has come.
func receive(r *event.Recorder, pool *mbuf.Pool, n int) *mbuf.Packet {
	m, err := pool.Alloc(64)
	if err != nil {
		r.Record("driver", "receive", fmt.Sprint("frame ", n), err.Error())
		return nil
	}
	return m
}

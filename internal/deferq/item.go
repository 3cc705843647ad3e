package deferq

import (
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
)

// An Item is a packet that waits, and what goes with it.
type Item[T any] struct {
	M       *mbuf.Packet // kept by the stream until its turn
	In, Out ifnet.ID     // M's, which whoever handles it may change
	Arg     T

	c   *Client[T]
	seq uint64 // how many were queued in the stream before it, or borrowed
}

// borrowed is the seq of an item that was never queued.
const borrowed = 1<<64 - 1

// Concerns reports whether the packet came by an interface or is to leave by it.
func (it *Item[T]) Concerns(id ifnet.ID) bool { return it.In == id || it.Out == id }

// Client returns who handles the item.
func (it *Item[T]) Client() *Client[T] { return it.c }

// Borrowed reports whether the item is handled by its caller, who has the stream.
func (it *Item[T]) Borrowed() bool { return it.seq == borrowed }

// A Fate is why a packet that was queued was not handled.
type Fate uint8

const (
	Stale        Fate = iota // an interface was gone when its turn came
	Departed                 // taken out of the queue by a departing interface
	Down                     // taken out by an interface that went down
	Unregistered             // by its client's end
	Discarded                // by a Close that would not wait
	Superseded               // by a later one with the same key
	Fates
)

var fateReasons = [Fates]mbuf.Reason{mbuf.Stale, mbuf.IfDeparted, mbuf.IfDown, mbuf.Type, mbuf.Shutdown, mbuf.Superseded}

// Reason returns what the packet is freed for.
func (f Fate) Reason() mbuf.Reason { return fateReasons[f] }

// A Refusal is why a packet was not queued.
type Refusal uint8

const (
	Accepted Refusal = iota
	Full
	IfGone
	IfDown
	NoClient
	Closed
	Looped
	Refusals
)

var refusalReasons = [Refusals]mbuf.Reason{0, mbuf.NoBufs, mbuf.IfDeparted, mbuf.IfDown, mbuf.NoProto, mbuf.Shutdown, mbuf.Loop}

// Reason returns what the packet is freed for.
func (r Refusal) Reason() mbuf.Reason { return refusalReasons[r] }

// Work is what a stream has done for a client:
//
//	Queued = Handled + the sum of Dropped + Len + InHand
type Work struct {
	Len, InHand     int
	Watermark       int // of Len
	Queued, Handled uint64
	Borrowed        uint64 // handled by their callers, who had the stream: they were never queued
	Panics, Leaked  uint64 // among Handled and Borrowed
	Dropped         [Fates]uint64
	Refused         [Refusals]uint64
}

// A ring is items in order.
type ring[T any] struct {
	items      []Item[T] // as many as a power of two, or none
	head, size int
}

func (r *ring[T]) at(i int) *Item[T] { return &r.items[(r.head+i)&(len(r.items)-1)] }

func (r *ring[T]) push(it Item[T]) {
	r.grow()
	r.size++
	*r.at(r.size - 1) = it
}

func (r *ring[T]) pop() Item[T] {
	it := *r.at(0)
	*r.at(0) = Item[T]{}
	r.head = (r.head + 1) & (len(r.items) - 1)
	if r.size--; r.size == 0 {
		r.head = 0 // where the cache is warm
	}
	return it
}

// unpop is pop taken back.
func (r *ring[T]) unpop(it Item[T]) {
	r.grow()
	r.head = (r.head - 1) & (len(r.items) - 1)
	r.size++
	*r.at(0) = it
}

// filter takes out the items that do not keep, and leaves the others in their order.
func (r *ring[T]) filter(keep func(*Item[T]) bool) {
	n := 0
	for i := range r.size {
		if it := r.at(i); keep(it) {
			*r.at(n) = *it
			n++
		}
	}
	for i := n; i < r.size; i++ {
		*r.at(i) = Item[T]{}
	}
	r.size = n
}

// run returns how many of the first n items are of the first one's client.
func (r *ring[T]) run(n int) int {
	n = min(n, r.size)
	for i := 1; i < n; i++ {
		if r.at(i).c != r.at(0).c {
			return i
		}
	}
	return n
}

// grow makes room for one more.
func (r *ring[T]) grow() {
	if r.size < len(r.items) {
		return
	}
	items := make([]Item[T], max(8, 2*len(r.items)))
	n := copy(items, r.items[r.head:])
	copy(items[n:], r.items[:r.head])
	r.items, r.head = items, 0
}

package wqinput

import "github.com/softnet-go/softnet/internal/deferq"

// Stats is a snapshot of the counters of a queue, or of one of its streams:
//
//	Queued = Handled + Stale + Departed + Discarded + Len + InHand
//	calls of Input = Queued + NoBufs + RefusedIf + RefusedClosed
//
// The kernel has one counter, drops, for NoBufs and for want of memory.
type Stats struct {
	Queued, Handled uint64

	Stale     uint64 // the interface was gone when its turn came
	Departed  uint64 // taken out of the queue by a departing interface
	Discarded uint64 // freed by a Close that would not wait

	NoBufs, RefusedIf, RefusedClosed uint64 // never queued: full, interface gone, closed

	Panics uint64 // handlers that panicked; among Handled
	Leaked uint64 // handlers that left their packet; among Handled

	Len       int // waiting
	InHand    int // being handled
	Watermark int // the most that were waiting at once in a stream
}

// Stats returns the sum over all streams; each of them is counted at one moment.
func (q *Queue) Stats() (sum Stats) {
	for _, s := range q.StreamStats() {
		sum.Queued += s.Queued
		sum.Handled += s.Handled
		sum.Stale += s.Stale
		sum.Departed += s.Departed
		sum.Discarded += s.Discarded
		sum.NoBufs += s.NoBufs
		sum.RefusedIf += s.RefusedIf
		sum.RefusedClosed += s.RefusedClosed
		sum.Panics += s.Panics
		sum.Leaked += s.Leaked
		sum.Len += s.Len
		sum.InHand += s.InHand
		sum.Watermark = max(sum.Watermark, s.Watermark)
	}
	return sum
}

// StreamStats returns the counters of each stream.
func (q *Queue) StreamStats() []Stats {
	var all []Stats
	for _, w := range q.engine.Stats(q.client) {
		all = append(all, Stats{
			Queued: w.Queued, Handled: w.Handled,
			Stale: w.Dropped[deferq.Stale], Departed: w.Dropped[deferq.Departed], Discarded: w.Dropped[deferq.Discarded],
			NoBufs: w.Refused[deferq.Full], RefusedIf: w.Refused[deferq.IfGone], RefusedClosed: w.Refused[deferq.Closed],
			Panics: w.Panics, Leaked: w.Leaked,
			Len: w.Len, InHand: w.InHand, Watermark: w.Watermark,
		})
	}
	return all
}

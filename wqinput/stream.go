package wqinput

import (
	"context"
	"fmt"

	"go.uber.org/atomic"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/psref"
)

// handSize is how many items a worker takes out of its list at once.
const handSize = 16

// A stream is one worker's share of a queue: a list, and what is in the worker's hand.
//
//	Input ──▶ list ──▶ hand: | done | being handled | next ... end |
//	          mu             only the worker            who claims
//
// The worker refills its hand under mu, and then claims item by item without it. Whoever has
// to get at what is queued, because an interface departs, claims the rest of the hand at once
// and puts it back (steal): so a hand may be large, and a handler that sleeps keeps nothing
// from anybody but the packet it handles.
type stream struct {
	q     *Queue         // immutable
	queue *mbuf.Owner    // immutable: of what is in the list or in the hand and not claimed
	fist  *mbuf.Owner    // immutable: of what is being handled
	claim hook.Uint64    // next<<32 | end: which items of the hand nobody has claimed
	done  hook.Uint64    // how many claims of the worker have ended
	waits hook.Uint32    // how many sleep on left
	hand  [handSize]item // item n is in place n%handSize; written under mu while nobody can claim it

	stale, panics, leaked atomic.Uint64 // of what is done

	in  Input     // what is given to the handler; the worker's
	pin psref.Ref // holds in.In; the worker's

	mu      hook.Mutex // leaf; guards what follows
	list    ring
	idle    hook.Cond // the worker sleeps here
	asleep  bool      // the worker does
	left    hook.Cond // who waits for something to have left sleeps here
	ended   bool      // there is no worker any more
	queued  uint64
	most    int // watermark of what is in the list
	refused [refusals]uint64
	dropped [drops]uint64
}

// An item is a packet that waits, and what goes with it.
type item struct {
	m       *mbuf.Packet
	in, out ifnet.ID // m's, which whoever handles it may change
	seq     uint64   // how many came before it
	off     int
	proto   uint8
}

// concerns reports whether the item came by an interface or is to leave by it.
func (it *item) concerns(id ifnet.ID) bool { return it.in == id || it.out == id }

// put queues an item, or says why not.
func (s *stream) put(it item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if why := s.refusesLocked(&it); why != accepted {
		s.refused[why]++
		return refusalErrors[why]
	}
	it.seq = s.queued
	s.queued++
	it.m.Keep(s.queue)
	s.list.push(it)
	s.most = max(s.most, s.lenLocked())
	if s.asleep {
		s.asleep = false
		s.idle.Signal()
	}
	return nil
}

// refusesLocked is asked under mu: whoever purges the stream has made the answer no before,
// so nothing is queued behind it.
func (s *stream) refusesLocked(it *item) refusal {
	switch {
	case s.q.closed.Load():
		return refusedClosed
	case !s.q.live(it.in) || !s.q.live(it.out):
		return refusedIf
	case s.lenLocked() >= s.q.limit:
		return refusedFull
	}
	return accepted
}

// lenLocked returns how many items wait.
func (s *stream) lenLocked() int {
	next, end := unpack(s.claim.Load())
	return s.list.len() + int(end-next)
}

func pack(next, end uint32) uint64       { return uint64(next)<<32 | uint64(end) }
func unpack(w uint64) (next, end uint32) { return uint32(w >> 32), uint32(w) }
func (s *stream) at(n uint32) *item      { return &s.hand[n%handSize] }

// next claims an item for the worker. It refills the hand, and where there is nothing sleeps if
// it may; ok is false when there is nothing and there will not be.
func (s *stream) next(mayWait bool) (it *item, ok bool) {
	for {
		w := s.claim.Load()
		next, end := unpack(w)
		if next != end {
			if s.claim.CompareAndSwap(w, pack(next+1, end)) {
				return s.at(next), true
			}
			continue // somebody has stolen the rest
		}
		if !s.refill(mayWait) {
			return nil, false
		}
	}
}

// refill moves items from the list to the hand, which is empty. It reports whether it did.
func (s *stream) refill(mayWait bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.list.len() == 0 {
		if !mayWait || s.q.closed.Load() {
			return false
		}
		s.asleep = true
		s.idle.Wait(&s.mu)
	}
	next, _ := unpack(s.claim.Load())
	n := uint32(min(s.list.len(), handSize))
	for i := range n {
		*s.at(next + i) = s.list.pop()
	}
	s.claim.Store(pack(next, next+n))
	return true
}

// stealLocked puts what nobody has claimed of the hand back to the front of the list.
func (s *stream) stealLocked() {
	for {
		w := s.claim.Load()
		next, end := unpack(w)
		if next == end {
			return
		}
		if s.claim.CompareAndSwap(w, pack(next, next)) {
			for n := end; n != next; n-- {
				s.list.unpop(*s.at(n - 1))
			}
			return
		}
	}
}

// finish says that what the worker claimed has been dealt with.
func (s *stream) finish() {
	s.done.Add(1)
	if s.waits.Load() != 0 {
		s.mu.Lock()
		s.left.Broadcast()
		s.mu.Unlock()
	}
}

// inHandLocked returns what is being handled, or nil. It stays what it is while mu is held,
// but for that it may be finished.
func (s *stream) inHandLocked() *item {
	next, _ := unpack(s.claim.Load())
	if next == uint32(s.done.Load()) {
		return nil
	}
	return s.at(next - 1)
}

// purge takes the items that match out of the list and frees them. It returns how many. What
// is being handled is no part of the list.
func (s *stream) purge(match func(*item) bool, as drop) int {
	var gone mbuf.List
	s.mu.Lock()
	s.stealLocked()
	s.list.remove(match, func(it item) {
		it.m.Take(s.queue, nil)
		gone.Push(it.m)
		s.dropped[as]++
	})
	s.left.Broadcast()
	s.mu.Unlock()
	n := gone.Len()
	gone.Free(dropReasons[as]) // without mu: tags are freed, by whoever made them
	return n
}

// wait sleeps until blocked is false, which it asks under mu whenever something has left.
func (s *stream) wait(ctx context.Context, blocked func() bool) error {
	s.waits.Add(1)
	defer s.waits.Add(^uint32(0))
	s.mu.Lock()
	defer s.mu.Unlock()
	for blocked() {
		if err := s.left.WaitContext(ctx, &s.mu); err != nil {
			return err
		}
	}
	return nil
}

// concerned returns a function that reports whether what is being handled now, if it concerns
// an interface, still is.
func (s *stream) concerned(id ifnet.ID) func() bool {
	s.mu.Lock()
	it := s.inHandLocked()
	if it == nil || !it.concerns(id) {
		s.mu.Unlock()
		return func() bool { return false }
	}
	seq := it.seq
	s.mu.Unlock()
	return func() bool {
		it := s.inHandLocked()
		return it != nil && it.seq == seq
	}
}

// oldestLocked returns how many packets had been queued before the oldest that is here, or
// ever, if none is.
func (s *stream) oldestLocked() uint64 {
	if it := s.inHandLocked(); it != nil {
		return it.seq
	}
	if next, end := unpack(s.claim.Load()); next != end {
		return s.at(next).seq
	}
	if s.list.len() > 0 {
		return s.list.at(0).seq
	}
	return s.queued
}

// shut wakes the worker to find out that the queue is closed.
func (s *stream) shut() {
	s.mu.Lock()
	s.asleep = false
	s.idle.Signal()
	s.mu.Unlock()
}

// end says that the worker is gone.
func (s *stream) end() {
	s.mu.Lock()
	s.ended = true
	s.left.Broadcast()
	s.mu.Unlock()
}

func (s *stream) stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Queued: s.queued, Len: s.list.len(), Watermark: s.most,
		NoBufs: s.refused[refusedFull], RefusedIf: s.refused[refusedIf], RefusedClosed: s.refused[refusedClosed],
		Departed: s.dropped[dropDeparted], Discarded: s.dropped[dropShutdown],
	}
	for {
		// Nobody claims between two equal words, so that what ends meanwhile is what was in hand.
		w := s.claim.Load()
		next, end := unpack(w)
		st.Stale, st.Panics, st.Leaked = s.stale.Load(), s.panics.Load(), s.leaked.Load()
		done := s.done.Load()
		st.InHand = int(next - uint32(done))
		st.Handled = done - st.Stale
		if s.claim.Load() == w && st.Stale == s.stale.Load() {
			st.Len += int(end - next)
			return st
		}
	}
}

// String returns "icmp_wqinput/2", the worker's name.
func (s *stream) String() string { return fmt.Sprintf("%s_wqinput/%d", s.q.name, s.index()) }

func (s *stream) index() int {
	for i := range s.q.streams {
		if s == s.q.streams[i] {
			return i
		}
	}
	return -1
}

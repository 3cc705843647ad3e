package deferq

import (
	"context"
	"fmt"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/psref"
)

// HandSize is how many items a worker takes at once.
const HandSize = 64

// A stream is one worker's share of an engine. At most one handler runs for it at any time.
type stream[T any] struct {
	eng   *Engine[T]  // immutable
	index int         // immutable
	queue *mbuf.Owner // immutable: of what waits
	fist  *mbuf.Owner // immutable: of what is being handled

	waits hook.Uint32          // how many sleep on left
	_     [hook.LineBytes]byte // what follows the worker writes for each item

	claim hook.Uint64 // next<<32 | end: which items of the hand nobody has claimed
	done  hook.Uint64 // how many of the worker's claims have ended
	pins  [2]pin      // of what is being handled; the worker's

	// hand has item n in place n%HandSize. It is written under mu, where nobody can claim.
	hand [HandSize]Item[T]
	_    [hook.LineBytes]byte // what follows producers write

	// What each put and refill touches lies together.
	mu       hook.Mutex // leaf; guards what follows
	running  bool       // the worker, or Step, has the stream, or has been told to
	woken    hook.Bool  // it has been told to: the worker looks before it sleeps
	ended    bool       // there is no worker any more
	from     int        // the list that the hand was filled from
	whose    *Client[T] // the client of what was in it
	borrower *Item[T]   // inline, while a caller has the stream
	queued   uint64     // items, ever
	lists    []ring[T]
	lens     []int // of the lists
	order    Order
	dead     []Item[T] // superseded, for the worker to free

	first    uint32     // the hand's first item
	settled  uint64     // of done, what is in its client's counters
	stale    uint64     // of done, what is not settled and was not handled
	inline   Item[T]    // what the borrower handles
	borrowed uint64     // how often it was borrowed
	telling  *Client[T] // is told of the end of a batch
	idle     hook.Cond  // the worker sleeps here
	left     hook.Cond  // who waits for something to have ended sleeps here
}

// A pin holds an interface of what is being handled.
type pin struct {
	ref psref.Ref
	ifp *ifnet.Interface
}

func pack(next, end uint32) uint64       { return uint64(next)<<32 | uint64(end) }
func unpack(w uint64) (next, end uint32) { return uint32(w >> 32), uint32(w) }

func (s *stream[T]) at(n uint32) *Item[T] { return &s.hand[n%HandSize] }

// refill moves items of one client from a list to the hand, which is empty. It reports whether
// there was any. mu is held.
func (s *stream[T]) refillLocked() bool {
	i, n := s.order.Next(s.lens)
	if n == 0 {
		return false
	}
	l := &s.lists[i]
	n = l.run(min(n, HandSize))
	next, _ := unpack(s.claim.Load())
	s.from, s.whose, s.first = i, l.at(0).c, next
	for k := range uint32(n) {
		*s.at(next + k) = l.pop()
	}
	s.lens[i] -= n
	s.whose.work[s.index].Len -= n
	s.claim.Store(pack(next, next+uint32(n)))
	return true
}

// settleLocked counts what has been handled of the hand, which is empty or stolen and of which
// nothing is being handled. It returns the client if a batch has ended for it.
func (s *stream[T]) settleLocked() (tell *Client[T]) {
	c := s.whose
	if c == nil {
		return nil
	}
	done := s.done.Load()
	c.work[s.index].Handled += done - s.settled - s.stale
	s.settled, s.stale = done, 0
	next, _ := unpack(s.claim.Load())
	ended := s.order.Served(s.lens, s.from, int(next-s.first))
	s.from, s.whose = len(s.lists), nil
	if ended && c.Drained != nil && !c.ended.Load() {
		s.telling = c
		return c
	}
	return nil
}

// stealLocked puts what nobody has claimed of the hand back to the front of its list.
func (s *stream[T]) stealLocked() {
	for {
		w := s.claim.Load()
		next, end := unpack(w)
		if next == end {
			return
		}
		if s.claim.CompareAndSwap(w, pack(next, next)) {
			for n := end; n != next; n-- {
				s.lists[s.from].unpop(*s.at(n - 1))
			}
			s.lens[s.from] += int(end - next)
			s.whose.work[s.index].Len += int(end - next)
			return
		}
	}
}

// finish says that what the worker claimed has been handled.
func (s *stream[T]) finish() {
	s.done.Add(1)
	if s.waits.Load() != 0 {
		s.mu.Lock()
		s.left.Broadcast()
		s.mu.Unlock()
	}
}

// finishStale says that it was not, because an interface was gone.
func (s *stream[T]) finishStale(c *Client[T]) {
	s.mu.Lock()
	c.work[s.index].Dropped[Stale]++
	s.stale++
	s.done.Add(1)
	s.left.Broadcast()
	s.mu.Unlock()
}

// inHandLocked returns what the worker handles, or nil. It stays what it is while mu is held, but
// for that it may be finished.
func (s *stream[T]) inHandLocked() *Item[T] {
	next, _ := unpack(s.claim.Load())
	if next == uint32(s.done.Load()) {
		return nil
	}
	return s.at(next - 1)
}

// purge takes items out of the lists, with the fate that f gives them, and drops them. f may
// change an item that it keeps. It returns how many are gone.
func (s *stream[T]) purge(f func(*Item[T]) (why Fate, gone bool)) int {
	type corpse struct {
		it  Item[T]
		why Fate
	}
	var gone []corpse
	s.mu.Lock()
	s.stealLocked()
	for i := range s.lists {
		s.lists[i].filter(func(it *Item[T]) bool {
			why, out := f(it)
			if out {
				gone = append(gone, corpse{*it, why})
				w := &it.c.work[s.index]
				w.Dropped[why]++
				w.Len--
				s.lens[i]--
			}
			return !out
		})
	}
	for _, it := range s.buriedLocked() {
		gone = append(gone, corpse{it, Superseded})
	}
	s.left.Broadcast()
	s.mu.Unlock()
	for _, x := range gone {
		s.drop(&x.it, x.why)
	}
	return len(gone)
}

// drop ends an item that is not handled. No lock is held: freeing calls out.
func (s *stream[T]) drop(it *Item[T], why Fate) {
	it.M.Take(s.queue, nil)
	s.eng.Drop(it, why)
	it.M.Free(why.Reason())
}

// bury drops what was superseded.
func (s *stream[T]) bury() {
	s.mu.Lock()
	dead := s.buriedLocked()
	s.mu.Unlock()
	for i := range dead {
		s.drop(&dead[i], Superseded)
	}
}

func (s *stream[T]) buriedLocked() (dead []Item[T]) {
	dead, s.dead = s.dead, nil
	for i := range dead {
		w := &dead[i].c.work[s.index]
		w.Dropped[Superseded]++
		w.Len--
	}
	return dead
}

// wait sleeps until blocked is false, which it asks under mu whenever something has ended.
func (s *stream[T]) wait(ctx context.Context, blocked func() bool) error {
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

// during returns a function that reports whether what is being handled now, if it is a match, still
// is.
func (s *stream[T]) during(match func(*Item[T]) bool) func() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	hand, seq := s.inHandLocked(), uint64(0)
	if hand != nil {
		if match(hand) {
			seq = hand.seq
		} else {
			hand = nil
		}
	}
	inline, turn := s.borrower != nil && match(s.borrower), s.borrowed
	return func() bool {
		it := s.inHandLocked()
		return hand != nil && it != nil && it.seq == seq || inline && s.borrower != nil && s.borrowed == turn
	}
}

// oldestLocked returns how many items had been queued before the oldest that is here, or ever if
// none is.
func (s *stream[T]) oldestLocked() uint64 {
	oldest := s.queued
	if it := s.inHandLocked(); it != nil {
		oldest = min(oldest, it.seq)
	}
	if next, end := unpack(s.claim.Load()); next != end {
		oldest = min(oldest, s.at(next).seq)
	}
	for i := range s.lists {
		if s.lens[i] > 0 {
			oldest = min(oldest, s.lists[i].at(0).seq)
		}
	}
	for i := range s.dead {
		oldest = min(oldest, s.dead[i].seq)
	}
	return oldest
}

// stats returns a client's counters as they are at one moment.
func (s *stream[T]) statsLocked(c *Client[T]) Work {
	w := c.work[s.index].Work
	if s.whose != c {
		return w
	}
	for {
		// Nobody claims between two equal words, so what ends meanwhile is what was in hand.
		word := s.claim.Load()
		next, end := unpack(word)
		done := s.done.Load()
		if s.claim.Load() != word {
			continue
		}
		w.Handled += done - s.settled - s.stale
		w.Len += int(end - next)
		w.InHand = int(next - uint32(done))
		return w
	}
}

// String returns "icmp/2", the worker's name.
func (s *stream[T]) String() string { return fmt.Sprintf("%s/%d", s.eng.Name, s.index) }

package deferq

import (
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
)

// put queues an item, or says why not; the packet is the caller's then. reserve is how many more
// than the client's limit may wait. same, if not nil, says of a queued item that this one takes
// its place.
func (s *stream[T]) put(c *Client[T], it Item[T], reserve int, same func(old *Item[T]) bool) Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &c.work[s.index]
	if why := s.refusesLocked(c, &it, reserve); why != Accepted {
		w.Refused[why]++
		return why
	}
	it.c, it.seq = c, s.queued
	s.queued++
	w.Queued++
	it.M.Keep(s.queue)
	if same == nil || !s.supersedeLocked(c, it, same) {
		w.Len++ // in the lists
		s.lists[c.list].push(it)
		s.lens[c.list]++
		s.urgentLocked(c)
	}
	w.Watermark = max(w.Watermark, s.waitingLocked(c))
	s.wakeLocked()
	return Accepted
}

// putAll queues packets, with arg for each, and says in whys which it did not: those are the
// caller's then.
func (s *stream[T]) putAll(c *Client[T], ms []*mbuf.Packet, arg T, whys []Refusal) {
	for _, m := range ms {
		m.Keep(s.queue) // not under the lock, which the worker wants
	}
	s.mu.Lock()
	w := &c.work[s.index]
	l := &s.lists[c.list]
	n, room := 0, s.roomLocked(c)
	for i, m := range ms {
		it := Item[T]{M: m, In: m.In, Out: m.Out, Arg: arg, c: c, seq: s.queued}
		// What was alive under this lock still is: whoever purges has it next.
		if i == 0 || whys[i-1] != Accepted || it.In != ms[i-1].In || it.Out != ms[i-1].Out {
			whys[i] = s.refusesLocked(c, &it, 0)
		}
		if whys[i] == Accepted && n >= room {
			if room = s.roomLocked(c); n >= room { // the worker makes some
				whys[i] = Full
			}
		}
		if whys[i] != Accepted {
			w.Refused[whys[i]]++
			continue
		}
		n++
		s.queued++
		l.push(it)
	}
	w.Len += n
	s.lens[c.list] += n
	w.Queued += uint64(n)
	w.Watermark = max(w.Watermark, s.waitingLocked(c))
	if n > 0 {
		s.urgentLocked(c)
		s.wakeLocked()
	}
	s.mu.Unlock()
	if n == len(ms) {
		return
	}
	for i, m := range ms {
		if whys[i] != Accepted {
			m.Take(s.queue, nil)
		}
	}
}

// urgentLocked has what was queued go before what is in the hand, if that is less urgent.
func (s *stream[T]) urgentLocked(c *Client[T]) {
	if c.list < s.from && s.eng.urgent {
		s.stealLocked()
	}
}

// refusesLocked is asked under mu: whoever purges the stream has made the answer no before, so
// nothing is queued behind it. The item forgets where it came from if that has gone and its client
// wants it so.
func (s *stream[T]) refusesLocked(c *Client[T], it *Item[T], reserve int) Refusal {
	if c.ForgetIn && !s.eng.live(it.In) {
		it.In, it.M.In = ifnet.ID{}, ifnet.ID{}
	}
	switch {
	case s.eng.closed.Load():
		return Closed
	case c.ended.Load():
		return NoClient
	case !s.eng.live(it.In) || !s.eng.live(it.Out):
		return IfGone
	case c.DropDown && !it.Out.IsZero() && !s.eng.Ifs.IsUp(it.Out):
		return IfDown
	case s.waitingLocked(c) >= int(c.limit.Load())+reserve:
		return Full
	}
	return Accepted
}

// supersedeLocked puts an item in the place of one that is the same. The old one is for the
// worker to free, because the caller may hold locks that freeing it asks for; until then it
// counts as waiting.
func (s *stream[T]) supersedeLocked(c *Client[T], it Item[T], same func(*Item[T]) bool) bool {
	s.stealLocked()
	l := &s.lists[c.list]
	for i := range l.size {
		if old := l.at(i); old.c == c && old.Out == it.Out && same(old) {
			s.dead = append(s.dead, *old)
			c.work[s.index].Len++
			it.seq = old.seq
			*old = it
			return true
		}
	}
	return false
}

func (s *stream[T]) roomLocked(c *Client[T]) int { return c.Limit() - s.waitingLocked(c) }

// waitingLocked returns how many of a client's items wait.
func (s *stream[T]) waitingLocked(c *Client[T]) int {
	n := c.work[s.index].Len
	if s.whose == c {
		next, end := unpack(s.claim.Load())
		n += int(end - next)
	}
	return n
}

// wakeLocked wakes the worker if there is something to do and nobody has the stream.
func (s *stream[T]) wakeLocked() {
	if !s.running && s.borrower == nil && !s.eng.Manual {
		s.running = true
		s.woken.Store(true)
		s.idle.Signal()
	}
}

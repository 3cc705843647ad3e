package pfsync

import (
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// Where a state is, as far as we are concerned: pf.SyncState.Queue.
const (
	quiet = iota // nothing is to be said of it

	iack // it waits to be acknowledged,
	updc // for an update of what changes,
	del  // for a delete,
	ins  // to be sent for the first time,
	upd  // or whole; and in this order packets have them

	arrivedAck // a peer has sent it, and wants an acknowledgement; it is not inserted yet
	arrived    // a peer has sent it
	dead       // nothing is ever to be said of it again

	queues = 5
)

// kinds are the messages of each queue.
var kinds = [1 + queues]wire.Action{iack: wire.INSACK, updc: wire.UPDC, del: wire.DELC, ins: wire.INS, upd: wire.UPD}

const (
	ipLen   = 20
	empty   = ipLen + wire.HeaderLen // bytes of a packet in which nothing is
	flush   = time.Second            // how long a message waits at most
	recent  = 2                      // seconds: a peer that told of a state so lately sees its packets, too
	maxHeld = 128                    // packets that a slice holds back
)

// A list is states in the order of their coming, linked through pf.SyncState.
type list struct {
	first, last *pf.State
	n           int
}

func (q *list) push(st *pf.State) {
	if st.Sync.Prev = q.last; q.last != nil {
		q.last.Sync.Next = st
	} else {
		q.first = st
	}
	q.last = st
	q.n++
}

func (q *list) remove(st *pf.State) {
	if st.Sync.Prev != nil {
		st.Sync.Prev.Sync.Next = st.Sync.Next
	} else {
		q.first = st.Sync.Next
	}
	if st.Sync.Next != nil {
		st.Sync.Next.Sync.Prev = st.Sync.Prev
	} else {
		q.last = st.Sync.Prev
	}
	st.Sync.Next, st.Sync.Prev = nil, nil
	q.n--
}

// A slice is a part of the states, those whose hash says so, and what is to be said of them (struct
// pfsync_slice). It has one packet in the making, of which it always knows how long it will be:
//
//	len = 40 + Σ queues that are not empty (4 + messages · size) + the same of SAs
//
// What is in the packet is taken from the states when it is written: however long a state waits,
// the peer gets the newest. Each state in a queue is held by a reference.
//
// mu is the only lock that hooks take. What is written under it is handed to the send queue, and
// nothing is ever sent with it held. A deadline is a field under mu and not a timer of its own: who
// finds it passed acts in the same breath, so nothing comes late.
type slice struct {
	_   [hook.LineBytes]byte // slices are not to meet in a cache line
	r   *run
	out *outlet
	mu  hook.Mutex

	queue   [1 + queues]list
	tunnels tunnelList
	len     int
	flushAt time.Time // when the packet is to be written at the latest; zero if nothing has been queued since
	flush   bool      // now, rather
	held    []held    // packets that wait for an acknowledgement, in the order of their coming

	wake  hook.Cond
	ended bool

	stats SliceStats
	_     [hook.LineBytes]byte
}

// held is the first packet of a state, until a peer knows the state too.
type held struct {
	st    *pf.State
	m     *mbuf.Packet
	until time.Time
}

// lock takes mu, and counts.
func (s *slice) lock() {
	if !s.mu.TryLock() {
		s.mu.Lock()
		s.stats.Contended++
	}
	s.stats.Locks++
}

// enqueue puts a state, of which nothing is to be said yet, into a queue. What does not fit into the
// packet any more goes into the next.
func (s *slice) enqueue(st *pf.State, q uint8) {
	if !st.Hold() { // nobody can want to know of it
		return
	}
	s.room(s.queue[q].n == 0, kinds[q].Size())
	s.queue[q].push(st)
	st.Sync.Queue = q
}

// room makes room for a message in a section, which may have to be begun, and sees to it that the
// packet is written in time.
func (s *slice) room(first bool, size int) {
	need := size
	if first {
		need += wire.SubheaderLen
	}
	if s.len+need > s.r.mtu {
		if m := s.write(); m != nil {
			s.stats.Enqueues++
			_ = s.out.hand(m)
		}
		need = size + wire.SubheaderLen
	}
	s.len += need
	if s.flushAt.IsZero() {
		s.flushAt = time.Now().Add(flush)
		s.wake.Signal()
	}
}

// dequeue takes a state out of its queue.
func (s *slice) dequeue(st *pf.State) {
	q := st.Sync.Queue
	s.queue[q].remove(st)
	s.less(s.queue[q].n == 0, kinds[q].Size())
	st.Sync.Queue = quiet
	st.Release()
}

func (s *slice) less(last bool, size int) {
	s.len -= size
	if last {
		s.len -= wire.SubheaderLen
	}
}

// hurry has the packet written as soon as the worker comes to it, with what is queued until then.
func (s *slice) hurry() {
	s.flush = true
	s.stats.SendSched++
	s.wake.Signal()
}

// insert, update, remove and request are the table of transitions; TestSlice_TransitionTable has it
// as a picture. queue is where the state is, and what is not said here changes nothing.

func (s *slice) insert(st *pf.State) {
	switch st.Sync.Queue {
	case quiet:
		s.enqueue(st, ins)
	case updc: // another packet was faster than the hook
		s.dequeue(st)
		s.enqueue(st, ins)
	case arrivedAck:
		st.Sync.Queue = quiet
		s.enqueue(st, or(iack, st.Sync.Updates))
		s.hurry()
	case arrived:
		if st.Sync.Queue = quiet; st.Sync.Updates > 0 {
			s.enqueue(st, updc)
		}
	case dead:
	default:
		s.r.odd()
	}
}

// or returns a queue, or that for updates if there has been one.
func or(q, updates uint8) uint8 {
	if updates > 0 {
		return updc
	}
	return q
}

func (s *slice) update(st *pf.State) {
	now := false
	switch st.Sync.Queue {
	case quiet:
		s.enqueue(st, updc)
		st.Sync.Updates = 0
	case iack: // an update acknowledges, too
		s.dequeue(st)
		s.enqueue(st, updc)
		st.Sync.Updates = 0
	case updc, upd:
		if st.Key().Proto == pf.TCP {
			if st.Sync.Updates < 255 {
				st.Sync.Updates++
			}
			now = int(st.Sync.Updates) >= s.r.maxUpdates
		}
	case ins, del:
	case arrivedAck, arrived: // a packet was faster than the hook, which tells of it
		st.Sync.Updates = 1
		return
	case dead:
		return
	}
	if at := st.SyncedAt(); now || at != 0 && s.r.table.Now()-at < recent {
		s.hurry()
	}
}

func (s *slice) remove(st *pf.State) {
	switch st.Sync.Queue {
	case quiet:
		s.enqueue(st, del)
	case ins: // nobody has heard of it, and nobody is to
		s.dequeue(st)
		st.Sync.Queue = dead
	case updc, upd, iack:
		s.dequeue(st)
		s.enqueue(st, del)
	case del, dead:
	default:
		s.r.odd()
	}
}

func (s *slice) request(st *pf.State) {
	switch st.Sync.Queue {
	case quiet:
		s.enqueue(st, upd)
	case updc, iack:
		s.dequeue(st)
		s.enqueue(st, upd)
	case ins, upd, del:
	case arrivedAck, arrived: // who asks is told that there is something to be asked for
		st.Sync.Updates = 1
		return
	case dead:
		return
	}
	s.hurry()
}

// write makes the packet out of all queues, and empties them. It returns nil if there is nothing to
// say, or no packet to say it in: then everybody is forgotten, and later updates have to tell.
func (s *slice) write() *mbuf.Packet {
	if s.len == empty {
		s.stats.WriteNops++
		return nil
	}
	s.flush = false
	m := s.out.packet(s.len)
	if m == nil {
		s.drop()
		return nil
	}
	b := wire.AppendHeader(m.Writable()[:ipLen])
	now := s.r.table.Now()
	for q := iack; q <= upd; q++ {
		if n := s.queue[q].n; n > 0 {
			b = wire.AppendSubheader(b, kinds[q], n)
		}
		for st := s.queue[q].first; st != nil; st = s.queue[q].first {
			s.queue[q].remove(st)
			st.Sync.Queue = quiet
			b = s.message(b, st, q, now)
			st.Release()
		}
	}
	b = s.tunnels.write(b)
	wire.Finish(b[ipLen:])
	if len(b) != s.len {
		panic("pfsync: a packet has not the length that was reckoned")
	}
	s.len, s.flushAt = empty, time.Time{}
	return m
}

func (s *slice) message(b []byte, st *pf.State, q int, now uint32) []byte {
	switch q {
	case iack:
		return st.ID().Append(b)
	case updc:
		var u wire.Update
		st.ExportUpdate(&u)
		return u.Append(b)
	case del:
		st.Sync.Queue = dead
		return st.ID().Append(b)
	default:
		var w wire.State
		st.Export(&w, now)
		if st.Sync.Held != 0 {
			w.Flags |= pf.Ack
		}
		return w.Append(b)
	}
}

// drop forgets what is to be said.
func (s *slice) drop() {
	for q := iack; q <= upd; q++ {
		for st := s.queue[q].first; st != nil; st = s.queue[q].first {
			s.queue[q].remove(st)
			st.Sync.Queue = quiet
			st.Release()
		}
	}
	s.tunnels.drop()
	s.len, s.flushAt, s.flush = empty, time.Time{}, false
}

// work is the slice's worker: it writes the packet when it is time, and lets go of packets that have
// been held back for long enough.
func (s *slice) work() {
	s.lock()
	defer s.mu.Unlock()
	for !s.ended {
		next := s.turn(time.Now())
		if s.ended || s.flush {
			continue
		}
		ctx, cancel := until(next)
		_ = s.wake.WaitContext(ctx, &s.mu)
		cancel()
	}
}

// turn does what is due, and returns when it is to be called again at the latest; zero for when
// somebody wakes the worker. It lets go of the lock while it hands packets over.
func (s *slice) turn(now time.Time) (next time.Time) {
	if s.flush || due(s.flushAt, now) {
		s.flush, s.flushAt = false, time.Time{}
		s.stats.SendRun++
		if m := s.write(); m != nil {
			_ = s.out.hand(m)
		}
	}
	if n := s.overdue(now); n > 0 {
		out := append([]held(nil), s.held[:n]...)
		s.held = append(s.held[:0], s.held[n:]...)
		for _, h := range out {
			h.st.Sync.Held = 0
		}
		s.stats.DeferRun++
		s.mu.Unlock()
		s.r.forward(out)
		s.lock()
	}
	next = s.flushAt
	if len(s.held) > 0 && (next.IsZero() || s.held[0].until.Before(next)) {
		next = s.held[0].until
	}
	return next
}

// overdue returns how many of the packets that are held back are to go: those whose time is over,
// and the oldest when there are too many.
func (s *slice) overdue(now time.Time) (n int) {
	for n < len(s.held) && (len(s.held)-n >= maxHeld && s.over() || due(s.held[n].until, now)) {
		n++
	}
	return n
}

// over reports whether there have been too many.
func (s *slice) over() bool { return len(s.held) > maxHeld }

func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// hold holds a packet back.
func (s *slice) hold(st *pf.State, m *mbuf.Packet) bool {
	if !st.Hold() {
		return false
	}
	m.Keep(heldQueue)
	st.Sync.Held = 1
	s.held = append(s.held, held{st, m, time.Now().Add(s.r.holdFor)})
	s.stats.DeferAdd++
	if len(s.held) == maxHeld+1 {
		s.stats.DeferOver++
	}
	s.hurry()
	return true
}

// heldQueue owns what is held back.
var heldQueue = mbuf.NewQueue("pfsync held")

// release takes a state's packet off those that are held back: a peer knows the state now.
func (s *slice) release(st *pf.State) (out []held) {
	if st.Sync.Held == 0 {
		return nil
	}
	for i, h := range s.held {
		if h.st == st {
			st.Sync.Held = 0
			s.held = append(s.held[:i], s.held[i+1:]...)
			s.stats.DeferAck++
			return []held{h}
		}
	}
	return nil
}

// purge frees what is held back and names an interface that departs.
func (s *slice) purge(id ifnet.ID) (n int) {
	s.lock()
	defer s.mu.Unlock()
	kept := s.held[:0]
	for _, h := range s.held {
		if h.m.In == id || h.m.Out == id {
			h.st.Sync.Held = 0
			h.st.Release()
			h.m.Take(heldQueue, nil)
			h.m.Free(mbuf.IfDeparted)
			n++
			continue
		}
		kept = append(kept, h)
	}
	s.held = kept
	return n
}

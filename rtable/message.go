package rtable

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
)

// A MsgType is what a message tells of (RTM_*).
type MsgType uint8

// The types, with their kernel values; the last two have none.
const (
	MsgAdd      MsgType = 0x1
	MsgDelete   MsgType = 0x2
	MsgChange   MsgType = 0x3
	MsgGet      MsgType = 0x4 // never sent: see [Table.Request]
	MsgRedirect MsgType = 0x6
	MsgMiss     MsgType = 0x7
	MsgDepart   MsgType = 0x10 // an interface has departed (RTM_IFANNOUNCE)
	MsgLost     MsgType = 0xff // messages have been lost
)

// String returns "RTM_ADD", and for an unknown type its number.
func (m MsgType) String() string {
	switch m {
	case MsgAdd:
		return "RTM_ADD"
	case MsgDelete:
		return "RTM_DELETE"
	case MsgChange:
		return "RTM_CHANGE"
	case MsgGet:
		return "RTM_GET"
	case MsgRedirect:
		return "RTM_REDIRECT"
	case MsgMiss:
		return "RTM_MISS"
	case MsgDepart:
		return "RTM_IFANNOUNCE"
	case MsgLost:
		return "RTM_LOST"
	}
	return fmt.Sprintf("RTM_%#x", uint8(m))
}

// A Msg tells subscribers what has happened.
type Msg struct {
	Type   MsgType
	Gen    uint64     // the table's generation afterwards
	Route  Route      // ADD, CHANGE, REDIRECT: as it is; DELETE: as it was
	Old    Route      // CHANGE: as it was
	Addr   netip.Addr // MISS: which destination; REDIRECT: who said so
	Out    ifnet.ID   // IFANNOUNCE: which interface
	Reason error      // REDIRECT: why it was not followed
	Lost   uint64     // LOST: how many
}

// subscribers are those who are told of changes.
type subscribers struct {
	mu     hook.Mutex // leaf
	all    []*Subscription
	some   hook.Bool // whether there are any: who has nothing to tell need not take mu
	closed bool
}

// A Subscription is a bounded queue of messages. Who reads it too slowly loses messages,
// is told how many, and can begin anew with [Subscription.Resync]. It is for one reader.
type Subscription struct {
	t     *Table
	limit int
	cv    hook.Cond // queue, lost or ended; guarded by t.subs.mu

	queue []Msg  // guarded by t.subs.mu
	lost  uint64 // after the last of queue; guarded by t.subs.mu
	ended bool   // guarded by t.subs.mu
}

// Subscribe returns the routes of a moment, and a subscription to everything that happens
// to the table after that moment: there is nothing between the two to miss. At most limit
// messages wait to be read. It panics if limit is not positive.
func (t *Table) Subscribe(limit int) (*Subscription, []Route) {
	if limit < 1 {
		panic(violation("queue without room", "a subscription with room for %d messages", limit))
	}
	s := &Subscription{t: t, limit: limit}
	t.mu.RLock() // no writer until s is there
	defer t.mu.RUnlock()
	subs := &t.subs
	subs.mu.Lock()
	if s.ended = subs.closed; !s.ended {
		subs.all = append(subs.all, s)
		subs.some.Store(true)
	}
	subs.mu.Unlock()
	return s, t.snapshotLocked()
}

// Next waits for the next message. It returns a [MsgLost] in the place of those that were
// lost. Errors: ctx.Err(); [ErrClosed] when the subscription or its table is closed, and all
// that was told before has been read.
func (s *Subscription) Next(ctx context.Context) (Msg, error) {
	mu := &s.t.subs.mu
	mu.Lock()
	defer mu.Unlock()
	for {
		switch {
		case len(s.queue) > 0:
			m := s.queue[0]
			s.queue = s.queue[1:]
			return m, nil
		case s.lost > 0:
			m := Msg{Type: MsgLost, Lost: s.lost, Gen: s.t.gen.Load()}
			s.lost = 0
			return m, nil
		case s.ended:
			return Msg{}, ErrClosed
		}
		if err := s.cv.WaitContext(ctx, mu); err != nil {
			return Msg{}, err
		}
	}
}

// Resync forgets all messages that wait, and those that were lost, and returns the routes
// of the moment after them: the next message tells what has happened since.
func (s *Subscription) Resync() []Route {
	t := s.t
	t.mu.RLock()
	defer t.mu.RUnlock()
	t.subs.mu.Lock()
	s.queue, s.lost = nil, 0
	t.subs.mu.Unlock()
	return t.snapshotLocked()
}

// Close ends the subscription. It may be called again, and by anyone.
func (s *Subscription) Close() {
	subs := &s.t.subs
	subs.mu.Lock()
	defer subs.mu.Unlock()
	subs.all = slices.DeleteFunc(subs.all, func(o *Subscription) bool { return o == s })
	subs.some.Store(len(subs.all) > 0)
	s.end()
}

// end ends s. subs.mu is held.
func (s *Subscription) end() {
	s.ended = true
	s.cv.Broadcast()
}

func (subs *subscribers) close() {
	subs.mu.Lock()
	defer subs.mu.Unlock()
	for _, s := range subs.all {
		s.end()
	}
	subs.all, subs.closed = nil, true
	subs.some.Store(false)
}

// emit tells all subscribers. It never blocks: what finds no room is lost, and counted. It
// is called with mu held, where it tells of what was done under mu.
func (t *Table) emit(m Msg) {
	subs := &t.subs
	if !subs.some.Load() {
		return
	}
	m.Gen = t.gen.Load()
	subs.mu.Lock()
	defer subs.mu.Unlock()
	for _, s := range subs.all {
		if len(s.queue) == s.limit || s.lost > 0 { // nothing comes after a gap but its length
			s.lost++
		} else {
			s.queue = append(s.queue, m)
		}
		s.cv.Broadcast()
	}
}

// announce tells what a published change was. mu is held.
func (t *Table) announce(m *memory, c step) {
	if !t.subs.some.Load() {
		return
	}
	var msg Msg
	if c.old != 0 {
		msg = Msg{Type: MsgDelete, Route: m.entry(c.old).Route()}
	}
	if c.new != 0 {
		msg.Type, msg.Old, msg.Route = MsgAdd, msg.Route, m.entry(c.new).Route()
		if c.old != 0 {
			msg.Type = MsgChange
		}
	}
	t.emit(msg)
}

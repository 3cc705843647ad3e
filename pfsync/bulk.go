package pfsync

import (
	"time"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// A Phase is how far a firewall is that asks another for its states (PFSYNC_BULK states).
type Phase uint8

// The phases.
const (
	PhaseNone  Phase = iota // it is down
	PhaseStart              // it waits for a link
	PhaseSent               // it has asked
	PhaseBulk               // it is being told
	PhaseDone               // it knows, or has given up
)

var phaseNames = [...]string{"NONE", "START", "SENT", "BULK", "DONE"}

// String returns the name the phase has in the kernel's log.
func (p Phase) String() string { return phaseNames[p] }

// An Event is what happens to a Request.
type Event uint8

// The events.
const (
	Up Event = iota
	Down
	LinkUp
	BulkStart
	BulkEnd
	BulkUpdate // a state, of whatever transfer
	Tick       // the time of [Request.At] has come
)

var eventNames = [...]string{"UP", "DOWN", "LINK", "BUS_START", "BUS_END", "UPD", "TMO"}

// String returns the name the event has in the kernel's log.
func (e Event) String() string { return eventNames[e] }

const (
	linkWait  = 30 * time.Second // for a link
	replyWait = 2 * time.Second  // for an answer
	tries     = 12               // requests

	demotion = 32 // as long as the states of others are not known here
)

// A Request is the receiving end of a bulk transfer: it asks, waits, and is demoted until it knows
// all states, or has given up. It is a pure machine: no clock, no lock, nothing sent.
//
//	         UP            LINK            BUS_START         BUS_END
//	NONE ─────────▶ START ──────▶ SENT ───────────────▶ BULK ───────▶ DONE
//	        +32       │           │  ▲                    │   -32       ▲
//	                  │ 30 s      │  └────────────────────┘ too long    │
//	                  └───────────┴──────────────────────────────────▶ ─┘
//	                           12 requests, or an answer that
//	                           there is nothing
//
// In three places it does not what OpenBSD does: when a transfer takes too long it asks again and
// waits for the answer, instead of asking and giving up at once; an end without a beginning, and
// without a state since it asked, is the answer of a firewall that has none, instead of nothing;
// and no event is one that must not happen.
type Request struct {
	// Wait is how long a transfer may take.
	Wait time.Duration

	phase   Phase
	tries   int
	at      time.Time
	demoted bool
	told    bool // of a state since the last request
}

// An Answer is what a Request wants done.
type Answer struct {
	Send   bool   // a request for all states
	Demote int    // by so much
	Why    string // one is demoted, or not any more
}

// Phase returns how far it is.
func (q *Request) Phase() Phase { return q.phase }

// At returns when the next Tick is due; zero for never.
func (q *Request) At() time.Time { return q.at }

// Step takes an event.
func (q *Request) Step(now time.Time, e Event) (a Answer) {
	ask := func() {
		a.Send, q.told = true, false
		q.phase, q.at = PhaseSent, now.Add(replyWait)
	}
	finish := func(why string) {
		q.phase, q.at = PhaseDone, time.Time{}
		a.Demote, a.Why, q.demoted = -demotion, why, false
	}
	switch e {
	case Up:
		if q.phase == PhaseNone {
			q.phase, q.at, q.demoted = PhaseStart, now.Add(linkWait), true
			a.Demote, a.Why = demotion, "pfsync init"
		}
	case Down:
		if q.demoted {
			a.Demote, a.Why = -demotion, "pfsync down"
		}
		*q = Request{Wait: q.Wait}
	case LinkUp:
		if q.phase == PhaseStart {
			ask()
		}
	case BulkUpdate:
		q.told = true
	case BulkStart:
		if q.phase == PhaseStart || q.phase == PhaseSent {
			q.phase, q.at = PhaseBulk, now.Add(q.Wait)
		}
	case BulkEnd:
		switch {
		case q.phase == PhaseBulk:
			finish("bulk done")
		case q.phase == PhaseSent && !q.told:
			finish("bulk done: nothing to tell")
		}
	case Tick:
		if q.at.IsZero() || now.Before(q.at) {
			break
		}
		switch q.phase {
		case PhaseStart:
			finish("no link")
		case PhaseSent, PhaseBulk:
			if q.tries++; q.tries < tries {
				ask()
			} else {
				finish("bulk failed")
			}
		}
	}
	return a
}

// Wait returns how long a transfer may take to a firewall that has room for limit states, in packets
// of mtu bytes: four times what OpenBSD's needs for so many, at 50 packets a second, and rounded as
// there.
func Wait(limit, mtu int) time.Duration {
	perPacket := (mtu - empty) / wire.INS.Size()
	return 4 * time.Duration(max(1, limit/perPacket/50)) * time.Second
}

// bulk is the sending end: which states are still to be told of. Only the worker moves its pointers,
// with pf's list locked for reading; who takes states off the list looks at them with it locked for
// writing.
type bulk struct {
	next, tail *pf.State // neither, if there is no transfer; no next, if only its end is to be told
}

func (b *bulk) active() bool { return b.tail != nil }

// bulkTurn makes the next packet of a transfer, or the first if start is set, and reports whether it
// could be sent. If not it is to be made again: nothing is left out.
func (r *run) bulkTurn(start bool) bool {
	unlock := r.table.LockList()
	defer unlock()
	b := &r.bulk
	from, to := b.next, b.tail
	if start {
		from, to = r.table.Ends()
	}
	m, next, n, ended := r.bulkPacket(start, from, to)
	if m == nil || r.out.hand(m) != nil {
		return false
	}
	if start {
		r.sent.Store(0)
	}
	r.sent.Add(int64(n))
	b.next, b.tail = next, to
	if ended {
		b.next, b.tail = nil, nil
	}
	return true
}

// bulkPacket writes one packet: the start, if it is the first, as many states as fit of those that
// are left, and the end if they all do and it fits too. It returns the state to go on with.
func (r *run) bulkPacket(start bool, from, to *pf.State) (m *mbuf.Packet, next *pf.State, n int, ended bool) {
	status := func(b []byte, s wire.Status) []byte {
		u := wire.Bulk{Creator: r.table.HostID(), Status: s}
		return u.Append(wire.AppendSubheader(b, wire.BUS, 1))
	}
	const busLen = wire.SubheaderLen + 12
	b := wire.AppendHeader(r.scratch[:ipLen])
	if start && from != nil {
		b = status(b, wire.BulkStart)
	}
	at, now := len(b), r.table.Now()
	if from != nil {
		for st := range r.table.Walk(from, to) {
			if st.Flags()&pf.NoSync != 0 || st.Timeout() == pf.Unlinked {
				continue // nobody is to know, or it is not one any more
			}
			need := wire.INS.Size()
			if n == 0 {
				need += wire.SubheaderLen
			}
			if len(b)+need > r.mtu {
				next = st
				break
			}
			if n == 0 {
				b = wire.AppendSubheader(b, wire.UPD, 0)
			}
			var w wire.State
			st.Export(&w, now)
			b = w.Append(b)
			n++
		}
		if n > 0 {
			wire.AppendSubheader(b[:at], wire.UPD, n)
		}
	}
	if next == nil && len(b)+busLen <= r.mtu {
		b = status(b, wire.BulkEnd)
		ended = true
	}
	if m = r.out.packet(len(b)); m == nil {
		return nil, nil, 0, false
	}
	wire.Finish(b[ipLen:])
	copy(m.Writable(), b)
	return m, next, n, ended
}

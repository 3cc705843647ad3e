package ministack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/witness"
)

// The errors of what changes neighbours by hand, beside those of package ifnet.
var (
	ErrNoNeighbour = errors.New("there is no such neighbour")
	ErrNotUnicast  = errors.New("that is nobody's address")
	ErrFull        = errors.New("there are as many neighbours as there may be")
	ErrClosed      = errors.New("the stack is closed")
)

// A NeighbourState is what is known of a neighbour: RFC 4861's states, which here are those of ARP
// too.
//
//	            a packet                 says its address, asked
//	(nobody) ──────────────▶ INCOMPLETE ─────────────────────────▶ REACHABLE ◀──┐
//	   ▲  │  is heard of      │ asked in vain                        │ Reachable │
//	   │  └───────────────────┼──────────────────────▶ STALE ◀───────┘           │ says its
//	   │        Expire        │                        │ a packet                │ address,
//	   ├──────────────────────┼────────────────────────┤                         │ asked
//	   │                      │                        ▼        Delay            │
//	   └──────────────────────┴◀─ asked in vain ──── PROBE ◀──────────── DELAY ──┘
type NeighbourState uint8

// The states.
const (
	Incomplete NeighbourState = 1 + iota // it has been asked for, packets wait
	Reachable                            // it has answered lately
	Stale                                // it may be there still: nobody has cared lately
	Delay                                // it was sent a packet, and is soon to be asked
	Probe                                // it is asked, by its link address, and sent packets meanwhile
	Static                               // it was set by hand, and stays

	gone // no entry any more: whoever has come for it looks again
)

// String returns the state as RFC 4861 writes it.
func (s NeighbourState) String() string {
	if s < Incomplete || s > Static {
		return fmt.Sprintf("NeighbourState(%d)", uint8(s))
	}
	return [...]string{"INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE", "STATIC"}[s-Incomplete]
}

// NeighbourConfig is how neighbours are dealt with. Each zero value stands for what is said.
type NeighbourConfig struct {
	Reachable time.Duration // how long an answer is believed: 30 s
	Delay     time.Duration // how long a stale neighbour is sent packets before it is asked: 5 s
	Retry     time.Duration // between two questions: 1 s
	Probes    int           // questions before it is given up: 3
	Expire    time.Duration // how long one is remembered that nobody sends to: 20 min
	Hold      int           // packets that wait for an answer: 16; the oldest makes room
	Max       int           // neighbours: 1024; those set by hand are not refused
	Defend    time.Duration // between two defences of an address of ours: 10 s (RFC 5227)
}

func (c *NeighbourConfig) defaults() {
	c.Reachable = cmp.Or(c.Reachable, 30*time.Second)
	c.Delay = cmp.Or(c.Delay, 5*time.Second)
	c.Retry = cmp.Or(c.Retry, time.Second)
	c.Probes = cmp.Or(c.Probes, 3)
	c.Expire = cmp.Or(c.Expire, 20*time.Minute)
	c.Hold = cmp.Or(c.Hold, 16)
	c.Max = cmp.Or(c.Max, 1024)
	c.Defend = cmp.Or(c.Defend, 10*time.Second)
}

// A neighbour is an address on an interface's link. The ID is that of one interface and no other:
// what one has learned is not the next one's.
type neighbour struct {
	ifp  ifnet.ID
	addr netip.Addr
}

var (
	entryClass = witness.NewClass("ministack entry")
	waiting    = mbuf.NewQueue("for a neighbour")
)

// An entry is what is known of a neighbour (struct llentry). While its lock is held packets are
// kept and questions queued, and nothing is sent, freed or waited for: so no decision has to be made
// again because the lock was let go of in between.
type entry struct {
	key neighbour

	mu       witness.Mutex // guards what follows
	state    NeighbourState
	mac      ifnet.MAC // not if Incomplete
	due      time.Time // when the timer is to go off, zero for never: one that goes off for another time is late
	asked    int       // how often, since it answered
	held     mbuf.List // what waits for it
	flushing bool      // what was held is being sent, and the rest queues behind it

	alarm alarm // the timers' own
}

// neighbours are the entries of all interfaces (struct lltable): a queue of packets, as far as
// departing interfaces are concerned.
type neighbours struct {
	s *Stack
	c NeighbourConfig

	mu       hook.Mutex // leaf; guards what follows
	by       map[neighbour]*entry
	proxies  map[neighbour]bool      // that this host answers for
	defended map[neighbour]time.Time // when an address of ours was, last
	closed   bool

	timers timers

	asks   *netisr.Type[question]
	flush  *netisr.Type[*entry]
	tells  *netisr.Type[netip.Addr]
	cancel func() // of the drainer
}

func (n *neighbours) init(s *Stack) (err error) {
	n.s, n.c = s, s.c.Neighbours
	n.c.defaults()
	n.by, n.proxies, n.defended = map[neighbour]*entry{}, map[neighbour]bool{}, map[neighbour]time.Time{}
	if n.asks, err = netisr.Register(s.Send, netisr.Spec[question]{Name: "ask", Handle: n.ask}); err != nil {
		return err
	}
	if n.flush, err = netisr.Register(s.Send, netisr.Spec[*entry]{Name: "held", Handle: n.sendHeld, Free: n.unsent}); err != nil {
		return err
	}
	if n.tells, err = netisr.Register(s.Send, netisr.Spec[netip.Addr]{
		Name: "announce", Handle: n.tell,
		Key: func(_ *mbuf.Packet, a netip.Addr) any { return a },
	}); err != nil {
		return err
	}
	n.cancel = s.Ifs.AddDrainer(n)
	if !s.c.Manual {
		n.timers.start(n.work)
	}
	return nil
}

// find returns the entry of a neighbour, or nil.
func (n *neighbours) find(k neighbour) *entry {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.by[k]
}

// get returns the entry of a neighbour, and makes one, Incomplete and not asked for yet, where there
// is none but old, which is gone. It returns nil and the reason if there can be none.
func (n *neighbours) get(k neighbour, most int, old *entry) (*entry, mbuf.Reason) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e := n.by[k]; e != nil && e != old {
		return e, 0
	}
	switch {
	case n.closed:
		return nil, mbuf.Shutdown
	case !n.s.Ifs.Live(k.ifp): // asked under the lock that Purge takes: nothing comes behind it
		return nil, mbuf.IfDeparted
	case n.by[k] == nil && len(n.by) >= most:
		n.s.count.refused.Inc()
		return nil, mbuf.NoNeighbour
	}
	e := &entry{key: k, state: Incomplete}
	e.mu.Init(entryClass)
	n.by[k] = e
	return e, 0
}

// edit calls f with the entry of a neighbour, locked and not gone. It makes one if there is none and
// there may be so many; else it returns the reason.
func (n *neighbours) edit(k neighbour, most int, f func(e *entry)) (why mbuf.Reason, ok bool) {
	var e *entry
	for {
		if e, why = n.get(k, most, e); e == nil {
			return why, false
		}
		e.mu.Lock()
		if e.state != gone {
			f(e)
			e.mu.Unlock()
			return 0, true
		}
		e.mu.Unlock() // it went in between: there is another, or will be
	}
}

// resolve returns the link address of a neighbour that a packet is to be sent to. If it is not known
// the packet is kept until it is, or until the neighbour is given up, and ok is false.
func (n *neighbours) resolve(m *mbuf.Packet, to netip.Addr) (mac ifnet.MAC, ok bool) {
	var full *mbuf.Packet
	why, there := n.edit(neighbour{m.Out, to}, n.c.Max, func(e *entry) {
		if e.state == Incomplete || e.flushing {
			full = n.keep(e, m)
			return
		}
		if e.state == Stale {
			e.state = Delay
			n.arm(e, n.c.Delay)
		}
		mac, ok = e.mac, true
	})
	switch {
	case !there:
		m.Free(why)
	case full == m:
		m.Free(mbuf.IfDeparted)
	case full != nil:
		full.Free(mbuf.Full)
	}
	return mac, ok
}

// keep holds a packet, and asks for the neighbour if nobody has. It returns the packet that has to
// be freed, when the lock is free: one that the new one has no room beside, or the new one if an
// interface of it has gone. e is locked.
func (n *neighbours) keep(e *entry, m *mbuf.Packet) (full *mbuf.Packet) {
	for _, id := range []ifnet.ID{m.In, m.Out} {
		if !id.IsZero() && !n.s.Ifs.Live(id) { // asked under the lock that Purge takes
			return m
		}
	}
	if e.held.Len() >= n.c.Hold {
		full = e.pop()
		n.s.count.full.Inc()
	}
	m.Keep(waiting)
	e.held.Push(m)
	if e.state == Incomplete && e.asked == 0 {
		n.question(e)
	}
	return full
}

// pop takes the packet that has waited longest, or returns nil. e is locked.
func (e *entry) pop() *mbuf.Packet {
	m := e.held.Pop()
	if m != nil {
		m.Take(waiting, nil)
	}
	return m
}

// release takes the packets that match out of what is held, in their order. e is locked.
func (e *entry) release(out *mbuf.List, match func(m *mbuf.Packet) bool) {
	for range e.held.Len() {
		m := e.held.Pop()
		if match(m) {
			m.Take(waiting, nil)
			out.Push(m)
		} else {
			e.held.Push(m)
		}
	}
}

func all(*mbuf.Packet) bool { return true }

// question asks for a neighbour once more, and sets the timer for an answer: by its link address if
// that is known. e is locked: the question is only queued.
func (n *neighbours) question(e *entry) {
	e.asked++
	n.arm(e, n.c.Retry)
	m, err := n.s.Ifs.Pool().Alloc(0)
	if err == nil {
		err = n.asks.Dispatch(m, e.key.ifp, question{e.key.addr, e.mac})
	}
	if err != nil {
		n.s.count.unasked.Inc() // that is as if it were lost on the way
	}
}

// arm sets an entry's timer, which is locked.
func (n *neighbours) arm(e *entry, d time.Duration) {
	e.due = time.Now().Add(d)
	n.timers.set(e, e.due)
}

// disarm stops it. One that is on its way finds out that it is late.
func (n *neighbours) disarm(e *entry) {
	e.due = time.Time{}
	n.timers.set(e, e.due)
}

// expire is the timer of an entry (nd_timer), going off for when it was set. It returns, in a list,
// packets that wait in vain.
func (n *neighbours) expire(e *entry, due time.Time, failed *mbuf.List) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.due.Equal(due) || e.state == gone {
		return // it was set anew, or stopped, while this one was on its way
	}
	switch e.state {
	case Incomplete, Probe:
		if e.asked < n.c.Probes {
			n.question(e)
			return
		}
		n.remove(e, failed)
	case Reachable:
		e.state = Stale
		n.arm(e, n.c.Expire)
	case Delay:
		e.state, e.asked = Probe, 0
		n.question(e)
	case Stale:
		n.remove(e, failed)
	}
}

// remove makes an entry gone, and hands out what it held. It is locked.
func (n *neighbours) remove(e *entry, held *mbuf.List) {
	e.state = gone
	n.disarm(e)
	e.release(held, all)
	n.mu.Lock()
	if n.by[e.key] == e {
		delete(n.by, e.key)
	}
	n.mu.Unlock()
}

// word is what a neighbour says of itself.
type word struct {
	mac      ifnet.MAC // zero if it says none
	asked    bool      // it answers a question
	override bool      // what was known is to be forgotten
	greeting bool      // it speaks to this host, so it is worth to be known
}

// learn notes what a neighbour says (nd6_cache_lladdr, in_arpinput), sends what has waited for it,
// and reports whether anybody cared.
func (n *neighbours) learn(k neighbour, w word) (cared bool) {
	var lost mbuf.List
	why := mbuf.NoNeighbour
	f := func(e *entry) {
		cared = true
		why = n.hear(e, w, &lost)
	}
	if w.greeting {
		_, cared = n.edit(k, n.c.Max, f)
	} else if e := n.find(k); e != nil {
		e.mu.Lock()
		if e.state != gone {
			f(e)
		}
		e.mu.Unlock()
	}
	lost.Free(why)
	return cared
}

// hear is what learn does to an entry, which is locked (RFC 4861, 7.2.3 and 7.2.5).
func (n *neighbours) hear(e *entry, w word, lost *mbuf.List) (why mbuf.Reason) {
	said := w.mac != ifnet.MAC{}
	switch {
	case e.state == Static:
		if said && w.mac != e.mac {
			n.s.count.static.Inc() // somebody wants to be who was set by hand
		}
		return 0
	case e.state == Incomplete && !said:
		return 0
	case e.state != Incomplete && said && w.mac != e.mac && !w.override:
		if e.state == Reachable { // two say it: ask, when next somebody cares
			e.state = Stale
			n.arm(e, n.c.Expire)
		}
		return 0
	}
	moved := said && w.mac != e.mac
	if moved {
		e.mac = w.mac
	}
	switch {
	case w.asked:
		e.state, e.asked = Reachable, 0
		n.arm(e, n.c.Reachable)
	case moved:
		e.state, e.asked = Stale, 0
		n.arm(e, n.c.Expire)
	}
	return n.release(e, lost)
}

// release has sent what an entry held, which is locked: by way of the queue, where what comes later
// is behind it. What cannot be sent is put into a list, and the reason returned.
func (n *neighbours) release(e *entry, lost *mbuf.List) (why mbuf.Reason) {
	if e.flushing || e.held.Len() == 0 {
		return 0
	}
	if err := n.flush.Dispatch(e.pop(), e.key.ifp, e); err != nil {
		e.release(lost, all)
		return reason(err)
	}
	e.flushing = true
	return 0
}

// reason returns what a packet ends for that a queue would have refused with an error.
func reason(err error) mbuf.Reason {
	switch {
	case errors.Is(err, netisr.ErrIfDeparted):
		return mbuf.IfDeparted
	case errors.Is(err, netisr.ErrIfDown):
		return mbuf.IfDown
	case errors.Is(err, netisr.ErrNoBufs):
		return mbuf.NoBufs
	}
	return mbuf.Shutdown
}

// sendHeld sends the first packet that was held and all others, in a softint. The stream is that in
// which what comes later is sent, so nothing overtakes them.
func (n *neighbours) sendHeld(c *netisr.Ctx, m *mbuf.Packet, e *entry) {
	for m != nil {
		e.mu.Lock()
		mac := e.mac
		e.mu.Unlock()
		n.s.frame(c, m, mac)
		e.mu.Lock()
		m = e.pop()
		e.flushing = m != nil
		e.mu.Unlock()
	}
}

// unsent is told that the packets of an entry will not be sent.
func (n *neighbours) unsent(e *entry, why mbuf.Reason) {
	var lost mbuf.List
	e.mu.Lock()
	e.flushing = false
	e.release(&lost, all)
	e.mu.Unlock()
	lost.Free(why)
}

// entries returns those of the table that match, with the table unlocked: in one order.
func (n *neighbours) entries(match func(k neighbour) bool) (es []*entry) {
	n.mu.Lock()
	for k, e := range n.by {
		if match(k) {
			es = append(es, e)
		}
	}
	n.mu.Unlock()
	slices.SortFunc(es, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.key.ifp.Index, b.key.ifp.Index), a.key.addr.Compare(b.key.addr))
	})
	return es
}

// drop takes entries away, those set by hand as well if they are to go too, and frees what they held.
func (n *neighbours) drop(es []*entry, static bool, why mbuf.Reason) (packets int) {
	var held mbuf.List
	for _, e := range es {
		e.mu.Lock()
		switch {
		case e.state == gone:
		case e.state == Static && !static:
			e.release(&held, all)
		default:
			n.remove(e, &held)
		}
		e.mu.Unlock()
	}
	packets = held.Len()
	held.Free(why)
	return packets
}

// Name is ifnet.Drainer's.
func (n *neighbours) Name() string { return "neighbours" }

// Purge is ifnet.Drainer's: an interface takes its neighbours along, with what waits for them, and
// what waits elsewhere and came by it.
func (n *neighbours) Purge(id ifnet.ID) int {
	n.mu.Lock()
	for k := range n.proxies {
		if k.ifp == id {
			delete(n.proxies, k)
		}
	}
	for k := range n.defended {
		if k.ifp == id {
			delete(n.defended, k)
		}
	}
	n.mu.Unlock()
	packets := n.drop(n.entries(func(k neighbour) bool { return k.ifp == id }), true, mbuf.IfDeparted)
	var came mbuf.List
	for _, e := range n.entries(func(k neighbour) bool { return k.ifp != id }) {
		e.mu.Lock()
		e.release(&came, func(m *mbuf.Packet) bool { return m.In == id })
		e.mu.Unlock()
	}
	packets += came.Len()
	came.Free(mbuf.IfDeparted)
	return packets
}

// Barrier is ifnet.Drainer's: it waits for those who have packets in hand that no queue knows of, the
// timers and those who change neighbours by hand.
func (n *neighbours) Barrier(ctx context.Context, _ *lwp.LWP, _ ifnet.ID) error {
	return n.timers.idle(ctx)
}

// Down is ifnet.Drainer's: who was there may not be when the interface comes up again.
func (n *neighbours) Down(id ifnet.ID) int {
	return n.drop(n.entries(func(k neighbour) bool { return k.ifp == id }), false, mbuf.IfDown)
}

// close ends the timers, and drops what waits.
func (n *neighbours) close(ctx context.Context) error {
	n.cancel()
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.drop(n.entries(func(neighbour) bool { return true }), true, mbuf.Shutdown)
	return n.timers.close(ctx)
}

// A Neighbour is an entry at some moment, as arp -a and ndp -a print it.
type Neighbour struct {
	Interface ifnet.ID
	Addr      netip.Addr
	MAC       ifnet.MAC // zero if Incomplete
	State     NeighbourState
	Asked     int // questions since it answered
	Held      int // packets that wait for it
}

// Neighbour returns the link address of a neighbour, if it is known.
func (s *Stack) Neighbour(ifp ifnet.ID, addr netip.Addr) (mac ifnet.MAC, ok bool) {
	if e := s.neighbours.find(neighbour{ifp, addr}); e != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.mac, e.state != Incomplete && e.state != gone
	}
	return mac, false
}

// Neighbours returns all neighbours, by interface and address.
func (s *Stack) Neighbours() (ns []Neighbour) {
	for _, e := range s.neighbours.entries(func(neighbour) bool { return true }) {
		e.mu.Lock()
		if e.state != gone {
			ns = append(ns, Neighbour{e.key.ifp, e.key.addr, e.mac, e.state, e.asked, e.held.Len()})
		}
		e.mu.Unlock()
	}
	return ns
}

// SetNeighbour sets a neighbour's link address by hand (arp -s): it is not asked for, and nothing
// that it says changes it. What has waited for it is sent. Errors: ErrNotUnicast, ifnet.ErrGone,
// ErrClosed.
func (s *Stack) SetNeighbour(ifp ifnet.ID, addr netip.Addr, mac ifnet.MAC) error {
	if !unicast(mac) || !addr.IsValid() || addr.IsMulticast() || addr.IsUnspecified() {
		return ErrNotUnicast
	}
	n := &s.neighbours
	n.timers.begin()
	defer n.timers.done()
	var lost mbuf.List
	failed := mbuf.NoNeighbour
	why, ok := n.edit(neighbour{ifp, addr}, int(^uint(0)>>1), func(e *entry) {
		e.state, e.mac, e.asked = Static, mac, 0
		n.disarm(e)
		failed = n.release(e, &lost)
	})
	lost.Free(failed)
	switch {
	case ok:
		return nil
	case why == mbuf.Shutdown:
		return ErrClosed
	}
	return ifnet.ErrGone
}

// DeleteNeighbour forgets a neighbour (arp -d), and what waits for it is dropped. Errors:
// ErrNoNeighbour.
func (s *Stack) DeleteNeighbour(ifp ifnet.ID, addr netip.Addr) error {
	e := s.neighbours.find(neighbour{ifp, addr})
	if e == nil {
		return ErrNoNeighbour
	}
	s.neighbours.timers.begin()
	defer s.neighbours.timers.done()
	s.neighbours.drop([]*entry{e}, true, mbuf.NoNeighbour)
	return nil
}

// unicast reports whether a link address can be somebody's.
func unicast(mac ifnet.MAC) bool { return mac != ifnet.MAC{} && !mac.IsMulticast() }

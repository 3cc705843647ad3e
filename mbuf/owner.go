package mbuf

import (
	"fmt"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/witness"
)

// An Owner is who may have a packet: a queue, in which it waits, or a hand, which does
// something with it. Its name is for reports.
type Owner struct {
	name  string
	queue bool
}

// NewQueue returns an owner in which packets wait: only [Packet.Take] gets one out.
func NewQueue(name string) *Owner { return &Owner{name: name, queue: true} }

// NewHand returns an owner who may do anything with a packet. Who has one and is no such
// owner is in the books as nobody in particular.
func NewHand(name string) *Owner { return &Owner{name: name} }

// String returns the owner's name.
func (o *Owner) String() string {
	if o == nil {
		return "somebody's hand"
	}
	return o.name
}

// freed owns what the pool has.
var freed = NewQueue("the pool")

// track is what a checked build knows of a packet.
type track struct {
	alloc, last invariants.Site
	moved       string // what was done at last
}

// Keep hands the packet to a queue, and panics if it is not in the caller's hand. Who keeps
// packets takes care of them when their interfaces depart.
func (m *Packet) Keep(queue *Owner) { m.move("kept in", m.owner.Load(), queue) }

// Take takes the packet out of a queue that keeps it, into a hand, which may be nil. It panics
// if the packet is not there.
func (m *Packet) Take(queue, hand *Owner) {
	if !m.owner.CompareAndSwap(queue, hand) {
		panic(m.violation("not there", "taken from %v", queue))
	}
	if m.track != nil {
		m.note("taken from " + queue.name)
	}
}

// OwnedBy reports whether the packet is owner's. Whoever has given the packet away may still
// ask, to find out that it was not.
func (m *Packet) OwnedBy(owner *Owner) bool { return m.owner.Load() == owner }

func (m *Packet) move(verb string, from, to *Owner) {
	if from != nil && from.queue || !m.owner.CompareAndSwap(from, to) {
		panic(m.violation("not owned", verb+" %v", to))
	}
	if m.track != nil {
		m.note(verb + " " + to.name)
	}
}

// note writes down that something was done by the caller of a method that calls it by way of
// move, or directly.
func (m *Packet) note(what string) {
	m.track.last, m.track.moved = invariants.Here(2), what
}

// violation says that somebody did to the packet what only its owner may.
func (m *Packet) violation(rule, did string, args ...any) *witness.Violation {
	owner := m.owner.Load()
	v := &witness.Violation{
		Rule: "mbuf: " + rule,
		Text: fmt.Sprintf("mbuf: a packet is "+did+" while it is in %v", append(args, owner)...),
	}
	if owner == freed {
		v.Text = fmt.Sprintf("mbuf: a packet is "+did+" after it was freed (%v)", append(args, m.why)...)
	}
	if t := m.track; t != nil {
		v.Text += fmt.Sprintf("; it was last %s", t.moved)
		v.Sites = []witness.Site{{What: "last " + t.moved, Stack: t.last.String()}, {What: "allocated", Stack: t.alloc.String()}}
	}
	return v
}

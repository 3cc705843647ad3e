package mbuf

import (
	"fmt"
	"time"

	"go.uber.org/atomic"
)

// A HashType says what a packet's FlowID was made from.
type HashType uint8

const (
	HashNone   HashType = iota // there is no FlowID
	HashAddrs                  // source and destination addresses, and the protocol
	HashPorts                  // and ports
	HashOpaque                 // something else: a NIC, or whoever sent it, knows
)

// Flags say things about a packet that its bytes do not.
type Flags uint16

const (
	Broadcast Flags = 1 << iota // it came to the link's broadcast address (M_BCAST)
	Multicast                   // it came to a link multicast address (M_MCAST)
	Promisc                     // it came to somebody else's link address (M_PROMISC)
	Looped                      // it was sent by this stack to itself (M_LOOP)
	Sent                        // it is on its way out, not in: for taps
)

// A Header is what goes with a packet and is no part of its bytes (struct m_pkthdr). The owner
// may change any of it.
type Header struct {
	In, Out IfID // the interfaces it came by, and is to leave by

	FlowID uint32   // which flow it belongs to, if Hash is not HashNone
	Hash   HashType // what FlowID was made from

	Flags     Flags
	EtherType uint16    // what its bytes are, once the link header is off
	FIB       uint32    // the number of the routing table it is for (rdomain)
	Mark      uint32    // the program's own
	Time      time.Time // when it was received; zero if nobody cares
}

// A Packet is a packet: bytes, a header and tags (struct mbuf with M_PKTHDR). Get one from a
// [Pool]; it must not be copied. It has one owner at a time, who alone may call its methods;
// those that need the owner's right to it panic when somebody else's is found out.
type Packet struct {
	_     noCopy
	owner atomic.Pointer[Owner] // nil: in somebody's hand. Beside Header, whose line it shares
	pool  *Pool
	Header

	first segment
	more  []segment
	tags  []tag
	why   Reason // it was freed
	track *track // in checked builds
}

// noCopy lets go vet find copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// Free ends the packet, for a reason that its pool counts (m_freem). Tags that nobody took are
// freed, the last first. It panics if the packet is not in the caller's hand.
func (m *Packet) Free(why Reason) {
	m.release(why)
	m.pool.free(why, m)
}

// release makes the packet nobody's, and empty but for its buffers.
func (m *Packet) release(why Reason) {
	from := m.owner.Load()
	if from != nil && from.queue || !m.owner.CompareAndSwap(from, freed) {
		panic(m.violation("not owned", "freed (%v)", why))
	}
	m.why = why
	if len(m.tags) > 0 {
		m.endTags(why)
	}
	if m.track != nil {
		m.note("freed")
	}
}

// Pool returns where the packet comes from, and where its clones will.
func (m *Packet) Pool() *Pool { return m.pool }

// Clone returns another packet with the same header and bytes (m_dup, without the copying):
// the bytes are shared until one of the two is written to. Of the tags it has those that know
// how to be cloned. It borrows the packet. Errors: [ErrNoBufs].
func (m *Packet) Clone() (*Packet, error) {
	c, err := m.pool.get(bare)
	if err != nil {
		return nil, err
	}
	c.Header = m.Header
	c.first = m.first.share()
	for _, s := range m.more {
		c.more = append(c.more, s.share())
	}
	for _, t := range m.tags {
		if v, ok := t.key.clone(t.value); ok {
			c.tags = append(c.tags, tag{t.key, v})
		}
	}
	return c, nil
}

// String describes the packet: its length, interfaces and owner.
func (m *Packet) String() string {
	return fmt.Sprintf("packet of %d bytes in %v out %v, owned by %v", m.Len(), m.In, m.Out, m.owner.Load())
}

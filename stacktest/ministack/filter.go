package ministack

import (
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

// A Direction is which way a packet goes past a Filter.
type Direction uint8

// The directions.
const (
	In  Direction = iota // it has been received: m.In says by which interface
	Out                  // it is about to be sent: m.Out says by which
)

// A Verdict is what a Filter says of a packet.
type Verdict uint8

// The verdicts.
const (
	Pass  Verdict = iota // it may go on
	Block                // it is dropped, as mbuf.Denied
	Taken                // it is the filter's now, which ends it or sends it on with Stack.Output
)

// A Filter looks at every IP packet that is received and every one that is about to be sent, so
// at one that is forwarded twice (pfil(9)). The packet begins with its IP header, which is whole,
// and the filter may change it. It runs in a softint, with no lock held; it may not sleep.
type Filter func(c *netisr.Ctx, m *mbuf.Packet, d Direction) Verdict

// passes asks the filter, and reports whether the packet goes on. If not it is no longer ours.
func (s *Stack) passes(c *netisr.Ctx, m *mbuf.Packet, d Direction) bool {
	if s.c.Filter == nil {
		return true
	}
	switch s.c.Filter(c, m, d) {
	case Pass:
		return true
	case Taken:
	default:
		m.Free(mbuf.Denied)
	}
	return false
}

package wqinput

import (
	"fmt"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/mbuf"
)

// A Protosw says who takes which IP protocol (inetsw and pr_input). The zero Protosw has none.
// It must not be copied; anyone may use it, and nothing blocks.
type Protosw struct {
	queues [256]hook.Pointer[Queue]
}

// Register gives a protocol to a queue. Errors: [ErrTaken].
func (p *Protosw) Register(proto uint8, q *Queue) error {
	if !p.queues[proto].CompareAndSwap(nil, q) {
		return fmt.Errorf("wqinput: protocol %d for %v: %w, by %v", proto, q, ErrTaken, p.Lookup(proto))
	}
	return nil
}

// Unregister takes a protocol from the queue that has it, and reports whether q was that. What
// is queued stays so.
func (p *Protosw) Unregister(proto uint8, q *Queue) bool {
	return q != nil && p.queues[proto].CompareAndSwap(q, nil)
}

// Lookup returns who takes a protocol, or nil.
func (p *Protosw) Lookup(proto uint8) *Queue { return p.queues[proto].Load() }

// Input hands a packet to who takes its protocol. It consumes the packet. Errors: [ErrNoProto],
// and those of [Queue.Input].
func (p *Protosw) Input(m *mbuf.Packet, off int, proto uint8) error {
	q := p.Lookup(proto)
	if q == nil {
		m.Free(mbuf.NoProto)
		return ErrNoProto
	}
	return q.Input(m, off, proto)
}

package pfsync

import (
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

// maxPackets is how many packets of an outlet may be under way.
const maxPackets = 1024

// An outlet is where packets are made and handed over. Each slice has one of its own, with a pool and
// a stream of the send queue, so that what is under one slice's lock meets nothing of another's;
// and there is one for all that is of no slice.
type outlet struct {
	pool          *mbuf.Pool
	send          *netisr.Type[sending]
	dev           ifnet.ID
	flow          uint32
	noMem, qdrops hook.Uint64
}

// packet returns a packet of n bytes, nil if there is none.
func (o *outlet) packet(n int) *mbuf.Packet {
	m, err := o.pool.Alloc(n)
	if err != nil {
		o.noMem.Add(1)
		return nil
	}
	return m
}

// hand has a packet sent, when no lock is held. It consumes it, and counts the one that finds no room.
func (o *outlet) hand(m *mbuf.Packet) error {
	m.FlowID, m.Hash = o.flow, mbuf.HashOpaque
	err := o.send.Dispatch(m, o.dev, sending{})
	if err != nil {
		o.qdrops.Add(1)
	}
	return err
}

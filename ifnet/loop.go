package ifnet

import (
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
)

// NewLoop returns the driver of a loopback interface (if_loop): what is sent by it is received by
// it. The frames have no link header, so the interface's Link is [Raw].
func NewLoop() Driver { return &loop{} }

type loop struct{ ifp *Interface }

func (d *loop) Open(ifp *Interface) error {
	d.ifp = ifp
	return nil
}

func (d *loop) Close() error { return nil }

// Transmit moves the packet itself: nothing is copied.
func (d *loop) Transmit(_ *lwp.LWP, m *mbuf.Packet) error {
	m.DeleteNonPersistentTags()
	m.Flags = m.Flags&(mbuf.Broadcast|mbuf.Multicast) | mbuf.Looped
	return d.ifp.Input(m)
}

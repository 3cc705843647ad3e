package stacktest

import (
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
)

// A Model says what a handler should do: it is told what goes in and what comes out, one thing at a
// time, and returns an error when that is not what should have. It is called by whoever runs, so it is
// plain memory and asks nothing of the stack. Packets of different flows come in any order.
type Model interface {
	// In is told of a packet that is given to the handler. What its queue has dropped never is.
	In(p Packet) error
	// Out is told of a packet that is sent. What an interface that is down refuses never is.
	Out(p Packet) error
	// Idle is called when the handler has returned from everything and nothing waits to be sent: until
	// time passes, or something comes, nothing more will happen.
	Idle() error
}

// A Packet is a packet as a Model is told of it.
type Packet struct {
	If    ifnet.ID // which interface it came or leaves by; for an Output is to leave by
	Name  string   // what that was called when it was attached: "em0"
	Up    bool     // whether it is up: what is sent by one that is not is refused
	MTU   int      // of it: what is longer is refused
	Flow  uint32   // its FlowID
	Flags mbuf.Flags
	Bytes []byte // a copy
}

func packetOf(m *mbuf.Packet, by *ifnet.Interface, name string) Packet {
	p := Packet{If: by.ID(), Name: name, Up: by.IsUp(), MTU: by.MTU(), Flow: m.FlowID, Flags: m.Flags, Bytes: make([]byte, m.Len())}
	m.CopyTo(p.Bytes)
	return p
}

// asks tells the model something.
func (a *attack) asks(tell func(Model) error) {
	if a.model == nil {
		return
	}
	a.telling.Lock()
	defer a.telling.Unlock()
	if err := tell(a.model); err != nil {
		a.breaks("is not what its model says: "+err.Error(), "")
	}
}

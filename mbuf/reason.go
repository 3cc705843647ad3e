package mbuf

import "strconv"

// A Reason is why a packet ended. Those from [UserReason] on are a program's own.
type Reason uint8

const (
	Done         Reason = iota // it was delivered, sent or otherwise of use
	NoBufs                     // a queue was full (ENOBUFS)
	NoProto                    // nobody takes its protocol
	NoRoute                    // no route to its destination
	NoNeighbour                // its next hop did not answer
	NoListener                 // nobody listens for it here
	IfDeparted                 // an interface it came or was to leave by is gone
	IfDown                     // an interface is down
	Stale                      // an interface left while it was in hand
	Loop                       // it was sent on too often
	TimeExceeded               // its time to live is over
	TooBig                     // it does not fit through an interface
	Steer                      // nobody could say which stream it belongs to
	Type                       // its handler was unregistered
	Shutdown                   // its queue was closed
	Superseded                 // a later one took its place
	Handler                    // its handler returned without ending it, or panicked
	Malformed                  // it is not what it says it is
	BadChecksum                // a checksum or a digest is wrong
	Denied                     // policy, a filter or authentication refused it
	Duplicate                  // it came before
	Foreign                    // it is for somebody else
	Lost                       // a link lost it
	Full                       // an overfull hold queue made room for a later one

	reasons

	// UserReason is the first reason that is a program's own.
	UserReason Reason = 128
)

var reasonNames = [reasons]string{
	"done", "no buffers", "no protocol", "no route", "no neighbour", "no listener", "interface departed",
	"interface down", "stale interface", "loop", "time exceeded", "too big", "no stream", "type unregistered",
	"shut down", "superseded", "handler", "malformed", "bad checksum", "denied", "duplicate", "foreign", "lost", "hold queue full",
}

// String returns what the reason is called in reports.
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "reason " + strconv.Itoa(int(r))
}

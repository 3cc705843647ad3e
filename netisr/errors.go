package netisr

import (
	"errors"
	"fmt"

	"github.com/softnet-go/softnet/internal/deferq"
	"github.com/softnet-go/softnet/mbuf"
)

// The errors of this package, for errors.Is. Each function lists its own. A packet that a call
// consumes is freed when the call fails, and counted under what the error says.
var (
	ErrNoBufs        = mbuf.ErrNoBufs                                 // the queue is full, or nobody knew the stream (ENOBUFS)
	ErrNoProto       = errors.New("nobody takes the protocol")        // EPROTONOSUPPORT
	ErrIfDeparted    = errors.New("an interface has departed")        // ENXIO
	ErrIfDown        = errors.New("the interface is down")            // ENETDOWN
	ErrLoop          = errors.New("the packet was sent on too often") // ELOOP
	ErrClosed        = errors.New("the queue is closed")
	ErrInvalid       = errors.New("that is no value for it") // EINVAL
	ErrNotRegistered = errors.New("it is not registered")
	ErrWouldDeadlock = errors.New("a handler would wait for itself")
)

var refusals = [deferq.Refusals]error{
	deferq.Full: ErrNoBufs, deferq.IfGone: ErrIfDeparted, deferq.IfDown: ErrIfDown,
	deferq.NoClient: ErrNoProto, deferq.Closed: ErrClosed, deferq.Looped: ErrLoop,
}

// A RegError says why a handler or a type was not registered.
type RegError struct {
	Name  string // what was to be registered
	Field string // the field that is wrong
	Why   string
}

// Error returns the sentence.
func (e *RegError) Error() string {
	return fmt.Sprintf("netisr: register %q: %s: %s", e.Name, e.Field, e.Why)
}

// Unwrap returns ErrInvalid.
func (e *RegError) Unwrap() error { return ErrInvalid }

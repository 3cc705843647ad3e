package ifnet

import (
	"errors"

	"github.com/softnet-go/softnet/mbuf"
)

// The errors of this package, for errors.Is. Each function lists its own.
var (
	ErrNoBufs    = mbuf.ErrNoBufs                                 // ENOBUFS
	ErrGone      = errors.New("there is no such interface")       // ENXIO
	ErrExists    = errors.New("there is an interface so named")   // EEXIST
	ErrDetaching = errors.New("the interface is being detached")  // EBUSY
	ErrDown      = errors.New("the interface is down")            // ENETDOWN
	ErrTooBig    = errors.New("the packet is larger than fits")   // EMSGSIZE
	ErrInvalid   = errors.New("that is no value for it")          // EINVAL
	ErrClosed    = errors.New("the table is closed")              // of interfaces
	ErrNoInput   = errors.New("nobody takes what interfaces get") // SetInput was not called
)

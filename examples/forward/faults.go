package forward

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A fault is a kind of broken promise.
type fault int

const (
	entryFreed    fault = iota // a packet's route, while it held it
	gatewayFreed               // a packet's gateway, while it held it
	interfaceGone              // an interface, while a frame was sent by it
	lookedFreed                // a gateway, while a packet looked at it in a read section
	torn                       // a route or gateway that does not fit the packet
	missed                     // a packet to a route that never changes
	refused                    // a change that the table should have made
	stuck                      // something that was still held at the end
	kinds
)

var faultNames = [kinds]string{
	entryFreed:    "route freed while a packet held it",
	gatewayFreed:  "gateway freed while a packet held it",
	interfaceGone: "interface undone while a frame was sent by it",
	lookedFreed:   "gateway freed while a packet looked at it",
	torn:          "route or gateway not the packet's",
	missed:        "unchanged route missed",
	refused:       "change refused",
	stuck:         "still held at the end",
}

func (f fault) String() string { return faultNames[f] }

// faults counts them, and keeps the first.
type faults struct {
	start  time.Time // set before anybody adds
	onAdd  func()    // set before anybody adds; may be nil
	counts [kinds]atomic.Uint64

	once  sync.Once // guards what follows
	first string
	after time.Duration
}

// add counts one. What it was is told of the first only.
func (fs *faults) add(kind fault, format string, args ...any) {
	fs.counts[kind].Add(1)
	fs.once.Do(func() {
		fs.after = time.Since(fs.start)
		fs.first = fmt.Sprintf("%v: "+format, append([]any{kind}, args...)...)
	})
	if fs.onAdd != nil {
		fs.onAdd()
	}
}

// total returns how many there are.
func (fs *faults) total() (n uint64) {
	for i := range fs.counts {
		n += fs.counts[i].Load()
	}
	return n
}

// byKind returns those there are any of.
func (fs *faults) byKind() map[string]uint64 {
	m := map[string]uint64{}
	for i := range fs.counts {
		if n := fs.counts[i].Load(); n > 0 {
			m[fault(i).String()] = n
		}
	}
	return m
}

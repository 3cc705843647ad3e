package stacktest

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/softnet-go/softnet/internal/event"
)

// rows is how many of the last events a failure shows.
const rows = 40

// lanes are what happened, a column for each who did something, until a promise was broken.
type lanes struct {
	ring  *event.Ring
	rec   *event.Recorder
	ended atomic.Bool
}

func (n *lanes) init() {
	n.ring = event.NewRing(rows)
	n.rec = event.New(n.ring)
}

func (n *lanes) record(actor, verb, object, detail string) {
	if !n.ended.Load() {
		n.rec.Record(actor, verb, object, detail)
	}
}

// end writes the last line.
func (n *lanes) end(text, detail string) {
	n.record("", "BROKEN", text, detail)
	n.ended.Store(true)
}

// draw returns the last of what happened.
func (n *lanes) draw() string {
	var b strings.Builder
	if lost := n.ring.Overwritten(); lost > 0 {
		fmt.Fprintf(&b, "... and %d before\n", lost)
	}
	_ = event.Lanes(&b, n.ring.Events()) // a Builder does not fail
	return b.String()
}

// verdict says which promise was broken, by which steps. The same case always gives the same text.
func (a *attack) verdict(promise string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "stacktest: handler %s %s\n", a.sub.Name, promise)
	if a.v.Name != "" {
		fmt.Fprintf(&b, "  (variant %q)\n", a.v.Name)
	}
	for i, s := range a.steps {
		fmt.Fprintf(&b, "  %d  %s\n", i+1, s)
	}
	return b.String()
}

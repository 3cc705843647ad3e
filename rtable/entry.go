package rtable

import (
	"fmt"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// An Entry is a route in a table, and afterwards for as long as somebody holds it (struct
// rtentry). Who holds it, counted or passively, may read it: what it says does not change
// meanwhile, but for its Flags, because [Entry.BeginUpdate] waits for all holders. It must
// not be copied. Its memory is the table's, which uses it again: an entry that was let go
// of may be another one. Its methods never block, unless they say so.
type Entry struct {
	target  psref.Target
	t       *Table
	hop     *NextHop   // changed by the updater, with no holder but itself
	metrics *Metrics   // the same; nil for none
	addr    netip.Addr // with bits, the destination; apart they are smaller
	bits    uint8
	slot    uint32
	refs    hook.Int32 // counted references, and refsWaited
}

// refsWaited, in refs, says that somebody wants to hear of every Unref.
const refsWaited = 1 << 30

func (e *Entry) dst() netip.Prefix { return netip.PrefixFrom(e.addr, int(e.bits)) }

// before reports whether e comes before o where routes are ordered.
func (e *Entry) before(o *Entry) bool {
	c := e.addr.Compare(o.addr)
	return c < 0 || c == 0 && e.bits < o.bits
}

// route returns what e says, without the flags that are in its word.
func (e *Entry) route() Route {
	rt := Route{Dst: e.dst(), Gateway: e.hop.Gateway, Out: e.hop.Out, Source: e.hop.Source, Flags: e.hop.Flags}
	if e.metrics != nil {
		rt.Metrics = *e.metrics
	}
	if rt.Dst.IsSingleIP() {
		rt.Flags |= FlagHost
	}
	return rt
}

// Route returns all of it at once.
func (e *Entry) Route() Route {
	e.mustBeAlive()
	rt := e.route()
	rt.Flags |= e.state()
	return rt
}

// state returns the flags that are in e's word.
func (e *Entry) state() (f Flags) {
	w := e.t.word(e).Load()
	if w&wordGone == 0 {
		f = FlagUp
	}
	if w&wordUpdating != 0 {
		f |= FlagUpdating
	}
	return f
}

// Dst returns the destination (rt_key and rt_mask).
func (e *Entry) Dst() netip.Prefix {
	e.mustBeAlive()
	return e.dst()
}

// Gateway returns the next hop; the zero Addr for a destination on Out's own link
// (rt_gateway).
func (e *Entry) Gateway() netip.Addr { return e.Next().Gateway }

// Out returns the interface to send by (rt_ifp).
func (e *Entry) Out() ifnet.ID { return e.Next().Out }

// Next returns what a packet needs of it.
func (e *Entry) Next() *NextHop {
	e.mustBeAlive()
	return e.hop
}

// Metrics returns what is known of the way (rt_rmx).
func (e *Entry) Metrics() Metrics {
	e.mustBeAlive()
	if e.metrics == nil {
		return Metrics{}
	}
	return *e.metrics
}

// Flags returns the flags of this moment (rt_flags): of an entry that was deleted FlagUp is
// gone.
func (e *Entry) Flags() Flags { return e.route().Flags | e.state() }

// Freed reports whether e has been freed: true tells the caller that it does not hold
// what it thinks it holds. It is for assertions, and notices most mistakes: the entry of
// another route may have taken the place.
func (e *Entry) Freed() bool { return e.t.word(e).Load()&wordFreed != 0 }

// String returns what its route's String returns.
func (e *Entry) String() string {
	if e.Freed() {
		return "a freed entry"
	}
	return e.Route().String()
}

// mustBeAlive is what checked builds make of every use: in the kernel the memory would be
// another route's by now.
func (e *Entry) mustBeAlive() {
	if invariants.Enabled && e.Freed() {
		panic(violation("use after free", "the entry of %v is used after the table freed it: its reference was released before, or never taken", e.dst()))
	}
}

func violation(rule, format string, args ...any) *witness.Violation {
	return &witness.Violation{Rule: "rtable: " + rule, Text: "rtable: " + fmt.Sprintf(format, args...)}
}

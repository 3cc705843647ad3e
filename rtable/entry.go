package rtable

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// An IfID names an interface: its index, and the generation of that index, so that the
// name of an interface that is gone is not the name of the next one with its index. The
// zero IfID names none. A table does not care whether an interface is there.
type IfID struct{ Index, Gen uint32 }

// A Route is what is known of a destination: plain data, compared with ==.
type Route struct {
	Dst     netip.Prefix // host bits are cleared when it is added
	Gateway netip.Addr   // the next hop; the zero Addr for a destination on Out's own link
	Out     IfID         // the zero IfID where the gateway says enough
}

// String returns "10.0.0.0/8 via 192.0.2.1 out 3.1".
func (rt Route) String() string {
	var b strings.Builder
	b.WriteString(rt.Dst.String())
	if rt.Gateway.IsValid() {
		fmt.Fprintf(&b, " via %v", rt.Gateway)
	}
	if rt.Out != (IfID{}) {
		fmt.Fprintf(&b, " out %d.%d", rt.Out.Index, rt.Out.Gen)
	}
	return b.String()
}

// canonical returns rt with its host bits cleared, and whether it is a route: it has a
// prefix that an address can match, and says where to send.
func (rt Route) canonical() (Route, bool) {
	dst := rt.Dst.Masked()
	if !dst.IsValid() || dst.Addr().Is4In6() || !rt.Gateway.IsValid() && rt.Out == (IfID{}) {
		return rt, false
	}
	rt.Dst = dst
	return rt, true
}

// Flags say what an [Entry] is and does (RTF_*).
type Flags uint32

// FlagUp says that the entry is in the table (RTF_UP). It goes when the route is deleted,
// while holders may still have the entry.
const FlagUp Flags = 0x1

const (
	flagFreed     Flags = 1 << 31 // nobody may look at it any more
	flagStillborn Flags = 1 << 30 // deleted by the batch that added it
)

// String returns "UP" or "".
func (f Flags) String() string {
	if f&FlagUp != 0 {
		return "UP"
	}
	return ""
}

// An Entry is a route in a table, and afterwards for as long as somebody holds it (struct
// rtentry). It comes from [Table.Get] and may be used by who holds the reference. What it
// says never changes, but for its Flags. It must not be copied. Its methods never block.
type Entry struct {
	target  psref.Target
	addr    netip.Addr // with bits, the destination; apart they are smaller
	gateway netip.Addr
	out     IfID
	bits    uint8
	flags   hook.Uint32
}

func newEntry(rt Route) *Entry {
	return &Entry{addr: rt.Dst.Addr(), bits: uint8(rt.Dst.Bits()), gateway: rt.Gateway, out: rt.Out}
}

func (e *Entry) route() Route {
	return Route{netip.PrefixFrom(e.addr, int(e.bits)), e.gateway, e.out}
}

// Route returns all of it at once.
func (e *Entry) Route() Route {
	if invariants.Enabled {
		e.mustBeAlive()
	}
	return e.route()
}

// Dst returns the destination (rt_key and rt_mask).
func (e *Entry) Dst() netip.Prefix {
	if invariants.Enabled {
		e.mustBeAlive()
	}
	return netip.PrefixFrom(e.addr, int(e.bits))
}

// Gateway returns the next hop; the zero Addr for a destination on Out's own link
// (rt_gateway).
func (e *Entry) Gateway() netip.Addr {
	if invariants.Enabled {
		e.mustBeAlive()
	}
	return e.gateway
}

// Out returns the interface to send by, or the zero IfID (rt_ifp).
func (e *Entry) Out() IfID {
	if invariants.Enabled {
		e.mustBeAlive()
	}
	return e.out
}

// Flags returns the flags of this moment (rt_flags).
func (e *Entry) Flags() Flags { return Flags(e.flags.Load()) &^ (flagFreed | flagStillborn) }

// Freed reports whether e has been freed: true tells the caller that it does not hold
// what it thinks it holds. It is for assertions.
func (e *Entry) Freed() bool { return Flags(e.flags.Load())&flagFreed != 0 }

// String returns what its route's String returns.
func (e *Entry) String() string { return e.route().String() }

// mustBeAlive is what checked builds make of every use: in the kernel the memory would be
// another route's by now.
func (e *Entry) mustBeAlive() {
	if e.Freed() {
		panic(&witness.Violation{Rule: "rtable: use after free",
			Text: fmt.Sprintf("rtable: the entry of %v is used after the table freed it: its reference was released before, or never taken", e)})
	}
}

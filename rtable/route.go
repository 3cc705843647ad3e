package rtable

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/softnet-go/softnet/ifnet"
)

// A Route is what is known of a destination: plain data, compared with ==. What a table
// returns has the flags that it has derived; they do not count in what it is given.
type Route struct {
	Dst     netip.Prefix // host bits are cleared when it is added
	Gateway netip.Addr   // the next hop; the zero Addr for a destination on Out's own link
	Out     ifnet.ID     // the interface; the zero ID where the gateway's own route says it
	Source  netip.Addr   // the address to send from, or the zero Addr (rt_ifa)
	Flags   Flags
	Metrics Metrics
}

// String returns "10.0.0.0/8 via 192.0.2.1 out 3.1 UP,GATEWAY".
func (rt Route) String() string {
	var b strings.Builder
	b.WriteString(rt.Dst.String())
	if rt.Gateway.IsValid() {
		fmt.Fprintf(&b, " via %v", rt.Gateway)
	}
	if !rt.Out.IsZero() {
		fmt.Fprintf(&b, " out %v", rt.Out)
	}
	if rt.Source.IsValid() {
		fmt.Fprintf(&b, " from %v", rt.Source)
	}
	if rt.Flags != 0 {
		fmt.Fprintf(&b, " %v", rt.Flags)
	}
	return b.String()
}

// canonize makes rt what a table keeps of it, and reports whether it is a route: it has a
// prefix that an address can match, and says where to send, or that nothing is to be sent.
func (rt *Route) canonize() bool {
	dst := rt.Dst.Masked()
	if !dst.IsValid() || dst.Addr().Is4In6() {
		return false
	}
	if !rt.Gateway.IsValid() && rt.Out.IsZero() && rt.Flags&(FlagReject|FlagBlackhole) == 0 {
		return false
	}
	rt.Dst = dst
	rt.Flags &= given
	if rt.Gateway.IsValid() {
		rt.Flags |= FlagGateway
	}
	if dst.IsSingleIP() {
		rt.Flags |= FlagHost
	}
	return true
}

// Metrics is what is known of the way to a destination (struct rt_metrics). Zero means
// not known. The kernel's expiry is a timer here, see [Timers], and its count of packets is
// kept by whoever sends them.
type Metrics struct {
	MTU      uint32        // bytes
	Hops     uint32        // hopcount
	RTT      time.Duration // round trip
	RTTVar   time.Duration // its variation
	SendPipe uint32        // bytes, outbound bandwidth-delay product
	RecvPipe uint32        // bytes, inbound
	SSThresh uint32        // bytes, outbound gateway buffer limit
	Locked   MetricMask    // which of them nobody but the administrator changes
}

// A MetricMask names metrics (RTV_*).
type MetricMask uint32

// The metrics, with their kernel values.
const (
	MetricMTU      MetricMask = 0x1
	MetricHops     MetricMask = 0x2
	MetricRecvPipe MetricMask = 0x8
	MetricSendPipe MetricMask = 0x10
	MetricSSThresh MetricMask = 0x20
	MetricRTT      MetricMask = 0x40
	MetricRTTVar   MetricMask = 0x80
)

// A NextHop is what a packet needs of a route. It never changes, and many routes share one:
// whoever has a pointer to it may keep that, it is only memory.
type NextHop struct {
	Gateway netip.Addr // the zero Addr for a destination on Out's own link
	Out     ifnet.ID
	Source  netip.Addr
	MTU     uint32 // bytes; 0 for the interface's
	Flags   Flags  // of the route, without UP, HOST and UPDATING
}

func (rt *Route) nextHop() NextHop {
	return NextHop{rt.Gateway, rt.Out, rt.Source, rt.Metrics.MTU, rt.Flags &^ (FlagUp | FlagHost | FlagUpdating)}
}

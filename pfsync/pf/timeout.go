package pf

import "github.com/softnet-go/softnet/pfsync/wire"

// A Timeout is a kind of timeout (PFTM_*): how long a state of some protocol in some phase stays
// without packets.
type Timeout uint8

// The timeouts, as they are numbered on the wire.
const (
	TCPFirst Timeout = iota
	TCPOpening
	TCPEstablished
	TCPClosing
	TCPFinWait
	TCPClosed
	UDPFirst
	UDPSingle
	UDPMultiple
	ICMPFirst
	ICMPError
	OtherFirst
	OtherSingle
	OtherMultiple
	Fragment
	Interval // seconds in which a purge looks at every state once
	AdaptiveStart
	AdaptiveEnd // of states, not of seconds, both
	SourceTrack
	TSDiff

	timeouts = wire.Timeouts

	Purge    Timeout = 21 // to be taken down at the next opportunity
	Unlinked Timeout = 22 // it has been taken down, for good
)

var timeoutNames = [timeouts]string{
	"tcp.first", "tcp.opening", "tcp.established", "tcp.closing", "tcp.finwait", "tcp.closed",
	"udp.first", "udp.single", "udp.multiple", "icmp.first", "icmp.error",
	"other.first", "other.single", "other.multiple", "frag", "interval",
	"adaptive.start", "adaptive.end", "src.track", "ts.diff",
}

// String returns the timeout's name in pf.conf.
func (t Timeout) String() string {
	switch {
	case t < timeouts:
		return timeoutNames[t]
	case t == Purge:
		return "purge"
	case t == Unlinked:
		return "unlinked"
	}
	return "no timeout"
}

// Timeouts are values, most of them in seconds.
type Timeouts [timeouts]uint32

// DefaultTimeouts returns those of pf.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		TCPFirst: 120, TCPOpening: 30, TCPEstablished: 86400, TCPClosing: 900, TCPFinWait: 45, TCPClosed: 90,
		UDPFirst: 60, UDPSingle: 30, UDPMultiple: 60, ICMPFirst: 20, ICMPError: 10,
		OtherFirst: 60, OtherSingle: 30, OtherMultiple: 60, Fragment: 60, Interval: 10,
		AdaptiveStart: 60000, AdaptiveEnd: 120000, TSDiff: 30,
	}
}

// The levels of a TCP half, and of one of another protocol.
const (
	closed uint8 = iota
	listen
	synSent
	synRcvd
	established
	closeWait
	finWait1
	closing
	lastAck
	finWait2
	timeWait
	proxySrc
	proxyDst

	noTraffic = 0
	single    = 1
	multiple  = 2
)

// tcpTimeout returns the timeout that goes with the levels of both halves.
func tcpTimeout(a, b uint8) Timeout {
	switch {
	case a >= finWait2 && b >= finWait2:
		return TCPClosed
	case a >= closing && b >= closing:
		return TCPFinWait
	case a < established || b < established:
		return TCPOpening
	case a >= closing || b >= closing:
		return TCPClosing
	}
	return TCPEstablished
}

// expiresAt returns the second in which a state that was last used at expire is over
// (pf_state_expires): its timeout later, or sooner when there are many states. In a table that has
// more than the adaptive start, timeouts shrink in proportion, and at the adaptive end to nothing.
func (v *Timeouts) expiresAt(t Timeout, expire uint32, states int) uint32 {
	if t >= timeouts {
		return 0
	}
	after := v[t]
	start, end, n := uint64(v[AdaptiveStart]), uint64(v[AdaptiveEnd]), uint64(states)
	if end != 0 && n > start && start < end {
		if n >= end {
			return 0
		}
		after = uint32(uint64(after) * (end - n) / (end - start))
	}
	return expire + after
}

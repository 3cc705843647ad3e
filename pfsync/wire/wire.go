package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// What every packet says about itself.
const (
	Version      = 6
	HeaderLen    = 20 // bytes
	SubheaderLen = 4  // bytes

	Protocol = 240 // of IPv4
	TTL      = 255 // nothing less is believed: a router would have taken one off
)

var be = binary.BigEndian

// What is wrong with a packet: each is a counter of pfsync's.
var (
	ErrShort   = errors.New("pfsync: shorter than a header")                  // hdrops
	ErrVersion = errors.New("pfsync: not version 6")                          // badver
	ErrLength  = errors.New("pfsync: a length is more than there is")         // badlen
	ErrAction  = errors.New("pfsync: an action that nobody can take or skip") // badact
	ErrValue   = errors.New("pfsync: a value that nobody can have")           // badval
	errMessage = errors.New("pfsync: shorter than a message of its action")   // a caller's mistake
)

// An Action is what a section's messages ask for (PFSYNC_ACT_*).
type Action uint8

// The actions. Those that are missing were used by other versions, or by nobody: they are skipped.
const (
	CLR    Action = 0  // forget the states of a firewall
	INSACK Action = 2  // a state that wanted an acknowledgement is known here now
	UPDC   Action = 4  // a state has changed: the parts that change
	UPDREQ Action = 5  // send a state, or all of them
	DEL    Action = 6  // a state is gone; nobody sends it
	DELC   Action = 7  // a state is gone
	BUS    Action = 10 // all states follow, or have been sent
	EOF    Action = 12 // nothing; older versions ended packets with it
	INS    Action = 13 // a new state
	UPD    Action = 14 // a state, whole
	TDB    Action = 15 // the counters of an IPsec SA

	actions = 16
)

var kinds = [actions]struct {
	name string
	size int
}{
	{"CLR", 20}, {"OINS", 0}, {"INS_ACK", 12}, {"OUPD", 0}, {"UPD_C", 84}, {"UPD_REQ", 12}, {"DEL", 264}, {"DEL_C", 12},
	{"INS_F", 0}, {"DEL_F", 0}, {"BUS", 12}, {"OTDB", 0}, {"EOF", 0}, {"INS", 264}, {"UPD", 264}, {"TDB", 52},
}

// String returns the name the action has in OpenBSD.
func (a Action) String() string {
	if a < actions {
		return kinds[a].name
	}
	return fmt.Sprintf("action %d", uint8(a))
}

// Size returns how many bytes a message of the action has at least, and 0 for actions that are
// skipped.
func (a Action) Size() int {
	if a < actions {
		return kinds[a].size
	}
	return 0
}

// AppendHeader begins a packet (struct pfsync_header). [Finish] fills in its length.
//
//	 0               1               2               3
//	+---------------+---------------+---------------+---------------+
//	|  version = 6  |       0       |    length from here, bytes    |
//	+---------------+---------------+---------------+---------------+
//	|      checksum of the ruleset, 16 bytes: zero, and ignored     |
//	+---------------------------------------------------------------+
func AppendHeader(b []byte) []byte {
	return append(b, Version, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
}

// Finish writes the length of a packet, which begins with its header.
func Finish(packet []byte) { be.PutUint16(packet[2:], uint16(len(packet))) }

// AppendSubheader begins a section of n messages (struct pfsync_subheader).
//
//	 0               1               2               3
//	+---------------+---------------+---------------+---------------+
//	|     action    | message, words|       number of messages      |
//	+---------------+---------------+---------------+---------------+
func AppendSubheader(b []byte, a Action, n int) []byte {
	return append(b, byte(a), byte(a.Size()/4), byte(n>>8), byte(n))
}

// Open looks at the header of a packet, and returns what follows it: the sections. What is behind
// the length that the header gives is not looked at, nor is the checksum. A length that does not
// cover the header is refused, where OpenBSD takes it. Errors: [ErrShort], [ErrVersion],
// [ErrLength].
func Open(packet []byte) (sections []byte, err error) {
	if len(packet) < HeaderLen {
		return nil, ErrShort
	}
	if packet[0] != Version {
		return nil, fmt.Errorf("%w but %d", ErrVersion, packet[0])
	}
	n := int(be.Uint16(packet[2:]))
	if n < HeaderLen || n > len(packet) {
		return nil, fmt.Errorf("%w: a packet of %d bytes calls itself one of %d", ErrLength, len(packet), n)
	}
	return packet[HeaderLen:n], nil
}

// A Section is the messages of one action.
type Section struct {
	Action Action
	Stride int    // bytes from one message to the next; more than the action's size in packets from the future
	Count  int    // messages
	Body   []byte // Stride * Count bytes
}

// Next takes the first section off those that [Open] returned. Less than a subheader is no section:
// then the rest is nil, and so is the section's body. Sections that are not [Section.Known] are to
// be skipped. Errors: [ErrAction], [ErrLength]; there is no way to go on after them.
func Next(sections []byte) (s Section, rest []byte, err error) {
	if len(sections) < SubheaderLen {
		return Section{}, nil, nil
	}
	s = Section{Action: Action(sections[0]), Stride: 4 * int(sections[1]), Count: int(be.Uint16(sections[2:]))}
	rest = sections[SubheaderLen:]
	if (s.Action >= actions || s.Stride < s.Action.Size()) && (s.Count == 0 || s.Stride == 0) {
		return s, nil, fmt.Errorf("%w: %v, %d messages of %d bytes", ErrAction, s.Action, s.Count, s.Stride)
	}
	n := s.Stride * s.Count
	if n > len(rest) {
		return s, nil, fmt.Errorf("%w: %d messages %v of %d bytes in %d", ErrLength, s.Count, s.Action, s.Stride, len(rest))
	}
	s.Body, rest = rest[:n:n], rest[n:]
	return s, rest, nil
}

// Known reports whether the section's messages are of an action that is not skipped, and long
// enough for it.
func (s Section) Known() bool { return s.Action.Size() > 0 && s.Stride >= s.Action.Size() }

// Messages yields the section's messages, each [Section.Stride] bytes.
func (s Section) Messages() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range s.Count {
			if !yield(s.Body[i*s.Stride:][:s.Stride:s.Stride]) {
				return
			}
		}
	}
}

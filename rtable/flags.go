package rtable

import (
	"fmt"
	"strings"
)

// Flags say what a route is and does (RTF_*). Those that the table derives, or keeps to
// itself, are set by it alone: what a caller gives for them does not count.
type Flags uint32

// The flags, with their kernel values.
const (
	FlagUp        Flags = 0x1      // in the table; derived
	FlagGateway   Flags = 0x2      // by way of a gateway; derived
	FlagHost      Flags = 0x4      // to one address; derived
	FlagReject    Flags = 0x8      // answer unreachable
	FlagDynamic   Flags = 0x10     // made by a redirect or by path MTU discovery
	FlagModified  Flags = 0x20     // changed by a redirect
	FlagDone      Flags = 0x40     // confirmed by the table's owner
	FlagConnected Flags = 0x100    // its addresses are neighbours on a link (RTF_CLONING once)
	FlagLLData    Flags = 0x400    // of the neighbour table
	FlagStatic    Flags = 0x800    // added by hand
	FlagBlackhole Flags = 0x1000   // drop without a word
	FlagProto2    Flags = 0x4000   // for routing protocols
	FlagProto1    Flags = 0x8000   // for routing protocols
	FlagSource    Flags = 0x10000  // its Source is fixed (RTF_SRC)
	FlagAnnounce  Flags = 0x20000  // answered for, as a proxy
	FlagLocal     Flags = 0x40000  // an address of ours
	FlagBroadcast Flags = 0x80000  // a broadcast address
	FlagUpdating  Flags = 0x100000 // being changed, and not available meanwhile; derived
)

// given is what a caller may say.
const given = FlagReject | FlagDynamic | FlagModified | FlagDone | FlagConnected | FlagLLData | FlagStatic |
	FlagBlackhole | FlagProto2 | FlagProto1 | FlagSource | FlagAnnounce | FlagLocal | FlagBroadcast

var flagNames = []struct {
	f      Flags
	name   string
	letter byte // as netstat -r shows it
}{
	{FlagUp, "UP", 'U'}, {FlagGateway, "GATEWAY", 'G'}, {FlagHost, "HOST", 'H'}, {FlagReject, "REJECT", 'R'},
	{FlagDynamic, "DYNAMIC", 'D'}, {FlagModified, "MODIFIED", 'M'}, {FlagDone, "DONE", 'd'},
	{FlagConnected, "CONNECTED", 'C'}, {FlagLLData, "LLDATA", 'L'}, {FlagStatic, "STATIC", 'S'},
	{FlagBlackhole, "BLACKHOLE", 'B'}, {FlagProto2, "PROTO2", '2'}, {FlagProto1, "PROTO1", '1'},
	{FlagSource, "SRC", 's'}, {FlagAnnounce, "ANNOUNCE", 'p'}, {FlagLocal, "LOCAL", 'l'},
	{FlagBroadcast, "BROADCAST", 'b'}, {FlagUpdating, "UPDATING", 'u'},
}

// String returns "UP,GATEWAY,STATIC", with bits that have no name in hexadecimal.
func (f Flags) String() string {
	var names []string
	for _, n := range flagNames {
		if f&n.f != 0 {
			names = append(names, n.name)
			f &^= n.f
		}
	}
	if f != 0 {
		names = append(names, fmt.Sprintf("%#x", uint32(f)))
	}
	return strings.Join(names, ",")
}

// Letters returns the flags as netstat -r shows them: "UGS".
func (f Flags) Letters() string {
	var b []byte
	for _, n := range flagNames {
		if f&n.f != 0 && n.f != FlagDone {
			b = append(b, n.letter)
		}
	}
	return string(b)
}

package ifnet

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/softnet-go/softnet/mbuf"
)

// A MAC is a link address of 48 bits.
type MAC [6]byte

// BroadcastMAC is everybody's.
var BroadcastMAC = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// IsMulticast reports whether the address is a group's, or everybody's.
func (a MAC) IsMulticast() bool { return a[0]&1 != 0 }

// String returns "02:00:00:00:00:01".
func (a MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5])
}

// MulticastMAC returns the link address of an IP multicast group: 01:00:5e and its last 23 bits,
// or 33:33 and its last 32 (ETHER_MAP_IP_MULTICAST).
func MulticastMAC(group netip.Addr) MAC {
	if group.Is4() {
		b := group.As4()
		return MAC{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	b := group.As16()
	return MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// EtherHeaderLen is how long an Ethernet header is: who it is to, who it is from, and its type.
const EtherHeaderLen = 14

// The types of Ethernet frames that this module knows.
const (
	EtherIPv4 = 0x0800
	EtherARP  = 0x0806
	EtherIPv6 = 0x86dd
)

// PushEther puts an Ethernet header before a packet.
func PushEther(m *mbuf.Packet, dst, src MAC, etherType uint16) {
	b := m.Prepend(EtherHeaderLen)
	copy(b, dst[:])
	copy(b[6:], src[:])
	binary.BigEndian.PutUint16(b[12:], etherType)
}

// PullEther takes the Ethernet header off a frame, puts its type into the packet's header, and
// returns whom it was from and to. ok is false if there is no whole header.
func PullEther(m *mbuf.Packet) (dst, src MAC, ok bool) {
	b, ok := m.Pullup(EtherHeaderLen)
	if !ok {
		return dst, src, false
	}
	dst, src = MAC(b[:6]), MAC(b[6:12])
	m.EtherType = binary.BigEndian.Uint16(b[12:])
	m.Pull(EtherHeaderLen)
	return dst, src, true
}

package carp

import (
	"encoding/binary"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
)

// Frame appends the Ethernet frame that an announcement is, from a link source: an ARP request by
// broadcast whose sender and target are the address (carp_send_arp), or an unsolicited neighbour
// advertisement to all nodes, which overrides what they know (carp_send_na).
func (a Announce) Frame(b []byte, src ifnet.MAC) []byte {
	if FamilyOf(a.Addr) == V4 {
		ip := a.Addr.Unmap().As4()
		b = ether(b, ifnet.BroadcastMAC, src, ifnet.EtherARP)
		b = append(b, 0, 1, 0x08, 0, 6, 4, 0, 1) // Ethernet, IPv4, request
		b = append(append(b, a.MAC[:]...), ip[:]...)
		return append(append(b, make([]byte, 6)...), ip[:]...)
	}
	const (
		icmp6     = 58
		icmpLen   = 32
		advertise = 136
		override  = 0x20
		linkAddr  = 2 // option: target link-layer address, of 1 times 8 bytes
	)
	ip := a.Addr.As16()
	all := [16]byte{0xff, 0x02, 15: 1}
	b = ether(b, ifnet.MAC{0x33, 0x33, 0, 0, 0, 1}, src, ifnet.EtherIPv6)
	b = append(b, 0x60, 0, 0, 0, 0, icmpLen, icmp6, 255)
	n := len(b)
	b = append(append(b, ip[:]...), all[:]...)
	b = append(b, advertise, 0, 0, 0, override, 0, 0, 0)
	b = append(append(b, ip[:]...), linkAddr, 1)
	b = append(b, a.MAC[:]...)
	// The sum is over a pseudo header too: both addresses, the length, and the protocol.
	s := uint32(sum(b[n:])) + icmpLen + icmp6
	binary.BigEndian.PutUint16(b[n+34:], ^uint16(s>>16+s&0xffff))
	return b
}

// Frame appends the Ethernet frame in which an IPv4 or IPv6 packet is sent to a group, from a link
// source: see [Device.SourceMAC].
func Frame(b []byte, group netip.Addr, src ifnet.MAC, packet []byte) []byte {
	proto := uint16(ifnet.EtherIPv6)
	if FamilyOf(group) == V4 {
		proto = ifnet.EtherIPv4
	}
	return append(ether(b, ifnet.MulticastMAC(group), src, proto), packet...)
}

func ether(b []byte, dst, src ifnet.MAC, proto uint16) []byte {
	b = append(append(b, dst[:]...), src[:]...)
	return binary.BigEndian.AppendUint16(b, proto)
}

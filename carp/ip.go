package carp

import (
	"encoding/binary"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
)

// A Family is IPv4 or IPv6: each has its advertisements, and its own timer for when they stop.
type Family uint8

const (
	V4 Family = 4 // IPv4
	V6 Family = 6 // IPv6
)

// FamilyOf returns the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Unmap().Is4() {
		return V4
	}
	return V6
}

// The groups that advertisements are sent to.
var (
	Group4 = netip.AddrFrom4([4]byte{224, 0, 0, 18})
	Group6 = netip.AddrFrom16([16]byte{0xff, 0x02, 15: 0x12})
)

// Group returns the group of a family.
func (f Family) Group() netip.Addr {
	if f == V4 {
		return Group4
	}
	return Group6
}

// tosLowDelay is what OpenBSD, NetBSD and ucarp put into the TOS.
const tosLowDelay = 0x10

// AppendIP appends the IP packet that carries an advertisement from src to dst, 56 bytes in IPv4
// and 76 in IPv6. The addresses are of one family; without a source it is sent from 0.0.0.0 or ::,
// as by a node that has none. id is the identification of IPv4.
func (a *Advert) AppendIP(b []byte, src, dst netip.Addr, id uint16) []byte {
	n := len(b)
	if FamilyOf(dst) == V4 {
		b = append(b, 0x45, tosLowDelay)
		b = binary.BigEndian.AppendUint16(b, 20+HeaderLen)
		b = binary.BigEndian.AppendUint16(b, id)
		b = append(b, 0x40, 0, TTL, Protocol, 0, 0) // do not fragment
		var s [4]byte
		if src.IsValid() {
			s = src.As4()
		}
		d := dst.As4()
		b = append(append(b, s[:]...), d[:]...)
		binary.BigEndian.PutUint16(b[n+10:], ^sum(b[n:]))
		return a.Append(b)
	}
	b = append(b, 0x60, 0, 0, 0, 0, HeaderLen, Protocol, TTL)
	var s [16]byte
	if src.IsValid() {
		s = src.As16()
	}
	d := dst.As16()
	return a.Append(append(append(b, s[:]...), d[:]...))
}

// A Datagram is an IP packet that carries an advertisement, or claims to.
type Datagram struct {
	Family   Family
	Src, Dst netip.Addr
	TTL      uint8
	Payload  []byte // what follows the IP header, up to the packet's length
}

// ParseIP takes an IP packet apart: what of it is there, and no check but that it has a header.
// ok is false if it has none, or carries another protocol.
func ParseIP(b []byte) (d Datagram, ok bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		ihl, length := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
		if b[9] != Protocol || ihl < 20 || length < ihl || len(b) < ihl {
			return d, false
		}
		d = Datagram{Family: V4, Src: netip.AddrFrom4([4]byte(b[12:])), Dst: netip.AddrFrom4([4]byte(b[16:])), TTL: b[8]}
		d.Payload = b[ihl:min(len(b), length)]
	case len(b) >= 40 && b[0]>>4 == 6:
		if b[6] != Protocol {
			return d, false
		}
		d = Datagram{Family: V6, Src: netip.AddrFrom16([16]byte(b[8:])), Dst: netip.AddrFrom16([16]byte(b[24:])), TTL: b[7]}
		d.Payload = b[40:min(len(b), 40+int(binary.BigEndian.Uint16(b[4:])))]
	default:
		return d, false
	}
	return d, true
}

// VirtualMAC returns the link address that goes with a vhid, 00:00:5e:00:01:VHID.
func VirtualMAC(vhid uint8) ifnet.MAC { return ifnet.MAC{0x00, 0x00, 0x5e, 0x00, 0x01, vhid} }

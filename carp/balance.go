package carp

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
)

// A Balancing is how several virtual hosts share the addresses of a device.
type Balancing uint8

const (
	BalanceNone    Balancing = iota // the leader's master has it all
	BalanceIP                       // each node gets every frame, by a group address, and keeps its share
	BalanceStealth                  // the same, by an address that the switch never learns
	BalanceUnicast                  // the same, behind a hub
	BalanceARP                      // each client is told the link address of one virtual host
)

// String returns the mode as ifconfig names it.
func (b Balancing) String() string {
	names := [...]string{"none", "ip", "ip-stealth", "ip-unicast", "arp"}
	if int(b) < len(names) {
		return names[b]
	}
	return fmt.Sprintf("Balancing(%d)", uint8(b))
}

// mode returns the balancing that is in force.
func (d *Device) mode() Balancing {
	switch {
	case len(d.vhosts) == 1:
		return BalanceNone
	case d.cfg.Balancing == BalanceNone:
		return BalanceIP
	}
	return d.cfg.Balancing
}

// MAC returns the link address the virtual addresses are at.
func (d *Device) MAC() ifnet.MAC {
	if d.cfg.LLAddr != (ifnet.MAC{}) {
		return d.cfg.LLAddr
	}
	mac := VirtualMAC(d.vhosts[0].VHID())
	if d.mode() == BalanceIP {
		mac[0] |= 1
	}
	return mac
}

// SourceMAC returns what the advertisements of a virtual host have as their link source: its
// virtual address, so that switches learn where it is; and the parent's own, which ok being false
// says, where they must not.
func (d *Device) SourceMAC(v *VHost) (mac ifnet.MAC, ok bool) {
	switch d.mode() {
	case BalanceIP, BalanceStealth:
		return ifnet.MAC{}, false
	case BalanceNone:
		return d.MAC(), true
	}
	return VirtualMAC(v.VHID()), true
}

// masters returns the bits of the virtual hosts that are masters (lsmask).
func (d *Device) masters() (mask uint32) {
	for i, v := range d.vhosts {
		if v.state == Master {
			mask |= 1 << i
		}
	}
	return mask
}

// TakesFrame reports whether a unicast frame to this link address is the device's.
func (d *Device) TakesFrame(dst ifnet.MAC) bool {
	if !d.running() {
		return false
	}
	switch d.mode() {
	case BalanceNone:
		return dst == d.MAC() && d.vhosts[0].state == Master
	case BalanceARP:
		for _, v := range d.vhosts {
			if dst == VirtualMAC(v.VHID()) {
				return v.state == Master
			}
		}
		return false
	}
	return dst == d.MAC()
}

// Keeps reports whether a packet that every node gets is this node's share (carp_lsdrop). In the
// modes where nodes do not all get it, it is.
func (d *Device) Keeps(src, dst netip.Addr) bool {
	if dst.IsMulticast() || dst == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return true
	}
	switch d.mode() {
	case BalanceNone, BalanceARP:
		return true
	}
	var fold uint32
	for _, a := range []netip.Addr{src.Unmap(), dst.Unmap()} {
		for b := a.AsSlice(); len(b) >= 4; b = b[4:] {
			fold ^= binary.BigEndian.Uint32(b)
		}
	}
	return d.masters()>>(fold%uint32(len(d.vhosts)))&1 != 0
}

// AnswerARP returns the link address with which to answer a question for a virtual address that
// came from a client at src. ok is false if another node answers.
func (d *Device) AnswerARP(src ifnet.MAC) (mac ifnet.MAC, ok bool) {
	if !d.running() {
		return mac, false
	}
	if d.mode() != BalanceARP {
		return d.MAC(), d.vhosts[0].state == Master
	}
	v := d.vhosts[d.hash(src)%uint32(len(d.vhosts))]
	return VirtualMAC(v.VHID()), v.state == Master
}

// hash spreads clients over virtual hosts, the same way on every node (carp_hash): Bob Jenkins'
// mix of 96 bits.
func (d *Device) hash(src ifnet.MAC) uint32 {
	var pad [64]byte
	copy(pad[:], d.cfg.Password)
	for i := range pad {
		pad[i] ^= 0x36
	}
	k := sha1.Sum(append(pad[:], Version, TypeAdvert))
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(k[4*i:]) }
	var pass [4]byte
	copy(pass[:], d.cfg.Password)

	a := 0x9e3779b9 + binary.LittleEndian.Uint32(src[:])
	b := (word(0) ^ word(1)) + uint32(binary.LittleEndian.Uint16(src[4:]))
	c := (word(2) ^ word(3)) + binary.LittleEndian.Uint32(pass[:])
	// Each step takes both others off one of the three, and mixes a shifted one in.
	for _, shift := range [][3]int{{13, -8, 13}, {12, -16, 5}, {3, -10, 15}} {
		a = (a - b - c) ^ move(c, shift[0])
		b = (b - c - a) ^ move(a, shift[1])
		c = (c - a - b) ^ move(b, shift[2])
	}
	return c
}

// move shifts right by n bits, left if n is negative.
func move(x uint32, n int) uint32 {
	if n < 0 {
		return x << -n
	}
	return x >> n
}

// State returns the state of the device as a whole, which is its link state too: MASTER, link up,
// if any virtual host is; else BACKUP, link down, if any is.
func (d *Device) State() State {
	if bits.OnesCount32(d.masters()) > 0 {
		return Master
	}
	for _, v := range d.vhosts {
		if v.state == Backup {
			return Backup
		}
	}
	return Init
}

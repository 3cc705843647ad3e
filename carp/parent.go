package carp

import (
	"fmt"
	"slices"
	"time"

	"github.com/softnet-go/softnet/ifnet"
)

// A ParentConfig says what a device's parent is.
type ParentConfig struct {
	// MAC is the parent's own link address.
	MAC ifnet.MAC
	// Simplex says that the link does not give us back what we send. If it does, an own
	// advertisement is nothing to count.
	Simplex bool
	// Groups are the stack's; nil makes ones of the parent's own.
	Groups *Groups
}

// A Parent is the interface that devices are on (carpdev), as far as the protocol sees it: who
// advertises on it, and what was heard. Not safe for concurrent use: one lock around it and
// all its devices is what it is made for.
type Parent struct {
	cfg     ParentConfig
	groups  *Groups
	devices []*Device
	stats   Stats
}

// Stats counts packets (struct carpstats). Every packet given to [Parent.Input] is accepted or in
// exactly one of the reasons; OwnLoops are own ones that came back where that is usual.
type Stats struct {
	IPackets, IPackets6 uint64 // received
	Accepted            uint64 // and believed
	BadIf               uint64 // no device is there
	BadTTL              uint64 // less than 255: it is not from this link
	BadLen              uint64 // shorter than an advertisement
	HdrOps              uint64 // shorter than its IP header
	BadSum              uint64 // checksum
	BadVHID             uint64 // of nobody who runs here
	BadVer              uint64 // another version
	BadAuth             uint64 // other password or other addresses; or our own, come back
	OwnLoops            uint64 // our own, come back, on a link that is no simplex one

	OPackets, OPackets6 uint64 // sent
	OErrors             uint64 // not sent
	ONoMem              uint64 // of these, for want of memory
	Preempt             uint64 // transitions to MASTER, whatever the cause
}

// NewParent returns a parent without devices.
func NewParent(c ParentConfig) *Parent {
	if c.Groups == nil {
		c.Groups = new(Groups)
	}
	return &Parent{cfg: c, groups: c.Groups}
}

// Stats returns the counters.
func (p *Parent) Stats() Stats { return p.stats }

// Groups returns the groups of the stack.
func (p *Parent) Groups() *Groups { return p.groups }

// Devices returns the devices in the order they were added.
func (p *Parent) Devices() []*Device { return slices.Clone(p.devices) }

// Add makes a device on the parent. Errors: [ErrConfig], [ErrVHID].
func (p *Parent) Add(c Config) (*Device, error) {
	c, err := p.admit(c, nil)
	if err != nil {
		return nil, err
	}
	d := &Device{parent: p, cfg: c, stats: &p.stats}
	d.build()
	d.sign()
	p.devices = append(p.devices, d)
	return d, nil
}

// admit returns a configuration in its normal form if a device may have it.
func (p *Parent) admit(c Config, self *Device) (Config, error) {
	c, err := c.check()
	if err != nil {
		return c, err
	}
	for _, d := range p.devices {
		for _, n := range c.Nodes {
			if d != self && d.find(n.VHID) != nil {
				return c, fmt.Errorf("%w: %d", ErrVHID, n.VHID)
			}
		}
	}
	return c, nil
}

func (p *Parent) remove(d *Device) {
	p.devices = slices.DeleteFunc(p.devices, func(o *Device) bool { return o == d })
}

// Next returns when the parent wants a [Tick] for its devices, zero if it does not.
func (p *Parent) Next() (at time.Time) {
	for _, d := range p.devices {
		if t := d.Next(); !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// Step applies an event to every device.
func (p *Parent) Step(now time.Time, ev Event) (do []Action) {
	for _, d := range p.Devices() { // one that is detached takes itself out
		do = append(do, d.Step(now, ev)...)
	}
	return do
}

// Input takes an IP packet of protocol 112 (carp_proto_input, carp6_proto_input). What is believed
// goes to the virtual host it is about; what is not is counted once, by the first of these checks
// that fails, in the kernel's order:
//
//	a device is here        BadIf
//	TTL is 255              BadTTL
//	it is long enough       BadLen, HdrOps
//	checksum                BadSum
//	vhid runs here, and was sent to as its peer says: to a group, or not   BadVHID
//	version                 BadVer
//	digest                  BadAuth
//	not our own             BadAuth, if the link is simplex
//	fresh, if asked for     BadAuth
//
// It borrows the packet.
func (p *Parent) Input(now time.Time, packet []byte) []Action {
	v, h := p.check(packet)
	if v == nil {
		return nil
	}
	p.stats.Accepted++
	return v.Step(now, h)
}

func (p *Parent) check(packet []byte) (*VHost, Heard) {
	if len(packet) > 0 && packet[0]>>4 == 6 {
		p.stats.IPackets6++
	} else {
		p.stats.IPackets++
	}
	d, ok := ParseIP(packet)
	if !ok {
		p.stats.HdrOps++
		return nil, Heard{}
	}
	v, a, reason := p.verify(d)
	if reason != nil {
		*reason++
		return nil, Heard{}
	}
	return v, Heard{Family: d.Family, Advert: a}
}

// verify returns the counter of the first check that fails.
func (p *Parent) verify(d Datagram) (*VHost, Advert, *uint64) {
	group := d.Dst.IsMulticast()
	if len(p.devices) == 0 && !(d.Family == V4 && group) {
		return nil, Advert{}, &p.stats.BadIf
	}
	if d.TTL != TTL {
		return nil, Advert{}, &p.stats.BadTTL
	}
	a, err := Parse(d.Payload)
	if err != nil {
		return nil, a, &p.stats.BadLen
	}
	if !ChecksumOK(d.Payload) {
		return nil, a, &p.stats.BadSum
	}
	v := p.find(a.VHID)
	if v == nil || !v.dev.running() || d.Family == V4 && group != v.dev.cfg.Peer.IsMulticast() {
		return nil, a, &p.stats.BadVHID
	}
	if a.Version != Version {
		return nil, a, &p.stats.BadVer
	}
	if !v.auth.Verify(a.Counter, a.Digest) {
		return nil, a, &p.stats.BadAuth
	}
	if a.Counter == v.counter {
		if p.cfg.Simplex {
			return nil, a, &p.stats.BadAuth
		}
		return nil, a, &p.stats.OwnLoops
	}
	if v.dev.cfg.Fresh && !v.believe(a.Counter) {
		return nil, a, &p.stats.BadAuth
	}
	return v, a, nil
}

func (p *Parent) find(vhid uint8) *VHost {
	for _, d := range p.devices {
		if v := d.find(vhid); v != nil {
			return v
		}
	}
	return nil
}

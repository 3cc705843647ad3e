package carp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A lan is hosts on one link, and a clock. Packets arrive at the instant they are sent, in order.
type lan struct {
	t      require.TestingT
	start  time.Time
	now    time.Time
	hosts  []*host
	wire   []frame
	events []string      // what everybody saw: "3s A: BACKUP -> MASTER"
	tap    func(f frame) // sees what is sent
}

type frame struct {
	from   *host
	packet []byte
	a      Advert
	family Family
}

// A host has one parent with its devices, and groups of its own.
type host struct {
	*Parent
	lan    *lan
	name   string
	src    netip.Addr
	island int   // hears only its own
	dead   bool  // neither sends, hears nor has timers
	fail   error // what sending says
	sent   []Advert
	told   []netip.Addr // announcements
	demote []string
}

var t0 = time.Unix(1_800_000_000, 0)

func newLAN(t require.TestingT) *lan { return &lan{t: t, start: t0, now: t0} }

// host adds a host; the devices of configs get the address 10.0.0.100 and are up.
func (l *lan) host(name string, cs ...Config) *host {
	h := &host{Parent: NewParent(ParentConfig{Simplex: true}), lan: l, name: name, src: netip.AddrFrom4([4]byte{10, 0, 0, byte(len(l.hosts) + 1)})}
	l.hosts = append(l.hosts, h)
	for _, c := range cs {
		d, err := h.Add(c)
		require.NoError(l.t, err)
		h.step(d, AddAddr{vip})
	}
	return h
}

var (
	vip  = netip.MustParseAddr("10.0.0.100")
	vip2 = netip.MustParseAddr("10.0.0.101")
	vip6 = netip.MustParseAddr("fd00::100")
)

// one is a configuration with one virtual host, vhid 1.
func one(skew uint8, with ...func(*Config)) Config {
	c := Config{Nodes: []Node{{VHID: 1, AdvSkew: skew}}, Password: "secret", AdvBase: 1}
	for _, f := range with {
		f(&c)
	}
	return c
}

func preempt(c *Config) { c.Preempt = true }

func (h *host) d() *Device               { return h.devices[0] }
func (h *host) state() State             { return h.devices[0].State() }
func (h *host) step(d *Device, ev Event) { h.do(d, d.Step(h.lan.now, ev)) }
func (h *host) say(ev Event)             { h.step(h.d(), ev); h.lan.deliver() }

// do does what a device wants, as a shell around it would.
func (h *host) do(d *Device, actions []Action) {
	for _, a := range actions {
		switch a := a.(type) {
		case Send:
			if h.fail == nil && !h.dead {
				h.sent = append(h.sent, a.Advert)
				src, dst := h.src, d.cfg.Peer
				if a.Family == V6 {
					src, dst = netip.MustParseAddr("fe80::1"), Group6
				}
				h.lan.send(frame{h, a.Advert.AppendIP(nil, src, dst, 0), a.Advert, a.Family})
			}
			h.do(d, d.Step(h.lan.now, Sent{a.Family, h.fail}))
			if errors.Is(h.fail, errNoMem) {
				return
			}
		case Announce:
			h.told = append(h.told, a.Addr)
		case Transition:
			h.lan.events = append(h.lan.events, fmt.Sprintf("%v %s: %v -> %v", h.lan.at(), h.name, a.From, a.To))
		case Demoted:
			h.demote = append(h.demote, fmt.Sprintf("%+d %s", a.By, a.Reason))
			if a.All {
				for _, o := range h.Devices() {
					h.step(o, Advertise{})
				}
			}
		}
	}
}

func (l *lan) send(f frame) {
	if l.tap != nil {
		l.tap(f)
	}
	l.wire = append(l.wire, f)
}

// deliver hands over what is on the wire, and what is sent in answer.
func (l *lan) deliver() {
	for len(l.wire) > 0 {
		f := l.wire[0]
		l.wire = l.wire[1:]
		for _, h := range l.hosts {
			if h != f.from && !h.dead && h.island == f.from.island && !f.from.dead {
				h.input(f.packet)
			}
		}
	}
}

func (h *host) input(p []byte) {
	actions := h.Input(h.lan.now, p)
	if len(actions) > 0 {
		dg, _ := ParseIP(p)
		a, _ := Parse(dg.Payload)
		h.do(h.find(a.VHID).dev, actions)
	}
}

func (l *lan) at() time.Duration { return l.now.Sub(l.start) }

// until lets time pass up to a moment, which is included.
func (l *lan) until(end time.Duration) {
	l.deliver()
	for range 1_000_000 {
		next := l.start.Add(end)
		for _, h := range l.hosts {
			if at := h.Next(); !h.dead && !at.IsZero() && at.Before(next) {
				next = at
			}
		}
		l.now = next
		for _, h := range l.hosts {
			for _, d := range h.Devices() {
				if !h.dead && due(d.Next(), l.now) {
					h.step(d, Tick{})
					l.deliver() // who is first is heard by the rest
				}
			}
		}
		if l.at() == end && !slices.ContainsFunc(l.hosts, func(h *host) bool { return !h.dead && due(h.Next(), l.now) }) {
			return
		}
	}
	require.Fail(l.t, "time does not pass: timers fire without end")
}

// forget empties the records of what has happened.
func (l *lan) forget() {
	l.events = nil
	for _, h := range l.hosts {
		h.sent, h.told, h.demote = nil, nil, nil
	}
}

var errNoMem = fmt.Errorf("send: %w", errNoBufs)

// forge builds a packet for vhid 1 as somebody with the password would.
func forge(t testing.TB, change func(a *Advert), as ...netip.Addr) []byte {
	if as == nil {
		as = []netip.Addr{vip}
	}
	auth, err := NewAuth("secret", 1, as, nil)
	require.NoError(t, err)
	a := Advert{Version: Version, Type: TypeAdvert, AuthLen: AuthLen, VHID: 1, AdvBase: 1, Counter: [8]byte{1, 2, 3}}
	a.Digest = auth.Sign(a.Counter)
	change(&a)
	return a.AppendIP(nil, netip.MustParseAddr("10.0.0.9"), Group4, 0)
}

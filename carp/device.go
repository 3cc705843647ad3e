package carp

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
)

// A Device is a set of addresses that nodes share, and the virtual hosts which do (struct
// carp_softc): all that is known about them and no I/O. Make one with [Parent.Add]; it is no more
// safe for concurrent use than the parent. It begins down, without addresses.
type Device struct {
	parent *Parent
	cfg    Config
	vhosts []*VHost // ascending by vhid; the first leads
	addrs  []netip.Addr
	stats  *Stats // the parent's

	up         bool // as the administrator wishes
	suppressed bool // the parent's link is down, and this device has been demoted for it
	detached   bool

	demoted   int // by this device itself (sc_demote_cnt)
	failures  int // advertisements that could not be sent, in a row
	successes int // since failures was full
}

// VHosts returns the virtual hosts, the leader first.
func (d *Device) VHosts() []*VHost { return slices.Clone(d.vhosts) }

// Addrs returns the virtual addresses in the order they were added.
func (d *Device) Addrs() []netip.Addr { return slices.Clone(d.addrs) }

// Config returns the configuration in its normal form.
func (d *Device) Config() Config { return d.cfg }

// Suppressed reports whether the parent's link is down.
func (d *Device) Suppressed() bool { return d.suppressed }

// Demotion returns what the device advertises: the sum of its groups, or its own if that is 0.
func (d *Device) Demotion() uint8 {
	n := d.parent.groups.sum(d.cfg.Groups)
	if n == 0 {
		n = d.demoted
	}
	return uint8(min(n, maxDemotion))
}

// Next returns when the device wants a [Tick], zero if it does not.
func (d *Device) Next() (at time.Time) {
	for _, v := range d.vhosts {
		if t := v.next(); !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// Step applies one event and returns what to do, in order. It never blocks, sends or reads a clock.
func (d *Device) Step(now time.Time, ev Event) []Action {
	var do []Action
	if d.detached {
		return nil
	}
	switch ev := ev.(type) {
	case Tick, Advertise, Force:
		for _, v := range d.vhosts {
			do = append(do, v.Step(now, ev)...)
		}
	case Heard:
		if v := d.find(ev.Advert.VHID); v != nil {
			do = v.Step(now, ev)
		}
	case Up:
		if !d.up {
			d.up = true
			d.setRun(&do, now)
		}
	case Down:
		d.up = false
		for _, v := range d.vhosts {
			if v.state == Master {
				v.sendAd(&do, now, true)
			}
		}
		d.reset(&do, "down")
	case LinkDown:
		if !d.suppressed {
			d.suppressed = true
			d.reset(&do, "the parent's link is down")
			d.demote(&do, +1, "carpdev")
		}
	case LinkUp:
		if d.suppressed {
			d.suppressed = false
			d.setRun(&do, now)
			d.demote(&do, -1, "carpdev")
		}
	case AddAddr:
		d.addAddr(&do, now, ev.Addr)
	case RemoveAddr:
		d.removeAddr(&do, now, ev.Addr)
	case Sent:
		d.sent(&do, ev)
	case Demote:
		d.demote(&do, ev.By, ev.Reason)
	case Detach:
		d.detach(&do)
	}
	return do
}

// Configure changes the configuration: wholly, or with an error not at all. Other virtual hosts than
// before begin anew; what is only changed keeps its state. Errors: [ErrConfig], [ErrVHID].
func (d *Device) Configure(now time.Time, c Config) ([]Action, error) {
	c, err := d.parent.admit(c, d)
	if err != nil {
		return nil, err
	}
	var do []Action
	vhids := func(ns []Node) (ids []uint8) {
		for _, n := range ns {
			ids = append(ids, n.VHID)
		}
		return ids
	}
	rebuilt := !slices.Equal(vhids(c.Nodes), vhids(d.cfg.Nodes))
	if rebuilt {
		d.reset(&do, "other virtual hosts")
	}
	d.regroup(c.Groups)
	d.cfg = c
	if rebuilt {
		d.build()
	}
	for i, v := range d.vhosts {
		v.node = c.Nodes[i]
	}
	d.sign()
	d.setRun(&do, now)
	return do, nil
}

// build makes the virtual hosts of the configuration, with new counters.
func (d *Device) build() {
	d.vhosts = nil
	for _, n := range d.cfg.Nodes {
		v := &VHost{dev: d, node: n, delayedARP: -1}
		rand.Read(v.counter[:]) // never fails
		d.vhosts = append(d.vhosts, v)
	}
}

// regroup takes what this device has been demoted by from one set of groups to another.
func (d *Device) regroup(to []string) {
	g := d.parent.groups
	for _, name := range d.cfg.Groups {
		if !slices.Contains(to, name) {
			g.Demote(-d.demoted, name)
		}
	}
	for _, name := range to {
		if !slices.Contains(d.cfg.Groups, name) {
			g.Demote(+d.demoted, name)
		}
	}
}

func (d *Device) addAddr(do *[]Action, now time.Time, a netip.Addr) {
	a = a.Unmap()
	if !a.IsValid() || slices.Contains(d.addrs, a) {
		return
	}
	d.reset(do, "an address was added")
	d.addrs = append(d.addrs, a)
	d.up = true
	d.sign()
	d.setRun(do, now)
}

func (d *Device) removeAddr(do *[]Action, now time.Time, a netip.Addr) {
	i := slices.Index(d.addrs, a.Unmap())
	if i < 0 {
		return
	}
	d.addrs = slices.Delete(d.addrs, i, i+1)
	d.sign()
	if len(d.addrs) == 0 {
		d.up = false
		d.reset(do, "the last address was removed")
		return
	}
	for _, v := range d.vhosts { // a family that has gone will not be heard of again
		if !d.has(V4) {
			v.mdAt = time.Time{}
		}
		if !d.has(V6) {
			v.md6At = time.Time{}
		}
	}
	d.setRun(do, now)
}

func (d *Device) detach(do *[]Action) {
	d.reset(do, "detached")
	if d.demoted > 0 {
		d.demote(do, -d.demoted, "detach")
	}
	d.suppressed, d.up, d.failures, d.successes, d.detached = false, false, 0, 0, true
	d.parent.remove(d)
}

// sent watches whether advertisements can be sent (carp_send_ad's error counters). v4 and v6
// share the counters: one that works hides one that does not. Only a master sends, so one that was
// deposed for this stays demoted until it is master again, when the others have gone.
func (d *Device) sent(do *[]Action, ev Sent) {
	err := ev.Err
	switch {
	case err != nil:
		d.stats.OErrors++
	case ev.Family == V4:
		d.stats.OPackets++
	default:
		d.stats.OPackets6++
	}
	limit := 3 * len(d.vhosts)
	switch {
	case err == nil && d.failures < limit:
		d.failures = 0
	case err == nil:
		if d.successes++; d.successes == limit {
			d.demote(do, -1, "send ok")
			d.failures = 0
		}
	case errors.Is(err, mbuf.ErrNoBufs):
		d.stats.ONoMem++
	default:
		d.successes = 0
		if d.failures < limit {
			if d.failures++; d.failures == limit {
				d.demote(do, +1, "send error")
			}
		}
	}
}

// demote changes the device's own counter and those of its groups (carp_demote_adj).
func (d *Device) demote(do *[]Action, by int, reason string) {
	d.demoted = max(0, d.demoted+by)
	all := d.parent.groups.Demote(by, d.cfg.Groups...)
	*do = append(*do, Demoted{By: by, Reason: reason, All: all})
}

// running reports whether virtual hosts may take part (IFF_UP and IFF_RUNNING).
func (d *Device) running() bool {
	return d.up && !d.suppressed && !d.detached && len(d.addrs) > 0
}

// setRun starts what may run: nobody becomes master without having listened for an interval.
func (d *Device) setRun(do *[]Action, now time.Time) {
	if !d.running() {
		return
	}
	for _, v := range d.vhosts {
		if v.state == Init {
			v.setState(do, Backup, "started")
			v.last = max(v.last, stamp(now))
		}
		v.setRun(now, 0)
	}
}

// reset takes every virtual host to INIT.
func (d *Device) reset(do *[]Action, why string) {
	for _, v := range d.vhosts {
		v.setState(do, Init, why)
		v.delayedARP = -1
	}
}

func (d *Device) sign() {
	for _, v := range d.vhosts {
		v.sign(d.addrs)
	}
}

func (d *Device) has(f Family) bool {
	return slices.ContainsFunc(d.addrs, func(a netip.Addr) bool { return FamilyOf(a) == f })
}

func (d *Device) find(vhid uint8) *VHost {
	for _, v := range d.vhosts {
		if v.node.VHID == vhid {
			return v
		}
	}
	return nil
}

// handSet returns the link address that is hashed for a virtual host: a leader's, if it was set by
// hand to something that is neither the virtual one nor the parent's own (realmac).
func (d *Device) handSet(v *VHost) *ifnet.MAC {
	mac := d.MAC()
	if !v.leader() || d.cfg.LLAddr == (ifnet.MAC{}) || mac == VirtualMAC(v.VHID()) || mac == d.parent.cfg.MAC {
		return nil
	}
	return &mac
}

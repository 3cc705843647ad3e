package carp

import (
	"net/netip"
	"time"
)

// A VHost is one virtual host: a vhid, a skew, a state and three timers (struct carp_vhost_entry).
// It belongs to a [Device], which has its addresses, its interval and its demotion. It is no
// more safe for concurrent use than the device.
type VHost struct {
	dev     *Device
	node    Node
	auth    *Auth
	state   State
	counter [8]byte // chosen once; a packet with it is our own, come back (vhe_replay_cookie)

	last uint64 // with Config.Fresh: the latest counter that was sent or believed

	// When each timer fires; zero when it is not armed. A timer that was cancelled cannot fire late:
	// there is nothing of it outside this struct.
	adAt, mdAt, md6At time.Time
	// delayedARP counts down the advertisements to the second announcement; -1 is none.
	delayedARP int
}

// VHID returns the number of the virtual host.
func (v *VHost) VHID() uint8 { return v.node.VHID }

// AdvSkew returns the configured skew, in 1/256 s.
func (v *VHost) AdvSkew() uint8 { return v.node.AdvSkew }

// State returns the state.
func (v *VHost) State() State { return v.state }

// Device returns the device the virtual host belongs to.
func (v *VHost) Device() *Device { return v.dev }

// Step applies one event and returns what to do (carp_proto_input_c, carp_master_down, carp_send_ad).
// It never blocks, sends or reads a clock. What concerns the whole device is for [Device.Step],
// and does nothing here.
func (v *VHost) Step(now time.Time, ev Event) []Action {
	var do []Action
	switch ev := ev.(type) {
	case Tick:
		if due(v.mdAt, now) || due(v.md6At, now) {
			v.masterDown(&do, now, "advertisements have stopped")
		}
		if due(v.adAt, now) {
			v.sendAd(&do, now, false)
		}
	case Heard:
		v.heard(&do, now, ev)
	case Advertise:
		if v.state == Master {
			v.sendAd(&do, now, false)
		}
	case Force:
		switch {
		case ev.State == Backup && v.state == Master:
			v.setState(&do, Backup, "forced")
			v.setRun(now, 0)
		case ev.State == Master && v.state == Backup:
			v.masterDown(&do, now, "forced")
		}
	}
	return do
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// heard is the election.
func (v *VHost) heard(do *[]Action, now time.Time, h Heard) {
	ours, theirs := interval(v.dev.cfg.AdvBase, v.node.AdvSkew), interval(h.Advert.AdvBase, h.Advert.AdvSkew)
	dl, dr := v.dev.Demotion(), h.Advert.Demote
	switch v.state {
	case Master:
		// An equal one is yielded to, or there would be two masters for good. Demotion is an axis of
		// its own: less of it beats any interval, more of it loses against any.
		if ours >= theirs && dr <= dl || dr < dl {
			v.setState(do, Backup, "a better node advertises")
			v.setRun(now, 0)
		}
	case Backup:
		limit := 3*time.Duration(v.dev.cfg.AdvBase)*time.Second + skew(v.node.AdvSkew)
		switch {
		case v.dev.cfg.Preempt && ours < theirs && dr >= dl:
			v.masterDown(do, now, "preempting a worse node")
		case dr > dl:
			v.masterDown(do, now, "the master is demoted")
		case v.dev.cfg.AdvBase != 0 && limit < theirs:
			// It would time out before the next one anyway; and this is how a bow-out works.
			v.masterDown(do, now, "the master is too slow, or leaves")
		default:
			v.setRun(now, h.Family)
		}
	}
}

// masterDown makes a backup the master (carp_master_down).
func (v *VHost) masterDown(do *[]Action, now time.Time, why string) {
	if v.state != Backup {
		return
	}
	v.setState(do, Master, why)
	v.sendAd(do, now, false)
	if v.dev.mode() == BalanceNone && v.leader() {
		v.announce(do, V4)
		v.delayedARP = 2
		v.announce(do, V6)
	}
	v.setRun(now, 0)
	v.dev.stats.Preempt++
}

// sendAd sends an advertisement in each family that has addresses, and the next one in an interval
// (carp_send_ad). After a bow-out there is none.
func (v *VHost) sendAd(do *[]Action, now time.Time, leaving bool) {
	a := Advert{
		Version: Version, Type: TypeAdvert, AuthLen: AuthLen,
		VHID: v.node.VHID, AdvSkew: v.node.AdvSkew, AdvBase: v.dev.cfg.AdvBase, Demote: v.dev.Demotion(),
	}
	if leaving {
		a.AdvBase, a.AdvSkew = bowOut, bowOut
	}
	if v.dev.has(V4) {
		*do = append(*do, Send{VHost: v, Family: V4, Advert: v.signed(a, now)})
		// The one that told of the transition was sent before delayedARP became 2: so this is the third.
		if v.delayedARP > 0 {
			if v.delayedARP--; v.delayedARP == 0 {
				v.announce(do, V4)
				v.delayedARP = -1
			}
		}
	}
	if v.dev.has(V6) {
		*do = append(*do, Send{VHost: v, Family: V6, Advert: v.signed(a, now)})
	}
	v.adAt = time.Time{}
	if !leaving {
		v.adAt = now.Add(AdvInterval(v.dev.cfg.AdvBase, v.node.AdvSkew))
	}
}

// setRun arms the timers of the state; in a backup, those of a family, or of both with 0
// (carp_setrun).
func (v *VHost) setRun(now time.Time, f Family) {
	switch v.state {
	case Master:
		v.adAt = now.Add(AdvInterval(v.dev.cfg.AdvBase, v.node.AdvSkew))
	case Backup:
		v.adAt = time.Time{}
		v.delayedARP = -1
		at := now.Add(v.dev.cfg.MasterDown.Interval(v.dev.cfg.AdvBase, v.node.AdvSkew))
		if f != V6 && v.dev.has(V4) {
			v.mdAt = at
		}
		if f != V4 && v.dev.has(V6) {
			v.md6At = at
		}
	}
}

// setState changes the state, and cancels every timer: what the new one needs is armed by whoever
// called.
func (v *VHost) setState(do *[]Action, to State, why string) {
	if v.state == to {
		return
	}
	*do = append(*do, Transition{VHost: v, From: v.state, To: to, Why: why})
	v.state = to
	v.adAt, v.mdAt, v.md6At = time.Time{}, time.Time{}, time.Time{}
}

// announce tells where the addresses of a family are.
func (v *VHost) announce(do *[]Action, f Family) {
	for _, a := range v.dev.addrs {
		if FamilyOf(a) == f {
			*do = append(*do, Announce{Addr: a, MAC: v.dev.MAC()})
		}
	}
}

// leader reports whether this is the device's first virtual host.
func (v *VHost) leader() bool { return v.dev.vhosts[0] == v }

// next returns when the first timer fires, zero if none is armed.
func (v *VHost) next() (at time.Time) {
	for _, t := range []time.Time{v.adAt, v.mdAt, v.md6At} {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// sign computes the digests anew, after a change of what they cover (carp_hmac_prepare).
func (v *VHost) sign(addrs []netip.Addr) {
	// The password has been checked with the rest of the configuration.
	v.auth, _ = NewAuth(v.dev.cfg.Password, v.node.VHID, addrs, v.dev.handSet(v))
}

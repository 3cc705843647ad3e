package rtable

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/softnet-go/softnet/lwp"
)

// plateaus are the MTUs that links have, the largest first (RFC 1191, section 7.1).
var plateaus = []uint32{65535, 65280, 32000, 17914, 9180, 8166, 4352, 2002, 1492, 1006, 508, 296, 68}

const (
	minMTU4 = 296        // below, path MTU discovery is given up for the destination
	minMTU6 = 1280 - 8   // every link takes 1280 bytes; 8 are for a fragment header
	oddMTU6 = 40 + 8 + 8 // below, a report is nonsense
)

// A TooBig says that a packet was too large for the way (ICMP need fragmentation, ICMPv6
// packet too big).
type TooBig struct {
	Dst       netip.Addr // where it went
	MTU       uint32     // bytes: what would have been small enough; 0 if IPv4 is not told
	Packet    uint32     // bytes: how large it was
	Validated bool       // whether it is known to have been ours (IPv6)
}

func (b TooBig) String() string { return fmt.Sprintf("MTU %d to %v", b.MTU, b.Dst) }

// TooBig lowers the MTU of the way to a destination (icmp_mtudisc, icmp6_mtudisc_update),
// in a host route that is made for it if there is none, and has it forgotten after a time,
// see [Table.SetPathMTUTimeout]. An MTU is never raised, and one that is locked stays.
//
// It may wait for holders of the route, as [Entry.BeginUpdate] does. Errors: [ErrNotFound]
// if there is no route; [ErrInvalid] if the report makes no sense; ctx.Err(),
// [lwp.ErrWouldSleep], [ErrClosed].
func (t *Table) TooBig(ctx context.Context, l *lwp.LWP, b TooBig) error {
	if l.InSoftint() {
		return fmt.Errorf("rtable: %v: %v: %w", b, l, lwp.ErrWouldSleep)
	}
	mtu, ok := b.mtu()
	if !ok {
		return fmt.Errorf("rtable: %v: %w", b, ErrInvalid)
	}
	host := hostPrefix(b.Dst)
	for {
		rt, err := t.covering(host.Addr())
		if err != nil {
			return fmt.Errorf("rtable: %v: %w", b, err)
		}
		if !lower(&rt.Metrics, mtu) {
			return nil
		}
		made := rt.Flags&FlagHost == 0
		if made {
			rt.Dst, rt.Flags = host, rt.Flags&^(FlagStatic|FlagConnected)|FlagDynamic
			err = t.Add(rt)
		} else {
			err = t.update(ctx, l, host, func(u *Update) error {
				rt := u.Route()
				lower(&rt.Metrics, mtu)
				return u.Set(rt)
			})
		}
		switch {
		case err == nil:
			return t.arm(ctx, l, t.pathMTUs, host)
		case made && errors.Is(err, ErrExists) || !made && errors.Is(err, ErrNotFound):
			continue // it came, or went, meanwhile
		}
		return err
	}
}

// mtu returns what is to be believed of the report, 0 for nothing at all: the destination
// takes no part in path MTU discovery.
func (b TooBig) mtu() (uint32, bool) {
	switch dst := b.Dst.Unmap(); {
	case !dst.IsValid():
		return 0, false
	case dst.Is6():
		if b.MTU < minMTU6 {
			return minMTU6, b.MTU >= oddMTU6 && b.Validated
		}
		return b.MTU, true
	case b.MTU != 0:
		return b.MTU, true
	}
	for _, p := range plateaus {
		if p < b.Packet {
			return p, true
		}
	}
	return 0, false
}

// lower lowers the MTU of m, or locks it where that would be too low, and reports whether m
// is different.
func lower(m *Metrics, mtu uint32) bool {
	switch {
	case m.Locked&MetricMTU != 0:
		return false
	case mtu < minMTU4:
		m.Locked |= MetricMTU
		return true
	case m.MTU != 0 && m.MTU <= mtu:
		return false
	}
	m.MTU = mtu
	return true
}

// forgetMTU ends what TooBig began.
func (t *Table) forgetMTU(ctx context.Context, l *lwp.LWP, e *Entry) {
	rt := e.Route()
	if rt.Flags&FlagDynamic != 0 {
		_ = t.deleteEntry(e) // unless somebody else has
		return
	}
	u, err := e.BeginUpdate(ctx, l)
	if err != nil {
		return // it has been deleted
	}
	defer u.Finish()
	if rt = u.Route(); rt.Metrics.Locked&MetricMTU == 0 {
		rt.Metrics.MTU = 0
		_ = u.Set(rt)
	}
}

package ifnet

import (
	"net/netip"
	"slices"

	"go.uber.org/atomic"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/psref"
)

// A Driver is what moves an interface's frames (if_transmit, if_init and if_stop).
type Driver interface {
	// Open is called once when the interface is attached, before anybody can find it.
	Open(ifp *Interface) error
	// Transmit sends a frame. It consumes it, and does not wait: it may be called by a softint.
	Transmit(l *lwp.LWP, m *mbuf.Packet) error
	// Close is called once, when nobody has the interface any more. It ends whatever Open began.
	// After it has returned the driver calls nothing of the interface.
	Close() error
}

// A Link is what the frames of an interface begin with.
type Link uint8

const (
	Ethernet Link = iota // a 14-byte Ethernet header
	Raw                  // an IPv4 or IPv6 header
)

// headerLen returns how long that is.
func (k Link) headerLen() int {
	if k == Ethernet {
		return EtherHeaderLen
	}
	return 0
}

// state is where an interface is in its life.
//
//	attaching ──▶ there ──▶ claimed ──▶ unpublished ──▶ drained ──▶ quiet ──▶ dead
//	                 find it: ──────────┘
type state uint32

const (
	attaching state = iota
	there
	claimed     // by a Detach, which nothing takes back
	unpublished // nobody finds it
	drained     // nothing queued concerns it
	quiet       // nobody refers to it
	dead
)

// An Interface is a network interface (struct ifnet). Who found it with [Table.Get] may use it
// until the reference is released; a driver may from Open to Close. Its methods may be called
// by anyone who may use it, and none but Up and Down and those that change it calls out.
type Interface struct {
	_      noCopy
	table  *Table
	id     ID
	link   Link
	driver Driver

	target psref.Target
	state  hook.Uint32 // a state; changed by whoever attaches or detaches
	up     hook.Bool
	noLink hook.Bool // the cable is out
	mtu    hook.Uint32
	promis hook.Bool

	name   hook.Pointer[string]         // replaced under table.mu
	mac    hook.Pointer[MAC]            // likewise; what follows too
	addrs  hook.Pointer[[]netip.Prefix] // whose Addr is the interface's
	groups hook.Pointer[[]string]
	filter hook.Pointer[[]filtered]
	taps   hook.Pointer[[]*tap]
	hooks  []*leaving // guarded by table.mu

	claimer bool // a Detach is at work; guarded by table.mu

	in, out counters
	noProto atomic.Uint64
}

// noCopy lets go vet find copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// counters are those of one direction.
type counters struct{ packets, bytes, multicasts, drops, errors atomic.Uint64 }

// Stats is a snapshot of an interface's counters (struct if_data).
type Stats struct {
	In, Out DirectionStats
	NoProto uint64 // received, and nobody takes its protocol
}

// DirectionStats are the counters of one direction.
type DirectionStats struct {
	Packets, Bytes, Multicasts uint64 // frames, with their headers; of these, to groups or to all
	Drops                      uint64 // for want of room, or because the interface was down
	Errors                     uint64 // malformed, or refused by the driver
}

func (c *counters) count(m *mbuf.Packet) {
	c.packets.Inc()
	c.bytes.Add(uint64(m.Len()))
	if m.Flags&(mbuf.Multicast|mbuf.Broadcast) != 0 {
		c.multicasts.Inc()
	}
}

func (c *counters) stats() DirectionStats {
	return DirectionStats{c.packets.Load(), c.bytes.Load(), c.multicasts.Load(), c.drops.Load(), c.errors.Load()}
}

// ID returns the interface's name for as long as it lives.
func (ifp *Interface) ID() ID { return ifp.id }

// Table returns the table the interface is in.
func (ifp *Interface) Table() *Table { return ifp.table }

// Name returns what people call the interface (if_xname). It may change.
func (ifp *Interface) Name() string { return *ifp.name.Load() }

// Link returns what the interface's frames begin with.
func (ifp *Interface) Link() Link { return ifp.link }

// MTU returns how many bytes a packet may have, without link header.
func (ifp *Interface) MTU() int { return int(ifp.mtu.Load()) }

// MAC returns the interface's link address, all zero when it has none.
func (ifp *Interface) MAC() MAC { return *ifp.mac.Load() }

// IsUp reports whether the interface is up (IFF_UP).
func (ifp *Interface) IsUp() bool { return ifp.up.Load() }

// HasLink reports whether the driver sees somebody at the other end of the cable
// (LINK_STATE_UP). Drivers that do not know leave it so.
func (ifp *Interface) HasLink() bool { return !ifp.noLink.Load() }

// Addrs returns the interface's addresses, each with the prefix of its network, in the order in
// which they were added. The slice must not be changed.
func (ifp *Interface) Addrs() []netip.Prefix { return *ifp.addrs.Load() }

// Groups returns the names of the groups the interface is in.
func (ifp *Interface) Groups() []string { return *ifp.groups.Load() }

// HasAddr reports whether an address is the interface's.
func (ifp *Interface) HasAddr(a netip.Addr) bool {
	return slices.ContainsFunc(ifp.Addrs(), func(p netip.Prefix) bool { return p.Addr() == a })
}

// SourceFor returns which of the interface's addresses a packet to dst is best sent from: the
// one with the longest prefix in common network with it, else the first of its family
// (in_selectsrc, ifaof_ifpforaddr).
func (ifp *Interface) SourceFor(dst netip.Addr) (src netip.Addr, ok bool) {
	best := -1
	for _, p := range ifp.Addrs() {
		a := p.Addr()
		if a.Is4() != dst.Is4() || a.IsLinkLocalUnicast() != dst.IsLinkLocalUnicast() && a.Is6() && !dst.IsMulticast() {
			continue
		}
		bits := 0
		if p.Contains(dst) {
			bits = p.Bits() + 1
		}
		if bits > best {
			best, src = bits, a
		}
	}
	return src, best >= 0
}

// Stats returns the counters.
func (ifp *Interface) Stats() Stats {
	return Stats{ifp.in.stats(), ifp.out.stats(), ifp.noProto.Load()}
}

// CountNoProto counts a frame that was received and that nobody takes.
func (ifp *Interface) CountNoProto() { ifp.noProto.Inc() }

// Transmit sends a frame (if_transmit): counts it, shows it to the taps, and gives it to the
// driver. It consumes the frame, and does not wait. Errors: [ErrDown], [ErrTooBig], and the
// driver's, such as [ErrNoBufs].
func (ifp *Interface) Transmit(l *lwp.LWP, m *mbuf.Packet) error {
	m.Out = ifp.id
	m.Flags |= mbuf.Sent
	switch {
	case !ifp.IsUp():
		ifp.out.drops.Inc()
		m.Free(mbuf.IfDown)
		return ErrDown
	case m.Len() > ifp.MTU()+ifp.link.headerLen():
		ifp.out.errors.Inc()
		m.Free(mbuf.TooBig)
		return ErrTooBig
	}
	if ifp.link == Ethernet {
		if b, ok := m.Pullup(len(MAC{})); ok && b[0]&1 != 0 {
			m.Flags |= mbuf.Multicast
		}
	}
	ifp.out.count(m)
	ifp.tapped(m)
	err := ifp.driver.Transmit(l, m)
	if err != nil {
		ifp.out.errors.Inc()
	}
	return err
}

// Input is for drivers: a frame has come. It consumes the frame, never blocks, and does as
// little as can be: everything else is [Interface.Receive]'s, in the softint. Errors: [ErrDown],
// [ErrNoInput], and those of the input queue.
func (ifp *Interface) Input(m *mbuf.Packet) error {
	m.In, m.Out = ifp.id, ID{}
	m.Flags &^= mbuf.Sent
	if !ifp.IsUp() {
		ifp.in.drops.Inc()
		m.Free(mbuf.IfDown)
		return ErrDown
	}
	q := ifp.table.input.Load()
	if q == nil {
		ifp.in.drops.Inc()
		m.Free(mbuf.NoProto)
		return ErrNoInput
	}
	err := (*q)(m)
	if err != nil {
		ifp.in.drops.Inc()
	}
	return err
}

// Receive is for the softint that takes frames from the input queue (ether_input): it counts the
// frame, shows it to the taps, and finds out whether it is for this interface. If it returns
// false it has freed the frame. What it returns true for is still the caller's, with its
// link header, and flags that say how it was addressed.
func (ifp *Interface) Receive(m *mbuf.Packet) bool {
	if ifp.link == Raw {
		ifp.in.count(m)
		ifp.tapped(m)
		return true
	}
	b, ok := m.Pullup(EtherHeaderLen)
	if !ok {
		ifp.in.errors.Inc()
		m.Free(mbuf.Malformed)
		return false
	}
	dst := MAC(b[:6])
	ours := true
	switch mac := ifp.MAC(); {
	case dst == BroadcastMAC:
		m.Flags |= mbuf.Broadcast
	case dst == mac:
	case dst.IsMulticast():
		m.Flags |= mbuf.Multicast
		ours = ifp.hears(dst)
	default:
		ours = ifp.hears(dst)
		if !ours {
			m.Flags |= mbuf.Promisc
		}
	}
	ifp.in.count(m)
	ifp.tapped(m)
	if !ours && !ifp.promis.Load() {
		m.Free(mbuf.Foreign)
		return false
	}
	return true
}

// filtered is a link address that somebody wants the frames of.
type filtered struct {
	mac  MAC
	uses int
}

func (ifp *Interface) hears(mac MAC) bool {
	for _, f := range *ifp.filter.Load() {
		if f.mac == mac {
			return true
		}
	}
	return false
}

// Join has the interface receive what is sent to a link address: a group's, or one that it
// shares, as CARP's (SIOCADDMULTI). Each needs a Leave.
func (ifp *Interface) Join(mac MAC) { ifp.use(mac, 1) }

// Leave takes back one Join. It panics if there was none.
func (ifp *Interface) Leave(mac MAC) { ifp.use(mac, -1) }

func (ifp *Interface) use(mac MAC, d int) {
	ifp.table.mu.Lock()
	defer ifp.table.mu.Unlock()
	fs := slices.Clone(*ifp.filter.Load())
	i := slices.IndexFunc(fs, func(f filtered) bool { return f.mac == mac })
	switch {
	case i < 0 && d < 0:
		panic(violation("not joined", "%v leaves %v, which it has not joined", ifp, mac))
	case i < 0:
		fs = append(fs, filtered{mac, d})
	default:
		if fs[i].uses += d; fs[i].uses == 0 {
			fs = slices.Delete(fs, i, i+1)
		}
	}
	ifp.filter.Store(&fs)
}

// SetPromiscuous has the interface receive everything (IFF_PROMISC).
func (ifp *Interface) SetPromiscuous(on bool) { ifp.promis.Store(on) }

// A tap is somebody who looks at frames (bpf).
type tap struct{ look func(*mbuf.Packet) }

func (ifp *Interface) tapped(m *mbuf.Packet) {
	if ts := *ifp.taps.Load(); len(ts) > 0 {
		for _, t := range ts {
			t.look(m)
		}
	}
}

// Tap has look called for each frame that is received or sent (bpf_mtap): mbuf.Sent in its flags
// says which. look only borrows the frame; it runs in whoever receives or sends, several at a
// time. The returned function ends it; look may then still be running.
func (ifp *Interface) Tap(look func(*mbuf.Packet)) (cancel func()) {
	t := &tap{look}
	change := func(f func([]*tap) []*tap) {
		ifp.table.mu.Lock()
		ts := f(slices.Clone(*ifp.taps.Load()))
		ifp.taps.Store(&ts)
		ifp.table.mu.Unlock()
	}
	change(func(ts []*tap) []*tap { return append(ts, t) })
	return func() {
		change(func(ts []*tap) []*tap { return slices.DeleteFunc(ts, func(x *tap) bool { return x == t }) })
	}
}

// String returns the interface's name.
func (ifp *Interface) String() string { return ifp.Name() }

// reset gives an interface what one has that has nothing.
func (ifp *Interface) reset(s *Spec) {
	name := s.Name
	ifp.name.Store(&name)
	mac := s.MAC
	ifp.mac.Store(&mac)
	addrs, groups := slices.Clone(s.Addrs), slices.Clone(s.Groups)
	ifp.addrs.Store(&addrs)
	ifp.groups.Store(&groups)
	ifp.filter.Store(&[]filtered{})
	ifp.taps.Store(&[]*tap{})
	ifp.mtu.Store(uint32(s.MTU))
}

// A nobody is the driver of an interface that is gone: nobody can observe it.
type nobody struct{}

func (nobody) Open(*Interface) error { return ErrGone }
func (nobody) Close() error          { return nil }
func (nobody) Transmit(_ *lwp.LWP, m *mbuf.Packet) error {
	m.Free(mbuf.IfDeparted)
	return ErrGone
}

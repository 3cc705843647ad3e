package pfsync

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
	"github.com/softnet-go/softnet/wqinput"
)

var be = binary.BigEndian

// The errors of a Device.
var (
	ErrConfig = errors.New("pfsync: a setting that cannot be")                       // EINVAL
	ErrPeer   = errors.New("pfsync: no peer can have that address")                  // EDESTADDRREQ
	ErrNoDev  = errors.New("pfsync: there is no such interface to synchronise over") // ENXIO
	ErrBusy   = errors.New("pfsync: it is up already, or still going down")          // EBUSY
	ErrClosed = errors.New("pfsync: closed")                                         // ENXIO
)

// Group is where packets go if there is no peer of its own address.
var Group = netip.AddrFrom4([4]byte{224, 0, 0, 240})

// What a Config has where nothing is said.
const (
	DefaultMaxUpdates = 128
	DefaultMTU        = 1500
	DefaultHold       = 20 * time.Millisecond
	DefaultBulkEvery  = time.Millisecond
	DefaultBulkBurst  = 8

	// MinMTU is the least packet that has room for a state.
	MinMTU = empty + wire.SubheaderLen + 264
)

// A Config is what a Device is made of.
type Config struct {
	Table *pf.Table
	Ifs   *ifnet.Table
	Send  *netisr.SendQueue

	Dev     ifnet.ID   // the interface to synchronise over
	Peer    netip.Addr // [Group] if not valid; IPv4
	PeerMAC ifnet.MAC  // a peer's that has an address of its own; broadcast if zero

	// Slices is how many parts the states are dealt with in: GOMAXPROCS, but at most 4, if 0, which
	// is how many streams queues have. With as many as those each slice's states belong to one
	// stream, and no two ever wait for the same lock. 1024 at most.
	Slices int
	// MaxUpdates is how often a TCP state changes before an update must not wait any longer, 1 to
	// 255; [DefaultMaxUpdates] if 0.
	MaxUpdates int
	MTU        int           // of our packets, [MinMTU] at least; [DefaultMTU] if 0
	Defer      bool          // first packets are held back until a peer knows their state; see SetDefer
	Hold       time.Duration // for how long at most; [DefaultHold] if 0

	// BulkBurst packets are sent at once each BulkEvery when a peer asks for all states. OpenBSD
	// sends one in 20 ms.
	BulkEvery time.Duration
	BulkBurst int

	// Forward sends on what was held back, in a softint, with no lock held; it consumes the packet,
	// which is marked as tested. Needed for Defer.
	Forward func(c *netisr.Ctx, m *mbuf.Packet)
	// Demote is told, one after the other and with no lock held, by how much this firewall is less fit
	// to be master than it was: positive, and later as much negative.
	Demote func(by int, why string)

	Tunnels *Tunnels // whose counters are told of, too; none if nil
	Log     *slog.Logger
	Input   []wqinput.Option // of the queue that packets wait in
	Manual  bool             // there are no workers: see [Device.Step]
}

var deviceClass = witness.NewClass("pfsync.Device.turn")

// A Device is pfsync (the interface pfsync0): it tells other firewalls of the states of a table, and
// the table of theirs. Make one with [New]; it must not be copied. Its methods may be called by
// anyone.
type Device struct {
	c       Config
	queue   *wqinput.Queue
	send    *netisr.Type[sending]
	outlets []*outlet // of the slices, and one more
	held    *netisr.Type[*pf.State]
	psz     *pserialize.Serializer
	class   *psref.Class
	running hook.Pointer[run]

	deferring hook.Bool

	turn   witness.Mutex // held by who takes it up or down, and guards what follows
	closed bool
	cancel []func() // hooks
	ending *run     // going down, and not all is done yet

	stats counters
}

// New returns a device, which is down. Its [Device.Queue] has to be registered for protocol 240.
// Errors: [ErrConfig], and those of netisr.Register.
func New(c Config) (*Device, error) {
	for _, d := range []struct{ v, with *int }{{&c.MaxUpdates, ptr(DefaultMaxUpdates)}, {&c.MTU, ptr(DefaultMTU)}, {&c.BulkBurst, ptr(DefaultBulkBurst)}, {&c.Slices, ptr(min(4, runtime.GOMAXPROCS(0)))}} {
		if *d.v == 0 {
			*d.v = *d.with
		}
	}
	if c.Hold == 0 {
		c.Hold = DefaultHold
	}
	if c.BulkEvery == 0 {
		c.BulkEvery = DefaultBulkEvery
	}
	if !c.Peer.IsValid() {
		c.Peer = Group
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Tunnels == nil {
		c.Tunnels = new(Tunnels)
	}
	if c.Table == nil || c.Ifs == nil || c.Send == nil || c.MaxUpdates < 1 || c.MaxUpdates > 255 || c.MTU < MinMTU || c.MTU > 65535 ||
		c.Slices < 1 || c.Slices > 1024 || c.BulkBurst < 1 || c.BulkEvery < 0 || c.Hold < 0 || c.Defer && c.Forward == nil {
		return nil, ErrConfig
	}
	d := &Device{c: c, psz: pserialize.New(c.Ifs.Domain()), class: psref.NewClass(c.Ifs.Domain(), "pfsync")}
	d.turn.Init(deviceClass)
	d.deferring.Store(c.Defer)
	var err error
	if d.send, err = netisr.Register(c.Send, netisr.Spec[sending]{Name: "pfsync", Prio: netisr.High, Place: netisr.ByFlow, Handle: d.transmit}); err != nil {
		return nil, err
	}
	for i := range c.Slices + 1 {
		pool := mbuf.NewPool(mbuf.PoolConfig{Name: "pfsync", Limit: maxPackets})
		d.outlets = append(d.outlets, &outlet{pool: pool, send: d.send, dev: c.Dev, flow: uint32(i)})
	}
	if d.held, err = netisr.Register(c.Send, netisr.Spec[*pf.State]{
		Name: "pfsync held", Prio: netisr.High, NoOut: true, QLimit: 4 * maxHeld,
		Handle: d.goOn, Free: func(st *pf.State, _ mbuf.Reason) { st.Release() },
	}); err != nil {
		return nil, err
	}
	d.queue = wqinput.New(c.Ifs, "pfsync", d.input, c.Input...)
	return d, nil
}

func ptr(n int) *int { return &n }

// Queue returns where the stack's IP input hands over packets of protocol 240.
func (d *Device) Queue() *wqinput.Queue { return d.queue }

// SetDefer says whether first packets are held back from now on. Errors: [ErrConfig] if nobody would
// send them on.
func (d *Device) SetDefer(on bool) error {
	if on && d.c.Forward == nil {
		return ErrConfig
	}
	d.deferring.Store(on)
	return nil
}

// Up has the device synchronise (IFF_UP): it tells of what becomes of states, and asks whoever is
// there for those that it does not know. Until it knows them, or has asked twelve times in vain,
// it is demoted. l may not be a softint. Errors: [ErrClosed], [ErrBusy], [ErrPeer], [ErrNoDev],
// ctx.Err().
func (d *Device) Up(ctx context.Context, l *lwp.LWP) error {
	if err := d.turn.LockContext(ctx); err != nil {
		return err
	}
	defer d.turn.Unlock()
	switch {
	case d.closed:
		return ErrClosed
	case d.running.Load() != nil || d.ending != nil:
		return ErrBusy
	case !d.c.Peer.Is4() || d.c.Peer.IsUnspecified() || d.c.Peer == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return ErrPeer
	}
	r := newRun(d)
	if !d.with(l, func(ifp *ifnet.Interface) {
		if d.c.Peer.IsMulticast() {
			ifp.Join(ifnet.MulticastMAC(d.c.Peer))
		}
	}) {
		return ErrNoDev
	}
	leaving, err := d.c.Ifs.OnLeaving(d.c.Dev, func(ctx context.Context, l *lwp.LWP, _ *ifnet.Interface) { _ = d.Down(ctx, l) })
	if err != nil {
		d.leave(l)
		return ErrNoDev
	}
	d.cancel = []func(){leaving, d.c.Ifs.AddDrainer(r), d.c.Ifs.OnEvent(func(e ifnet.Event) {
		if e.ID == d.c.Dev && (e.Kind == ifnet.LinkChanged || e.Kind == ifnet.WentUp || e.Kind == ifnet.WentDown) {
			r.link(d.linked())
		}
	})}
	r.mu.Lock()
	r.step(Up, time.Now())
	r.mu.Unlock()
	r.start()
	d.c.Tunnels.tell(r.slices[0])
	d.running.Store(r)
	if err := d.c.Table.SetSyncer(ctx, l, r); err != nil {
		d.ending = r
		return errors.Join(err, d.down(context.WithoutCancel(ctx), l))
	}
	r.link(d.linked())
	return nil
}

// Down ends it (pfsync_down). When it has returned nil nothing of the device runs or will: what was
// held back has been sent on, no state is referred to, and the demotion is what it was before
// Up. When ctx ends first it returns ctx.Err(): call it again to go on. It does nothing if the
// device is down. l may not be a softint, and no lock may be held that hooks of pf or handlers
// take.
func (d *Device) Down(ctx context.Context, l *lwp.LWP) error {
	if err := d.turn.LockContext(ctx); err != nil {
		return err
	}
	defer d.turn.Unlock()
	if d.ending == nil {
		if d.ending = d.running.Load(); d.ending == nil {
			return nil
		}
	}
	return d.down(ctx, l)
}

// down takes the steps of going down, each of which may be taken again. turn is held.
func (d *Device) down(ctx context.Context, l *lwp.LWP) error {
	r := d.ending
	for _, c := range d.cancel {
		c()
	}
	d.cancel = nil
	// Nobody enters any more, and whoever is inside leaves. From here on nothing is queued.
	d.running.Store(nil)
	if err := d.c.Table.SetSyncer(ctx, l, nil); err != nil {
		return err
	}
	if err := d.psz.Perform(ctx, l); err != nil {
		return err
	}
	if !r.dead {
		if err := r.users.Destroy(ctx, l); err != nil {
			return err
		}
		r.dead = true
	}
	r.mu.Lock()
	r.step(Down, time.Now())
	r.linkDown(false)
	r.mu.Unlock()
	if err := r.stop(ctx); err != nil {
		return err
	}
	d.leave(l)
	d.ending = nil
	return nil
}

// Close takes the device down for good. Errors and what it waits for: as with [Device.Down].
func (d *Device) Close(ctx context.Context, l *lwp.LWP) error {
	if err := d.Down(ctx, l); err != nil {
		return err
	}
	if err := d.turn.LockContext(ctx); err != nil {
		return err
	}
	d.closed = true
	d.turn.Unlock()
	errs := []error{d.queue.Close(ctx)}
	for _, f := range []func(context.Context, *lwp.LWP) error{d.send.Unregister, d.held.Unregister} {
		if err := f(ctx, l); !errors.Is(err, netisr.ErrNotRegistered) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// with calls f with the interface, if it is there.
func (d *Device) with(l *lwp.LWP, f func(*ifnet.Interface)) bool {
	var ref psref.Ref
	ifp, ok := d.c.Ifs.Get(l, &ref, d.c.Dev)
	if ok {
		f(ifp)
		ref.Release(l)
	}
	return ok
}

func (d *Device) leave(l *lwp.LWP) {
	d.with(l, func(ifp *ifnet.Interface) {
		if d.c.Peer.IsMulticast() {
			ifp.Leave(ifnet.MulticastMAC(d.c.Peer))
		}
	})
}

// linked reports whether what is sent may arrive.
func (d *Device) linked() (yes bool) {
	if !d.c.Ifs.IsUp(d.c.Dev) {
		return false
	}
	l := d.c.Ifs.Domain().Bind()
	defer l.Unbind()
	d.with(l, func(ifp *ifnet.Interface) { yes = ifp.HasLink() })
	return yes
}

// A sending is what a packet of ours needs to be sent.
type sending struct{}

// transmit gives a packet its IP header, whose place is free, and sends it, in a softint.
func (d *Device) transmit(c *netisr.Ctx, m *mbuf.Packet, _ sending) {
	b := m.Writable()
	var src [4]byte
	for _, p := range c.Out.Addrs() {
		if p.Addr().Is4() {
			src = p.Addr().As4()
			break
		}
	}
	appendIP(b[:0], src, d.c.Peer.As4(), len(b), uint16(d.stats.ids.Add(1)))
	to := d.c.PeerMAC
	switch {
	case d.c.Peer.IsMulticast():
		to = ifnet.MulticastMAC(d.c.Peer)
	case to == ifnet.MAC{}:
		to = ifnet.BroadcastMAC
	}
	n := len(b)
	ifnet.PushEther(m, to, c.Out.MAC(), ifnet.EtherIPv4)
	if err := c.Out.Transmit(c.LWP, m); err != nil {
		d.stats.oerrors.Add(1)
		return
	}
	d.stats.opackets.Add(1)
	d.stats.obytes.Add(uint64(n))
}

// appendIP appends the header of an IPv4 packet of n bytes, all told.
func appendIP(b []byte, src, dst [4]byte, n int, id uint16) []byte {
	if id == 0 {
		id = 1
	}
	at := len(b)
	const lowDelay = 0x10
	b = append(b, 0x45, lowDelay, byte(n>>8), byte(n), byte(id>>8), byte(id), 0x40, 0, wire.TTL, wire.Protocol, 0, 0) // do not fragment
	b = append(append(b, src[:]...), dst[:]...)
	var sum uint32
	for h := b[at:]; len(h) > 0; h = h[2:] {
		sum += uint32(be.Uint16(h))
	}
	sum = sum>>16 + sum&0xffff
	be.PutUint16(b[at+10:], ^uint16(sum>>16+sum))
	return b
}

// goOn sends on a packet that was held back, in a softint.
func (d *Device) goOn(c *netisr.Ctx, m *mbuf.Packet, st *pf.State) {
	st.Release()
	d.c.Forward(c, m)
}

// tell has the counters of SAs told of by way of a slice from now on.
func (ts *Tunnels) tell(s *slice) {
	ts.mu.Lock()
	ts.in = s
	ts.mu.Unlock()
}

package forward

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
)

// A path is the whole way of a frame: it comes in by an interface, waits in a netisr stream for a
// softint, which looks up where it goes and queues it to be sent, with no reference to anything,
// and is sent by another, which holds the interface. The interfaces leave meanwhile.
//
//	in0 ──▶ ISR ──▶ rtcache, rtable ──▶ SendQueue ──▶ em1 ... em24
type path struct {
	r      *router
	ifs    *ifnet.Table
	pool   *mbuf.Pool
	caches *rtcache.PerLWP
	isr    *netisr.ISR
	queue  *netisr.SendQueue
	out    *netisr.Type[hop]
	in0    *ifnet.Interface
	wires  [gateways]atomic.Pointer[wire]

	departed atomic.Uint64 // packets that waited when their interface left
}

// A hop is what a packet that waits to be sent is saved with.
type hop struct{ out ifnet.ID }

// updating is why a packet ends whose route is being changed.
const updating = mbuf.UserReason

const protoIP netisr.Proto = 1

// frameLimit is how many frames are under way at once at most: what comes beyond that is dropped, and
// counted, as in any router.
const frameLimit = 512

// frameTick is how often frames come, as many at once as are due.
const frameTick = 500 * time.Microsecond

// A wire is the driver of an outgoing interface, with a seal that says whether it is whole.
type wire struct {
	id   ifnet.ID
	path *path
	seal atomic.Uint64
}

func (w *wire) whole() bool { return w.seal.Load() == uint64(w.id.Index)<<32|uint64(w.id.Gen) }

// Open seals the wire.
func (w *wire) Open(ifp *ifnet.Interface) error {
	w.id = ifp.ID()
	w.seal.Store(uint64(w.id.Index)<<32 | uint64(w.id.Gen))
	return nil
}

// Close breaks the seal: nobody is using it.
func (w *wire) Close() error {
	w.seal.Store(poison)
	return nil
}

// Transmit sends a frame, to nobody.
func (w *wire) Transmit(_ *lwp.LWP, m *mbuf.Packet) error {
	if !w.whole() {
		w.path.r.faults.add(interfaceGone, "%v, by a frame that is being sent", w.id)
	}
	m.Free(mbuf.Done)
	return nil
}

func newPath(r *router) (*path, error) {
	p := &path{r: r, pool: mbuf.NewPool(mbuf.PoolConfig{Name: "frames", Limit: frameLimit}), caches: rtcache.NewPerLWP(r.dom, 0)}
	p.ifs = ifnet.NewTable(r.dom, ifnet.WithPool(p.pool))
	for i := range gateways {
		if err := p.attach(i, 1); err != nil {
			return nil, err
		}
	}
	var err error
	p.in0, err = p.ifs.Attach(ifnet.Spec{Name: "in0", Driver: ifnet.NewLoop(), Link: ifnet.Raw, Up: true})
	if err != nil {
		return nil, err
	}
	p.isr = netisr.New(netisr.Config{Ifs: p.ifs})
	p.queue = netisr.NewSendQueue(netisr.SendConfig{Ifs: p.ifs, Streams: 1})
	_, err = p.isr.Register(netisr.Handler{Name: "ip", Proto: protoIP, Policy: netisr.PolicyFlow, QLimit: frameLimit, Handle: p.input})
	if err != nil {
		return nil, err
	}
	p.out, err = netisr.Register(p.queue, netisr.Spec[hop]{
		Name: "forward", Prio: netisr.Normal, QLimit: frameLimit, Handle: p.send,
		Free: func(h hop, why mbuf.Reason) {
			if why == mbuf.IfDeparted {
				p.departed.Add(1)
			}
		},
	})
	p.ifs.SetInput(p.isr.Input(protoIP))
	return p, err
}

// attach makes the interface of a gateway: that with its index, and the next generation of it.
func (p *path) attach(i int, gen uint32) error {
	w := &wire{path: p}
	ifp, err := p.ifs.Attach(ifnet.Spec{Name: fmt.Sprintf("em%d", i+1), Driver: w, Link: ifnet.Raw, Up: true})
	if err != nil {
		return err
	}
	if want := (ifnet.ID{Index: uint32(i) + 1, Gen: gen}); ifp.ID() != want {
		return fmt.Errorf("interface %v was attached as %v", want, ifp.ID())
	}
	p.wires[i].Store(w)
	return nil
}

// detach takes the interface of a gateway away, with packets that wait for it.
func (p *path) detach(ctx context.Context, l *lwp.LWP, id ifnet.ID) {
	if err := p.ifs.Detach(ctx, l, id); err != nil {
		p.r.faults.add(stuck, "interface %v: %v", id, err)
	}
}

// input looks up where a frame goes, and queues it to be sent. It holds the route for no longer.
func (p *path) input(c *netisr.Ctx, m *mbuf.Packet) {
	if !c.In.Receive(m) {
		return
	}
	f, _, ok := mbuf.FlowOf(m)
	if !ok {
		m.Free(mbuf.Malformed)
		return
	}
	ro := p.caches.Cache(c.LWP, f.Dst)
	rte, err := ro.Lookup(c.LWP, p.r.table, f.Dst)
	switch {
	case errors.Is(err, rtable.ErrUpdating):
		m.Free(updating)
		return
	case err != nil:
		m.Free(mbuf.NoRoute)
		return
	}
	out := rte.Route().Out
	ro.Release(c.LWP)
	_ = p.out.Dispatch(m, out, hop{out}) // what is refused is freed for a reason
}

// send sends a frame by the interface that it holds: whole, whatever has begun meanwhile.
func (p *path) send(c *netisr.Ctx, m *mbuf.Packet, h hop) {
	w := p.wires[h.out.Index-1].Load()
	switch {
	case c.Out.ID() != h.out || w.id != h.out:
		p.r.faults.add(torn, "a frame to be sent by %v is given to %v", h.out, c.Out.ID())
	case !w.whole():
		p.r.faults.add(interfaceGone, "%v, when a frame was about to be sent", h.out)
	}
	_ = c.Out.Transmit(c.LWP, m)
}

// generate has frames come in at a rate, a second, until ctx ends.
func (p *path) generate(ctx context.Context, dests []dest, rate float64) {
	if rate == 0 {
		return
	}
	header := map[bool][]byte{true: {0x45, 9: 17, 39: 0}, false: {0x60, 6: 17, 47: 0}}
	for start, done := time.Now(), 0.0; pause(ctx, frameTick); {
		for due := time.Since(start).Seconds() * rate; done < due && ctx.Err() == nil; done++ {
			d := dests[int(done)%len(dests)]
			m, err := p.pool.From(header[d.addr.Is4()])
			if err != nil {
				runtime.Gosched() // too many are under way: this one is lost before it is received
				continue
			}
			b := m.Writable()
			if d.addr.Is4() {
				binary.BigEndian.PutUint32(b[12:], 0xc0000200|uint32(done)&0xff)
				copy(b[16:], d.addr.AsSlice())
			} else {
				copy(b[24:], d.addr.AsSlice())
			}
			_ = p.in0.Input(m)
			if int(done)%frameLimit == 0 {
				runtime.Gosched()
			}
		}
	}
}

// close ends the path: every frame has an end.
func (p *path) close(ctx context.Context, l *lwp.LWP) {
	if err := errors.Join(p.isr.Close(ctx, l), p.queue.Close(ctx, l)); err != nil {
		p.r.faults.add(stuck, "%v", err)
	}
	for _, id := range p.ifs.All() {
		p.detach(ctx, l, id)
	}
	if n := p.pool.Outstanding(); n > 0 {
		p.r.faults.add(stuck, "%d frames", n)
	}
}

// A frames is what became of the frames of a path:
// Received = Sent + NoRoute + Updating + QueueFull + InterfaceLeft.
type frames struct {
	Lost          uint64 `json:"lostBeforeReceived"`
	Received      uint64 `json:"received"`
	Sent          uint64 `json:"sent"`
	NoRoute       uint64 `json:"noRoute"`
	Updating      uint64 `json:"updating"`
	QueueFull     uint64 `json:"queueFull"`
	InterfaceLeft uint64 `json:"interfaceLeft"`
	Waited        uint64 `json:"queuedWhenItLeft"` // among InterfaceLeft
}

func (f frames) accounted() uint64 {
	return f.Sent + f.NoRoute + f.Updating + f.QueueFull + f.InterfaceLeft
}

func (p *path) frames() frames {
	s := p.pool.Stats()
	return frames{
		Lost: s.Refused, Received: s.Allocs,
		Sent: s.Frees[mbuf.Done], NoRoute: s.Frees[mbuf.NoRoute], Updating: s.Frees[updating], QueueFull: s.Frees[mbuf.NoBufs],
		InterfaceLeft: s.Frees[mbuf.IfDeparted] + s.Frees[mbuf.Stale], Waited: p.departed.Load(),
	}
}

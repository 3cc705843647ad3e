package ifnet

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
)

// LANConfig is what a simulated network does to frames. The zero LANConfig does nothing to them:
// each is received by all others while it is being sent.
type LANConfig struct {
	Seed uint64 // of what is left to chance: the same seed and the same frames, the same fates

	Loss      float64 // how probably a receiver does not get a frame, 0 to 1
	Duplicate float64 // how probably it gets it twice
	Reorder   float64 // how probably a frame is held back, so that later ones overtake it

	Delay  time.Duration // of each frame
	Jitter time.Duration // up to so much more, left to chance
	Hold   time.Duration // how long a frame is held back; as long as Delay, or 1 ms, if 0

	InFlight int // how many frames may be under way at once; 4096 if 0
}

// A LAN is a simulated Ethernet segment: what one interface sends, the others receive. It is in
// memory, its delays are timers of the standard clock, and so virtual in virtual time. Make one
// with [NewLAN] and close it; it must not be copied. Its methods may be called by anyone.
type LAN struct {
	_   noCopy
	cfg LANConfig

	mu     hook.Mutex // leaf; guards what follows
	rng    *rand.Rand
	ports  []*Port
	due    flights
	seq    uint64
	timer  *time.Timer // set for the first of due
	busy   bool        // somebody delivers: one at a time, so that frames arrive in their order
	still  hook.Cond   // who waits until that ends
	closed bool
	stats  LANStats
}

// LANStats is a snapshot of a LAN's counters. A copy is a frame for one of its receivers:
// Copies = Delivered + Lost + Cut + Overflow + NoBufs + InFlight.
type LANStats struct {
	Frames     uint64 // sent
	Copies     uint64 // of them, for each port but the sender's, and again if duplicated
	Delivered  uint64
	Lost       uint64 // by chance
	Cut        uint64 // between two sides, or at a port that is unplugged or gone
	Overflow   uint64 // too many were under way
	NoBufs     uint64 // the receiver's pool was empty
	Duplicated uint64
	HeldBack   uint64
	InFlight   int
}

// A flight is a copy of a frame under way.
type flight struct {
	at    time.Time
	seq   uint64
	to    *Port
	frame []byte
}

// flights is a heap, the next to arrive first.
type flights []flight

func (f flights) Len() int { return len(f) }
func (f flights) Less(i, j int) bool {
	return f[i].at.Before(f[j].at) || f[i].at.Equal(f[j].at) && f[i].seq < f[j].seq
}
func (f flights) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)   { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	last := len(*f) - 1
	x := (*f)[last]
	(*f)[last] = flight{}
	*f = (*f)[:last]
	return x
}

// NewLAN returns a network without interfaces.
func NewLAN(c LANConfig) *LAN {
	if c.InFlight == 0 {
		c.InFlight = 4096
	}
	if c.Hold == 0 {
		c.Hold = max(c.Delay, time.Millisecond)
	}
	return &LAN{cfg: c, rng: rand.New(rand.NewPCG(c.Seed, 0x1a9))}
}

// NewPair returns the drivers of two interfaces that receive what the other sends (epair).
func NewPair() (a, b *Port) {
	n := NewLAN(LANConfig{})
	return n.NewPort(), n.NewPort()
}

// A Port is where an interface is plugged in: its driver.
type Port struct {
	lan *LAN
	ifp *Interface // set by Open; what follows is guarded by lan.mu

	open   bool
	side   int
	pulled bool
	busy   int // how many deliver to it now
}

// NewPort returns the driver of an interface on this network.
func (n *LAN) NewPort() *Port { return &Port{lan: n} }

// Open plugs the interface in. Errors: [ErrClosed]; [ErrExists] if the port has one.
func (p *Port) Open(ifp *Interface) error {
	n := p.lan
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return ErrClosed
	case p.open:
		return ErrExists
	}
	p.open, p.ifp = true, ifp
	n.ports = append(n.ports, p)
	return nil
}

// Close unplugs it. Frames on their way to it are lost.
func (p *Port) Close() error {
	n := p.lan
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, x := range n.ports {
		if x == p {
			n.ports = append(n.ports[:i:i], n.ports[i+1:]...)
		}
	}
	p.open = false
	for p.busy > 0 {
		n.still.Wait(&n.mu)
	}
	return nil
}

// SetSide cuts the network: ports of different sides do not hear each other. All are on side 0
// at first.
func (p *Port) SetSide(side int) {
	p.lan.mu.Lock()
	p.side = side
	p.lan.mu.Unlock()
}

// Pull pulls the cable out, or plugs it in again; the interface notices (see Interface.HasLink).
func (p *Port) Pull(out bool) {
	n := p.lan
	n.mu.Lock()
	p.pulled = out
	ifp, open := p.ifp, p.open
	n.mu.Unlock()
	if open {
		_ = ifp.table.SetLink(ifp.id, !out) // it may be about to depart
	}
}

// Transmit sends a frame to all other ports of the side.
func (p *Port) Transmit(_ *lwp.LWP, m *mbuf.Packet) error {
	n := p.lan
	frame := make([]byte, m.Len())
	m.CopyTo(frame)
	m.Free(mbuf.Done)

	n.mu.Lock()
	n.stats.Frames++
	now := time.Now()
	var at flights // those that arrive now
	for _, to := range n.ports {
		if to == p {
			continue
		}
		n.stats.Copies++
		switch {
		case p.pulled || to.pulled || p.side != to.side:
			n.stats.Cut++
			continue
		case n.chance(n.cfg.Loss):
			n.stats.Lost++
			continue
		}
		at = n.sendLocked(at, now, to, frame)
		if n.chance(n.cfg.Duplicate) {
			n.stats.Copies++
			n.stats.Duplicated++
			at = n.sendLocked(at, now, to, frame)
		}
	}
	n.armLocked(now)
	n.mu.Unlock()
	for _, f := range at {
		n.arrive(f)
	}
	return nil
}

// chance reports whether what happens with a probability happens.
func (n *LAN) chance(p float64) bool { return p > 0 && n.rng.Float64() < p }

// sendLocked sends a copy on its way, or appends it to those that arrive at once.
func (n *LAN) sendLocked(at flights, now time.Time, to *Port, frame []byte) flights {
	d := n.cfg.Delay
	if n.cfg.Jitter > 0 {
		d += time.Duration(n.rng.Int64N(int64(n.cfg.Jitter) + 1))
	}
	if n.chance(n.cfg.Reorder) {
		n.stats.HeldBack++
		d += n.cfg.Hold
	}
	f := flight{now.Add(d), n.seq, to, frame}
	n.seq++
	if d == 0 {
		to.busy++
		return append(at, f)
	}
	if len(n.due) >= n.cfg.InFlight {
		n.stats.Overflow++
		return at
	}
	heap.Push(&n.due, f)
	return at
}

// armLocked sets the timer for what arrives next.
func (n *LAN) armLocked(now time.Time) {
	if len(n.due) == 0 || n.closed {
		return
	}
	d := n.due[0].at.Sub(now)
	if n.timer == nil {
		n.timer = time.AfterFunc(d, n.deliver)
	} else {
		n.timer.Reset(d)
	}
}

// deliver is the timer's: it has everything arrive that is due. The timer may go off again while it
// does; whoever is at it sees to that, too.
func (n *LAN) deliver() {
	n.mu.Lock()
	if n.busy {
		n.mu.Unlock()
		return
	}
	n.busy = true
	for !n.closed && len(n.due) > 0 && !n.due[0].at.After(time.Now()) {
		f := heap.Pop(&n.due).(flight)
		f.to.busy++
		n.mu.Unlock()
		n.arrive(f)
		n.mu.Lock()
	}
	n.armLocked(time.Now())
	n.busy = false
	n.still.Broadcast()
	n.mu.Unlock()
}

// arrive gives a copy to its receiver, which is busy with it.
func (n *LAN) arrive(f flight) {
	n.mu.Lock()
	ok := f.to.open && !f.to.pulled && !n.closed
	n.mu.Unlock()
	var err error
	if ok {
		var m *mbuf.Packet
		if m, err = f.to.ifp.table.pool.From(f.frame); err == nil {
			_ = f.to.ifp.Input(m) // counted there
		} else {
			f.to.ifp.in.drops.Inc()
		}
	}
	n.mu.Lock()
	switch {
	case !ok:
		n.stats.Cut++
	case err != nil:
		n.stats.NoBufs++
	default:
		n.stats.Delivered++
	}
	f.to.busy--
	n.still.Broadcast()
	n.mu.Unlock()
}

// Stats returns the counters.
func (n *LAN) Stats() LANStats {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.stats
	s.InFlight = int(s.Copies - s.Delivered - s.Lost - s.Cut - s.Overflow - s.NoBufs)
	return s
}

// Close ends the network: what is under way is lost, and no timer is left. Interfaces stay
// attached, and send to nobody.
func (n *LAN) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	n.stats.Cut += uint64(len(n.due))
	n.due = nil
	n.ports = nil
	if n.timer != nil && n.timer.Stop() {
		n.timer = nil
	}
	for n.busy {
		n.still.Wait(&n.mu)
	}
}

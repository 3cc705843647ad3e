package stacktest

import (
	"context"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/witness"
	"github.com/softnet-go/softnet/wqinput"
)

// tag puts a record on a packet: it learns of the packet's end, wherever that is.
func (a *attack) tag(m *mbuf.Packet, r *record) {
	key := mbuf.NewTagKey("stacktest", mbuf.TagOptions[*record]{Persistent: true, Free: func(r *record) {
		a.mu.Lock()
		defer a.mu.Unlock()
		r.ended = true
		if !r.handled {
			return // dropped by its queue
		}
		if last, ok := a.ends[r.flow]; ok && r.n < last && !a.c.Unordered {
			a.breaksLocked("ends packets of a flow out of order: packet %d after packet %d", r.n, last)
		}
		a.ends[r.flow] = r.n
	}})
	key.Set(m, r)
	m.Mark = uint32(r.n) // so that it is known again
}

// recordOf returns the record of a packet, or nil if it is not one of those that were sent.
func (a *attack) recordOf(m *mbuf.Packet) *record {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := int(m.Mark); n > 0 && n <= len(a.packets) {
		return a.packets[n-1]
	}
	return nil
}

// enter and leave are around the handler.
func (a *attack) enter(m *mbuf.Packet, l *lwp.LWP) (leave func()) {
	r := a.recordOf(m)
	a.mu.Lock()
	if a.over {
		a.breaksLocked("runs after Close has returned")
	}
	r.handled = true
	a.current = r
	a.mu.Unlock()
	held, start, softint := l.CPU.Held(), time.Now(), l.CPU.Softint
	return func() {
		if n := l.CPU.Held() - held; n > 0 {
			what := "a reference"
			if hs := l.CPU.Holdings(); len(hs) > 0 {
				what = hs[len(hs)-1].What
			}
			a.breaks("returns and holds %s", what)
		}
		if softint && time.Since(start) > 0 {
			a.breaks("sleeps in a softint")
		}
		a.mu.Lock()
		r.returned = true
		a.current = nil
		a.mu.Unlock()
	}
}

func (a *attack) input(ctx context.Context, in *wqinput.Input) {
	defer a.enter(in.Packet, in.LWP)()
	a.sub.Input(ctx, in)
}

func (a *attack) softint(c *netisr.Ctx, m *mbuf.Packet) {
	defer a.enter(m, c.LWP)()
	a.sub.Softint(c, m)
}

// looksBack checks what can be seen between two steps, when nobody runs.
func (a *attack) looksBack() {
	leaked := uint64(0)
	if a.wq != nil {
		leaked = a.wq.Stats().Leaked
	} else {
		for _, w := range a.isr.Snapshot().Work {
			leaked += w.Leaked
		}
	}
	if leaked > 0 {
		a.breaks("returns and forgets its packet")
	}
	for _, d := range a.gone {
		if d.ifp.Stats() != d.stats {
			a.breaks("uses interface %v after its Detach has returned", d.ifp.ID())
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	held := 0
	for _, r := range a.packets {
		if r.returned && !r.ended {
			held++
		}
	}
	if held > a.c.MaxHeld {
		a.breaksLocked("keeps packets without a bound: %d, and %d are allowed", held, a.c.MaxHeld)
	}
}

// departedWith checks that nobody has a packet of an interface that has gone.
func (a *attack) departedWith(id ifnet.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.packets {
		if r.flow.in == id && !r.ended {
			a.breaksLocked("has packet %d of interface %v after its Detach has returned", r.n, id)
		}
	}
}

// A wire is the driver of an interface: it looks at what the handler sends.
type wire struct{ a *attack }

func (w *wire) Open(*ifnet.Interface) error { return nil }
func (w *wire) Close() error                { return nil }

// Transmit takes what is sent.
func (w *wire) Transmit(_ *lwp.LWP, m *mbuf.Packet) error {
	a := w.a
	if witness.Enabled {
		witness.Barrier("sending a packet")
	}
	r := a.recordOf(m)
	a.mu.Lock()
	if r == nil {
		r = a.current // the answer to what is being handled
	}
	if r != nil && r.broadcast && !a.c.Chatty {
		a.breaksLocked("answers a broadcast")
	}
	a.mu.Unlock()
	m.Free(mbuf.Done)
	return nil
}

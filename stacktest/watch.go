package stacktest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/witness"
	"github.com/softnet-go/softnet/wqinput"
)

// origin is on a packet that was sent and on its clones: which it is.
var origin = mbuf.NewTagKey("stacktest.origin", mbuf.TagOptions[*record]{Persistent: true, Clone: func(r *record) *record { return r }})

// tag puts a record on a packet: it learns of the packet's end, wherever that is.
func (a *attack) tag(m *mbuf.Packet, r *record) {
	origin.Set(m, r)
	mbuf.NewTagKey("stacktest.end", mbuf.TagOptions[*record]{Persistent: true, Ended: a.packetEnded}).Set(m, r)
}

// packetEnded is told that a packet has ended, by whoever did it, whatever they hold.
func (a *attack) packetEnded(r *record, why mbuf.Reason) {
	a.record("ends", "packet", fmt.Sprint(r.n), why.String())
	a.mu.Lock()
	defer a.mu.Unlock()
	r.ended = true
	r.story = append(r.story, "ends: "+why.String())
	switch why {
	case mbuf.Handler:
		a.left++ // or it has panicked, which is told first
	case mbuf.Done: // what is dropped may be dropped before others
		if last := a.done[r.flow]; r.n < last && !a.c.Unordered {
			a.breaksLocked("ends packets of a flow out of order", "packet %d after packet %d", r.n, last)
		}
		a.done[r.flow] = r.n
	}
}

// handler is the lane of an Input or a Softint.
const handler = "handler"

// A visit is a call of the handler.
type visit struct {
	a       *attack
	r       *record // of the packet, nil if it is none that was sent
	l       *lwp.LWP
	where   string
	sleeps  bool // it may
	held    int
	since   time.Time
	outside *record // what l handled before, where one handler calls another
}

// enter is called before the handler, and leave of what it returns after it.
func (a *attack) enter(m *mbuf.Packet, l *lwp.LWP, where string, sleeps bool) *visit {
	r, _ := origin.Get(m)
	a.held(r, l)
	what := "a packet of its own"
	if r != nil {
		what = fmt.Sprint("packet ", r.n)
	}
	a.record(where, "takes", what, "")
	v := &visit{a: a, r: r, l: l, where: where, sleeps: sleeps, held: l.CPU.Held(), since: a.now()}
	a.mu.Lock()
	defer a.mu.Unlock()
	if where == handler && a.over || a.silent {
		a.breaksLocked("runs after Close has returned", "")
	}
	v.outside = a.handling[l]
	if r != nil {
		a.handling[l] = r
		r.given = r.given || a.sub.Output == nil
	}
	return v
}

func (v *visit) leave() {
	a := v.a
	if n := v.l.CPU.Held() - v.held; n > 0 {
		what, where := "a reference", ""
		if hs := v.l.CPU.Holdings(); len(hs) > 0 {
			h := hs[len(hs)-1]
			what, where = h.What, "acquired at "+h.Site.String()
		}
		a.breaks("returns and holds "+what, "%s", where)
	}
	if !v.sleeps && a.now().After(v.since) {
		a.breaks("sleeps in a softint", "for %v", a.now().Sub(v.since))
	}
	a.record(v.where, "returns", "", "")
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.r != nil {
		v.r.given, v.r.returned = true, true
	}
	if v.outside == nil {
		delete(a.handling, v.l)
	} else {
		a.handling[v.l] = v.outside
	}
}

func (a *attack) input(ctx context.Context, in *wqinput.Input) {
	a.dawdle(ctx, in.Packet)
	v := a.enter(in.Packet, in.LWP, handler, true)
	defer v.leave()
	a.goesIn(in.Packet, v.r, in.In)
	a.sub.Input(ctx, in)
}

func (a *attack) softint(c *netisr.Ctx, m *mbuf.Packet) {
	v := a.enter(m, c.LWP, handler, false)
	defer v.leave()
	a.goesIn(m, v.r, c.In)
	a.sub.Softint(c, m)
}

func (a *attack) output(l *lwp.LWP, m *mbuf.Packet, out *ifnet.Interface) {
	v := a.enter(m, l, "output", true)
	defer v.leave()
	a.goesIn(m, v.r, out)
	a.sub.Output(l, m, out.ID())
	if witness.Enabled {
		witness.Barrier("the end of Output")
	}
}

// watchSend is around what has registered with the Stack's Send.
func (a *attack) watchSend(c *netisr.Ctx, name string, m *mbuf.Packet) func() {
	return a.enter(m, c.LWP, name, false).leave
}

// goesIn tells the model of a packet that the handler is given.
func (a *attack) goesIn(m *mbuf.Packet, r *record, by *ifnet.Interface) {
	if a.model != nil && r != nil {
		p := packetOf(m, by, r.port)
		a.asks(func(model Model) error { return model.In(p) })
	}
}

// dawdle has a packet wait for its handler, with its interface held: no two of them to the same instant.
func (a *attack) dawdle(ctx context.Context, m *mbuf.Packet) {
	a.mu.Lock()
	d := a.slow
	a.mu.Unlock()
	if d == 0 {
		return
	}
	if r, ok := origin.Get(m); ok {
		d += time.Duration(r.n) * odd
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// A gate is what a handler waits at while no handler may begin.
type gate struct {
	n  int // of the packet
	ch chan struct{}
}

// held waits while no handler may begin, unless l is who says so.
func (a *attack) held(r *record, l *lwp.LWP) {
	if l == a.l {
		return
	}
	a.mu.Lock()
	if !a.shut {
		a.mu.Unlock()
		return
	}
	g := gate{ch: make(chan struct{})}
	if r != nil {
		g.n = r.n
	}
	a.gates = append(a.gates, g)
	a.mu.Unlock()
	<-g.ch
}

// shutGates has handlers wait before they begin.
func (a *attack) shutGates() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shut = true
}

// openGates lets them begin, one stream after the other, in the order of their packets.
func (a *attack) openGates() {
	a.mu.Lock()
	a.shut = false
	gates := a.gates
	a.gates = nil
	a.mu.Unlock()
	slices.SortFunc(gates, func(x, y gate) int { return cmp.Compare(x.n, y.n) })
	for _, g := range gates {
		close(g.ch)
		a.settle()
	}
}

// looksBack checks what can be seen between two steps, when nobody runs.
func (a *attack) looksBack() {
	for _, c := range a.shared {
		if !bytes.Equal(c.clone.Bytes(), c.bytes) {
			a.breaks("writes to bytes that it shares", "")
		}
		c.clone.Free(mbuf.Foreign)
	}
	a.shared = nil
	for _, d := range a.gone {
		if d.ifp.Stats() != d.stats {
			a.breaks(fmt.Sprintf("uses interface %v after its Detach has returned", d.ifp.ID()), "")
		}
	}
	a.mu.Lock()
	held := 0
	for _, r := range a.packets {
		if r.returned && !r.ended {
			held++
		}
	}
	if a.left > 0 {
		a.breaksLocked("returns and forgets its packet", "")
	}
	if held > a.c.MaxHeld {
		a.breaksLocked("keeps packets without a bound", "%d, and %d are allowed", held, a.c.MaxHeld)
	}
	a.mu.Unlock()
	if a.sub.Check != nil {
		if err := a.sub.Check(); err != nil {
			a.breaks(err.Error(), "")
		}
	}
	if a.idle() {
		a.asks(Model.Idle)
	}
}

// idle reports whether the handler has returned from everything that it was given.
func (a *attack) idle() bool {
	a.mu.Lock()
	busy := len(a.handling)
	a.mu.Unlock()
	if a.wq != nil {
		s := a.wq.Stats()
		busy += s.Len + s.InHand
	}
	if a.isr != nil {
		for _, w := range a.isr.Snapshot().Work {
			busy += w.Len + w.InHand
		}
	}
	return busy == 0
}

// departedWith checks that no handler has a packet of an interface that has gone.
func (a *attack) departedWith(id ifnet.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.packets {
		if r.flow.by == id && r.given && !r.ended {
			a.breaksLocked(fmt.Sprintf("has a packet of interface %v after its Detach has returned", id), "packet %d", r.n)
		}
	}
}

// A wire is the driver of an interface: it looks at what the handler sends.
type wire struct {
	a    *attack
	port string
	ifp  *ifnet.Interface
}

func (w *wire) Close() error { return nil }
func (w *wire) Open(ifp *ifnet.Interface) error {
	w.ifp = ifp
	return nil
}

// Transmit takes what is sent.
func (w *wire) Transmit(l *lwp.LWP, m *mbuf.Packet) error {
	a := w.a
	if witness.Enabled {
		witness.Barrier("sending a packet")
	}
	r, _ := origin.Get(m)
	sent := fmt.Sprintf("sends by %s: %x", w.port, m.Bytes())
	a.mu.Lock()
	if r == nil {
		r = a.handling[l] // the answer to what is being handled
	}
	what := "a packet"
	if r != nil {
		what = fmt.Sprint("packet ", r.n)
		r.story = append(r.story, sent)
		a.wired[r.flow] = append(a.wired[r.flow], r.n)
		if r.broadcast && !a.c.Chatty {
			a.breaksLocked("answers a broadcast", "packet %d", r.n)
		}
	} else {
		a.own = append(a.own, sent)
	}
	if a.silent {
		a.breaksLocked("sends when everything is closed", "")
	}
	a.mu.Unlock()
	a.record(w.port, "sends", what, fmt.Sprintf("%d bytes", m.Len()))
	if a.model != nil {
		p := packetOf(m, w.ifp, w.port)
		a.asks(func(model Model) error { return model.Out(p) })
	}
	m.Free(mbuf.Done)
	return nil
}

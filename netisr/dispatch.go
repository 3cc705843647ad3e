package netisr

import (
	"fmt"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/deferq"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/psref"
)

// A CPU is a caller who has said which CPU it is: see [ISR.On].
type CPU struct {
	isr *ISR
	n   int
}

// On returns the ISR for a caller that is, for its purposes, CPU n: ModeHybrid runs handlers in it
// for packets of the stream of that number, and PolicyCPU's CPUNone means that stream.
func (i *ISR) On(n int) CPU { return CPU{i, n % i.cfg.Streams} }

// Dispatch is ISR.Dispatch on this CPU.
func (c CPU) Dispatch(l *lwp.LWP, p Proto, m *mbuf.Packet) error {
	return c.isr.dispatch(l, p, 0, m, c.n)
}

// DispatchSrc is ISR.DispatchSrc on this CPU.
func (c CPU) DispatchSrc(l *lwp.LWP, p Proto, source uint64, m *mbuf.Packet) error {
	return c.isr.dispatch(l, p, source, m, c.n)
}

// nowhere is the CPU of a caller who has not said.
const nowhere = -1

// Dispatch hands a packet to its protocol's handler, at once or later, as the mode says
// (netisr_dispatch). It consumes the packet. With ModeDirect and ModeHybrid the handler may run in
// the caller, with whatever the caller holds. Errors: [ErrNoProto], [ErrNoBufs], [ErrIfDeparted],
// [ErrClosed].
func (i *ISR) Dispatch(l *lwp.LWP, p Proto, m *mbuf.Packet) error {
	return i.dispatch(l, p, 0, m, nowhere)
}

// DispatchSrc is Dispatch with a number that stands for where the packet comes from, for
// PolicySource.
func (i *ISR) DispatchSrc(l *lwp.LWP, p Proto, source uint64, m *mbuf.Packet) error {
	return i.dispatch(l, p, source, m, nowhere)
}

// Queue hands a packet to its protocol's handler later, whatever the mode (netisr_queue). It
// consumes the packet, and runs nothing in the caller but M2Flow and M2CPU. Errors: as with
// Dispatch.
func (i *ISR) Queue(p Proto, m *mbuf.Packet) error { return i.QueueSrc(p, 0, m) }

// QueueSrc is Queue with a number that stands for where the packet comes from.
func (i *ISR) QueueSrc(p Proto, source uint64, m *mbuf.Packet) error {
	r, err := i.reg(p, m)
	if err != nil {
		return err
	}
	return r.queue(source, m, nowhere)
}

// Input returns a function that queues packets for a protocol: for ifnet's SetInput.
func (i *ISR) Input(p Proto) func(*mbuf.Packet) error {
	return func(m *mbuf.Packet) error { return i.Queue(p, m) }
}

// reg returns who takes a protocol. If nobody does it frees the packet.
func (i *ISR) reg(p Proto, m *mbuf.Packet) (*Reg, error) {
	if p <= MaxProto {
		if r := i.regs[p].Load(); r != nil {
			return r, nil
		}
	}
	i.unknown.Inc()
	m.Free(mbuf.NoProto)
	return nil, ErrNoProto
}

func (i *ISR) dispatch(l *lwp.LWP, p Proto, source uint64, m *mbuf.Packet, cpu int) error {
	r, err := i.reg(p, m)
	if err != nil {
		return err
	}
	mode := r.h.Mode
	if mode == ModeDefault {
		mode = DispatchMode(i.mode.Load())
	}
	switch mode {
	case ModeDirect:
		if d := i.direct.Get(l); d.depth < MaxDepth {
			return r.direct(l, d, m)
		}
		r.depthDeferred.Inc()
	case ModeHybrid:
		if i.cfg.StrictHybrid && cpu == nowhere {
			break
		}
		return r.hybrid(l, source, m, cpu)
	}
	return r.queue(source, m, cpu)
}

// place returns the stream that a packet belongs to. If it returns no packet there is none any more.
func (r *Reg) place(source uint64, m *mbuf.Packet, cpu int) (*mbuf.Packet, int) {
	n := r.isr.cfg.Streams
	if n == 1 {
		return m, 0
	}
	switch r.h.Policy {
	case PolicyCPU:
		var k int
		if m, k = r.h.M2CPU(m, source); m == nil {
			r.steerDrops.Inc()
			return nil, 0
		}
		switch {
		case k != CPUNone:
			return m, int(uint(k) % uint(n))
		case cpu != nowhere:
			return m, cpu
		}
	case PolicyFlow:
		if m.Hash == mbuf.HashNone && r.h.M2Flow != nil {
			if m = r.h.M2Flow(m, source); m == nil {
				r.steerDrops.Inc()
				return nil, 0
			}
		}
		if m.Hash != mbuf.HashNone {
			return m, int(m.FlowID % uint32(n))
		}
	}
	return m, int((uint64(m.In.Index) + source) % uint64(n))
}

func (r *Reg) item(m *mbuf.Packet) deferq.Item[*Reg] {
	return deferq.Item[*Reg]{M: m, In: m.In, Out: m.Out, Arg: r}
}

func (r *Reg) queue(source uint64, m *mbuf.Packet, cpu int) error {
	m, stream := r.place(source, m, cpu)
	if m == nil {
		return ErrNoBufs
	}
	why := r.isr.engine.Put(stream, r.client, r.item(m), 0, nil)
	if why != deferq.Accepted {
		m.Free(why.Reason())
	}
	return refusals[why]
}

func (r *Reg) hybrid(l *lwp.LWP, source uint64, m *mbuf.Packet, cpu int) error {
	m, stream := r.place(source, m, cpu)
	if m == nil {
		return ErrNoBufs
	}
	if !r.isr.cfg.StrictHybrid || stream == cpu {
		took, why := r.borrow(l, stream, m)
		if took {
			return nil
		}
		if why != deferq.Accepted {
			m.Free(why.Reason())
			return refusals[why]
		}
	}
	why := r.isr.engine.Put(stream, r.client, r.item(m), 0, nil)
	if why != deferq.Accepted {
		m.Free(why.Reason())
	}
	return refusals[why]
}

// borrow runs the handler in the caller if the stream is idle.
func (r *Reg) borrow(l *lwp.LWP, stream int, m *mbuf.Packet) (took bool, why deferq.Refusal) {
	d := r.isr.direct.Get(l)
	d.borrows++
	defer func() { d.borrows-- }()
	return r.isr.engine.Borrow(l, stream, r.client, r.item(m))
}

// handle is a worker's, or a borrower's.
func (i *ISR) handle(l *lwp.LWP, stream int, it *deferq.Item[*Reg], in, out *ifnet.Interface) {
	c := &i.ctxs[stream]
	mode := ModeDeferred
	if it.Borrowed() {
		mode = ModeHybrid
	}
	*c = Ctx{LWP: l, Stream: stream, Mode: mode, In: in, Out: out}
	it.Arg.h.Handle(c, it.M)
	*c = Ctx{} // whoever kept it has nothing
}

// direct runs the handler in the caller. Until it returns the caller holds the registration, and
// the packet's interfaces.
func (r *Reg) direct(l *lwp.LWP, d *direct, m *mbuf.Packet) error {
	i := r.isr
	var reg, in, out psref.Ref
	s := i.psz.ReadEnter(l)
	alive := i.class.Acquire(l, &reg, &r.target)
	s.Exit()
	why := deferq.Accepted
	switch {
	case i.closed.Load():
		why = deferq.Closed
	case !alive || r.client.Ended():
		why = deferq.NoClient
	}
	var inIf, outIf *ifnet.Interface
	ok := why == deferq.Accepted
	if ok && !m.In.IsZero() {
		inIf, ok = i.cfg.Ifs.Get(l, &in, m.In)
	}
	if ok && !m.Out.IsZero() {
		outIf, ok = i.cfg.Ifs.Get(l, &out, m.Out)
	}
	defer func() {
		for _, ref := range []*psref.Ref{&out, &in, &reg} {
			if ref.Held() {
				ref.Release(l)
			}
		}
	}()
	if !ok {
		if why == deferq.Accepted {
			why = deferq.IfGone
		}
		r.refused[why].Inc()
		m.Free(why.Reason())
		return refusals[why]
	}
	r.dispatched.Inc()
	c := &d.ctxs[d.depth]
	*c = Ctx{LWP: l, Stream: -1, Mode: ModeDirect, In: inIf, Out: outIf, Depth: d.depth}
	hand := d.hand()
	m.Keep(hand)
	d.depth++
	returned := false
	defer func() {
		d.depth--
		*c = Ctx{}
		if m.OwnedBy(hand) {
			m.Free(mbuf.Handler)
			r.directLeaked.Inc()
			if returned {
				i.cfg.Log.Warn("the handler returned and its packet was left", "queue", i.cfg.Name, "handler", r.h.Name)
			}
		}
		if !returned {
			r.directPanics.Inc()
			if i.cfg.Recovered != nil {
				if x := recover(); x != nil {
					i.cfg.Recovered(x)
				}
			}
		}
	}()
	r.h.Handle(c, m)
	returned = true
	return nil
}

// hand returns who has a packet at this depth. Nobody else ever does, so what is there when its
// handler has returned is the packet that it was given.
func (d *direct) hand() *mbuf.Owner {
	if d.hands[d.depth] == nil {
		d.hands[d.depth] = mbuf.NewHand(fmt.Sprintf("the hand of a direct handler, depth %d", d.depth))
	}
	return d.hands[d.depth]
}

package netisr_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/witness"
)

// A stack is interfaces, a pool, and a thread to wait with.
type stack struct {
	t    require.TestingT
	dom  *lwp.Domain
	ifs  *ifnet.Table
	pool *mbuf.Pool
	l    *lwp.LWP

	attached int
}

func newStack(t require.TestingT, opts ...ifnet.Option) *stack {
	st := &stack{t: t, dom: lwp.NewDomain(), pool: mbuf.NewPool(mbuf.PoolConfig{})}
	st.ifs = ifnet.NewTable(st.dom, append(opts, ifnet.WithPool(st.pool))...)
	st.l = st.dom.Bind()
	return st
}

func (st *stack) attach() ifnet.ID {
	st.attached++
	ifp, err := st.ifs.Attach(ifnet.Spec{Name: fmt.Sprintf("em%d", st.attached), Driver: ifnet.NewLoop(), Up: true, MAC: ifnet.MAC{2, byte(st.attached)}})
	require.NoError(st.t, err)
	return ifp.ID()
}

func (st *stack) detach(id ifnet.ID) {
	l := st.dom.Bind()
	defer l.Unbind()
	require.NoError(st.t, st.ifs.Detach(soon(), l, id))
}

// soon is long in virtual time, and not for ever in real time.
func soon() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func bg() context.Context { return context.Background() }

// packet returns a packet of a flow, numbered, that came by an interface.
func (st *stack) packet(in ifnet.ID, flow uint32, number int) *mbuf.Packet {
	m, err := st.pool.From([]byte{byte(number), byte(number >> 8)})
	require.NoError(st.t, err)
	m.In, m.FlowID, m.Hash = in, flow, mbuf.HashOpaque
	return m
}

func number(m *mbuf.Packet) int { b := m.Bytes(); return int(b[0]) | int(b[1])<<8 }

// manual returns an ISR without workers, whose law is checked, and which is closed, at the end.
func (st *stack) isr(c netisr.Config) *netisr.ISR {
	c.Ifs = st.ifs
	return netisr.New(c)
}

// lawful checks the laws of conservation of registrations.
func lawful(t require.TestingT, regs ...*netisr.Reg) (sum netisr.Work) {
	for _, r := range regs {
		for _, w := range r.Stats() {
			require.EqualValues(t, w.Queued, w.Handled-w.Dispatched-w.HybridDispatched+w.StaleIf+w.Departed+w.Unregistered+w.Discarded+uint64(w.Len)+uint64(w.InHand), "%+v", w)
			sum.Len += w.Len
			sum.InHand += w.InHand
			sum.Watermark = max(sum.Watermark, w.Watermark)
			for _, p := range []struct{ to, from *uint64 }{
				{&sum.Dispatched, &w.Dispatched}, {&sum.HybridDispatched, &w.HybridDispatched}, {&sum.QDrops, &w.QDrops}, {&sum.Queued, &w.Queued},
				{&sum.Handled, &w.Handled}, {&sum.StaleIf, &w.StaleIf}, {&sum.Departed, &w.Departed}, {&sum.Unregistered, &w.Unregistered},
				{&sum.Discarded, &w.Discarded}, {&sum.RefusedIf, &w.RefusedIf}, {&sum.RefusedProto, &w.RefusedProto}, {&sum.RefusedClosed, &w.RefusedClosed},
				{&sum.SteerDrops, &w.SteerDrops}, {&sum.DepthDeferred, &w.DepthDeferred}, {&sum.Panics, &w.Panics}, {&sum.Leaked, &w.Leaked},
			} {
				*p.to += *p.from
			}
		}
	}
	return sum
}

// calls checks law B: so many calls were accepted or refused, each in one counter.
func calls(t require.TestingT, n int, regs ...*netisr.Reg) {
	s := lawful(t, regs...)
	require.EqualValues(t, n, s.Queued+s.Dispatched+s.HybridDispatched+s.QDrops+s.RefusedIf+s.RefusedProto+s.RefusedClosed+s.SteerDrops, "%+v", s)
}

// end closes an ISR after so many calls for its registrations, and finds nothing left.
func (st *stack) end(i *netisr.ISR, n int, regs ...*netisr.Reg) {
	require.NoError(st.t, i.Close(soon(), st.l))
	calls(st.t, n, regs...)
	s := lawful(st.t, regs...)
	require.Zero(st.t, s.Len+s.InHand)
	require.Zero(st.t, st.pool.Outstanding())
}

func (st *stack) register(i *netisr.ISR, h netisr.Handler) *netisr.Reg {
	if h.Proto == 0 {
		h.Proto = 1
	}
	if h.Name == "" {
		h.Name = fmt.Sprintf("proto%d", h.Proto)
	}
	if h.Policy == 0 {
		h.Policy = netisr.PolicyFlow
	}
	r, err := i.Register(h)
	require.NoError(st.t, err)
	return r
}

// sent checks the law of a type, which was dispatched so often.
func sent[S any](t require.TestingT, ty *netisr.Type[S], calls int) netisr.SendStats {
	s := ty.Stats()
	require.EqualValues(t, s.Queued, s.Handled+s.Departed+s.Down+s.Unregistered+s.Discarded+s.Superseded+s.StaleIf+uint64(s.Len)+uint64(s.InHand), "%+v", s)
	require.EqualValues(t, calls, s.Queued+s.QDrops+s.RefusedIf+s.RefusedDown+s.RefusedType+s.RefusedClosed+s.Loops, "%+v", s)
	return s
}

func violates(t *testing.T, f func()) *witness.Violation {
	t.Helper()
	var v *witness.Violation
	func() {
		defer func() { v, _ = recover().(*witness.Violation) }()
		f()
	}()
	require.NotNil(t, v, "no violation")
	return v
}

// diary is a handler that writes down the numbers it is given.
func diary(to *[]int) func(*netisr.Ctx, *mbuf.Packet) {
	return func(_ *netisr.Ctx, m *mbuf.Packet) {
		*to = append(*to, number(m))
		m.Free(mbuf.Done)
	}
}

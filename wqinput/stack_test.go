package wqinput_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/wqinput"
)

// A stack is interfaces, a pool, and queues of which the law is checked at the end.
type stack struct {
	t    require.TestingT
	dom  *lwp.Domain
	ifs  *ifnet.Table
	pool *mbuf.Pool

	attached int
}

func newStack(t require.TestingT) *stack {
	st := &stack{t: t, dom: lwp.NewDomain(), pool: mbuf.NewPool(mbuf.PoolConfig{})}
	st.ifs = ifnet.NewTable(st.dom)
	return st
}

func (st *stack) attach() ifnet.ID {
	st.attached++
	ifp, err := st.ifs.Attach(ifnet.Spec{Name: fmt.Sprintf("em%d", st.attached), Driver: ifnet.NewLoop(), Up: true})
	require.NoError(st.t, err)
	return ifp.ID()
}

func (st *stack) detach(ctx context.Context, id ifnet.ID) error {
	l := st.dom.Bind()
	defer l.Unbind()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return st.ifs.Detach(ctx, l, id)
}

// packet returns a packet of a flow that came by an interface. Its first byte is a number.
func (st *stack) packet(in ifnet.ID, flow uint32, number byte) *mbuf.Packet {
	m, err := st.pool.From([]byte{number})
	require.NoError(st.t, err)
	m.In, m.FlowID, m.Hash = in, flow, mbuf.HashOpaque
	return m
}

// lawful checks the laws of conservation of a queue for which Input was called so often.
func lawful(t require.TestingT, q *wqinput.Queue, calls int) {
	for _, s := range append(q.StreamStats(), q.Stats()) {
		require.EqualValues(t, s.Queued, s.Handled+s.Stale+s.Departed+s.Discarded+uint64(s.Len)+uint64(s.InHand), "%+v", s)
	}
	s := q.Stats()
	require.EqualValues(t, calls, s.Queued+s.NoBufs+s.RefusedIf+s.RefusedClosed, "%+v", s)
}

// closed closes a queue and checks that nothing is left.
func (st *stack) closed(q *wqinput.Queue, calls int) {
	require.NoError(st.t, q.Close(context.Background()))
	lawful(st.t, q, calls)
	s := q.Stats()
	require.Zero(st.t, s.Len+s.InHand)
	require.Zero(st.t, st.pool.Outstanding())
}

func number(m *mbuf.Packet) byte { return m.Bytes()[0] }

func bg() context.Context { return context.Background() }

// done is a handler that ends each packet and tells its number.
func done(tell func(byte)) wqinput.Handler {
	return func(_ context.Context, in *wqinput.Input) {
		tell(number(in.Packet))
		in.Packet.Free(mbuf.Done)
	}
}

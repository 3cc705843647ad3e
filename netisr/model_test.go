package netisr_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

// A waiting is a packet in a list of the twin's.
type waiting struct {
	number int
	in     ifnet.ID
}

// A twinStream is the lists of a stream, and whose turn it is.
type twinStream struct {
	lists  [netisr.MaxProto + 1][]waiting
	turn   int
	budget int
}

func (s *twinStream) len() (n int) {
	for _, l := range s.lists {
		n += len(l)
	}
	return n
}

// pop takes what is handled next: each protocol has what it had when its turn began.
func (s *twinStream) pop() (p int, x waiting) {
	if s.budget == 0 || len(s.lists[s.turn]) == 0 {
		for s.turn = (s.turn + 1) % len(s.lists); len(s.lists[s.turn]) == 0; {
			s.turn = (s.turn + 1) % len(s.lists)
		}
		s.budget = len(s.lists[s.turn])
	}
	s.budget--
	x, s.lists[s.turn] = s.lists[s.turn][0], s.lists[s.turn][1:]
	return s.turn, x
}

// A twinProto is a registration of the twin's.
type twinProto struct {
	reg    *netisr.Reg
	flow   bool
	mode   netisr.DispatchMode
	limit  int
	counts netisr.Work // over all streams, but for Len, Watermark
}

type handled struct{ proto, number int }

// An isrTwin does in plain slices what an ISR without workers does.
type isrTwin struct {
	t       *rapid.T
	st      *stack
	i       *netisr.ISR
	mode    netisr.DispatchMode
	streams []twinStream
	protos  map[int]*twinProto
	ended   []*twinProto
	ifs     []ifnet.ID
	gone    []ifnet.ID

	got, want []handled
	numbers   int
}

// The twin of an ISR is lists. Whatever is done to both, the same handlers see the same packets in
// the same order, each call returns the same, and every counter is equal.
func TestISR_IsAsItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := newStack(t)
		n := rapid.IntRange(1, 3).Draw(t, "streams")
		w := &isrTwin{t: t, st: st, mode: netisr.ModeDeferred, streams: make([]twinStream, n), protos: map[int]*twinProto{}}
		w.i = st.isr(netisr.Config{Streams: n, Manual: true})
		w.ifs = []ifnet.ID{st.attach(), st.attach()}
		w.register(t)
		t.Repeat(map[string]func(*rapid.T){
			"": w.compare, "register": w.register, "unregister": w.unregister, "limit": w.limit, "mode": w.setMode,
			"queue": w.queue, "queue list": w.queueList, "dispatch": w.dispatch, "step": w.step, "detach": w.detach,
		})
		for w.steps(t) {
		}
		w.compare(t)
		require.NoError(t, w.i.Close(soon(), st.l))
		require.Zero(t, st.pool.Outstanding())
	})
}

func (w *isrTwin) compare(t *rapid.T) {
	require.Equal(t, w.want, w.got)
	queued := 0
	for p, x := range w.protos {
		for k := range w.streams {
			require.Equal(t, len(w.streams[k].lists[p]), x.reg.Stats()[k].Len, "protocol %d, stream %d", p, k)
			queued += len(w.streams[k].lists[p])
		}
		w.same(t, x)
	}
	for _, x := range w.ended {
		w.same(t, x)
	}
	require.EqualValues(t, queued, w.st.pool.Outstanding())
}

func (w *isrTwin) same(t *rapid.T, x *twinProto) {
	s := lawful(t, x.reg)
	s.Len, s.Watermark = 0, 0
	require.Equal(t, x.counts, s)
}

func (w *isrTwin) register(t *rapid.T) {
	p := rapid.IntRange(1, 3).Draw(t, "proto")
	x := &twinProto{
		flow: rapid.Bool().Draw(t, "flow"), limit: rapid.IntRange(1, 70).Draw(t, "limit"),
		mode: rapid.SampledFrom([]netisr.DispatchMode{netisr.ModeDefault, netisr.ModeDefault, netisr.ModeDeferred, netisr.ModeHybrid, netisr.ModeDirect}).Draw(t, "mode"),
	}
	h := netisr.Handler{Name: string(rune('a' + p)), Proto: netisr.Proto(p), QLimit: x.limit, Mode: x.mode, Policy: netisr.PolicySource}
	if x.flow {
		h.Policy = netisr.PolicyFlow
	}
	h.Handle = func(c *netisr.Ctx, m *mbuf.Packet) {
		if in := m.In; !in.IsZero() {
			require.Equal(t, in, c.In.ID())
		}
		w.got = append(w.got, handled{p, number(m)})
		m.Free(mbuf.Done)
	}
	r, err := w.i.Register(h)
	if w.protos[p] != nil {
		require.ErrorIs(t, err, netisr.ErrInvalid)
		return
	}
	require.NoError(t, err)
	x.reg, w.protos[p] = r, x
}

func (w *isrTwin) some(t *rapid.T) (int, *twinProto) {
	p := rapid.IntRange(1, 3).Draw(t, "proto")
	if w.protos[p] == nil {
		t.Skip("nobody takes it")
	}
	return p, w.protos[p]
}

func (w *isrTwin) unregister(t *rapid.T) {
	p, x := w.some(t)
	require.NoError(t, x.reg.Unregister(soon(), w.st.l))
	for k := range w.streams {
		x.counts.Unregistered += uint64(len(w.streams[k].lists[p]))
		w.streams[k].lists[p] = nil
	}
	delete(w.protos, p)
	w.ended = append(w.ended, x)
}

func (w *isrTwin) limit(t *rapid.T) {
	_, x := w.some(t)
	x.limit = rapid.IntRange(0, 70).Draw(t, "limit")
	require.NoError(t, x.reg.SetQLimit(x.limit))
}

func (w *isrTwin) setMode(t *rapid.T) {
	w.mode = rapid.SampledFrom([]netisr.DispatchMode{netisr.ModeDeferred, netisr.ModeHybrid, netisr.ModeDirect}).Draw(t, "mode")
	require.NoError(t, w.i.SetMode(w.mode))
}

// packet returns a packet, and where it belongs.
func (w *isrTwin) packet(t *rapid.T, x *twinProto) (m *mbuf.Packet, source uint64, stream int) {
	in := rapid.SampledFrom(append(append([]ifnet.ID{{}}, w.ifs...), w.gone...)).Draw(t, "in")
	flow := rapid.Uint32Range(0, 5).Draw(t, "flow")
	w.numbers++
	m = w.st.packet(in, flow, w.numbers)
	if rapid.Bool().Draw(t, "unnamed") {
		m.Hash = mbuf.HashNone
	}
	if x != nil && x.flow && m.Hash != mbuf.HashNone {
		return m, 0, int(flow) % len(w.streams)
	}
	return m, 0, int(in.Index) % len(w.streams)
}

// put is what the twin does with a packet that is queued, and returns what the ISR should.
func (w *isrTwin) put(p int, x *twinProto, m waiting, stream int) error {
	l := &w.streams[stream].lists[p]
	switch {
	case !m.in.IsZero() && !w.st.ifs.Live(m.in):
		x.counts.RefusedIf++
		return netisr.ErrIfDeparted
	case len(*l) >= x.limit:
		x.counts.QDrops++
		return netisr.ErrNoBufs
	}
	*l = append(*l, m)
	x.counts.Queued++
	return nil
}

func (w *isrTwin) queue(t *rapid.T) {
	p := rapid.IntRange(1, 3).Draw(t, "proto")
	x := w.protos[p]
	m, source, stream := w.packet(t, x)
	y := waiting{number(m), m.In}
	err := w.i.QueueSrc(netisr.Proto(p), source, m)
	if x == nil {
		require.ErrorIs(t, err, netisr.ErrNoProto)
		return
	}
	require.Equal(t, w.put(p, x, y, stream), err)
}

// queueList is, for the twin, so many times queue.
func (w *isrTwin) queueList(t *rapid.T) {
	p, x := w.some(t)
	var l mbuf.List
	accepted := 0
	refused := map[error]bool{nil: true}
	for range rapid.SampledFrom([]int{0, 1, 3, 64, 65, 130}).Draw(t, "length") {
		m, _, stream := w.packet(t, x)
		l.Push(m)
		if err := w.put(p, x, waiting{number(m), m.In}, stream); err == nil {
			accepted++
		} else {
			refused[err] = true
			delete(refused, nil)
		}
	}
	n, err := w.i.QueueList(netisr.Proto(p), &l)
	require.Equal(t, accepted, n)
	require.True(t, refused[err], "%v", err)
	require.Zero(t, l.Len())
}

func (w *isrTwin) dispatch(t *rapid.T) {
	p, x := w.some(t)
	m, source, stream := w.packet(t, x)
	y := waiting{number(m), m.In}
	mode := x.mode
	if mode == netisr.ModeDefault {
		mode = w.mode
	}
	err := w.i.DispatchSrc(w.st.l, netisr.Proto(p), source, m)
	live := y.in.IsZero() || w.st.ifs.Live(y.in)
	switch {
	case mode == netisr.ModeDirect && live:
		x.counts.Dispatched++
	case mode == netisr.ModeHybrid && live && w.streams[stream].len() == 0 && x.limit > 0:
		x.counts.HybridDispatched++
	case mode != netisr.ModeDeferred && !live:
		x.counts.RefusedIf++
		require.Equal(t, netisr.ErrIfDeparted, err)
		return
	default:
		require.Equal(t, w.put(p, x, y, stream), err)
		return
	}
	require.NoError(t, err)
	x.counts.Handled++
	w.want = append(w.want, handled{p, y.number})
}

func (w *isrTwin) step(t *rapid.T) {
	for range rapid.IntRange(1, 20).Draw(t, "steps") {
		if !w.steps(t) {
			return
		}
	}
}

func (w *isrTwin) steps(t *rapid.T) bool {
	for k := range w.streams {
		if s := &w.streams[k]; s.len() > 0 {
			p, x := s.pop()
			w.protos[p].counts.Handled++
			w.want = append(w.want, handled{p, x.number})
			require.True(t, w.i.Step())
			return true
		}
		w.streams[k].budget = 0 // a turn ends with its list
	}
	require.False(t, w.i.Step())
	return false
}

func (w *isrTwin) detach(t *rapid.T) {
	k := rapid.IntRange(0, len(w.ifs)-1).Draw(t, "interface")
	id := w.ifs[k]
	w.st.detach(id)
	w.ifs[k] = w.st.attach() // under the same index
	w.gone = append(w.gone, id)
	for s := range w.streams {
		for p, l := range w.streams[s].lists {
			var rest []waiting
			for _, x := range l {
				if x.in == id {
					w.protos[p].counts.Departed++
				} else {
					rest = append(rest, x)
				}
			}
			w.streams[s].lists[p] = rest
		}
	}
}

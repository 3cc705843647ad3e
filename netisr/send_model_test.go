package netisr_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

// A sending is a packet that waits in the twin.
type sending struct {
	of      *twinType
	in, out ifnet.ID
	state   int
	key     int
}

type twinType struct {
	ty       *netisr.Type[int]
	spec     netisr.Spec[int]
	gone     bool
	calls    int
	accepted int
}

type sendStream struct {
	lists     [4][]sending // by priority
	dead      []sending    // superseded
	overtaken [4]int       // how often the first of a list was
}

func (s *sendStream) waiting(of *twinType) (n int) {
	for _, l := range append(s.lists[:len(s.lists):len(s.lists)], s.dead) {
		for _, x := range l {
			if x.of == of {
				n++
			}
		}
	}
	return n
}

// A sendTwin does in plain slices what a SendQueue without workers does.
type sendTwin struct {
	st      *stack
	q       *netisr.SendQueue
	streams []sendStream
	types   []*twinType
	ifs     []ifnet.ID
	gone    []ifnet.ID
	state   int

	got, want map[int]mbuf.Reason // how each state has ended: Done if its handler has it
	last      int                 // whose handler ran last
}

// The twin of a SendQueue is lists. Whatever is done to both, each packet has the same end, each
// list is served in order, and nothing is overtaken by more than it may be.
func TestSendQueue_IsAsItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := newStack(t)
		w := &sendTwin{st: st, got: map[int]mbuf.Reason{}, want: map[int]mbuf.Reason{}}
		w.streams = make([]sendStream, rapid.IntRange(1, 2).Draw(t, "streams"))
		w.q = st.sendQueue(netisr.SendConfig{Streams: len(w.streams), Manual: true})
		w.ifs = []ifnet.ID{st.attach(), st.attach()}
		for _, s := range []netisr.Spec[int]{
			{Name: "latest", Prio: netisr.Control, Key: func(_ *mbuf.Packet, state int) any { return state % 3 }},
			{Name: "urgent", Prio: netisr.Control, Depart: netisr.DropOut},
			{Name: "usual", Prio: netisr.Normal, Depart: netisr.DropOut, WhenDown: netisr.IgnoreDown},
			{Name: "bulk", Prio: netisr.Bulk},
		} {
			w.register(t, s)
		}
		t.Repeat(map[string]func(*rapid.T){
			"": w.compare, "dispatch": w.dispatch, "step": w.step, "detach": w.detach, "down": w.down, "unregister": w.unregister,
		})
		for w.steps(t) {
		}
		w.compare(t)
		st.endSend(w.q)
	})
}

func (w *sendTwin) register(t *rapid.T, s netisr.Spec[int]) {
	x := &twinType{}
	s.QLimit = rapid.IntRange(1, 70).Draw(t, "limit")
	s.Handle = func(c *netisr.Ctx, m *mbuf.Packet, state int) {
		require.Equal(t, m.In.IsZero(), c.In == nil)
		require.Equal(t, m.Out, c.Out.ID())
		w.end(t, state, mbuf.Done)
		w.last = state
		m.Free(mbuf.Done)
	}
	s.Free = func(state int, why mbuf.Reason) { w.end(t, state, why) }
	ty, err := netisr.Register(w.q, s)
	require.NoError(t, err)
	x.ty, x.spec = ty, s
	w.types = append(w.types, x)
}

func (w *sendTwin) end(t *rapid.T, state int, why mbuf.Reason) {
	require.NotContains(t, w.got, state, "a state has two ends")
	w.got[state] = why
}

func (w *sendTwin) compare(t *rapid.T) {
	require.Equal(t, w.want, w.got)
	queued := 0
	for _, x := range w.types {
		n := 0
		for k := range w.streams {
			n += w.streams[k].waiting(x)
		}
		s := sent(t, x.ty, x.calls)
		require.Equal(t, n, s.Len)
		require.EqualValues(t, x.accepted, s.Queued)
		queued += n
	}
	require.EqualValues(t, queued, w.st.pool.Outstanding())
}

func (w *sendTwin) dispatch(t *rapid.T) {
	x := rapid.SampledFrom(w.types).Draw(t, "type")
	all := append(w.ifs[:len(w.ifs):len(w.ifs)], w.gone...)
	in := rapid.SampledFrom(append(all[:len(all):len(all)], ifnet.ID{})).Draw(t, "in")
	out := rapid.SampledFrom(all).Draw(t, "out")
	for range rapid.SampledFrom([]int{1, 1, 20}).Draw(t, "times") {
		w.state++
		x.calls++
		want := w.put(sending{x, in, out, w.state, w.state % 3})
		require.Equal(t, want, x.ty.Dispatch(w.st.packet(in, 0, 1), out, w.state))
	}
}

func (w *sendTwin) put(x sending) error {
	live := func(id ifnet.ID) bool { return id.IsZero() || w.st.ifs.Live(id) }
	s := &w.streams[int(x.out.Index)%len(w.streams)]
	if !live(x.in) && x.of.spec.Depart == netisr.DropOut {
		x.in = ifnet.ID{}
	}
	switch {
	case x.of.gone:
		return netisr.ErrNoProto
	case !live(x.in) || !live(x.out):
		return netisr.ErrIfDeparted
	case x.of.spec.WhenDown == netisr.DropDown && !w.st.ifs.IsUp(x.out):
		return netisr.ErrIfDown
	case s.waiting(x.of) >= x.of.spec.QLimit:
		return netisr.ErrNoBufs
	}
	x.of.accepted++
	l := &s.lists[x.of.spec.Prio]
	same := func(y sending) bool { return y.of == x.of && y.out == x.out && y.key == x.key }
	if k := slices.IndexFunc(*l, same); k >= 0 && x.of.spec.Key != nil {
		s.dead = append(s.dead, (*l)[k])
		(*l)[k] = x
	} else {
		*l = append(*l, x)
	}
	return nil
}

func (w *sendTwin) step(t *rapid.T) {
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		if !w.steps(t) {
			return
		}
	}
}

// steps has the queue handle a packet, which must be the first of a list, and not one that it was
// somebody else's turn before.
func (w *sendTwin) steps(t *rapid.T) bool {
	for k := range w.streams {
		s := &w.streams[k]
		if len(slices.Concat(s.lists[:]...)) == 0 {
			continue
		}
		w.bury(s)
		require.True(t, w.q.Step())
		served := slices.IndexFunc(s.lists[:], func(l []sending) bool { return len(l) > 0 && l[0].state == w.last })
		require.GreaterOrEqual(t, served, 0, "%d was handled, and is first nowhere", w.last)
		w.want[w.last] = mbuf.Done
		s.lists[served] = s.lists[served][1:]
		for p := range s.lists {
			switch {
			case p == served || len(s.lists[p]) == 0:
				s.overtaken[p] = 0
			case p > served:
				s.overtaken[p]++
				require.LessOrEqual(t, s.overtaken[p], 16, "of priority %d", p)
			}
		}
		return true
	}
	require.False(t, w.q.Step())
	return false
}

func (w *sendTwin) bury(s *sendStream) {
	for _, x := range s.dead {
		w.want[x.state] = mbuf.Superseded
	}
	s.dead = nil
}

// purge ends what f gives a reason.
func (w *sendTwin) purge(f func(*sending) (mbuf.Reason, bool)) {
	for k := range w.streams {
		s := &w.streams[k]
		w.bury(s)
		for p := range s.lists {
			s.lists[p] = slices.DeleteFunc(s.lists[p], func(x sending) bool {
				why, gone := f(&x)
				if gone {
					w.want[x.state] = why
				}
				return gone
			})
			if len(s.lists[p]) == 0 {
				s.overtaken[p] = 0
			}
		}
	}
}

func (w *sendTwin) detach(t *rapid.T) {
	k := rapid.IntRange(0, len(w.ifs)-1).Draw(t, "interface")
	id := w.ifs[k]
	w.st.detach(id)
	w.ifs[k] = w.st.attach() // under the same index
	w.gone = append(w.gone, id)
	w.purge(func(x *sending) (mbuf.Reason, bool) {
		return mbuf.IfDeparted, x.out == id || x.in == id && x.of.spec.Depart == netisr.DropEither
	})
}

func (w *sendTwin) down(t *rapid.T) {
	k := rapid.IntRange(0, len(w.ifs)-1).Draw(t, "interface")
	id := w.ifs[k]
	if !w.st.ifs.IsUp(id) {
		require.NoError(t, w.st.ifs.Up(id))
		return
	}
	require.NoError(t, w.st.ifs.Down(id))
	w.purge(func(x *sending) (mbuf.Reason, bool) {
		return mbuf.IfDown, x.out == id && x.of.spec.WhenDown == netisr.DropDown
	})
}

func (w *sendTwin) unregister(t *rapid.T) {
	x := rapid.SampledFrom(w.types).Draw(t, "type")
	if x.gone || rapid.IntRange(0, 3).Draw(t, "really") > 0 {
		t.Skip("not that one")
	}
	require.NoError(t, x.ty.Unregister(soon(), w.st.l))
	x.gone = true
	w.purge(func(y *sending) (mbuf.Reason, bool) { return mbuf.Type, y.of == x })
}

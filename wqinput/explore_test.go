package wqinput_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/stacktest/sched"
	"github.com/softnet-go/softnet/wqinput"
)

// Every schedule of two or three actors and a worker with up to two preemptions.

// world is one schedule's stack with one queue. What the handler was given is plain memory on
// purpose: only the one worker may write it.
type world struct {
	*sched.S
	*stack
	q    *wqinput.Queue
	em0  ifnet.ID
	got  []byte
	gone sched.Bool // a Detach of em0 has returned
	// A handler waits while shut.
	gate   sched.Mutex
	shut   bool
	opened sched.Cond
	// first tells that packet number 1 has been handled.
	first sched.Bool
	only  bool // all packets are of the interface that is detached
}

func explore(t *testing.T, manual bool, f func(w *world)) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		w := &world{S: s, stack: newStack(s)}
		w.em0 = w.attach()
		opts := []wqinput.Option{wqinput.WithStreams(1)}
		if manual {
			opts = append(opts, wqinput.WithManual())
		}
		w.q = wqinput.New(w.ifs, "q", func(_ context.Context, in *wqinput.Input) {
			w.Assert(in.Packet.In != w.em0 || !w.gone.Load(), "a handler is given a packet of an interface that has gone")
			w.got = append(w.got, number(in.Packet))
			sched.Point("handle")
			w.gate.Lock()
			for w.shut {
				w.opened.Wait(&w.gate)
			}
			w.gate.Unlock()
			w.Assert(in.Packet.In != w.em0 || !w.gone.Load(), "a handler runs with a packet of an interface that has gone")
			if number(in.Packet) == 1 {
				w.first.Store(true)
			}
			in.Packet.Free(mbuf.Done)
		}, opts...)
		f(w)
	})
}

// input starts an actor that has packets queued, one after the other.
func (w *world) input(name string, in ifnet.ID, numbers ...byte) {
	var ms []*mbuf.Packet
	for _, n := range numbers {
		ms = append(ms, w.packet(in, 1, n))
	}
	w.Go(name, func() {
		for _, m := range ms {
			if err := w.q.Input(m, 0, 1); err != nil {
				w.Assert(errors.Is(err, wqinput.ErrIfDeparted) || errors.Is(err, wqinput.ErrClosed), "%v", err)
			}
		}
	})
}

func (w *world) detacher(id ifnet.ID) {
	l := w.dom.Bind()
	w.Go("detach", func() {
		require.NoError(w, w.ifs.Detach(w.Context(), l, id))
		w.gone.Store(id == w.em0)
		if w.only {
			s := w.q.Stats()
			w.Assert(s.Len+s.InHand == 0, "Detach has returned, and its packets are not freed: %+v", s)
		}
		l.Unbind()
	})
}

// end closes the queue and checks that everything is accounted for.
func (w *world) end(calls int) {
	w.After(func() { w.closed(w.q, calls) })
}

// Nobody is left asleep with work to do, and order is kept.
func TestExplore_InputAgainstTheWorker(t *testing.T) {
	explore(t, false, func(w *world) {
		w.input("a", w.em0, 1, 2)
		w.input("b", w.em0, 11)
		w.After(func() {
			require.NoError(w, w.q.Flush(w.Context()), "somebody sleeps over work")
			w.closed(w.q, 3)
			w.Assert(len(w.got) == 3, "handled %v", w.got)
			var a []byte
			for _, n := range w.got {
				if n < 10 {
					a = append(a, n)
				}
			}
			w.Assert(a[0] == 1 && a[1] == 2, "out of order: %v", w.got)
		})
	})
}

// After Detach no handler has its packets, whenever they were queued; another interface's are all
// handled, in order, though they were in the same hand.
func TestExplore_InputAgainstDetach(t *testing.T) {
	explore(t, false, func(w *world) {
		w.only = true
		w.input("a", w.em0, 1)
		w.detacher(w.em0)
		w.end(1)
	})
}

func TestExplore_StealAgainstTheWorker(t *testing.T) {
	explore(t, false, func(w *world) {
		em1 := w.attach()
		for i, id := range []ifnet.ID{em1, w.em0, em1} {
			require.NoError(w, w.q.Input(w.packet(id, 1, byte(i)), 0, 1))
		}
		w.detacher(w.em0)
		w.After(func() {
			w.closed(w.q, 3)
			var others []byte
			for _, n := range w.got {
				if n != 1 {
					others = append(others, n)
				}
			}
			w.Assert(len(others) == 2 && others[0] == 0 && others[1] == 2, "another interface's packets: %v", w.got)
		})
	})
}

// Two detach two interfaces, both of which have packets in the hand.
func TestExplore_DetachAgainstDetach(t *testing.T) {
	explore(t, true, func(w *world) {
		em1 := w.attach()
		for i, id := range []ifnet.ID{w.em0, em1, w.em0, em1} {
			require.NoError(w, w.q.Input(w.packet(id, 1, byte(i)), 0, 1))
		}
		w.Go("worker", func() {
			for w.q.Step() {
			}
		})
		w.detacher(w.em0)
		w.After(func() {
			l := w.dom.Bind()
			defer l.Unbind()
			require.NoError(w, w.ifs.Detach(bg(), l, em1))
			w.closed(w.q, 4)
		})
	})
}

// Who steps a queue without workers may find nothing, and then something comes that only Close can handle.
func TestExplore_CloseAgainstAStepAndInput(t *testing.T) {
	explore(t, true, func(w *world) {
		require.NoError(w, w.q.Input(w.packet(w.em0, 1, 0), 0, 1))
		w.input("input", w.em0, 1)
		w.Go("worker", func() {
			for w.q.Step() {
			}
		})
		w.Go("close", func() { require.NoError(w, w.q.Close(w.Context())) })
		w.After(func() { w.closed(w.q, 2) })
	})
}

func TestExplore_InputAgainstClose(t *testing.T) {
	explore(t, false, func(w *world) {
		w.input("a", w.em0, 1, 2)
		w.Go("close", func() { require.NoError(w, w.q.Close(w.Context())) })
		w.end(2)
	})
}

func TestExplore_CloseAgainstClose(t *testing.T) {
	explore(t, false, func(w *world) {
		require.NoError(w, w.q.Input(w.packet(w.em0, 1, 1), 0, 1))
		for _, name := range []string{"a", "b"} {
			w.Go(name, func() {
				require.NoError(w, w.q.Close(w.Context()))
				w.Assert(len(w.got) == 1, "closed, and handled %v", w.got)
			})
		}
		w.end(1)
	})
}

// A Close that will not wait frees each packet that nobody handles, once.
func TestExplore_DiscardAgainstTheWorker(t *testing.T) {
	explore(t, false, func(w *world) {
		for i := range 3 {
			require.NoError(w, w.q.Input(w.packet(w.em0, 1, byte(i)), 0, 1))
		}
		ended, cancel := context.WithCancel(w.Context())
		cancel()
		w.Go("close", func() {
			if err := w.q.Close(ended); err != nil {
				w.Assert(errors.Is(err, context.Canceled), "%v", err)
			}
		})
		w.end(3)
	})
}

// Flush returns when what was queued before is handled.
func TestExplore_FlushAgainstTheWorker(t *testing.T) {
	explore(t, false, func(w *world) {
		m := w.packet(w.em0, 1, 1)
		w.input("another", w.em0, 2)
		w.Go("flush", func() {
			require.NoError(w, w.q.Input(m, 0, 1))
			require.NoError(w, w.q.Flush(w.Context()))
			w.Assert(w.first.Load(), "flushed, and not handled")
		})
		w.end(2)
	})
}

// Who waits does not miss the end of what it waits for.
func TestExplore_FlushAgainstTheEndOfAHandler(t *testing.T) {
	explore(t, false, func(w *world) {
		w.shut = true
		m := w.packet(w.em0, 1, 1)
		w.Go("flush", func() {
			require.NoError(w, w.q.Input(m, 0, 1))
			require.NoError(w, w.q.Flush(w.Context()))
		})
		w.Go("open", func() {
			w.gate.Lock()
			w.shut = false
			w.opened.Broadcast()
			w.gate.Unlock()
		})
		w.end(1)
	})
}

// Statistics are lawful at any moment.
func TestExplore_StatsAgainstTheWorker(t *testing.T) {
	explore(t, false, func(w *world) {
		w.input("a", w.em0, 1, 2)
		w.Go("stats", func() {
			s := w.q.Stats()
			w.Assert(s.Queued == s.Handled+uint64(s.Len+s.InHand) && s.InHand <= 1, "%+v", s)
		})
		w.end(2)
	})
}

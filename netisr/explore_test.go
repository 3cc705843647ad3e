package netisr_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// Every schedule of two or three actors, and of a worker where there is one, with up to two
// preemptions. got is plain memory on purpose: no two handlers of a stream run at once.

// world is one schedule's stack with an ISR of one stream and one handler.
type world struct {
	*sched.S
	*stack
	i    *netisr.ISR
	r    *netisr.Reg
	em0  ifnet.ID
	got  []int
	busy sched.Int64
	gone sched.Bool // em0 has gone, or the handler has
	n    int        // packets that somebody dispatches
}

func explore(t *testing.T, c netisr.Config, f func(w *world)) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		w := &world{S: s, stack: newStack(s)}
		w.em0 = w.attach()
		w.i = w.isr(c)
		w.r = w.register(w.i, netisr.Handler{Handle: w.handle})
		f(w)
		w.After(func() { w.end(w.i, w.n-int(w.i.Snapshot().Unknown), w.r) })
	})
}

func (w *world) handle(c *netisr.Ctx, m *mbuf.Packet) {
	serial := c.Mode != netisr.ModeDirect
	if serial {
		w.Assert(w.busy.Add(1) == 1, "two handlers in one stream")
	}
	w.Assert(!w.gone.Load(), "a handler runs after the end")
	w.got = append(w.got, number(m))
	sched.Point("handle")
	w.Assert(!w.gone.Load(), "a handler runs on after the end")
	if serial {
		w.busy.Add(-1)
	}
	m.Free(mbuf.Done)
}

func refusal(err error) bool {
	return errors.Is(err, netisr.ErrIfDeparted) || errors.Is(err, netisr.ErrClosed) || errors.Is(err, netisr.ErrNoProto)
}

// dispatcher starts an actor that dispatches packets, by whatever mode.
func (w *world) dispatcher(name string, numbers ...int) {
	var ms []*mbuf.Packet
	for _, n := range numbers {
		ms = append(ms, w.packet(w.em0, 1, n))
	}
	w.n += len(ms)
	l := w.dom.Bind()
	w.Go(name, func() {
		for _, m := range ms {
			if err := w.i.Dispatch(l, 1, m); err != nil {
				w.Assert(refusal(err), "%v", err)
			}
		}
		l.Unbind()
	})
}

// actor starts one with an LWP that may wait.
func (w *world) actor(name string, f func(l *lwp.LWP)) {
	l := w.dom.Bind()
	w.Go(name, func() { f(l); l.Unbind() })
}

func (w *world) stepper(name string) {
	w.Go(name, func() {
		for w.i.Step() {
		}
	})
}

func (w *world) detacher() {
	w.actor("detach", func(l *lwp.LWP) {
		require.NoError(w, w.ifs.Detach(w.Context(), l, w.em0))
		w.gone.Store(true)
		s := lawful(w, w.r)
		w.Assert(s.Len+s.InHand == 0, "Detach has returned, and its packets are not freed: %+v", s)
	})
}

func (w *world) unregisterer() {
	w.actor("unregister", func(l *lwp.LWP) {
		require.NoError(w, w.r.Unregister(w.Context(), l))
		w.gone.Store(true)
		s := lawful(w, w.r)
		w.Assert(s.Len+s.InHand == 0, "Unregister has returned, and packets are not freed: %+v", s)
	})
}

func TestExplore_QueueAgainstTheWorker(t *testing.T) {
	explore(t, netisr.Config{}, func(w *world) {
		w.dispatcher("a", 1)
		w.dispatcher("b", 11)
		w.After(func() {
			require.NoError(w, w.i.Flush(w.Context(), w.l), "somebody sleeps over work")
			w.Assert(len(w.got) == 2, "handled %v", w.got)
		})
	})
}

func TestExplore_QueueAgainstDetach(t *testing.T) {
	explore(t, netisr.Config{Manual: true}, func(w *world) {
		w.dispatcher("a", 1)
		w.stepper("step")
		w.detacher()
	})
}

// A burst is queued under one lock: detach finds all of it, or none.
func TestExplore_QueueListAgainstDetach(t *testing.T) {
	explore(t, netisr.Config{}, func(w *world) {
		var l mbuf.List
		l.Push(w.packet(w.em0, 1, 1), w.packet(w.em0, 1, 2))
		w.n += 2
		w.Go("burst", func() {
			n, err := w.i.QueueList(1, &l)
			w.Assert(n == 2 && err == nil || n == 0 && errors.Is(err, netisr.ErrIfDeparted), "%d, %v", n, err)
		})
		w.detacher()
	})
}

func TestExplore_QueueAgainstUnregister(t *testing.T) {
	explore(t, netisr.Config{Manual: true}, func(w *world) {
		w.dispatcher("a", 1)
		w.stepper("step")
		w.unregisterer()
	})
}

func TestExplore_QueueAgainstClose(t *testing.T) {
	explore(t, netisr.Config{}, func(w *world) {
		w.dispatcher("a", 1)
		w.actor("close", func(l *lwp.LWP) {
			require.NoError(w, w.i.Close(w.Context(), l))
			w.gone.Store(true)
		})
	})
}

// Two borrow a stream that a worker wants, too: one handler at a time, each packet handled.
func TestExplore_BorrowAgainstBorrow(t *testing.T) {
	explore(t, netisr.Config{Mode: netisr.ModeHybrid}, func(w *world) {
		w.dispatcher("a", 1)
		w.dispatcher("b", 2)
		w.After(func() {
			require.NoError(w, w.i.Flush(w.Context(), w.l), "somebody sleeps over work")
			w.Assert(len(w.got) == 2, "handled %v", w.got)
		})
	})
}

// What is queued while a caller has the stream is handled, in order.
func TestExplore_BorrowAgainstQueue(t *testing.T) {
	explore(t, netisr.Config{Mode: netisr.ModeHybrid}, func(w *world) {
		w.dispatcher("borrow", 1, 2)
		m := w.packet(w.em0, 1, 3)
		w.n++
		w.Go("queue", func() { require.NoError(w, w.i.Queue(1, m)) })
		w.After(func() {
			require.NoError(w, w.i.Flush(w.Context(), w.l), "somebody sleeps over work")
			w.Assert(len(w.got) == 3, "handled %v", w.got)
			at := map[int]int{}
			for k, n := range w.got {
				at[n] = k
			}
			w.Assert(at[1] < at[2], "out of order: %v", w.got)
		})
	})
}

func TestExplore_BorrowAgainstDetach(t *testing.T) {
	explore(t, netisr.Config{Mode: netisr.ModeHybrid, Manual: true}, func(w *world) {
		w.dispatcher("borrow", 1)
		w.stepper("step")
		w.detacher()
	})
}

func TestExplore_BorrowAgainstUnregister(t *testing.T) {
	explore(t, netisr.Config{Mode: netisr.ModeHybrid, Manual: true}, func(w *world) {
		w.dispatcher("borrow", 1)
		w.stepper("step")
		w.unregisterer()
	})
}

func TestExplore_BorrowAgainstClose(t *testing.T) {
	for _, manual := range []bool{false, true} {
		explore(t, netisr.Config{Mode: netisr.ModeHybrid, Manual: manual}, func(w *world) {
			w.dispatcher("borrow", 1)
			w.actor("close", func(l *lwp.LWP) {
				require.NoError(w, w.i.Close(w.Context(), l))
				w.gone.Store(true)
			})
		})
	}
}

func TestExplore_DirectAgainstUnregister(t *testing.T) {
	explore(t, netisr.Config{Mode: netisr.ModeDirect, Manual: true}, func(w *world) {
		w.dispatcher("a", 1, 2)
		w.unregisterer()
	})
}

func TestExplore_DirectAgainstDetach(t *testing.T) {
	explore(t, netisr.Config{Mode: netisr.ModeDirect, Manual: true}, func(w *world) {
		w.dispatcher("a", 1)
		w.detacher()
	})
}

func TestExplore_UnregisterAgainstUnregister(t *testing.T) {
	explore(t, netisr.Config{Manual: true}, func(w *world) {
		var won sched.Int64
		for _, name := range []string{"a", "b"} {
			w.actor(name, func(l *lwp.LWP) {
				if err := w.r.Unregister(w.Context(), l); err == nil {
					won.Add(1)
				} else {
					w.Assert(errors.Is(err, netisr.ErrNotRegistered), "%v", err)
				}
			})
		}
		w.After(func() { w.Assert(won.Load() == 1, "%d of two succeed", won.Load()) })
	})
}

// sending is one schedule's stack with a SendQueue.
func exploreSend(t *testing.T, manual bool, f func(s *sched.S, st *stack, q *netisr.SendQueue, ty *netisr.Type[*sched.Int64], x ifnet.ID)) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		st := newStack(s)
		q := st.sendQueue(netisr.SendConfig{Manual: manual, Streams: 1})
		ty := register(s, q, netisr.Spec[*sched.Int64]{
			Handle: func(c *netisr.Ctx, m *mbuf.Packet, ends *sched.Int64) { ends.Add(1); m.Free(mbuf.Done) },
			Free:   func(ends *sched.Int64, _ mbuf.Reason) { ends.Add(1) },
		})
		f(s, st, q, ty, st.attach())
		s.After(func() { st.endSend(q) })
	})
}

// A state that Dispatch took over has exactly one end, one that it did not has none.
func TestExplore_StatesHaveOneEnd(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context, l *lwp.LWP, st *stack, q *netisr.SendQueue, ty *netisr.Type[*sched.Int64], x ifnet.ID) error{
		"detach": func(ctx context.Context, l *lwp.LWP, st *stack, _ *netisr.SendQueue, _ *netisr.Type[*sched.Int64], x ifnet.ID) error {
			return st.ifs.Detach(ctx, l, x)
		},
		"unregister": func(ctx context.Context, l *lwp.LWP, _ *stack, _ *netisr.SendQueue, ty *netisr.Type[*sched.Int64], _ ifnet.ID) error {
			return ty.Unregister(ctx, l)
		},
		"discard": func(_ context.Context, l *lwp.LWP, _ *stack, q *netisr.SendQueue, _ *netisr.Type[*sched.Int64], _ ifnet.ID) error {
			ended, cancel := context.WithCancel(bg())
			cancel()
			_ = q.Close(ended, l)
			return nil
		},
		"down": func(_ context.Context, _ *lwp.LWP, st *stack, _ *netisr.SendQueue, _ *netisr.Type[*sched.Int64], x ifnet.ID) error {
			return st.ifs.Down(x)
		},
	} {
		t.Run(name, func(t *testing.T) {
			exploreSend(t, true, func(s *sched.S, st *stack, q *netisr.SendQueue, ty *netisr.Type[*sched.Int64], x ifnet.ID) {
				var ends sched.Int64
				taken := false
				m := st.packet(ifnet.ID{}, 0, 1)
				s.Go("dispatch", func() { taken = ty.Dispatch(m, x, &ends) == nil })
				s.Go("worker", func() {
					for q.Step() {
					}
				})
				l := st.dom.Bind()
				s.Go(name, func() {
					require.NoError(s, end(s.Context(), l, st, q, ty, x))
					l.Unbind()
				})
				s.After(func() {
					st.endSend(q)
					want := int64(0)
					if taken {
						want = 1
					}
					s.Assert(ends.Load() == want, "taken over %v, %d ends", taken, ends.Load())
					sent(s, ty, 1)
				})
			})
		})
	}
}

// Something more urgent takes the worker's hand away, and nothing is lost or handled twice.
func TestExplore_UrgentAgainstTheHand(t *testing.T) {
	exploreSend(t, true, func(s *sched.S, st *stack, q *netisr.SendQueue, ty *netisr.Type[*sched.Int64], x ifnet.ID) {
		var got []int
		bulk := register(s, q, netisr.Spec[int]{Prio: netisr.Bulk, Handle: func(_ *netisr.Ctx, m *mbuf.Packet, n int) {
			got = append(got, n)
			m.Free(mbuf.Done)
		}})
		for n := range 3 {
			require.NoError(s, bulk.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, n))
		}
		var ends sched.Int64
		m := st.packet(ifnet.ID{}, 0, 1)
		s.Go("worker", func() {
			for q.Step() {
			}
		})
		s.Go("urgent", func() { require.NoError(s, ty.Dispatch(m, x, &ends)) })
		s.After(func() {
			st.endSend(q)
			s.Assert(len(got) == 3 && got[0] == 0 && got[1] == 1 && got[2] == 2, "%v", got)
			s.Assert(ends.Load() == 1, "%d ends", ends.Load())
		})
	})
}

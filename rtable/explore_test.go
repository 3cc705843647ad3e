package rtable_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// Every schedule of two actors and the table's worker, with up to two preemptions.

// world is one schedule's table, with one route in it.
type world struct {
	*sched.S
	dom *lwp.Domain
	tab *rtable.Table
}

// explore runs f's actors under every schedule, and closes the table when they have ended:
// then everything is freed.
func explore(t *testing.T, f func(w *world)) { exploreWith(t, sched.Options{}, f) }

func exploreWith(t *testing.T, opts sched.Options, f func(w *world)) {
	sched.Explore(t, opts, func(s *sched.S) {
		w := &world{S: s, dom: lwp.NewDomain()}
		w.tab = rtable.New(w.dom)
		require.NoError(s, w.tab.Add(via("10.0.0.0/24", 1)))
		f(w)
		s.After(func() {
			require.NoError(s, w.tab.Close(context.Background()))
			st := w.tab.Stats()
			s.Assert(st.Freed == st.Adds && st.Trash == 0, "not everything was freed: %+v", st)
		})
	})
}

func (w *world) thread(name string, f func(l *lwp.LWP)) {
	l := w.dom.Bind()
	w.Go(name, func() { f(l); l.Unbind() })
}

func (w *world) softint(name string, f func(l *lwp.LWP)) {
	l := w.dom.BindSoftint(name)
	w.Go(name, func() { f(l); l.Checkpoint(); l.Unbind() })
}

// get looks up a destination and uses what it finds for a while. It returns the gateway, 0
// for no route.
func (w *world) get(l *lwp.LWP) (gw byte) {
	var ref psref.Ref
	e, err := w.tab.Get(l, &ref, addr("10.0.0.1"))
	if err != nil {
		return 0
	}
	sched.Point("use")
	w.Assert(!e.Freed(), "freed while it is held")
	gw = e.Gateway().As4()[3]
	ref.Release(l)
	return gw
}

func (w *world) change(gw uint32) {
	require.NoError(w, w.tab.Batch(func(b *rtable.Batch) error {
		require.NoError(w, b.Delete(prefix("10.0.0.0/24")))
		return b.Add(via("10.0.0.0/24", gw))
	}))
}

func TestExplore_ThreadAgainstDelete(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("packet", func(l *lwp.LWP) { w.get(l) })
		w.Go("writer", func() { require.NoError(w, w.tab.Delete(prefix("10.0.0.0/24"))) })
	})
}

func TestExplore_SoftintAgainstDelete(t *testing.T) {
	explore(t, func(w *world) {
		w.softint("packet", func(l *lwp.LWP) { w.get(l) })
		w.Go("writer", func() { require.NoError(w, w.tab.Delete(prefix("10.0.0.0/24"))) })
	})
}

// While the route is changed a packet finds the old one or the new one, and not the old
// one after the new one.
func TestExplore_NoPacketMissesAChange(t *testing.T) {
	explore(t, func(w *world) {
		w.softint("packets", func(l *lwp.LWP) {
			first := w.get(l)
			second := w.get(l)
			w.Assert(first >= 1 && second >= first, "gateway %d, then %d", first, second)
		})
		w.Go("writer", func() { w.change(2) })
	})
}

// Two writers: each prefix has one winner, and the worker is started again when it ends.
func TestExplore_TwoWriters(t *testing.T) {
	explore(t, func(w *world) {
		var deleted sched.Int32
		for _, name := range []string{"one", "two"} {
			w.Go(name, func() {
				if w.tab.Delete(prefix("10.0.0.0/24")) == nil {
					deleted.Add(1)
				}
			})
		}
		w.After(func() { w.Assert(deleted.Load() == 1, "deleted %d times", deleted.Load()) })
	})
}

// Two writers who change neighbours in the FIB: neither undoes the other's change.
func TestExplore_TwoWritersOfNeighbours(t *testing.T) {
	explore(t, func(w *world) {
		for _, dst := range []string{"10.0.1.0/24", "10.0.2.0/24"} {
			w.Go(dst, func() { require.NoError(w, w.tab.Add(via(dst, 2))) })
		}
		w.After(func() {
			l := w.dom.BindSoftint("after")
			for _, dst := range []string{"10.0.0.1", "10.0.1.1", "10.0.2.1"} {
				w.Assert(w.tab.Peek(l, addr(dst)).Err() == nil, "%s is lost", dst)
			}
			l.Unbind()
		})
	})
}

// A Close that gives up leaves nothing running, and nothing undone for the next one. One
// preemption: with two there are 130,000 schedules, which all hold too.
func TestExplore_CloseThatMayGiveUp(t *testing.T) {
	exploreWith(t, sched.Options{Preemptions: 1}, func(w *world) {
		w.thread("packet", func(l *lwp.LWP) { w.get(l) })
		w.Go("closer", func() {
			ctx, cancel := w.WithTimeout(w.Context(), 1)
			defer cancel()
			if err := w.tab.Close(ctx); err != nil {
				require.ErrorIs(w, err, context.DeadlineExceeded)
			}
		})
	})
}

// Nor does it wait for the worker that a more patient Close has started meanwhile: here
// the entry is not released before it has returned. One preemption shows it if it does;
// with two there are half a million schedules.
func TestExplore_CloseThatGivesUpBesideAPatientOne(t *testing.T) {
	exploreWith(t, sched.Options{Preemptions: 1}, func(w *world) {
		l := w.dom.Bind()
		var ref psref.Ref
		_, err := w.tab.Get(l, &ref, addr("10.0.0.1"))
		require.NoError(w, err)
		w.Go("hasty", func() {
			ctx, cancel := w.WithTimeout(w.Context(), 1)
			defer cancel()
			require.ErrorIs(w, w.tab.Close(ctx), context.DeadlineExceeded)
			ref.Release(l)
			l.Unbind()
		})
		w.Go("patient", func() { require.NoError(w, w.tab.Close(context.Background())) })
	})
}

// use looks at an entry for a while, as somebody does who has it in whatever way: it is
// whole and alive, and what it says does not change. It returns the gateway.
func (w *world) use(e *rtable.Entry) byte {
	gw := e.Gateway()
	sched.Point("use")
	w.Assert(!e.Freed(), "freed while it is held")
	w.Assert(e.Next().Gateway == gw, "torn: %v, then %v", gw, e.Next().Gateway)
	return gw.As4()[3]
}

func (w *world) update(l *lwp.LWP, gw uint32) {
	err := w.tab.Change(context.Background(), l, via("10.0.0.0/24", gw))
	w.Assert(err == nil || errors.Is(err, rtable.ErrNotFound), "%v", err)
}

// P1: whoever has got the entry passively sees it whole until it lets go, and who comes
// while it is changed misses.
func TestExplore_ChangeAgainstGet(t *testing.T) {
	explore(t, func(w *world) {
		w.softint("packets", func(l *lwp.LWP) {
			for range 3 { // one checkpoint lets the flag be seen, one the references be counted
				var ref psref.Ref
				e, err := w.tab.Get(l, &ref, addr("10.0.0.1"))
				l.Checkpoint()
				if err != nil {
					w.Assert(err == rtable.ErrUpdating, "%v", err)
					continue
				}
				w.use(e)
				ref.Release(l)
			}
		})
		w.thread("updater", func(l *lwp.LWP) { w.update(l, 2) })
	})
}

// The same of a counted reference, whose thread waits for the update instead.
func TestExplore_ChangeAgainstLookup(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("thread", func(l *lwp.LWP) {
			e, err := w.tab.Lookup(context.Background(), l, addr("10.0.0.1"))
			require.NoError(w, err)
			w.use(e)
			e.Unref()
		})
		w.thread("updater", func(l *lwp.LWP) { w.update(l, 2) })
		w.After(func() { w.Assert(w.tab.Stats().Changes == 1, "not changed") })
	})
}

// The same of who only looks, inside a section.
func TestExplore_PeekAgainstChange(t *testing.T) {
	explore(t, func(w *world) {
		psz := pserialize.New(w.dom)
		w.thread("packet", func(l *lwp.LWP) {
			s := psz.ReadEnter(l)
			if hit := w.tab.Peek(l, addr("10.0.0.1")); hit.Err() == nil {
				w.use(hit.Entry())
			}
			s.Exit()
		})
		w.thread("updater", func(l *lwp.LWP) { w.update(l, 2) })
	})
}

// Two who update one entry, each with a reference to it: both come to their turn, and what
// the one has set is not undone by the other's finishing (as published they wait for each
// other).
func TestExplore_TwoUpdaters(t *testing.T) {
	explore(t, func(w *world) {
		for i, name := range []string{"one", "two"} {
			w.thread(name, func(l *lwp.LWP) {
				e, err := w.tab.Lookup(context.Background(), l, addr("10.0.0.1"))
				require.NoError(w, err)
				u, err := e.BeginUpdate(context.Background(), l)
				require.NoError(w, err)
				w.Assert(e.Flags()&rtable.FlagUpdating != 0, "updated while it is available")
				require.NoError(w, u.Set(via("10.0.0.0/24", uint32(i)+2)))
				sched.Point("change")
				w.Assert(e.Flags()&rtable.FlagUpdating != 0, "made available by another's Finish")
				u.Finish()
				e.Unref()
			})
		}
		w.After(func() { w.Assert(w.tab.Stats().Changes == 2, "%d changes", w.tab.Stats().Changes) })
	})
}

// An entry that is deleted while it is updated is changed or it is not, and is freed.
func TestExplore_UpdateAgainstDelete(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("updater", func(l *lwp.LWP) { w.update(l, 2) })
		w.Go("writer", func() { require.NoError(w, w.tab.Delete(prefix("10.0.0.0/24"))) })
	})
}

// Who queues to update an entry that is deleted meanwhile has lent its reference to the
// turn: the entry waits for it.
func TestExplore_QueuedUpdaterAgainstDelete(t *testing.T) {
	explore(t, func(w *world) {
		first := w.dom.Bind()
		e, err := w.tab.Lookup(context.Background(), first, addr("10.0.0.1"))
		require.NoError(w, err)
		u, err := e.BeginUpdate(context.Background(), first)
		require.NoError(w, err)
		queued := w.dom.Bind()
		e.Unref() // lent to the update, so that the other can have one
		again, err := w.tab.Lookup(context.Background(), first, addr("10.0.0.1"))
		require.NoError(w, err)
		w.Go("first", func() {
			require.NoError(w, w.tab.Delete(prefix("10.0.0.0/24")))
			u.Finish()
			first.Unbind()
		})
		w.Go("queued", func() {
			u, err := again.BeginUpdate(context.Background(), queued)
			w.Assert(err != nil || u != nil, "neither")
			w.Assert(!again.Freed(), "freed while it is held")
			if err == nil {
				u.Finish()
			}
			again.Unref()
			queued.Unbind()
		})
	})
}

// Unref as the last one out: whoever waits is woken, and the entry is not touched any more.
func TestExplore_LastUnrefAgainstDeleteWait(t *testing.T) {
	explore(t, func(w *world) {
		holder := w.dom.Bind()
		e, err := w.tab.Lookup(context.Background(), holder, addr("10.0.0.1"))
		require.NoError(w, err)
		w.Go("holder", func() {
			w.use(e)
			e.Unref()
			holder.Unbind()
		})
		w.thread("writer", func(l *lwp.LWP) {
			require.NoError(w, w.tab.DeleteWait(context.Background(), l, prefix("10.0.0.0/24")))
			w.Assert(w.tab.Stats().Trash == 0, "not freed")
		})
	})
}

// A softint may delete, since the worker frees: it does not wait, and a thread that holds
// the entry meanwhile keeps it.
func TestExplore_FreeDeferredFromASoftint(t *testing.T) {
	explore(t, func(w *world) {
		w.softint("input", func(*lwp.LWP) { require.NoError(w, w.tab.Delete(prefix("10.0.0.0/24"))) })
		w.thread("packet", func(l *lwp.LWP) { w.get(l) })
	})
}

// Replace: no lookup misses, and none finds the old route after the new one.
func TestExplore_ReplaceAgainstGet(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("packets", func(l *lwp.LWP) {
			first := w.get(l)
			second := w.get(l)
			w.Assert(first >= 1 && second >= first, "gateway %d, then %d", first, second)
		})
		w.Go("writer", func() { require.NoError(w, w.tab.Replace(via("10.0.0.0/24", 2))) })
	})
}

// A change meets a replacement: the prefix has a route throughout, so it is changed.
func TestExplore_ChangeAgainstReplace(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("updater", func(l *lwp.LWP) {
			require.NoError(w, w.tab.Change(context.Background(), l, via("10.0.0.0/24", 3)))
		})
		w.Go("writer", func() { require.NoError(w, w.tab.Replace(via("10.0.0.0/24", 2))) })
	})
}

// A redirect and a change by hand of one host route: one after the other.
func TestExplore_RedirectAgainstChange(t *testing.T) {
	explore(t, func(w *world) {
		require.NoError(w, w.tab.SetRedirectTimeout(0)) // no timer
		require.NoError(w, w.tab.Add(rtable.Route{Dst: prefix("192.0.2.0/24"), Out: em0, Flags: rtable.FlagConnected}))
		require.NoError(w, w.tab.Add(via("203.0.113.5/32", 1)))
		w.thread("redirect", func(l *lwp.LWP) {
			err := w.tab.Redirect(context.Background(), l, rtable.Redirect{Dst: addr("203.0.113.5"), Gateway: gateway(2), From: gateway(1)})
			w.Assert(err == nil || errors.Is(err, rtable.ErrInvalid), "%v", err)
		})
		w.thread("administrator", func(l *lwp.LWP) {
			require.NoError(w, w.tab.Change(context.Background(), l, via("203.0.113.5/32", 3)))
		})
		w.After(func() {
			rt, err := w.tab.Exact(prefix("203.0.113.5/32"))
			w.Assert(err == nil && rt.Gateway == gateway(3), "%v, %v: the administrator has the last word or the only one", rt, err)
		})
	})
}

// Between the list of a subscription and its first message there is no gap and no overlap.
func TestExplore_SubscribeAgainstAdd(t *testing.T) {
	explore(t, func(w *world) {
		w.Go("subscriber", func() {
			sub, rts := w.tab.Subscribe(4)
			known := len(rts)
			for known < 2 {
				m, err := sub.Next(w.Context())
				require.NoError(w, err)
				w.Assert(m.Type == rtable.MsgAdd, "%v", m.Type)
				known++
			}
			w.Assert(known == 2 && w.tab.Len() == 2, "knows %d", known)
			sub.Close()
		})
		w.Go("writer", func() { require.NoError(w, w.tab.Add(via("10.0.1.0/24", 1))) })
	})
}

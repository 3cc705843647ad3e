package rtable_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/lwp"
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

// A Close that gives up leaves nothing running, and nothing undone for the next one.
func TestExplore_CloseThatMayGiveUp(t *testing.T) {
	explore(t, func(w *world) {
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

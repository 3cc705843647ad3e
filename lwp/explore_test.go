package lwp_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// Every schedule of two or three actors with up to two preemptions.

// Nobody gets an LWP that another has.
func exploreBinders(t *testing.T, binders, warm int) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		d := lwp.NewDomain()
		var ls []*lwp.LWP
		for range warm {
			ls = append(ls, d.Bind())
		}
		for _, l := range ls {
			l.Unbind()
		}
		owners := lwp.NewLocal[sched.Int32](d)
		for i := range binders {
			s.Go(fmt.Sprint("binder ", i), func() {
				for range 2 {
					l := d.Bind()
					n := owners.Get(l)
					s.Assert(n.Add(1) == 1, "two have %v", l)
					s.Assert(n.Add(-1) == 0, "two have %v", l)
					l.Unbind()
				}
			})
		}
		s.After(func() {
			for range max(binders, warm) { // none was lost
				d.Bind()
			}
			s.Assert(d.Len() == max(binders, warm), "%d LWPs for %d binders", d.Len(), binders)
		})
	})
}

func TestExplore_BindNew(t *testing.T)      { exploreBinders(t, 2, 0) }
func TestExplore_BindRecycled(t *testing.T) { exploreBinders(t, 2, 2) }
func TestExplore_ThreeBind(t *testing.T)    { exploreBinders(t, 3, 1) }

// What one gives back while two look for a free LWP goes to one of them.
func TestExplore_UnbindAgainstTwoBinders(t *testing.T) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		d := lwp.NewDomain()
		free := d.Bind()
		var mu sched.Mutex
		var both sched.Cond
		var ls []*lwp.LWP
		s.Go("giver", free.Unbind)
		for i := range 2 {
			s.Go(fmt.Sprint("binder ", i), func() {
				l := d.Bind()
				mu.Lock()
				ls = append(ls, l)
				both.Broadcast()
				for len(ls) < 2 {
					both.Wait(&mu)
				}
				mu.Unlock()
				s.Assert(ls[0] != ls[1], "two have %v", l)
				l.Unbind()
			})
		}
	})
}

// What one LWP left in its Local the next owner of the slot finds, and sums lose nothing.
func TestExplore_LocalIsCountedOnce(t *testing.T) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		d := lwp.NewDomain()
		n := lwp.NewLocal[sched.Int64](d)
		for i := range 2 {
			s.Go(fmt.Sprint("counter ", i), func() {
				l := d.Bind()
				n.Get(l).Add(1)
				l.Unbind()
			})
		}
		sum := func() (sum int64) {
			for p := range n.All() {
				sum += p.Load()
			}
			return sum
		}
		s.Go("reader", func() { s.Assert(sum() <= 2, "more than was counted") })
		s.After(func() { require.EqualValues(s, 2, sum()) })
	})
}

// Two wait for one softint, which answers once, goes offline, and comes back.
func TestExplore_TwoRendezvous(t *testing.T) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		d := lwp.NewDomain()
		psz := pserialize.New(d)
		soft := d.BindSoftint("softint")
		s.Go("softint", func() {
			soft.Checkpoint()
			soft.Offline()
			soft.Online()
			soft.Unbind()
		})
		for i := range 2 {
			l := d.Bind()
			s.Go(fmt.Sprint("waiter ", i), func() {
				require.NoError(s, psz.Perform(s.Context(), l))
				l.Unbind()
			})
		}
	})
}

// A softint unbinds while one waits for it, and another takes its slot.
func TestExplore_UnbindAgainstRendezvous(t *testing.T) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		d := lwp.NewDomain()
		psz := pserialize.New(d)
		w, soft := d.Bind(), d.BindSoftint("softint")
		s.Go("softint", func() {
			soft.Unbind()
			l := d.BindSoftint("another")
			l.Checkpoint()
			l.Unbind()
		})
		s.Go("waiter", func() {
			require.NoError(s, psz.Perform(s.Context(), w))
			w.Unbind()
		})
	})
}

// Two who ask at once get two ids, and two Locals are two.
func TestExplore_NothingIsGivenTwice(t *testing.T) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		d := lwp.NewDomain()
		var ids [2]uint64
		var locals [2]*lwp.Local[int]
		for i := range ids {
			s.Go(fmt.Sprint("maker ", i), func() {
				ids[i] = d.NewID()
				locals[i] = lwp.NewLocal[int](d)
			})
		}
		s.After(func() {
			l := d.Bind()
			s.Assert(ids[0] != ids[1], "both got id %d", ids[0])
			s.Assert(locals[0].Get(l) != locals[1].Get(l), "two Locals share a T")
			l.Unbind()
		})
	})
}

package psref_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

var bg = context.Background()

// Condemn does not wait for holders; of many targets Reap tells those that are held from those
// that are not, and the last holder tells whoever asked to be told.
func TestCondemn_TellsHeldFromDead(t *testing.T) {
	kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
		told := 0
		class := psref.NewClass(s.dom, "many", psref.WithLetGo(func() { told++ }))
		ts := make([]psref.Target, 20)
		var all []*psref.Target
		for i := range ts {
			class.Init(&ts[i])
			all = append(all, &ts[i])
		}
		l, owner := bind(), s.dom.Bind()
		refs := make([]psref.Ref, 3)
		for i := range refs { // two of one, one of another
			require.True(t, class.Acquire(l, &refs[i], &ts[7+i/2]))
		}
		since := time.Now()
		done := make(chan error, 1)
		go func() { done <- class.Condemn(bg, owner, all) }()
		synctest.Wait()
		l.Checkpoint()
		require.NoError(t, <-done)
		var again psref.Ref
		require.False(t, class.Acquire(l, &again, &ts[7]), "refused to new holders")
		for i := range ts {
			require.Equal(t, i != 7 && i != 8, ts[i].Reap(since), i)
		}
		require.Equal(t, psref.Stats{Live: 2, Destroyed: 18, Waited: 2}, class.Stats())
		refs[0].Release(l)
		require.False(t, ts[7].Reap(since))
		refs[1].Release(l)
		require.Equal(t, 1, told)
		require.True(t, ts[7].Reap(since))
		refs[2].Release(l)
		require.True(t, ts[8].Reap(since))
		require.Equal(t, 2, told)
		class.Close()
		l.Unbind()
		owner.Unbind()
	})
}

// A Condemn that its context ends has not found everybody: it is repeated, or taken back.
func TestCondemn_MayBeRepeatedOrRevived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack()
		x := s.thing()
		softint, owner := s.dom.BindSoftint("in its handler"), s.dom.Bind()
		var ref psref.Ref
		require.True(t, s.class.Acquire(softint, &ref, &x.target))
		condemn := func() error {
			hasty, cancel := context.WithTimeout(bg, time.Second)
			defer cancel()
			return s.class.Condemn(hasty, owner, []*psref.Target{&x.target})
		}
		require.ErrorIs(t, condemn(), context.DeadlineExceeded)
		require.True(t, x.target.Dying())
		mustViolate(t, "psref: not condemned", func() { x.target.Reap(time.Now()) })
		x.target.Revive()
		var again psref.Ref
		require.True(t, s.class.Acquire(softint, &again, &x.target), "live again")
		softint.Checkpoint() // counts nothing: nothing is dying
		again.Release(softint)

		require.ErrorIs(t, condemn(), context.DeadlineExceeded)
		softint.Checkpoint()
		done := make(chan error, 1)
		go func() { done <- s.class.Condemn(bg, owner, []*psref.Target{&x.target}) }()
		synctest.Wait()
		softint.Checkpoint()
		require.NoError(t, <-done)
		require.False(t, x.target.Reap(time.Now()))
		ref.Release(softint)
		require.True(t, x.target.Reap(time.Now()))
		softint.Unbind()
		owner.Unbind()
	})
}

// A target that was revived while it was held is waited for by the next Destroy, once.
func TestRevive_KeepsTheBooks(t *testing.T) {
	kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
		x := s.thing()
		l, owner := bind(), s.dom.Bind()
		var ref, later psref.Ref
		require.True(t, s.class.Acquire(l, &ref, &x.target))
		for range 3 {
			hasty, cancel := context.WithTimeout(bg, time.Second)
			done := make(chan error, 1)
			go func() { done <- x.target.Destroy(hasty, owner) }()
			synctest.Wait()
			l.Checkpoint()
			require.ErrorIs(t, <-done, context.DeadlineExceeded)
			cancel()
			x.target.Revive()
		}
		require.True(t, s.class.Acquire(l, &later, &x.target))
		done := s.destroy(t, x)
		synctest.Wait()
		l.Checkpoint()
		synctest.Wait()
		ref.Release(l)
		synctest.Wait()
		require.False(t, finished(done), "one reference is left")
		later.Release(l)
		<-done
		l.Unbind()
		owner.Unbind()
		s.class.Close()
	})
}

// What is found in a section is acquired without a look at it, as often as one likes.
func TestAcquireIn_TakesTheSectionAsProof(t *testing.T) {
	kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
		x := s.thing()
		psz := pserialize.New(s.dom)
		l := bind()
		refs := make([]psref.Ref, 20) // more than a chunk has room for
		in := psz.ReadEnter(l)
		for i := range refs {
			s.class.AcquireIn(in, &refs[i], &x.target)
		}
		in.Exit()
		done := s.destroy(t, x)
		for i := range refs {
			synctest.Wait()
			l.Checkpoint()
			synctest.Wait()
			require.False(t, finished(done), "%d references are left", len(refs)-i)
			refs[(i*7)%len(refs)].Release(l)
		}
		<-done
		l.Unbind()
	})
}

func TestCondemn_Misuse(t *testing.T) {
	s := newStack()
	x, y := s.thing(), s.thing()
	l := s.dom.Bind()
	defer l.Unbind()
	softint := s.dom.BindSoftint("input")
	require.ErrorIs(t, s.class.Condemn(bg, softint, []*psref.Target{&x.target}), lwp.ErrWouldSleep)
	softint.Unbind()
	var fresh psref.Target
	mustViolate(t, "psref: not initialised", func() { _ = s.class.Condemn(bg, l, []*psref.Target{&fresh}) })
	mustViolate(t, "psref: not initialised", func() { fresh.Revive() })
	mustViolate(t, "psref: revived", x.target.Revive)
	mustViolate(t, "psref: not condemned", func() { x.target.Reap(time.Now()) })
	var ref psref.Ref
	require.True(t, s.class.Acquire(l, &ref, &x.target))
	mustViolate(t, "psref: destroying held", func() { _ = s.class.Condemn(bg, l, []*psref.Target{&x.target}) })
	ref.Release(l)
	require.NoError(t, s.class.Condemn(bg, l, nil))
	require.NoError(t, y.target.Destroy(bg, l))
	mustViolate(t, "psref: destroyed twice", func() { _ = s.class.Condemn(bg, l, []*psref.Target{&y.target}) })

	psz := pserialize.New(s.dom)
	in := psz.ReadEnter(l)
	mustViolate(t, "psref: found dying", func() { s.class.AcquireIn(in, &ref, &y.target) })
	in.Exit()
	if witness.Enabled || invariants.Enabled {
		mustViolate(t, "psref: found outside", func() { s.class.AcquireIn(in, &ref, &x.target) })
	}
}

// Checked builds say where each reference to a target was taken, of whatever kind of holder,
// until it is given back.
func TestHolders_NamesThePlaces(t *testing.T) {
	s := newStack()
	x, other := s.thing(), s.thing()
	thread, softint := s.dom.Bind(), s.dom.BindSoftint("input")
	var a, b, c psref.Ref
	require.True(t, s.class.Acquire(thread, &a, &x.target))
	require.True(t, s.class.Acquire(softint, &b, &x.target))
	require.True(t, s.class.Acquire(thread, &c, &other.target))
	if !invariants.Enabled {
		require.Empty(t, x.target.Holders())
	} else {
		require.Len(t, x.target.Holders(), 2)
		require.Contains(t, x.target.Holders()[0].String(), "TestHolders_NamesThePlaces")
	}
	b.Release(softint)
	a.Release(thread)
	require.Empty(t, x.target.Holders())
	c.Release(thread)
	thread.Unbind()
	softint.Unbind()
}

func mustViolate(t *testing.T, rule string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		v, _ := recover().(*witness.Violation)
		require.NotNil(t, v, "no violation of %s", rule)
		require.Equal(t, rule, v.Rule)
	}()
	f()
}

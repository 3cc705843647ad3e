package psref_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// thing is a resource: freed is its poison.
type thing struct {
	target psref.Target
	freed  bool
}

type stack struct {
	dom   *lwp.Domain
	class *psref.Class
}

func newStack() *stack {
	dom := lwp.NewDomain()
	return &stack{dom, psref.NewClass(dom, "thing")}
}

func (s *stack) thing() *thing {
	x := new(thing)
	s.class.Init(&x.target)
	return x
}

// destroy destroys x as its owner would, in a goroutine of its own.
func (s *stack) destroy(t *testing.T, x *thing) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		l := s.dom.Bind()
		defer l.Unbind()
		if err := x.target.Destroy(context.Background(), l); err != nil {
			t.Error(err)
		}
		x.freed = true
	}()
	return done
}

func finished(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// kinds runs a test for a thread and for a softint.
func kinds(t *testing.T, f func(t *testing.T, s *stack, bind func() *lwp.LWP)) {
	for _, softint := range []bool{false, true} {
		name := map[bool]string{false: "thread", true: "softint"}[softint]
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStack()
				f(t, s, func() *lwp.LWP {
					if softint {
						return s.dom.BindSoftint("test")
					}
					return s.dom.Bind()
				})
			})
		})
	}
}

// psref(9): the target is not destroyed until the last reference is released.
func TestDestroy_WaitsForTheLastHolder(t *testing.T) {
	kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
		x, l := s.thing(), bind()
		defer l.Unbind()
		var a, b psref.Ref
		require.True(t, s.class.Acquire(l, &a, &x.target))
		require.True(t, s.class.Acquire(l, &b, &x.target))
		done := s.destroy(t, x)
		synctest.Wait()
		l.Checkpoint()
		synctest.Wait()
		require.False(t, finished(done))
		a.Release(l)
		synctest.Wait()
		require.False(t, finished(done), "one holder is left")
		b.Release(l)
		<-done
		require.True(t, x.freed)
		require.True(t, x.target.Dying())
		require.Equal(t, psref.Stats{Destroyed: 1, Waited: 1, Longest: s.class.Stats().Longest}, s.class.Stats())
	})
}

func TestDestroy_NobodyHolds(t *testing.T) {
	kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
		x, y, l := s.thing(), s.thing(), bind()
		defer l.Unbind()
		var r psref.Ref
		require.True(t, s.class.Acquire(l, &r, &y.target), "another target's holder does not count")
		done := s.destroy(t, x)
		synctest.Wait()
		l.Checkpoint() // a softint is asked; a thread need not be
		<-done
		r.Release(l)
	})
}

// A reference that was counted for a Destroy leaves nothing behind in its place: the next
// one there is counted for itself.
func TestDestroy_OneAfterTheOther(t *testing.T) {
	kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
		l := bind()
		defer l.Unbind()
		var r psref.Ref
		for range 3 {
			x := s.thing()
			require.True(t, s.class.Acquire(l, &r, &x.target))
			done := s.destroy(t, x)
			synctest.Wait()
			l.Checkpoint()
			synctest.Wait()
			require.False(t, finished(done))
			require.True(t, x.target.Held(l), "as its holder sees it")
			r.Release(l)
			<-done
			require.False(t, x.target.Held(l))
		}
	})
}

// A softint that is offline holds nothing and is not waited for.
func TestDestroy_DoesNotWaitForOfflineSoftints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack()
		x, l := s.thing(), s.dom.BindSoftint("idle")
		l.Offline()
		<-s.destroy(t, x)
		l.Online()
		var r psref.Ref
		require.False(t, s.class.Acquire(l, &r, &x.target))
		l.Unbind()
	})
}

// psref(9) asserts here; this library refuses, because memory is not what is at stake.
func TestAcquire_FailsOnceTheTargetIsDraining(t *testing.T) {
	kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
		x, l := s.thing(), bind()
		defer l.Unbind()
		var a, b, c psref.Ref
		require.True(t, s.class.Acquire(l, &a, &x.target))
		done := s.destroy(t, x)
		synctest.Wait()
		require.False(t, s.class.Acquire(l, &b, &x.target), "draining")
		require.False(t, b.Held())
		a.Release(l)
		l.Checkpoint()
		<-done
		require.False(t, s.class.Acquire(l, &c, &x.target), "dead")
	})
}

// psref_copy: the copy is a reference of its own, even of a target that is draining.
func TestCopy_HoldsOnItsOwn(t *testing.T) {
	for _, when := range []string{"before", "while draining", "after the checkpoint"} {
		t.Run(when, func(t *testing.T) {
			kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
				x, l := s.thing(), bind()
				defer l.Unbind()
				var a, b psref.Ref
				require.True(t, s.class.Acquire(l, &a, &x.target))
				if when == "before" {
					a.Copy(l, &b)
				}
				done := s.destroy(t, x)
				synctest.Wait()
				if when == "while draining" {
					a.Copy(l, &b)
				}
				l.Checkpoint()
				synctest.Wait()
				if when == "after the checkpoint" {
					a.Copy(l, &b)
				}
				a.Release(l)
				l.Checkpoint()
				synctest.Wait()
				require.False(t, finished(done), "the copy holds")
				require.Equal(t, &x.target, b.Target())
				b.Release(l)
				l.Checkpoint()
				<-done
			})
		})
	}
}

// More references than fit in the LWP's first chunk, given back in every order.
func TestRelease_InAnyOrder(t *testing.T) {
	orders := map[string]func(i, n int) int{
		"last first":  func(i, n int) int { return n - 1 - i },
		"first first": func(i, _ int) int { return i },
		"shuffled":    func(i, n int) int { return i * 7 % n },
	}
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
				const n = 20
				l := bind()
				defer l.Unbind()
				xs, refs, done := make([]*thing, n), make([]psref.Ref, n), make([]chan struct{}, n)
				for round := range 3 {
					for i := range n {
						xs[i] = s.thing()
						require.True(t, s.class.Acquire(l, &refs[i], &xs[i].target))
					}
					for i := range n {
						require.True(t, xs[i].target.Held(l))
						if round > 0 {
							done[i] = s.destroy(t, xs[i])
						}
					}
					synctest.Wait()
					if round == 2 {
						l.Checkpoint()
						synctest.Wait()
					}
					for i := range n {
						k := order(i, n)
						if round > 0 {
							require.False(t, finished(done[k]))
						}
						refs[k].Release(l)
						require.False(t, xs[k].target.Held(l))
						if round > 0 {
							l.Checkpoint()
							<-done[k]
						}
					}
				}
			})
		})
	}
}

// A target that has been destroyed may live again, under a new id: what held the old
// one has nothing to do with the new.
func TestInit_AgainAfterDestroy(t *testing.T) {
	kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
		x, l := s.thing(), bind()
		defer l.Unbind()
		old := x.target.String()
		done := s.destroy(t, x)
		synctest.Wait()
		l.Checkpoint()
		<-done
		s.class.Init(&x.target)
		require.NotEqual(t, old, x.target.String())
		var r psref.Ref
		require.True(t, s.class.Acquire(l, &r, &x.target))
		done = s.destroy(t, x)
		synctest.Wait()
		l.Checkpoint()
		synctest.Wait()
		require.False(t, finished(done))
		r.Release(l)
		<-done
		s.class.Close()
	})
}

func TestDestroy_EndsWithItsContextAndResumes(t *testing.T) {
	kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
		x, l, owner := s.thing(), bind(), s.dom.Bind()
		defer l.Unbind()
		defer owner.Unbind()
		var a, b psref.Ref
		require.True(t, s.class.Acquire(l, &a, &x.target))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		for range 3 { // found once, counted once
			require.ErrorIs(t, x.target.Destroy(ctx, owner), context.DeadlineExceeded)
			require.False(t, s.class.Acquire(l, &b, &x.target), "still refused to new holders")
			l.Checkpoint()
		}
		done := s.destroy(t, x)
		synctest.Wait()
		l.Checkpoint()
		synctest.Wait()
		require.False(t, finished(done))
		a.Release(l)
		<-done
	})
}

func TestDestroy_ManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack()
		const n = 50
		l := s.dom.Bind()
		refs := make([]psref.Ref, n)
		var all sync.WaitGroup
		for i := range n {
			x := s.thing()
			require.True(t, s.class.Acquire(l, &refs[i], &x.target))
			all.Add(1)
			go func() { defer all.Done(); <-s.destroy(t, x) }()
		}
		synctest.Wait()
		require.EqualValues(t, n, s.class.Stats().Live)
		for i := range n {
			refs[i].Release(l)
			synctest.Wait()
			require.EqualValues(t, n-1-i, s.class.Stats().Live, "each is woken by its own holder")
		}
		all.Wait()
		l.Unbind()
		s.class.Close()
	})
}

func TestDestroy_SoftintMayNotWait(t *testing.T) {
	s := newStack()
	x, l := s.thing(), s.dom.BindSoftint("test")
	require.ErrorIs(t, x.target.Destroy(context.Background(), l), lwp.ErrWouldSleep)
	require.False(t, x.target.Dying(), "nothing has begun")
	l.Offline()
	require.NoError(t, x.target.Destroy(context.Background(), l), "a worker between bursts may")
	l.Unbind()
}

// What a holder did before Release happened before Destroy returns: the race detector
// sees the plain field written by both.
func TestDestroy_HappensAfterTheHoldersWork(t *testing.T) {
	kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
		x := s.thing()
		held := make(chan struct{})
		go func() {
			l := bind()
			var r psref.Ref
			ok := s.class.Acquire(l, &r, &x.target)
			close(held)
			x.freed = !ok
			r.Release(l)
			l.Unbind()
		}()
		<-held
		<-s.destroy(t, x)
	})
}

// specs: the misuse table of psref(9), each a panic that reads as a sentence.
func TestMisuse(t *testing.T) {
	s := newStack()
	other := psref.NewClass(s.dom, "other")
	l, m := s.dom.Bind(), s.dom.Bind()
	x, y := s.thing(), s.thing()
	var held, free, copied psref.Ref
	require.True(t, s.class.Acquire(l, &held, &x.target))

	ctx := context.Background()
	for _, c := range []struct {
		name, rule, says string
		do               func()
	}{
		{"wrong class", "psref: wrong class", `psref: thread 1 acquires thing 1 through class "other"`,
			func() { other.Acquire(l, &free, &x.target) }},
		{"not initialised", "psref: not initialised", "psref: thread 1 acquires a target that was never initialised",
			func() { s.class.Acquire(l, &free, new(psref.Target)) }},
		{"acquired twice", "psref: acquired twice", "psref: thread 1 acquires thing 2 with a reference that already holds thing 1 for LWP 1",
			func() { s.class.Acquire(l, &held, &y.target) }},
		{"released by another", "psref: wrong owner", "psref: reference to thing 1 acquired by LWP 1 but released by thread 2",
			func() { held.Release(m) }},
		{"copied by another", "psref: wrong owner", "psref: reference to thing 1 acquired by LWP 1 but copied by thread 2",
			func() { held.Copy(m, &free) }},
		{"released but not held", "psref: not held", "psref: thread 1 releases a reference that holds nothing",
			func() { free.Release(l) }},
		{"copied but not held", "psref: not held", "psref: thread 1 copies a reference that holds nothing",
			func() { free.Copy(l, &copied) }},
		{"copied onto itself", "psref: copied onto itself", "psref: thread 1 copies a reference onto itself",
			func() { held.Copy(l, &held) }},
		{"copied onto one in use", "psref: acquired twice", "psref: thread 1 copies a reference to thing 1 onto one that already holds thing 1 for LWP 1",
			func() { held.Copy(l, &copied); defer copied.Release(l); held.Copy(l, &copied) }},
		{"destroying held", "psref: destroying held", "psref: thread 1 destroys thing 1, which it holds itself, and would wait for ever",
			func() { _ = x.target.Destroy(ctx, l) }},
		{"destroying the uninitialised", "psref: not initialised", "psref: thread 1 destroys a target that was never initialised",
			func() { _ = new(psref.Target).Destroy(ctx, l) }},
		{"initialised twice", "psref: initialised twice", "psref: thing 2 is still in use and may not be initialised again",
			func() { s.class.Init(&y.target) }},
		{"class in use", "psref: class in use", `psref: class "thing" may not be closed while 2 of its targets are not destroyed`,
			func() { s.class.Close() }},
		{"unbind while holding", "lwp: leak", "lwp: thread 1 may not unbind while it holds " + whatHeld("thing 1"),
			func() { l.Unbind() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := caught(t, c.do)
			require.Equal(t, c.rule, v.Rule)
			require.Equal(t, c.says, v.Text)
			require.True(t, held.Held(), "misuse changes nothing")
		})
	}
	held.Release(l)
	require.NoError(t, x.target.Destroy(ctx, l))
	require.Contains(t, caught(t, func() { _ = x.target.Destroy(ctx, l) }).Text, "destroys thing 1, which is dead already")
	l.Unbind()
	m.Unbind()
	require.Contains(t, caught(t, l.Unbind).Text, "unbound already")
}

// A reference that was copied by assignment must not be released twice.
func TestMisuse_ReleasedTwiceThroughACopy(t *testing.T) {
	kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
		x, l := s.thing(), bind()
		defer l.Unbind()
		refs := make([]psref.Ref, 2)
		require.True(t, s.class.Acquire(l, &refs[0], &x.target))
		copy(refs[1:], refs[:1])
		refs[0].Release(l)
		v := caught(t, func() { refs[1].Release(l) })
		require.Equal(t, "psref: not held", v.Rule)
		require.Contains(t, v.Text, "was it copied by assignment?")
	})
}

// Nobody waits for a softint that is offline, so it holds nothing.
func TestMisuse_OfflineWhileHolding(t *testing.T) {
	s := newStack()
	x, l := s.thing(), s.dom.BindSoftint("test")
	var r psref.Ref
	require.True(t, s.class.Acquire(l, &r, &x.target))
	require.Equal(t, "lwp: softint 1 (test) may not go offline while it holds "+whatHeld("thing 1"), caught(t, l.Offline).Text)
	r.Release(l)
	l.Unbind()
}

// What an LWP gave back as a softint it does not hold as a thread, and does not keep from
// the garbage collector.
func TestHeld_ForgetsWhatTheWorkerGaveBack(t *testing.T) {
	s := newStack()
	x, other := s.thing(), psref.NewClass(s.dom, "other")
	var y psref.Target
	other.Init(&y)
	gone := weak.Make(x)
	var r psref.Ref
	l := s.dom.BindSoftint("worker")
	require.True(t, s.class.Acquire(l, &r, &x.target))
	r.Release(l)
	l.Unbind()
	l = s.dom.Bind() // the same LWP, in the same place
	require.True(t, other.Acquire(l, &r, &y))
	require.False(t, x.target.Held(l))
	require.NoError(t, x.target.Destroy(context.Background(), l))
	r.Release(l)
	x = nil
	runtime.GC()
	require.Nil(t, gone.Value())
	l.Unbind()
}

// Whoever destroys a target waits for the LWPs of its domain only.
func TestMisuse_AnotherDomain(t *testing.T) {
	s, stranger := newStack(), lwp.NewDomain().Bind()
	x := s.thing()
	require.Equal(t, "psref: wrong domain", caught(t, func() { _ = x.target.Destroy(context.Background(), stranger) }).Rule)
	if invariants.Enabled || witness.Enabled {
		var r psref.Ref
		require.Equal(t, "psref: wrong domain", caught(t, func() { s.class.Acquire(stranger, &r, &x.target) }).Rule)
		l := s.dom.Bind()
		l.Unbind()
		var late psref.Ref
		require.Equal(t, "psref: unbound", caught(t, func() { s.class.Acquire(l, &late, &x.target) }).Rule)
	}
}

// Two that destroy the same target: the second is told who the first is.
func TestMisuse_DestroyedTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack()
		x, l, m := s.thing(), s.dom.Bind(), s.dom.Bind()
		var r psref.Ref
		require.True(t, s.class.Acquire(l, &r, &x.target))
		done := s.destroy(t, x)
		synctest.Wait()
		v := caught(t, func() { _ = x.target.Destroy(context.Background(), m) })
		require.Equal(t, "psref: destroyed twice", v.Rule)
		require.Equal(t, "psref: thread 2 destroys thing 1, which thread 3 is already destroying", v.Text)
		r.Release(l)
		<-done
	})
}

// R9: a checked build names where each leaked reference was acquired.
func TestLeak_NamesTheAcquireSite(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("only checked builds remember where a reference was acquired: run with -tags invariants or -race")
	}
	kinds(t, func(t *testing.T, s *stack, bind func() *lwp.LWP) {
		x, l := s.thing(), bind()
		var a, b psref.Ref
		leaky(s, l, &a, x)
		a.Copy(l, &b)
		v := caught(t, l.Unbind)
		require.Len(t, v.Sites, 2)
		require.Equal(t, "thing 1 acquired", v.Sites[0].What)
		require.Contains(t, v.Sites[0].Stack, "psref_test.leaky\n")
		require.Contains(t, v.Sites[1].Stack, "TestLeak_NamesTheAcquireSite", "a copy is remembered too")
		require.NotContains(t, v.Sites[0].Stack, "psref.(*Class).Acquire\n", "the site is the caller's")
		b.Release(l)
		a.Release(l)
		l.Unbind()
	})
}

//go:noinline
func leaky(s *stack, l *lwp.LWP, r *psref.Ref, x *thing) { s.class.Acquire(l, r, &x.target) }

func whatHeld(name string) string {
	if invariants.Enabled {
		return name
	}
	return "a reference"
}

func caught(t *testing.T, f func()) (v *witness.Violation) {
	t.Helper()
	defer func() {
		t.Helper()
		err, _ := recover().(error)
		require.True(t, errors.As(err, &v), "want a violation, got %v", err)
	}()
	f()
	return nil
}

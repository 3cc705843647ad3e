package pserialize_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/witness"
)

// perform runs Perform as a writer would, in a goroutine of its own.
func perform(t *testing.T, dom *lwp.Domain, psz *pserialize.Serializer) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		l := dom.Bind()
		defer l.Unbind()
		if err := psz.Perform(context.Background(), l); err != nil {
			t.Error(err)
		}
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

func caught(t require.TestingT, f func()) (v *witness.Violation) {
	defer func() {
		err, _ := recover().(error)
		require.True(t, errors.As(err, &v), "want a violation, got %v", err)
	}()
	f()
	return nil
}

// bubble runs f for a thread and for a softint, each in virtual time.
func bubble(t *testing.T, f func(t *testing.T, dom *lwp.Domain, psz *pserialize.Serializer, l *lwp.LWP)) {
	for _, kind := range []string{"thread", "softint"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dom := lwp.NewDomain()
				l := dom.Bind()
				if kind == "softint" {
					l.Unbind()
					l = dom.BindSoftint("test")
				}
				defer l.Unbind()
				f(t, dom, pserialize.New(dom), l)
			})
		})
	}
}

// pserialize(9): Perform waits for every section that began before it.
func TestPerform_WaitsForSectionsThatBeganBefore(t *testing.T) {
	bubble(t, func(t *testing.T, dom *lwp.Domain, psz *pserialize.Serializer, l *lwp.LWP) {
		outer := psz.ReadEnter(l)
		inner := psz.ReadEnter(l)
		done := perform(t, dom, psz)
		synctest.Wait()
		require.False(t, finished(done), "two sections")
		inner.Exit()
		synctest.Wait()
		require.False(t, finished(done), "sections nest: the outer one lasts")
		outer.Exit()
		l.Checkpoint()
		<-done
	})
}

// ... and not for those that begin after it, however long they last.
func TestPerform_DoesNotWaitForLaterSections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom := lwp.NewDomain()
		psz := pserialize.New(dom)
		l := dom.Bind()
		defer l.Unbind()
		before := psz.ReadEnter(l)
		done := perform(t, dom, psz)
		synctest.Wait()
		before.Exit()
		after := psz.ReadEnter(l) // before the waiter has run again
		<-done
		after.Exit()
	})
}

func TestPerform_NobodyLooks(t *testing.T) {
	bubble(t, func(t *testing.T, dom *lwp.Domain, psz *pserialize.Serializer, l *lwp.LWP) {
		for range 3 {
			psz.ReadEnter(l).Exit()
			done := perform(t, dom, psz)
			synctest.Wait()
			l.Checkpoint()
			<-done
		}
		require.EqualValues(t, 3, psz.Stats().Performs)
		require.EqualValues(t, 3, psz.Stats().Ended)
	})
}

func TestPerform_SeveralAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, dom *lwp.Domain, psz *pserialize.Serializer, l *lwp.LWP) {
		s := psz.ReadEnter(l)
		var all []chan struct{}
		for range 20 {
			all = append(all, perform(t, dom, psz))
		}
		synctest.Wait()
		s.Exit()
		l.Checkpoint()
		for _, done := range all {
			<-done
		}
	})
}

// A softint that is offline is in no section and is not waited for; one that comes
// online during the wait sees what the writer stored before.
func TestPerform_DoesNotWaitForOfflineSoftints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom := lwp.NewDomain()
		psz := pserialize.New(dom)
		a, b := dom.BindSoftint("a"), dom.BindSoftint("b")
		a.Offline()
		done := perform(t, dom, psz)
		synctest.Wait()
		require.False(t, finished(done), "b is online")
		a.Online()
		b.Offline()
		<-done
		a.Unbind()
		b.Unbind()
	})
}

func TestPerform_DoesNotWaitForSoftintsThatComeOnlineLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom := lwp.NewDomain()
		psz := pserialize.New(dom)
		first, later := dom.BindSoftint("first"), dom.BindSoftint("later")
		later.Offline()
		done := perform(t, dom, psz)
		synctest.Wait()
		later.Online() // before the waiter has come to it
		first.Checkpoint()
		<-done
		first.Unbind()
		later.Unbind()
	})
}

// Two readers of each kind, of whom either may be the last.
func TestPerform_WaitsForEveryReader(t *testing.T) {
	bubble(t, func(t *testing.T, dom *lwp.Domain, psz *pserialize.Serializer, a *lwp.LWP) {
		b := dom.Bind()
		if a.InSoftint() {
			b.Unbind()
			b = dom.BindSoftint("another")
		}
		defer b.Unbind()
		for _, ls := range [][2]*lwp.LWP{{a, b}, {b, a}} {
			first, last := psz.ReadEnter(ls[0]), psz.ReadEnter(ls[1])
			done := perform(t, dom, psz)
			synctest.Wait()
			first.Exit()
			ls[0].Checkpoint()
			synctest.Wait()
			early := finished(done)
			last.Exit()
			ls[1].Checkpoint()
			<-done
			require.False(t, early, "one reader is left")
		}
	})
}

func TestPerform_EndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, dom *lwp.Domain, psz *pserialize.Serializer, l *lwp.LWP) {
		s := psz.ReadEnter(l)
		w := dom.Bind()
		defer w.Unbind()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, psz.Perform(ctx, w), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		require.Zero(t, psz.Stats().Ended, "nothing may be concluded")
		s.Exit()
	})
}

func TestPerform_SoftintMayNotWait(t *testing.T) {
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	l := dom.BindSoftint("test")
	require.ErrorIs(t, psz.Perform(context.Background(), l), lwp.ErrWouldSleep)
	l.Offline()
	require.NoError(t, psz.Perform(context.Background(), l), "a worker between bursts may")
	l.Unbind()
}

// P-pserialize-2: Perform inside a section is reported, not hung.
func TestMisuse(t *testing.T) {
	bubble(t, func(t *testing.T, dom *lwp.Domain, psz *pserialize.Serializer, l *lwp.LWP) {
		a := psz.ReadEnter(l)
		b := psz.ReadEnter(l)
		require.Equal(t, "pserialize: perform inside a section", caught(t, func() { _ = psz.Perform(context.Background(), l) }).Rule)
		require.Equal(t, "pserialize: mismatched exit", caught(t, a.Exit).Rule, "not the innermost")
		require.Contains(t, caught(t, l.Unbind).Text, "may not unbind inside a read section")
		require.True(t, a.In())
		require.True(t, b.In())
		b.Exit()
		require.False(t, b.In())
		require.Equal(t, "pserialize: mismatched exit", caught(t, b.Exit).Rule, "twice")
		a.Exit()
		require.Equal(t, "pserialize: mismatched exit", caught(t, a.Exit).Rule, "outside")
	})
}

func TestMisuse_AnotherDomain(t *testing.T) {
	psz, stranger := pserialize.New(lwp.NewDomain()), lwp.NewDomain().Bind()
	require.Equal(t, "pserialize: wrong domain", caught(t, func() { _ = psz.Perform(context.Background(), stranger) }).Rule)
}

func TestMisuse_CheckpointInsideASection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom := lwp.NewDomain()
		psz := pserialize.New(dom)
		l := dom.BindSoftint("test")
		s := psz.ReadEnter(l)
		done := perform(t, dom, psz)
		synctest.Wait() // now somebody asks
		require.Contains(t, caught(t, l.Checkpoint).Text, "may not pass a checkpoint inside a read section")
		require.Contains(t, caught(t, l.Offline).Text, "may not go offline inside a read section")
		s.Exit()
		l.Unbind() // goes offline
		<-done
	})
}

// P-pserialize-1: no reader ever sees an element whose age is more than one grace period.
// Readers of both kinds look at a published element while a writer replaces it; the age
// is how many grace periods have ended since it was taken out of sight.
func TestPerform_NoReaderSeesTheDead(t *testing.T) {
	type element struct{ dead hook.Bool }
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	var cur hook.Pointer[element]
	var stop hook.Bool
	cur.Store(new(element))
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			l := dom.Bind()
			if i%2 == 1 {
				l.Unbind()
				l = dom.BindSoftint("reader")
			}
			defer l.Unbind()
			for !stop.Load() {
				s := psz.ReadEnter(l)
				x := cur.Load()
				for range 3 {
					if x.dead.Load() {
						t.Error("a reader in a section sees a dead element")
					}
				}
				s.Exit()
				l.Checkpoint()
				runtime.Gosched() // let the writer have a core
			}
		})
	}
	l := dom.Bind()
	for range 500 {
		old := cur.Swap(new(element))
		if err := psz.Perform(context.Background(), l); err != nil {
			t.Error(err)
		}
		old.dead.Store(true)
	}
	stop.Store(true)
	all.Wait()
	l.Unbind()
}

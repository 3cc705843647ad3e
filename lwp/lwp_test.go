package lwp_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
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

// Slots are recycled: a domain makes as many LWPs as were in use at once.
func TestBind_RecyclesSlots(t *testing.T) {
	d := lwp.NewDomain()
	for range 3 {
		var ls []*lwp.LWP
		for range 100 {
			ls = append(ls, d.Bind())
		}
		for i, l := range ls {
			require.Equal(t, i, slices.Index(ls, l), "nobody else has it")
			l.Unbind()
		}
	}
	require.Equal(t, 100, d.Len())
}

// ... wherever they were given back: goroutines that live at the same time take turns, and
// one LWP is enough for all.
func TestBind_FindsWhatAnotherGaveBack(t *testing.T) {
	d := lwp.NewDomain()
	var turns []chan bool
	for range 64 {
		turn := make(chan bool)
		turns = append(turns, turn)
		go func() {
			<-turn
			d.Bind().Unbind()
			turn <- true
			<-turn
		}()
	}
	for _, turn := range turns {
		turn <- true
		<-turn
	}
	require.Equal(t, 1, d.Len())
	for _, turn := range turns {
		close(turn)
	}
}

func TestBind_NeverGivesOneLWPToTwo(t *testing.T) {
	d := lwp.NewDomain()
	owner := lwp.NewLocal[int](d) // plain: the race detector sees two owners
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				l := d.Bind()
				*owner.Get(l)++
				l.Unbind()
			}
		})
	}
	all.Wait()
	sum := 0
	for n := range owner.All() {
		sum += *n
	}
	require.Equal(t, 16000, sum, "a T stays with its LWP, so that sums lose nothing")
	require.LessOrEqual(t, d.Len(), 8)
}

func TestLWP_SaysWhatItIs(t *testing.T) {
	d := lwp.NewDomain()
	l, s := d.Bind(), d.BindSoftint("netisr0")
	require.Equal(t, "thread 1", l.String())
	require.Equal(t, "softint 2 (netisr0)", s.String())
	require.Equal(t, d, s.Domain())
	require.False(t, l.InSoftint())
	require.True(t, s.InSoftint())
	s.Offline()
	require.False(t, s.InSoftint(), "a worker between bursts is no softint")
	s.Unbind()
	l.Unbind()
	l, m := d.Bind(), d.Bind()
	require.False(t, l.InSoftint() || m.InSoftint(), "a recycled slot forgets what it was")
	l.Unbind()
	m.Unbind()
}

func TestMisuse(t *testing.T) {
	d := lwp.NewDomain()
	l, s := d.Bind(), d.BindSoftint("s")
	require.Equal(t, "lwp: thread 1 is no online softint and cannot go offline", caught(t, l.Offline).Text)
	require.Equal(t, "lwp: thread 1 is no offline softint and cannot come online", caught(t, l.Online).Text)
	require.Equal(t, "lwp: softint 2 (s) is no offline softint and cannot come online", caught(t, s.Online).Text)
	s.Offline()
	require.Equal(t, "lwp: softint 2 (s) is no online softint and cannot go offline", caught(t, s.Offline).Text)
	l.Checkpoint() // a thread may, and nothing happens
	s.Checkpoint() // so may a softint that is offline
	l.Unbind()
	require.Equal(t, "lwp: thread 1 is unbound already", caught(t, l.Unbind).Text)
	s.Unbind()
}

// A checkpoint is no promise to pass another: only who is online is waited for.
func TestCheckpoint_OfWhoIsNotOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := lwp.NewDomain()
		psz := pserialize.New(d)
		thread, worker, w := d.Bind(), d.BindSoftint("worker"), d.Bind()
		worker.Offline()
		for range 2 { // the second time somebody has asked since
			thread.Checkpoint()
			worker.Checkpoint()
			require.NoError(t, psz.Perform(context.Background(), w))
		}
		worker.Unbind()
		thread.Unbind()
		w.Unbind()
	})
}

// A worker that is offline is as a thread: what it looks at and holds is waited for, and
// given back before it comes online.
func TestOffline_IsAsAThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := lwp.NewDomain()
		psz, class := pserialize.New(d), psref.NewClass(d, "thing")
		var x psref.Target
		class.Init(&x)
		l := d.BindSoftint("worker")
		l.Offline()
		var ref psref.Ref
		s := psz.ReadEnter(l)
		require.True(t, class.Acquire(l, &ref, &x))
		require.Contains(t, caught(t, l.Online).Text, "may not come online inside a read section")
		done := make(chan string, 2)
		go func() {
			w := d.Bind()
			defer w.Unbind()
			require.NoError(t, psz.Perform(context.Background(), w))
			done <- "performed"
			require.NoError(t, x.Destroy(context.Background(), w))
			done <- "destroyed"
		}()
		synctest.Wait()
		require.Empty(t, done)
		s.Exit()
		require.Equal(t, "performed", <-done)
		require.Contains(t, caught(t, l.Online).Text, "may not come online while it holds")
		synctest.Wait()
		require.Empty(t, done)
		ref.Release(l)
		require.Equal(t, "destroyed", <-done)
		l.Online()
		l.Unbind()
	})
}

func TestLocal_OneEach(t *testing.T) {
	d := lwp.NewDomain()
	a, b := lwp.NewLocal[int](d), lwp.NewLocal[string](d)
	l, m := d.Bind(), d.Bind()
	*a.Get(l), *a.Get(m) = 1, 2
	*b.Get(m) = "m"
	require.Equal(t, 1, *a.Get(l))
	require.Equal(t, 2, *a.Get(m))
	require.Equal(t, "", *b.Get(l))
	require.Equal(t, "m", *b.Get(m))
	var got []int
	for p := range a.All() {
		got = append(got, *p)
	}
	require.Equal(t, []int{1, 2}, got)
	for range a.All() {
		break
	}
	none := lwp.NewLocal[bool](d)
	for range none.All() {
		t.Fatal("nobody has used it")
	}
	other := lwp.NewDomain().Bind()
	require.Contains(t, caught(t, func() { a.Get(other) }).Text, "belongs to another domain")
}

// R2: a softint that stays away from its checkpoint is named in checked builds.
func TestPatience_NamesTheSoftintThatStaysAway(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("only checked builds look at the clock while they wait: run with -tags invariants or -race")
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := lwp.NewDomain(lwp.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), lwp.WithPatience(3*time.Second))
		psz := pserialize.New(d)
		s, l := d.BindSoftint("lazy"), d.Bind()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.ErrorIs(t, psz.Perform(ctx, l), context.DeadlineExceeded)
		require.Contains(t, log.String(), `msg="lwp: still waiting for a softint's checkpoint" lwp=1 waited=3s`)
		s.Unbind()
		l.Unbind()
	})
}

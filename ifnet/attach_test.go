package ifnet_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
)

// Attach fails at every step in turn, and leaves nothing behind: neither name nor index nor an
// open driver.
func TestAttach_ThatFailsLeavesNothingBehind(t *testing.T) {
	_, ifs := newTable()
	var events []ifnet.Event
	ifs.OnEvent(func(ev ifnet.Event) { events = append(events, ev) })
	taken := attach(t, ifs, "taken")
	events = nil
	a := netip.MustParsePrefix("10.0.0.1/24")
	for name, c := range map[string]struct {
		spec ifnet.Spec
		want error
	}{
		"no name":       {ifnet.Spec{}, ifnet.ErrInvalid},
		"name is taken": {ifnet.Spec{Name: "taken"}, ifnet.ErrExists},
		"no driver":     {ifnet.Spec{Name: "x"}, ifnet.ErrInvalid},
		"driver fails":  {ifnet.Spec{Name: "x", Driver: &wire{fail: errBroken}}, errBroken},
		"MTU too small": {ifnet.Spec{Name: "x", Driver: &wire{}, MTU: 67}, ifnet.ErrInvalid},
		"MTU too large": {ifnet.Spec{Name: "x", Driver: &wire{}, MTU: 65536}, ifnet.ErrInvalid},
		"bad address":   {ifnet.Spec{Name: "x", Driver: &wire{}, Addrs: []netip.Prefix{{}}}, ifnet.ErrInvalid},
		"group address": {ifnet.Spec{Name: "x", Driver: &wire{}, Addrs: []netip.Prefix{netip.MustParsePrefix("224.0.0.1/4")}}, ifnet.ErrInvalid},
		"address twice": {ifnet.Spec{Name: "x", Driver: &wire{}, Addrs: []netip.Prefix{a, a}}, ifnet.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ifs.Attach(c.spec)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, "ifnet: attach "+c.spec.Name)
			if w, ok := c.spec.Driver.(*wire); ok {
				require.Equal(t, w.opens, w.closes)
			}
			require.Empty(t, events)
			_, ok := ifs.ByName("x")
			require.False(t, ok)
			require.Equal(t, []ifnet.ID{taken.ID()}, ifs.All())
			x := attach(t, ifs, "x")
			require.EqualValues(t, taken.ID().Index+1, x.ID().Index, "the index was given back")
			l := ifs.Domain().Bind()
			defer l.Unbind()
			require.NoError(t, ifs.Detach(bg(), l, x.ID()))
			events = nil
		})
	}
}

// An interface is found by name, index and ID from Attach to Detach, and the next one with its
// index is another.
func TestTable_FindsWhatIsThere(t *testing.T) {
	dom, ifs := newTable()
	l := dom.Bind()
	defer l.Unbind()
	em0, em1 := attach(t, ifs, "em0"), attach(t, ifs, "em1")
	require.Equal(t, []ifnet.ID{em0.ID(), em1.ID()}, ifs.All())
	id, ok := ifs.ByName("em1")
	require.True(t, ok)
	require.Equal(t, em1.ID(), id)
	id, ok = ifs.ByIndex(em0.ID().Index)
	require.True(t, ok)
	require.Equal(t, em0.ID(), id)
	var ref psref.Ref
	got, ok := ifs.Get(l, &ref, em0.ID())
	require.True(t, ok)
	require.Same(t, em0, got)
	ref.Release(l)

	require.NoError(t, ifs.Detach(bg(), l, em0.ID()))
	require.ErrorIs(t, ifs.Detach(bg(), l, em0.ID()), ifnet.ErrGone)
	require.False(t, ifs.Live(em0.ID()))
	next := attach(t, ifs, "em0")
	require.Equal(t, em0.ID().Index, next.ID().Index)
	require.NotEqual(t, em0.ID(), next.ID())
	for _, id := range []ifnet.ID{{}, {Index: 99, Gen: 1}, em0.ID(), {Index: next.ID().Index}} {
		require.False(t, ifs.Live(id), "%v", id)
		require.False(t, ifs.IsUp(id), "%v", id)
		_, ok = ifs.Get(l, &ref, id)
		require.False(t, ok, "%v", id)
		require.False(t, ref.Held())
		require.ErrorIs(t, ifs.Up(id), ifnet.ErrGone)
	}
	_, ok = ifs.ByIndex(99)
	require.False(t, ok)
	_, ok = ifs.ByIndex(0)
	require.False(t, ok)
}

// Detach goes by its phases, and in each only what it promises has happened.
func TestDetach_GoesByItsPhases(t *testing.T) {
	dom, ifs := newTable()
	var diary []string
	note := func(f string, args ...any) { diary = append(diary, fmt.Sprintf(f, args...)) }
	sh := &shelf{ifs: ifs, diary: &diary}
	ifs.AddDrainer(sh)
	ifs.OnEvent(func(ev ifnet.Event) { note("%v %s", ev.Kind, ev.Name) })
	w := &wire{diary: &diary}
	em0, err := ifs.Attach(ifnet.Spec{Name: "em0", Driver: w, Up: true})
	require.NoError(t, err)
	for _, n := range []string{"first", "second"} {
		_, err = ifs.OnLeaving(em0.ID(), func(_ context.Context, l *lwp.LWP, ifp *ifnet.Interface) {
			note("hook %s live=%v", n, ifs.Live(ifp.ID()))
			require.NoError(t, ifp.Transmit(l, packet(t, ifs, ifnet.ID{}, "goodbye of the "+n)))
			_, err := ifs.OnLeaving(ifp.ID(), nil)
			require.ErrorIs(t, err, ifnet.ErrDetaching)
		})
		require.NoError(t, err)
	}
	require.True(t, sh.put(packet(t, ifs, em0.ID(), "waits")))
	l := dom.Bind()
	defer l.Unbind()
	require.NoError(t, ifs.Detach(bg(), l, em0.ID()))
	require.Equal(t, []string{
		"open", "attached em0",
		"hook second live=true", "transmit goodbye of the second", "hook first live=true", "transmit goodbye of the first",
		"purge live=false", "barrier",
		"close", "departed em0",
	}, diary)
	require.False(t, sh.put(packet(t, ifs, em0.ID(), "too late")))
	ifs.Pool().CheckLeaks(t)
	require.Empty(t, em0.Addrs())
	require.Zero(t, em0.MAC())
	m := packet(t, ifs, ifnet.ID{}, "after the end")
	require.ErrorIs(t, em0.Transmit(l, m), ifnet.ErrDown)
}

// Who refers to an interface finds it whole until the reference is released, though Detach has
// begun, and Detach waits for just that.
func TestDetach_WaitsForWhoRefersToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, ifs := newTable()
		w := &wire{}
		em0, err := ifs.Attach(ifnet.Spec{Name: "em0", Driver: w, Up: true, MAC: ifnet.MAC{2}})
		require.NoError(t, err)
		require.NoError(t, ifs.AddAddr(em0.ID(), netip.MustParsePrefix("10.0.0.1/24")))
		start := time.Now()
		go func() {
			l := dom.Bind()
			defer l.Unbind()
			var ref psref.Ref
			ifp, ok := ifs.Get(l, &ref, em0.ID())
			require.True(t, ok)
			time.Sleep(time.Second)
			require.False(t, ifs.Live(em0.ID()), "Detach has begun")
			require.NotZero(t, ifp.MAC())
			require.Len(t, ifp.Addrs(), 1)
			require.True(t, ifp.IsUp())
			require.Zero(t, w.closes)
			ref.Release(l)
		}()
		synctest.Wait()
		l := dom.Bind()
		defer l.Unbind()
		require.NoError(t, ifs.Detach(bg(), l, em0.ID()))
		require.Equal(t, time.Second, time.Since(start))
	})
}

// What is queued may itself refer to the interface: it is dropped before the references are
// waited for.
func TestDetach_DrainsBeforeItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, ifs := newTable()
		em0 := attach(t, ifs, "em0")
		holder := dom.Bind()
		var ref psref.Ref
		_, ok := ifs.Get(holder, &ref, em0.ID())
		require.True(t, ok)
		sh := &shelf{ifs: ifs, purged: func(ifnet.ID) {
			ref.Release(holder) // of an item that was dropped
			holder.Unbind()
		}}
		ifs.AddDrainer(sh)
		l := dom.Bind()
		defer l.Unbind()
		ctx, cancel := context.WithTimeout(bg(), time.Minute)
		defer cancel()
		require.NoError(t, ifs.Detach(ctx, l, em0.ID()))
	})
}

// A Detach whose context ends leaves the interface where it is, and another goes on from there.
func TestDetach_GoesOnWhereItWasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, ifs := newTable()
		var diary []string
		block := make(chan bool)
		sh := &shelf{ifs: ifs, diary: &diary, barrier: func(ctx context.Context, _ ifnet.ID) error {
			select {
			case <-block:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		ifs.AddDrainer(sh)
		em0 := attach(t, ifs, "em0")
		hooks := 0
		_, err := ifs.OnLeaving(em0.ID(), func(context.Context, *lwp.LWP, *ifnet.Interface) { hooks++ })
		require.NoError(t, err)
		holder := dom.Bind()
		var ref psref.Ref
		ifs.Get(holder, &ref, em0.ID())
		l := dom.Bind()
		defer l.Unbind()
		short := func() error {
			ctx, cancel := context.WithTimeout(bg(), time.Second)
			defer cancel()
			return ifs.Detach(ctx, l, em0.ID())
		}
		require.ErrorIs(t, short(), context.DeadlineExceeded, "the barrier")
		require.False(t, ifs.Live(em0.ID()), "nothing brings it back")
		_, err = ifs.Attach(ifnet.Spec{Name: "em0", Driver: &wire{}})
		require.ErrorIs(t, err, ifnet.ErrExists, "the name is not free yet")
		close(block)
		require.ErrorIs(t, short(), context.DeadlineExceeded, "the holder")
		ref.Release(holder)
		holder.Unbind()
		require.NoError(t, short())
		require.ErrorIs(t, short(), ifnet.ErrGone)
		require.Equal(t, 1, hooks)
		attach(t, ifs, "em0")
	})
}

// One detaches; the other is told so, or waits for it, or takes over.
func TestDetach_IsOnesBusiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, ifs := newTable()
		em0 := attach(t, ifs, "em0")
		holder := dom.Bind()
		var ref psref.Ref
		ifs.Get(holder, &ref, em0.ID())
		errs := make(chan error, 3)
		run := func(d time.Duration, f func(context.Context, *lwp.LWP, ifnet.ID, ...ifnet.DetachOption) error) {
			go func() {
				l := dom.Bind()
				defer l.Unbind()
				ctx, cancel := context.WithTimeout(bg(), d)
				defer cancel()
				errs <- f(ctx, l, em0.ID())
			}()
			synctest.Wait()
		}
		run(time.Second, ifs.Detach)
		run(time.Minute, ifs.Detach)
		require.ErrorIs(t, <-errs, ifnet.ErrDetaching)
		run(time.Minute, ifs.DetachWait)
		run(500*time.Millisecond, ifs.DetachWait)
		require.ErrorIs(t, <-errs, context.DeadlineExceeded, "who would not wait")
		require.ErrorIs(t, <-errs, context.DeadlineExceeded, "the first gives up")
		ref.Release(holder)
		holder.Unbind()
		require.NoError(t, <-errs, "who waited takes over")
		l := dom.Bind()
		defer l.Unbind()
		require.ErrorIs(t, ifs.DetachWait(bg(), l, em0.ID()), ifnet.ErrGone)
	})
}

// Hooks may detach what is stacked on the interface, cancel themselves and each other, and two
// that would detach each other's interface do not wait for each other.
func TestOnLeaving_HooksMayDoAnything(t *testing.T) {
	dom, ifs := newTable()
	var diary []string
	ifs.OnEvent(func(ev ifnet.Event) {
		if ev.Kind == ifnet.Departed {
			diary = append(diary, ev.Name)
		}
	})
	em0, vlan0 := attach(t, ifs, "em0"), attach(t, ifs, "vlan0")
	var cancelMe, cancelOther func()
	runs := 0
	cancelOther, err := ifs.OnLeaving(em0.ID(), func(context.Context, *lwp.LWP, *ifnet.Interface) { t.Error("cancelled, and ran") })
	require.NoError(t, err)
	_, err = ifs.OnLeaving(em0.ID(), func(ctx context.Context, l *lwp.LWP, _ *ifnet.Interface) {
		require.NoError(t, ifs.Detach(ctx, l, vlan0.ID()))
	})
	require.NoError(t, err)
	cancelMe, err = ifs.OnLeaving(em0.ID(), func(ctx context.Context, l *lwp.LWP, _ *ifnet.Interface) {
		runs++
		cancelMe()
		cancelOther()
		require.ErrorIs(t, ifs.Detach(ctx, l, em0.ID()), ifnet.ErrDetaching)
	})
	require.NoError(t, err)
	_, err = ifs.OnLeaving(vlan0.ID(), func(ctx context.Context, l *lwp.LWP, _ *ifnet.Interface) {
		require.ErrorIs(t, ifs.Detach(ctx, l, em0.ID()), ifnet.ErrDetaching)
	})
	require.NoError(t, err)
	l := dom.Bind()
	defer l.Unbind()
	require.NoError(t, ifs.Detach(bg(), l, em0.ID()))
	require.Equal(t, []string{"vlan0", "em0"}, diary, "the child first, each once")
	require.Equal(t, 1, runs)
	_, err = ifs.OnLeaving(em0.ID(), nil)
	require.ErrorIs(t, err, ifnet.ErrGone)
}

// A softint may not detach, and who waits for himself is told.
func TestDetach_IsForThoseWhoMayWait(t *testing.T) {
	dom, ifs := newTable()
	em0 := attach(t, ifs, "em0")
	s := dom.BindSoftint("s")
	require.ErrorIs(t, ifs.Detach(bg(), s, em0.ID()), lwp.ErrWouldSleep)
	require.ErrorIs(t, ifs.DetachWait(bg(), s, em0.ID()), lwp.ErrWouldSleep)
	s.Unbind()
	l := dom.Bind()
	var ref psref.Ref
	ifs.Get(l, &ref, em0.ID())
	require.Contains(t, violates(t, func() { _ = ifs.Detach(bg(), l, em0.ID()) }).Text, "ifnet")
}

// A detach that takes long says for whom it waits, again and again.
func TestDetach_SaysForWhomItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		dom, ifs := newTable(ifnet.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), ifnet.WithWatchAfter(10*time.Second))
		em0 := attach(t, ifs, "em0")
		holder := dom.Bind()
		var ref psref.Ref
		ifs.Get(holder, &ref, em0.ID())
		l := dom.Bind()
		defer l.Unbind()
		ctx, cancel := context.WithTimeout(bg(), 25*time.Second)
		defer cancel()
		require.ErrorIs(t, ifs.Detach(ctx, l, em0.ID()), context.DeadlineExceeded)
		require.Equal(t, 2, bytes.Count(log.Bytes(), []byte("detach is stuck")))
		require.Contains(t, log.String(), `interface=em0 id=1.1 "waits for"="its holders" since=20s`)
		ref.Release(holder)
		holder.Unbind()
		require.NoError(t, ifs.Detach(bg(), l, em0.ID()))
	})
}

type flusher struct {
	shelf
	flush func(ctx context.Context) error
}

func (f *flusher) Flush(ctx context.Context) error { return f.flush(ctx) }

// With WithFlush what is queued may still be sent, as long as that says; without it is dropped.
func TestDetach_FlushesIfAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, ifs := newTable()
		f := &flusher{}
		f.ifs = ifs
		em0 := attach(t, ifs, "em0")
		asked := 0
		f.flush = func(ctx context.Context) error {
			asked++
			require.True(t, ifs.Live(em0.ID()))
			<-ctx.Done()
			return ctx.Err()
		}
		ifs.AddDrainer(f)
		l := dom.Bind()
		defer l.Unbind()
		start := time.Now()
		require.NoError(t, ifs.Detach(bg(), l, em0.ID(), ifnet.WithFlush(time.Second)))
		require.Equal(t, time.Second, time.Since(start))
		em0 = attach(t, ifs, "em0")
		require.NoError(t, ifs.Detach(bg(), l, em0.ID()))
		require.Equal(t, 1, asked)
	})
}

// A drainer, observer or hook that was taken back is not asked any more.
func TestTable_AsksNobodyWhoTookItBack(t *testing.T) {
	dom, ifs := newTable()
	var diary []string
	remove := ifs.AddDrainer(&shelf{ifs: ifs, diary: &diary})
	cancel := ifs.OnEvent(func(ev ifnet.Event) { diary = append(diary, ev.Kind.String()) })
	em0 := attach(t, ifs, "em0")
	remove()
	cancel()
	l := dom.Bind()
	defer l.Unbind()
	require.NoError(t, ifs.Detach(bg(), l, em0.ID()))
	require.Equal(t, []string{"attached"}, diary)
}

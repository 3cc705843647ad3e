package rtable_test

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

// begin begins an update of the route that dst has.
func begin(t require.TestingT, l *lwp.LWP, tab *rtable.Table, dst string) (*rtable.Entry, *rtable.Update) {
	e, err := tab.Lookup(ctx, l, addr(dst))
	require.NoError(t, err)
	u, err := e.BeginUpdate(ctx, l)
	require.NoError(t, err)
	return e, u
}

// While an entry is being changed a softint and a table that says Miss get nothing, a thread
// waits, other routes are found, and whoever changes it may look it up.
func TestLookup_MeetsAnUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t, via("10.0.0.0/8", 1), via("11.0.0.0/8", 1))
		updater := dom.Bind()
		defer updater.Unbind()
		e, u := begin(t, updater, tab, "10.0.0.1")
		softint := dom.BindSoftint("input")
		require.NotZero(t, e.Flags()&rtable.FlagUpdating)

		var ref psref.Ref
		for _, get := range []func() error{
			func() error { _, err := tab.Get(softint, &ref, addr("10.0.0.1")); return err },
			func() error { _, err := tab.GetContext(ctx, softint, &ref, addr("10.0.0.1")); return err },
			func() error { _, err := tab.Lookup(ctx, softint, addr("10.0.0.1")); return err },
			func() error { return tab.Peek(softint, addr("10.0.0.1")).Err() },
		} {
			require.Equal(t, rtable.ErrUpdating, get())
		}
		require.NoError(t, tab.Peek(softint, addr("11.0.0.1")).Err())
		softint.Unbind()
		own, err := tab.Lookup(ctx, updater, addr("10.0.0.1"))
		require.NoError(t, err)
		require.Same(t, e, own)
		own.Unref()

		var wg sync.WaitGroup
		start := time.Now()
		for range 2 {
			wg.Go(func() {
				l := dom.Bind()
				defer l.Unbind()
				hasty, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				_, err := tab.Lookup(hasty, l, addr("10.0.0.1"))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				e, err := tab.Lookup(ctx, l, addr("10.0.0.1"))
				require.NoError(t, err)
				require.Equal(t, time.Minute, time.Since(start))
				require.Equal(t, gateway(2), e.Gateway())
				e.Unref()
				var ref psref.Ref
				_, err = tab.GetContext(ctx, l, &ref, addr("10.0.0.1"))
				require.NoError(t, err)
				ref.Release(l)
			})
		}
		time.Sleep(time.Minute)
		require.NoError(t, u.Set(via("10.0.0.0/8", 2)))
		u.Finish()
		wg.Wait()
		e.Unref()
		require.EqualValues(t, 1, tab.Stats().Changes)
	})
}

func TestPolicy_MissDoesNotWait(t *testing.T) {
	dom := lwp.NewDomain()
	tab := rtable.New(dom, rtable.WithPolicy(rtable.Miss))
	require.NoError(t, tab.Add(via("10.0.0.0/8", 1)))
	l, other := dom.Bind(), dom.Bind()
	e, u := begin(t, l, tab, "10.0.0.1")
	_, err := tab.Lookup(ctx, other, addr("10.0.0.1"))
	require.Equal(t, rtable.ErrUpdating, err)
	var ref psref.Ref
	_, err = tab.GetContext(ctx, other, &ref, addr("10.0.0.1"))
	require.Equal(t, rtable.ErrUpdating, err)
	u.Finish()
	e.Unref()
	l.Unbind()
	other.Unbind()
	require.NoError(t, tab.Close(ctx))
	require.Equal(t, "Miss", rtable.Miss.String())
}

// P1: who holds an entry in whatever way sees it unchanged until it lets go, and the update
// waits for exactly that.
func TestBeginUpdate_WaitsForEveryHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t, via("10.0.0.0/8", 1))
		counted, passive, updater := dom.Bind(), dom.Bind(), dom.Bind()
		e, err := tab.Lookup(ctx, counted, addr("10.0.0.1"))
		require.NoError(t, err)
		var ref psref.Ref
		_, err = tab.Get(passive, &ref, addr("10.0.0.1"))
		require.NoError(t, err)

		var wg sync.WaitGroup
		start := time.Now()
		wg.Go(func() {
			require.NoError(t, tab.Change(ctx, updater, via("10.0.0.0/8", 2)))
			require.Equal(t, 2*time.Second, time.Since(start))
			updater.Unbind()
		})
		time.Sleep(time.Second)
		require.Equal(t, gateway(1), e.Gateway())
		e.Unref() // by whomever
		time.Sleep(time.Second)
		require.Equal(t, gateway(1), e.Gateway())
		ref.Release(passive)
		wg.Wait()
		counted.Unbind()
		passive.Unbind()
	})
}

// An update that its context ends, at whatever it waits for, leaves the entry as it was, to
// be looked up and to be updated again.
func TestBeginUpdate_GivesUpAndLeavesTheEntryUsable(t *testing.T) {
	for name, hold := range map[string]func(t *testing.T, dom *lwp.Domain, tab *rtable.Table) (release func()){
		"turn": func(t *testing.T, dom *lwp.Domain, tab *rtable.Table) func() {
			l := dom.Bind()
			e, u := begin(t, l, tab, "10.0.0.1")
			return func() { u.Finish(); e.Unref(); l.Unbind() }
		},
		"section": func(t *testing.T, dom *lwp.Domain, tab *rtable.Table) func() {
			l := dom.BindSoftint("in its handler")
			return l.Unbind
		},
		"counted": func(t *testing.T, dom *lwp.Domain, tab *rtable.Table) func() {
			l := dom.Bind()
			e, err := tab.Lookup(ctx, l, addr("10.0.0.1"))
			require.NoError(t, err)
			return func() { e.Unref(); l.Unbind() }
		},
		"passive": func(t *testing.T, dom *lwp.Domain, tab *rtable.Table) func() {
			l := dom.Bind()
			var ref psref.Ref
			_, err := tab.Get(l, &ref, addr("10.0.0.1"))
			require.NoError(t, err)
			return func() { ref.Release(l); l.Unbind() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dom, tab := open(t, via("10.0.0.0/8", 1))
				l := dom.Bind()
				defer l.Unbind()
				e, err := tab.Lookup(ctx, l, addr("10.0.0.1"))
				require.NoError(t, err)
				if name == "turn" { // whoever has it waits for other references
					e.Unref()
				}
				release := hold(t, dom, tab)
				if name == "turn" {
					hasty, cancel := context.WithTimeout(ctx, time.Second)
					require.ErrorIs(t, tab.Change(hasty, l, via("10.0.0.0/8", 2)), context.DeadlineExceeded)
					cancel()
					release()
					e, err = tab.Lookup(ctx, l, addr("10.0.0.1"))
					require.NoError(t, err)
				} else {
					hasty, cancel := context.WithTimeout(ctx, time.Second)
					_, err = e.BeginUpdate(hasty, l)
					cancel()
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.Zero(t, e.Flags()&rtable.FlagUpdating)
					other := dom.Bind()
					var ref psref.Ref
					_, err = tab.Get(other, &ref, addr("10.0.0.1"))
					require.NoError(t, err)
					ref.Release(other)
					other.Unbind()
					release()
				}
				u, err := e.BeginUpdate(ctx, l)
				require.NoError(t, err)
				u.Finish()
				e.Unref()
			})
		})
	}
}

// What has been deleted is not updated, whether before it is begun or while it waits.
func TestBeginUpdate_OfADeletedEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t, via("10.0.0.0/8", 1), via("11.0.0.0/8", 1))
		l, holder := dom.Bind(), dom.Bind()
		defer l.Unbind()
		defer holder.Unbind()
		e, err := tab.Lookup(ctx, l, addr("10.0.0.1"))
		require.NoError(t, err)
		require.NoError(t, tab.Delete(prefix("10.0.0.0/8")))
		_, err = e.BeginUpdate(ctx, l)
		require.Equal(t, rtable.ErrNotFound, err)
		e.Unref()

		e, err = tab.Lookup(ctx, l, addr("11.0.0.1"))
		require.NoError(t, err)
		held, err := tab.Lookup(ctx, holder, addr("11.0.0.1"))
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := e.BeginUpdate(ctx, l)
			require.Equal(t, rtable.ErrNotFound, err)
			e.Unref()
		})
		synctest.Wait()
		require.NoError(t, tab.Delete(prefix("11.0.0.0/8")))
		held.Unref()
		wg.Wait()
		synctest.Wait()
		require.Zero(t, tab.Stats().Trash)
	})
}

// Several who update one entry queue, each with its reference, and all come to their turn.
func TestBeginUpdate_SeveralQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t, via("10.0.0.0/8", 1))
		var wg sync.WaitGroup
		for i := range uint32(5) {
			wg.Go(func() {
				l := dom.Bind()
				defer l.Unbind()
				e, err := tab.Lookup(ctx, l, addr("10.0.0.1"))
				require.NoError(t, err)
				defer e.Unref()
				time.Sleep(time.Second) // all have a reference before anybody begins
				u, err := e.BeginUpdate(ctx, l)
				require.NoError(t, err)
				defer u.Finish()
				require.NoError(t, u.Set(via("10.0.0.0/8", i+2)))
				time.Sleep(time.Second)
			})
		}
		wg.Wait()
		require.EqualValues(t, 5, tab.Stats().Changes)
	})
}

func TestUpdate_Misuse(t *testing.T) {
	dom, tab := open(t, via("10.0.0.0/8", 1), via("11.0.0.0/8", 1))
	l := dom.Bind()
	defer l.Unbind()
	e, u := begin(t, l, tab, "10.0.0.1")
	requireViolation(t, "rtable: update inside an update", func() { _, _ = e.BeginUpdate(ctx, l) })
	require.ErrorIs(t, u.Set(via("10.0.0.0/9", 1)), rtable.ErrInvalid)
	require.ErrorIs(t, u.Set(rtable.Route{Dst: prefix("10.0.0.0/8")}), rtable.ErrInvalid)
	require.ErrorIs(t, u.Set(rtable.Route{Dst: prefix("10.0.0.0/8"), Gateway: gateway(1)}), rtable.ErrUnreachable)
	require.Equal(t, via("10.0.0.0/8", 1), u.Route())
	u.Finish()
	require.Zero(t, tab.Stats().Changes, "nothing was set")
	for _, use := range []func(){u.Finish, func() { u.Route() }, func() { _ = u.Set(via("10.0.0.0/8", 1)) }} {
		requireViolation(t, "rtable: update is over", use)
	}
	e.Unref()
	requireViolation(t, "rtable: not counted", e.Unref)

	var ref psref.Ref
	held, err := tab.Get(l, &ref, addr("11.0.0.1"))
	require.NoError(t, err)
	e, err = tab.Lookup(ctx, l, addr("11.0.0.1"))
	require.NoError(t, err)
	requireViolation(t, "rtable: update of a held entry", func() { _, _ = held.BeginUpdate(ctx, l) })
	requireViolation(t, "rtable: delete of a held entry", func() { _ = tab.DeleteWait(ctx, l, prefix("11.0.0.0/8")) })
	require.Equal(t, 2, tab.Len(), "nothing has happened")
	_, err = tab.Depart(ifnet.ID{})
	require.ErrorIs(t, err, rtable.ErrInvalid)
	ref.Release(l)
	e.Unref()
	requireViolation(t, "rtable: peek outside", func() { tab.Peek(l, addr("11.0.0.1")) })
	requireViolation(t, "rtable: queue without room", func() { tab.Subscribe(0) })
}

// The last reference to a deleted entry frees it, whoever gives it back, and a caller who
// wants to may wait for that.
func TestUnref_TheLastOneFrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t, via("10.0.0.0/8", 1), via("11.0.0.0/8", 1))
		l := dom.Bind()
		defer l.Unbind()
		find := func(dst string) *rtable.Entry {
			e, err := tab.Find(ctx, l, prefix(dst))
			require.NoError(t, err)
			return e
		}
		e := find("10.0.0.0/8")
		require.NoError(t, tab.Delete(prefix("10.0.0.0/8")))
		synctest.Wait()
		require.False(t, e.Freed())
		require.Equal(t, gateway(1), e.Gateway())
		e.Unref()
		synctest.Wait()
		require.True(t, e.Freed())

		e = find("11.0.0.0/8")
		go func() {
			time.Sleep(time.Minute)
			e.Unref()
		}()
		start := time.Now()
		require.NoError(t, tab.DeleteWait(ctx, l, prefix("11.0.0.0/8")))
		require.Equal(t, time.Minute, time.Since(start))
		require.True(t, e.Freed())
		require.ErrorIs(t, tab.DeleteWait(ctx, l, prefix("11.0.0.0/8")), rtable.ErrNotFound)
	})
}

// A DeleteWait that may not wait for ever has deleted the route, and leaves the rest to the
// worker.
func TestDeleteWait_HandsOverWhatItCannotWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t, via("10.0.0.0/8", 1))
		l := dom.Bind()
		defer l.Unbind()
		e, err := tab.Find(ctx, l, prefix("10.0.0.0/8"))
		require.NoError(t, err)
		hasty, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		require.ErrorIs(t, tab.DeleteWait(hasty, l, prefix("10.0.0.0/8")), context.DeadlineExceeded)
		require.Zero(t, tab.Len())
		require.False(t, e.Freed())
		e.Unref()
		synctest.Wait()
		require.True(t, e.Freed())
		require.Zero(t, tab.Stats().Trash)
	})
}

// A logbook is what a logger writes to while a test reads it.
type logbook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (lb *logbook) Write(p []byte) (int, error) {
	lb.mu.Lock()
	defer lb.mu.Unlock()
	return lb.b.Write(p)
}

func (lb *logbook) String() string {
	lb.mu.Lock()
	defer lb.mu.Unlock()
	return lb.b.String()
}

// One holder that stays does not keep what was deleted after from being freed, and is
// reported by name once the table has lost its patience.
func TestFree_OneHolderDoesNotStopTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logbook
		dom := lwp.NewDomain()
		tab := rtable.New(dom, rtable.WithPatience(time.Minute), rtable.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		l := dom.Bind()
		require.NoError(t, tab.Load(func(yield func(rtable.Route) bool) {
			_ = yield(via("10.0.0.0/8", 1)) && yield(via("11.0.0.0/8", 1)) && yield(via("12.0.0.0/8", 1))
		}))
		counted, err := tab.Find(ctx, l, prefix("10.0.0.0/8"))
		require.NoError(t, err)
		var ref psref.Ref
		_, err = tab.Get(l, &ref, addr("11.0.0.1"))
		require.NoError(t, err)

		n, err := tab.Depart(em0)
		require.NoError(t, err)
		require.Equal(t, 3, n)
		synctest.Wait()
		require.EqualValues(t, 2, tab.Stats().Trash)
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		require.Empty(t, log.String())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.EqualValues(t, 2, tab.Stats().Stuck)
		require.Equal(t, 2, strings.Count(log.String(), "still held"))
		require.Contains(t, log.String(), "dst=10.0.0.0/8 waited=1m0s counted=1")
		require.Contains(t, log.String(), "dst=11.0.0.0/8 waited=1m0s counted=0")
		if invariants.Enabled {
			require.Equal(t, 2, strings.Count(log.String(), "TestFree_OneHolderDoesNotStopTheRest.func1\\n"), log.String())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 2, strings.Count(log.String(), "still held"), "once each")
		ref.Release(l)
		counted.Unref()
		l.Unbind()
		require.NoError(t, tab.Close(ctx))
		require.Zero(t, tab.Stats().Stuck)
	})
}

// Replace is seen by no lookup as a miss, and who holds the old route keeps it.
func TestReplace_LeavesTheOldToItsHolders(t *testing.T) {
	dom, tab := open(t, via("10.0.0.0/8", 1))
	l := dom.Bind()
	defer l.Unbind()
	var old, now psref.Ref
	was, err := tab.Get(l, &old, addr("10.0.0.1"))
	require.NoError(t, err)
	require.NoError(t, tab.Replace(via("10.0.0.0/8", 2)))
	is, err := tab.Get(l, &now, addr("10.0.0.1"))
	require.NoError(t, err)
	require.Equal(t, gateway(1), was.Gateway())
	require.Equal(t, gateway(2), is.Gateway())
	now.Release(l)
	old.Release(l)
	require.ErrorIs(t, tab.Replace(via("11.0.0.0/8", 2)), rtable.ErrNotFound)
	require.ErrorIs(t, tab.Replace(rtable.Route{Dst: prefix("10.0.0.0/8")}), rtable.ErrInvalid)
}

// What is the table's own to say is masked at the door, and everything else is kept.
func TestFlags_AreMaskedAtTheDoor(t *testing.T) {
	dom, tab := open(t)
	l := dom.Bind()
	defer l.Unbind()
	rt := rtable.Route{Dst: prefix("10.0.0.0/8"), Out: em0, Flags: ^rtable.Flags(0)}
	require.NoError(t, tab.Add(rt))
	got, err := tab.Exact(rt.Dst)
	require.NoError(t, err)
	require.NotZero(t, got.Flags&rtable.FlagUp)
	require.Zero(t, got.Flags&(rtable.FlagUpdating|rtable.FlagHost|rtable.FlagGateway))
	require.NotZero(t, got.Flags&rtable.FlagStatic)
	rt.Flags = rtable.FlagUpdating | rtable.FlagReject
	require.NoError(t, tab.Change(ctx, l, rt))
	got, err = tab.Exact(rt.Dst)
	require.NoError(t, err)
	require.Equal(t, rtable.FlagUp|rtable.FlagReject|rtable.FlagDone, got.Flags, "DONE is preserved")
	require.Equal(t, "UP,REJECT,DONE", got.Flags.String())
	require.Equal(t, "UR", got.Flags.Letters())
	require.Equal(t, "UP,0x80", (rtable.FlagUp | 0x80).String())
}

// command_add: a gateway in a connected net, an interface's own, and one reached by a route
// without gateway are accepted; an unreachable one, and one behind a gateway, are refused.
func TestAdd_ByWayOfAGateway(t *testing.T) {
	_, tab := open(t,
		rtable.Route{Dst: prefix("192.0.2.0/24"), Out: em0, Flags: rtable.FlagConnected, Metrics: rtable.Metrics{MTU: 1400}},
		rtable.Route{Dst: prefix("192.0.2.9/32"), Out: em0, Flags: rtable.FlagLocal},
		rtable.Route{Dst: prefix("198.51.100.7/32"), Out: em0},
	)
	add := func(dst, gw string, m rtable.Metrics) error {
		return tab.Add(rtable.Route{Dst: prefix(dst), Gateway: addr(gw), Metrics: m})
	}
	require.NoError(t, add("10.0.0.0/8", "192.0.2.1", rtable.Metrics{MTU: 1500}))
	require.NoError(t, add("11.0.0.0/8", "192.0.2.9", rtable.Metrics{MTU: 1500, Locked: rtable.MetricMTU}))
	require.NoError(t, add("12.0.0.0/8", "198.51.100.7", rtable.Metrics{}))
	require.ErrorIs(t, add("13.0.0.0/8", "203.0.113.1", rtable.Metrics{}), rtable.ErrUnreachable)
	require.ErrorIs(t, add("13.0.0.0/8", "10.0.0.1", rtable.Metrics{}), rtable.ErrUnreachable)
	rt, err := tab.Exact(prefix("10.0.0.0/8"))
	require.NoError(t, err)
	require.Equal(t, em0, rt.Out)
	require.EqualValues(t, 1400, rt.Metrics.MTU, "lowered to the gateway's")
	rt, err = tab.Exact(prefix("11.0.0.0/8"))
	require.NoError(t, err)
	require.EqualValues(t, 1500, rt.Metrics.MTU, "locked")

	// non_subnet_gateway: unreachable until there is a route to it.
	require.NoError(t, tab.Add(rtable.Route{Dst: prefix("203.0.113.1/32"), Out: em0}))
	require.NoError(t, add("13.0.0.0/8", "203.0.113.1", rtable.Metrics{}))
}

// A subscriber begins with the routes of a moment and is told everything after it, in order.
func TestSubscribe_TellsWhatHappensAfterTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t, via("10.0.0.0/8", 1))
		l := dom.Bind()
		defer l.Unbind()
		sub, rts := tab.Subscribe(16)
		require.Equal(t, []rtable.Route{via("10.0.0.0/8", 1)}, rts)
		require.NoError(t, tab.Add(via("11.0.0.0/8", 1)))
		require.NoError(t, tab.Change(ctx, l, via("11.0.0.0/8", 2)))
		require.NoError(t, tab.Replace(via("11.0.0.0/8", 3)))
		_, err := tab.Lookup(ctx, l, addr("203.0.113.5"))
		require.Equal(t, rtable.ErrNotFound, err)
		_ = tab.Redirect(ctx, l, beyond)
		_, err = tab.Depart(em0)
		require.NoError(t, err)
		var told []string
		for range 8 {
			m, err := sub.Next(ctx)
			require.NoError(t, err)
			switch m.Type {
			case rtable.MsgMiss:
				require.Equal(t, addr("203.0.113.5"), m.Addr)
			case rtable.MsgRedirect:
				require.ErrorIs(t, m.Reason, rtable.ErrUnreachable)
				require.Equal(t, beyond.From, m.Addr)
			case rtable.MsgDepart:
				require.Equal(t, em0, m.Out)
			case rtable.MsgChange:
				require.NotEqual(t, m.Old.Gateway, m.Route.Gateway)
			}
			told = append(told, m.Type.String())
		}
		require.Equal(t, []string{"RTM_ADD", "RTM_CHANGE", "RTM_CHANGE", "RTM_MISS", "RTM_REDIRECT", "RTM_DELETE", "RTM_DELETE", "RTM_IFANNOUNCE"}, told)
		hasty, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err = sub.Next(hasty)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		sub.Close()
		sub.Close()
		_, err = sub.Next(ctx)
		require.Equal(t, rtable.ErrClosed, err)
	})
}

// Who reads too slowly is told how many messages it has lost, in their place, and can begin
// anew.
func TestSubscribe_TellsHowManyWereLost(t *testing.T) {
	_, tab := open(t)
	slow, _ := tab.Subscribe(2)
	anew, _ := tab.Subscribe(2)
	defer anew.Close()
	for _, dst := range []string{"10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8", "13.0.0.0/8", "14.0.0.0/8"} {
		require.NoError(t, tab.Add(via(dst, 1)))
	}
	for _, want := range []rtable.MsgType{rtable.MsgAdd, rtable.MsgAdd, rtable.MsgLost} {
		m, err := slow.Next(ctx)
		require.NoError(t, err)
		require.Equal(t, want, m.Type)
		if want == rtable.MsgLost {
			require.EqualValues(t, 3, m.Lost)
		}
	}
	require.Len(t, anew.Resync(), 5)
	require.NoError(t, tab.Delete(prefix("14.0.0.0/8")))
	for _, sub := range []*rtable.Subscription{slow, anew} {
		m, err := sub.Next(ctx)
		require.NoError(t, err)
		require.Equal(t, rtable.MsgDelete, m.Type)
		require.Equal(t, tab.Generation(), m.Gen)
	}
	require.NoError(t, tab.Close(ctx))
	for range 2 { // the deletions of Close do not fit
		_, err := slow.Next(ctx)
		require.NoError(t, err)
	}
	m, err := slow.Next(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, m.Lost)
	_, err = slow.Next(ctx)
	require.Equal(t, rtable.ErrClosed, err)
	late, rts := tab.Subscribe(1)
	require.Empty(t, rts)
	_, err = late.Next(ctx)
	require.Equal(t, rtable.ErrClosed, err)
}

// A dump yields what is in the table throughout once, whatever comes and goes meanwhile.
func TestDump_SurvivesChange(t *testing.T) {
	_, tab := open(t)
	var rts []rtable.Route
	for i := range uint32(2000) {
		rts = append(rts, via(gateway(i<<8).String()+"/24", 1))
	}
	require.NoError(t, tab.Load(func(yield func(rtable.Route) bool) {
		for _, rt := range rts {
			if !yield(rt) {
				return
			}
		}
	}))
	seen := map[string]int{}
	n := 0
	for rt := range tab.Dump() {
		seen[rt.Dst.String()]++
		if n++; n%100 == 0 { // every second one stays
			_ = tab.Delete(rts[(n*13)%len(rts)|1].Dst)
			_ = tab.Replace(rts[(n*7)%len(rts)|1])
		}
	}
	for i, rt := range rts {
		if i%2 == 0 {
			require.Equal(t, 1, seen[rt.Dst.Masked().String()], rt.Dst)
		}
	}
	for range tab.Dump() {
		break // and may be given up
	}
	inside := 0
	tab.Walk(prefix("0.0.0.0/0"), func(rtable.Route) bool { inside++; return inside < 10 })
	require.Equal(t, 10, inside)
}

// Bursts tell what single lookups tell, whatever is in them.
func TestBurst_TellsWhatPeekTells(t *testing.T) {
	dom, tab := open(t, via("10.0.0.0/8", 1), via("10.1.0.0/16", 2), via("2001:db8::/32", 3))
	l := dom.BindSoftint("input")
	defer l.Unbind()
	all := []string{"10.0.0.1", "10.1.0.1", "192.0.2.1", "2001:db8::1", "2001:db9::1", "::ffff:10.1.2.3", "2001:db8::2%em0"}
	for _, n := range []int{0, 1, 15, 16, 17, 40} {
		for _, of := range [][]string{all, all[:3], all[3:5]} {
			dsts := cycle(of, n)
			hits, refs := make([]rtable.Hit, n), make([]psref.Ref, n)
			tab.PeekBurst(l, dsts, hits)
			for i, dst := range dsts {
				require.Equal(t, tab.Peek(l, dst), hits[i], dst)
			}
			got := make([]rtable.Hit, n)
			tab.GetBurst(l, refs, dsts, got)
			require.Equal(t, hits, got)
			for i := range refs {
				require.Equal(t, hits[i].Err() == nil, refs[i].Held())
				if refs[i].Held() {
					refs[i].Release(l)
				}
			}
		}
	}
	require.Equal(t, rtable.ErrNotFound, tab.Peek(l, addr("192.0.2.1")).Err())
	require.Nil(t, tab.Peek(l, addr("192.0.2.1")).Entry())
}

// cycle returns n addresses, those of all again and again.
func cycle(all []string, n int) (as []netip.Addr) {
	for i := range n {
		as = append(as, addr(all[i%len(all)]))
	}
	return as
}

// Slots are used again, but not while anybody holds what is in them.
func TestEntry_SlotsAreUsedAgain(t *testing.T) {
	if invariants.Enabled {
		t.Skip("checked builds never use one again")
	}
	synctest.Test(t, func(t *testing.T) {
		dom, tab := open(t)
		l := dom.Bind()
		defer l.Unbind()
		require.NoError(t, tab.Add(via("11.0.0.0/8", 7)))
		var ref psref.Ref
		held, err := tab.Get(l, &ref, addr("11.0.0.1"))
		require.NoError(t, err)
		require.NoError(t, tab.Delete(prefix("11.0.0.0/8")))
		for range 2000 {
			require.NoError(t, tab.Add(via("10.0.0.0/8", 1)))
			require.NoError(t, tab.Delete(prefix("10.0.0.0/8")))
			synctest.Wait()
		}
		require.Less(t, tab.Slots(), 600)
		require.Equal(t, gateway(7), held.Gateway())
		require.Equal(t, prefix("11.0.0.0/8"), held.Dst())
		ref.Release(l)
	})
}

package netisr_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/witness"
)

func (st *stack) sendQueue(c netisr.SendConfig) *netisr.SendQueue {
	c.Ifs = st.ifs
	return netisr.NewSendQueue(c)
}

func register[S any](t require.TestingT, q *netisr.SendQueue, s netisr.Spec[S]) *netisr.Type[S] {
	if s.Name == "" {
		s.Name = "type"
	}
	ty, err := netisr.Register(q, s)
	require.NoError(t, err)
	return ty
}

func (st *stack) endSend(q *netisr.SendQueue) {
	require.NoError(st.t, q.Close(soon(), st.l))
	require.Zero(st.t, st.pool.Outstanding())
}

// An llentry is a neighbour: counted references, and a lock that its timer holds while it
// decides to solicit.
type llentry struct {
	mu   witness.Mutex
	refs int // guarded by mu
	src  netip.Addr
}

type nsState struct {
	lle *llentry
	src netip.Addr
}

// ndQueue returns a type that sends solicitations, and what it has sent.
func ndQueue(t require.TestingT, q *netisr.SendQueue, sent *[]string, during func(c *netisr.Ctx)) *netisr.Type[nsState] {
	unref := func(s nsState) {
		s.lle.mu.Lock()
		s.lle.refs--
		s.lle.mu.Unlock()
	}
	return register(t, q, netisr.Spec[nsState]{
		Name: "nd6_ns", Prio: netisr.Control,
		Handle: func(c *netisr.Ctx, m *mbuf.Packet, s nsState) {
			if during != nil {
				during(c)
			}
			*sent = append(*sent, fmt.Sprintf("%v by %v from %v", s.src, c.Out.ID(), c.Out.MAC()))
			unref(s)
			m.Free(mbuf.Done)
		},
		Free: func(s nsState, _ mbuf.Reason) { unref(s) },
	})
}

// timer is the neighbour's: it decides, and dispatches, with the entry locked.
func (st *stack) timer(ty *netisr.Type[nsState], e *llentry, out ifnet.ID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refs++
	err := ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), out, nsState{e, e.src})
	if err != nil {
		e.refs-- // the state is still ours, and so is the lock
	}
	return err
}

func TestScenario21_ATimerDispatchesAndTheInterfaceLeavesFirst(t *testing.T) {
	st := newStack(t)
	q := st.sendQueue(netisr.SendConfig{Manual: true})
	var sent []string
	ty := ndQueue(t, q, &sent, nil)
	em0 := st.attach()
	e := &llentry{refs: 1, src: netip.MustParseAddr("fe80::1")}
	require.NoError(t, st.timer(ty, e, em0))
	require.Equal(t, 2, e.refs)
	st.detach(em0)
	require.Equal(t, 1, e.refs)
	require.Zero(t, q.RunUntilIdle())
	require.Empty(t, sent)
	require.ErrorIs(t, st.timer(ty, e, em0), netisr.ErrIfDeparted)
	require.Equal(t, 1, e.refs)
	require.EqualValues(t, 1, ty.Stats().Departed)
	st.endSend(q)
}

func TestScenario22_ATimerDispatchesAndTheWorkerIsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		q := st.sendQueue(netisr.SendConfig{Streams: 1})
		var sent []string
		gate := make(chan bool)
		ty := ndQueue(t, q, &sent, func(c *netisr.Ctx) {
			require.NotZero(t, c.Out.MAC())
			<-gate // the handler is slow, though it may not be
			require.NotZero(t, c.Out.MAC(), "still whole")
		})
		em0 := st.attach()
		e := &llentry{src: netip.MustParseAddr("fe80::1")}
		require.NoError(t, st.timer(ty, e, em0))
		synctest.Wait()
		over := false
		go func() {
			st.detach(em0)
			over = true
		}()
		synctest.Wait()
		require.False(t, over)
		gate <- true
		synctest.Wait()
		require.True(t, over)
		require.Len(t, sent, 1)
		require.Zero(t, e.refs)
		st.endSend(q)
	})
}

// The lagg of scenario S3: its lock is held for writing while it announces its new address, which
// goes out by a vlan on top of it, whose output reads the lagg. Nothing is out of order, and the
// last word is the last address.
func TestScenario23_AnAnnouncementUnderTheLaggsLock(t *testing.T) {
	st := newStack(t)
	q := st.sendQueue(netisr.SendConfig{Manual: true, Streams: 1})
	vlan := st.attach()
	var lagg, trunk witness.RWMutex
	lagg.Init(witness.NewClass("lagg"))
	trunk.Init(witness.NewClass("trunk"))
	var announced []byte
	key := false
	for range 2 {
		spec := netisr.Spec[byte]{Name: "garp", Handle: func(_ *netisr.Ctx, m *mbuf.Packet, mac byte) {
			trunk.RLock()
			lagg.RLock()
			announced = append(announced, mac)
			lagg.RUnlock()
			trunk.RUnlock()
			m.Free(mbuf.Done)
		}}
		if key {
			spec.Key = func(*mbuf.Packet, byte) any { return "the vlan's address" }
		}
		ty := register(t, q, spec)
		for _, mac := range []byte{'B', 'C'} {
			lagg.Lock()
			require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 0), vlan, mac))
			lagg.Unlock()
		}
		q.RunUntilIdle()
		sent(t, ty, 2)
		key = true
	}
	require.Equal(t, []byte{'B', 'C', 'C'}, announced)
	st.endSend(q)
}

// Waiting with a lock held that a handler takes is reported on the first run that shows both
// halves, though nothing hangs.
func TestScenario24_WaitingUnderAHandlersLockIsReported(t *testing.T) {
	if !witness.Enabled {
		t.Skip("only checked builds know")
	}
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true})
	var softnet witness.Mutex
	softnet.Init(witness.NewClass("softnet_lock"))
	r := st.register(i, netisr.Handler{Handle: func(_ *netisr.Ctx, m *mbuf.Packet) {
		softnet.Lock()
		softnet.Unlock()
		m.Free(mbuf.Done)
	}})
	em0 := st.attach()
	require.NoError(t, i.Queue(1, st.packet(em0, 1, 1)))
	i.RunUntilIdle()
	softnet.Lock()
	v := violates(t, func() { _ = st.ifs.Detach(bg(), st.l, em0) })
	softnet.Unlock()
	require.Contains(t, v.Text, "softnet_lock")
	_ = r
}

// Interfaces come and go under a few indices while packets are dispatched: nothing of one gets to
// the next, nothing runs after its Detach, every state has one end.
func TestScenario25_InterfacesComeAndGoUnderLoad(t *testing.T) {
	st := newStack(t)
	d := 300 * time.Millisecond
	if testing.Short() {
		d = 50 * time.Millisecond
	}
	i := st.isr(netisr.Config{Streams: 2})
	q := st.sendQueue(netisr.SendConfig{Streams: 2})
	const slots = 6
	var ids [slots]atomic.Uint64    // index<<32 | gen
	var goneBy [slots]atomic.Uint64 // the last whose Detach has returned
	var handled, states, ends, refused atomic.Int64
	check := func(in, out ifnet.ID) {
		for _, id := range []ifnet.ID{in, out} {
			if id.IsZero() {
				continue
			}
			for k := range goneBy {
				if w := goneBy[k].Load(); uint32(w>>32) == id.Index && uint32(w) >= id.Gen {
					t.Errorf("a handler runs with a packet of %v, which has gone", id)
				}
			}
		}
		handled.Add(1)
	}
	r := st.register(i, netisr.Handler{QLimit: 1000, Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
		check(c.In.ID(), ifnet.ID{})
		if c.In.MAC() == (ifnet.MAC{}) || m.In != c.In.ID() {
			t.Error("the interface is not whole")
		}
		m.Free(mbuf.Done)
	}})
	ty := register(t, q, netisr.Spec[int]{QLimit: 1000,
		Handle: func(c *netisr.Ctx, m *mbuf.Packet, _ int) {
			check(m.In, c.Out.ID())
			ends.Add(1)
			m.Free(mbuf.Done)
		},
		Free: func(int, mbuf.Reason) { ends.Add(1) },
	})
	var done atomic.Bool
	var owners, senders errgroup.Group
	for k := range slots {
		owners.Go(func() error {
			l := st.dom.Bind()
			defer l.Unbind()
			for n := 0; !done.Load(); n++ {
				ifp, err := st.ifs.Attach(ifnet.Spec{Name: fmt.Sprintf("em%d", k), Driver: ifnet.NewLoop(), Up: true, MAC: ifnet.MAC{2, 1}})
				if err != nil {
					return err
				}
				id := ifp.ID()
				w := uint64(id.Index)<<32 | uint64(id.Gen)
				ids[k].Store(w)
				for before, y := handled.Load(), 0; y < 100 && handled.Load() == before; y++ {
					runtime.Gosched()
				}
				if err := st.ifs.Detach(bg(), l, id); err != nil {
					return err
				}
				goneBy[k].Store(w)
			}
			return nil
		})
	}
	for g := range uint64(2) {
		senders.Go(func() error {
			rng := rand.New(rand.NewPCG(g, 1))
			pick := func() ifnet.ID {
				w := ids[rng.IntN(slots)].Load()
				return ifnet.ID{Index: uint32(w >> 32), Gen: uint32(w)}
			}
			for !done.Load() {
				in, out := pick(), pick()
				runtime.Gosched()
				if in.IsZero() || out.IsZero() {
					continue
				}
				if i.Queue(1, st.packet(in, rng.Uint32(), 1)) != nil {
					refused.Add(1)
				}
				states.Add(1)
				if ty.Dispatch(st.packet(in, 0, 1), out, 1) != nil {
					states.Add(-1)
				}
			}
			return nil
		})
	}
	time.Sleep(d)
	done.Store(true)
	require.NoError(t, senders.Wait())
	require.NoError(t, owners.Wait())
	require.NoError(t, i.Close(soon(), st.l))
	st.endSend(q)
	require.Equal(t, states.Load(), ends.Load(), "each state has one end")
	require.NotZero(t, handled.Load())
	if runtime.GOMAXPROCS(0) > 1 {
		require.NotZero(t, refused.Load())
	}
	w := lawful(t, r)
	t.Logf("%d handled, %d departed, %d stale, %d refused", w.Handled, w.Departed, w.StaleIf, w.RefusedIf)
}

func TestScenario26_TheNextWithTheIndexGetsNothing(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true})
	var got []int
	r := st.register(i, netisr.Handler{Handle: diary(&got)})
	em0 := st.attach()
	require.NoError(t, i.Queue(1, st.packet(em0, 1, 1)))
	st.detach(em0)
	next := st.attach()
	require.Equal(t, em0.Index, next.Index)
	require.ErrorIs(t, i.Queue(1, st.packet(em0, 1, 2)), netisr.ErrIfDeparted)
	i.RunUntilIdle()
	require.Empty(t, got)
	require.EqualValues(t, 1, lawful(t, r).Departed)
	st.end(i, 2, r)
}

// What is saved may itself refer to the interface: it is dropped before references are waited for.
func TestScenario27_SavedStateMayHoldTheInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		q := st.sendQueue(netisr.SendConfig{Manual: true})
		em0 := st.attach()
		holder := st.dom.Bind()
		ty := register(t, q, netisr.Spec[*psref.Ref]{
			Handle: func(*netisr.Ctx, *mbuf.Packet, *psref.Ref) { t.Error("handled") },
			Free:   func(ref *psref.Ref, _ mbuf.Reason) { ref.Release(holder); holder.Unbind() },
		})
		var ref psref.Ref
		_, ok := st.ifs.Get(holder, &ref, em0)
		require.True(t, ok)
		require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), em0, &ref))
		st.detach(em0)
		sent(t, ty, 1)
		st.endSend(q)
	})
}

func TestScenario28_APurgeKeepsTheOrderOfTheRest(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true})
	var got []int
	r := st.register(i, netisr.Handler{Handle: diary(&got)})
	x, y := st.attach(), st.attach()
	var want []int
	for n := range 50 {
		id := x
		if n%2 == 1 {
			id = y
			want = append(want, n)
		}
		require.NoError(t, i.Queue(1, st.packet(id, 1, n)))
	}
	i.Step() // so that some are in the hand
	i.Step()
	st.detach(x)
	i.RunUntilIdle()
	require.Equal(t, append([]int{0}, want...), got)
	st.end(i, 50, r)
}

func TestScenario29_DropEitherAndDropOut(t *testing.T) {
	st := newStack(t)
	q := st.sendQueue(netisr.SendConfig{Manual: true})
	x, y := st.attach(), st.attach()
	var got []string
	spec := netisr.Spec[string]{Handle: func(c *netisr.Ctx, m *mbuf.Packet, s string) {
		require.Nil(t, c.In)
		got = append(got, fmt.Sprintf("%s in %v out %v", s, m.In, c.Out.ID()))
		m.Free(mbuf.Done)
	}}
	either := register(t, q, spec)
	spec.Depart = netisr.DropOut
	out := register(t, q, spec)
	for s, ty := range map[string]*netisr.Type[string]{"either": either, "out": out} {
		require.NoError(t, ty.Dispatch(st.packet(x, 0, 1), y, s))
	}
	st.detach(x)
	require.ErrorIs(t, either.Dispatch(st.packet(x, 0, 1), y, "late either"), netisr.ErrIfDeparted)
	require.NoError(t, out.Dispatch(st.packet(x, 0, 1), y, "late out"))
	require.ErrorIs(t, out.Dispatch(st.packet(y, 0, 1), x, "by x"), netisr.ErrIfDeparted)
	q.RunUntilIdle()
	require.Equal(t, []string{"out in none out 2.1", "late out in none out 2.1"}, got)
	require.EqualValues(t, 1, sent(t, either, 2).Departed)
	require.EqualValues(t, 2, sent(t, out, 3).Handled, "each call is counted once")
	st.endSend(q)
}

// Purge and Barrier wait neither for another interface's backlog nor for its handler. (Detach does,
// for the handler that runs: it waits until every softint has passed a checkpoint.)
func TestScenario30_ABacklogForAnotherIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		i := st.isr(netisr.Config{})
		var handled atomic.Int64
		r := st.register(i, netisr.Handler{QLimit: netisr.MaxQLimit, Handle: func(_ *netisr.Ctx, m *mbuf.Packet) {
			time.Sleep(time.Millisecond) // slow, though it may not be
			handled.Add(1)
			m.Free(mbuf.Done)
		}})
		x, y := st.attach(), st.attach()
		backlog := netisr.MaxQLimit - 1
		if witness.Enabled {
			backlog = 500 // books take their time
		}
		for n := range backlog {
			require.NoError(t, i.Queue(1, st.packet(y, 1, n)))
		}
		require.NoError(t, i.Queue(1, st.packet(x, 1, 1)))
		time.Sleep(500 * time.Microsecond)
		start := time.Now()
		st.detach(x)
		require.LessOrEqual(t, time.Since(start), 2*time.Millisecond)
		require.Less(t, handled.Load(), int64(10))
		require.EqualValues(t, 1, lawful(t, r).Departed)
		ended, cancel := context.WithCancel(bg())
		cancel()
		_ = i.Close(ended, st.l)
		st.end(i, backlog+1, r)
	})
}

func TestScenario31_AHandlerThatDoesNotReturnIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		st := newStack(t, ifnet.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), ifnet.WithWatchAfter(20*time.Millisecond))
		q := st.sendQueue(netisr.SendConfig{Streams: 1})
		gate := make(chan bool)
		ty := register(t, q, netisr.Spec[int]{Handle: func(_ *netisr.Ctx, m *mbuf.Packet, _ int) { <-gate; m.Free(mbuf.Done) }})
		x := st.attach()
		require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, 0))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(bg(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, st.ifs.Detach(ctx, st.l, x), context.DeadlineExceeded)
		require.Equal(t, 2, bytes.Count(log.Bytes(), []byte("detach is stuck")))
		require.Contains(t, log.String(), "interface=em1 id=1.1")
		close(gate)
		st.detach(x)
		sent(t, ty, 1)
		st.endSend(q)
	})
}

func TestScenario32_TwoDetachOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, wait := range []bool{false, true} {
			st := newStack(t)
			x := st.attach()
			holder := st.dom.Bind()
			var ref psref.Ref
			st.ifs.Get(holder, &ref, x)
			errs := make(chan error, 2)
			for range 2 {
				go func() {
					l := st.dom.Bind()
					defer l.Unbind()
					f := st.ifs.Detach
					if wait {
						f = st.ifs.DetachWait
					}
					errs <- f(soon(), l, x)
				}()
			}
			synctest.Wait()
			ref.Release(holder)
			a, b := <-errs, <-errs
			if wait {
				require.NoError(t, a)
				require.NoError(t, b)
			} else {
				require.ErrorIs(t, a, ifnet.ErrDetaching)
				require.NoError(t, b)
			}
		}
	})
}

// A leaving hook detaches what is stacked on the interface, and says goodbye by it: the goodbye is
// sent if Detach is asked to flush, and counted as departed if not.
func TestScenario33_AGoodbyeIsSentWithFlush(t *testing.T) {
	for _, flush := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			st := newStack(t)
			q := st.sendQueue(netisr.SendConfig{Streams: 1})
			goodbyes := 0
			ty := register(t, q, netisr.Spec[int]{Handle: func(_ *netisr.Ctx, m *mbuf.Packet, _ int) { goodbyes++; m.Free(mbuf.Done) }})
			x, child := st.attach(), st.attach()
			var departed []ifnet.ID
			st.ifs.OnEvent(func(ev ifnet.Event) {
				if ev.Kind == ifnet.Departed {
					departed = append(departed, ev.ID)
				}
			})
			// The queue has something to do, so that the goodbye waits.
			busy := register(t, q, netisr.Spec[int]{NoOut: true, Handle: func(_ *netisr.Ctx, m *mbuf.Packet, _ int) { time.Sleep(time.Millisecond); m.Free(mbuf.Done) }})
			_, err := st.ifs.OnLeaving(x, func(ctx context.Context, l *lwp.LWP, ifp *ifnet.Interface) {
				require.NoError(t, st.ifs.Detach(ctx, l, child))
				require.NoError(t, busy.Dispatch(st.packet(ifnet.ID{}, 0, 1), ifnet.ID{}, 0))
				require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), ifp.ID(), 0))
			})
			require.NoError(t, err)
			var opts []ifnet.DetachOption
			if flush {
				opts = append(opts, ifnet.WithFlush(time.Second))
			}
			synctest.Wait() // the worker sleeps
			require.NoError(t, st.ifs.Detach(soon(), st.l, x, opts...))
			require.Equal(t, []ifnet.ID{child, x}, departed)
			s := sent(t, ty, 1)
			if flush {
				require.Equal(t, 1, goodbyes)
			} else {
				require.Zero(t, goodbyes)
				require.EqualValues(t, 1, s.Departed+s.StaleIf, "%+v", s) // taken out, or its turn came when x had gone
			}
			st.endSend(q)
		})
	}
}

// Scenario 34, hooks that cancel themselves and each other, is ifnet's own:
// TestOnLeaving_HooksMayDoAnything there.

func TestScenario35_DownDropsAndRefuses(t *testing.T) {
	st := newStack(t)
	q := st.sendQueue(netisr.SendConfig{Manual: true})
	x := st.attach()
	var freed []mbuf.Reason
	spec := netisr.Spec[int]{
		Handle: func(c *netisr.Ctx, m *mbuf.Packet, _ int) { m.Free(mbuf.Done) },
		Free:   func(_ int, why mbuf.Reason) { freed = append(freed, why) },
	}
	drop := register(t, q, spec)
	spec.WhenDown = netisr.IgnoreDown
	ignore := register(t, q, spec)
	for _, ty := range []*netisr.Type[int]{drop, ignore} {
		require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, 0))
	}
	require.NoError(t, st.ifs.Down(x))
	require.Equal(t, []mbuf.Reason{mbuf.IfDown}, freed)
	require.ErrorIs(t, drop.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, 0), netisr.ErrIfDown)
	require.NoError(t, ignore.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, 0))
	require.NoError(t, st.ifs.Up(x))
	require.NoError(t, drop.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, 0), "the same ID")
	q.RunUntilIdle()
	require.Equal(t, netisr.SendStats{Queued: 2, Handled: 1, Down: 1, RefusedDown: 1, Watermark: 1}, sent(t, drop, 3))
	require.EqualValues(t, 2, sent(t, ignore, 2).Handled)
	st.endSend(q)
}

func TestScenario36_OnAnErrorTheStateIsTheCallers(t *testing.T) {
	st := newStack(t)
	q := st.sendQueue(netisr.SendConfig{Manual: true})
	x := st.attach()
	freed := 0
	ty := register(t, q, netisr.Spec[*int]{QLimit: 1,
		Handle: func(c *netisr.Ctx, m *mbuf.Packet, _ *int) { m.Free(mbuf.Done) },
		Free:   func(*int, mbuf.Reason) { freed++ },
	})
	state := 7
	require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, &state))
	require.Equal(t, 1.0, ty.Pressure())
	require.ErrorIs(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, &state), netisr.ErrNoBufs)
	require.Equal(t, 1, st.pool.Outstanding(), "the packet is freed")
	require.ErrorIs(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), ifnet.ID{}, &state), netisr.ErrInvalid)
	require.Zero(t, freed)
	require.Equal(t, 7, state)
	q.RunUntilIdle()
	require.NoError(t, ty.Unregister(soon(), st.l))
	require.ErrorIs(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, &state), netisr.ErrNoProto)
	require.ErrorIs(t, ty.Unregister(soon(), st.l), netisr.ErrNotRegistered)
	st.endSend(q)
	_, err := netisr.Register(q, netisr.Spec[int]{Name: "late", Handle: func(*netisr.Ctx, *mbuf.Packet, int) {}})
	require.ErrorIs(t, err, netisr.ErrClosed)
	require.Zero(t, freed)
}

func TestScenario37_AHandlerMayUseTheReserveAndNotForEver(t *testing.T) {
	st := newStack(t)
	q := st.sendQueue(netisr.SendConfig{Manual: true, Streams: 1})
	x := st.attach()
	var ty *netisr.Type[int]
	var errs []error
	ty = register(t, q, netisr.Spec[int]{QLimit: 4, Reserve: 2, Handle: func(c *netisr.Ctx, m *mbuf.Packet, n int) {
		require.Less(t, len(errs), 20, "it goes on for ever")
		errs = append(errs, ty.DispatchCtx(c, m, x, n))
	}})
	handled := 0
	ty2 := register(t, q, netisr.Spec[int]{QLimit: 4, Reserve: 2, Handle: func(c *netisr.Ctx, m *mbuf.Packet, _ int) { handled++; m.Free(mbuf.Done) }})
	first := register(t, q, netisr.Spec[int]{Handle: func(c *netisr.Ctx, m *mbuf.Packet, _ int) {
		for ty2.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, 0) == nil { // from outside, until it is full
		}
		for k := range 3 {
			err := ty2.DispatchCtx(c, st.packet(ifnet.ID{}, 0, 1), x, 0)
			if k < 2 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, netisr.ErrNoBufs)
			}
		}
		m.Free(mbuf.Done)
	}})
	require.NoError(t, first.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, 0))
	q.RunUntilIdle()
	require.Equal(t, 6, handled)
	require.EqualValues(t, 2, sent(t, ty2, 8).QDrops)

	require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, 1))
	q.RunUntilIdle()
	require.Len(t, errs, 9)
	for k, err := range errs {
		if k < 8 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, netisr.ErrLoop)
		}
	}
	require.EqualValues(t, 1, sent(t, ty, 10).Loops)
	st.endSend(q)
}

func TestScenario38_TheLeastUrgentIsServedToo(t *testing.T) {
	st := newStack(t)
	q := st.sendQueue(netisr.SendConfig{Manual: true, Streams: 1})
	x := st.attach()
	var got []string
	of := func(name string, p netisr.Prio) *netisr.Type[int] {
		return register(t, q, netisr.Spec[int]{Name: name, Prio: p, Handle: func(_ *netisr.Ctx, m *mbuf.Packet, n int) {
			got = append(got, fmt.Sprint(name, n))
			m.Free(mbuf.Done)
		}})
	}
	control, normal, bulk, bulk2 := of("c", netisr.Control), of("n", netisr.Normal), of("b", netisr.Bulk), of("B", netisr.Bulk)
	send := func(ty *netisr.Type[int], n int) { require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, n)) }
	send(bulk, 0)
	for n := range 100 {
		send(control, n)
	}
	q.RunUntilIdle()
	require.Equal(t, "b0", got[16], "%v", got[:20])
	got = nil
	send(bulk, 0)
	for n := range 10 {
		send(control, n)
	}
	q.Step() // a hand of ten
	for n := range 100 {
		send(control, n)
	}
	q.RunUntilIdle()
	require.Equal(t, "b0", got[16], "%v", got[:20])
	got = nil
	for n := range 60 {
		send(control, n)
	}
	q.Step()
	send(bulk, 0) // comes when the hand is full
	q.RunUntilIdle()
	require.LessOrEqual(t, slices.Index(got, "b0"), 17)
	got = nil
	for n := range 3 {
		send(bulk, n)
		send(bulk2, n)
	}
	q.RunUntilIdle()
	require.Equal(t, []string{"b0", "B0", "b1", "B1", "b2", "B2"}, got, "first come, first served across types")
	got = nil
	for n := range 40 {
		send(bulk, n)
	}
	q.Step()
	send(normal, 0) // goes before what is in the hand already
	send(control, 0)
	q.RunUntilIdle()
	require.Equal(t, []string{"b0", "c0", "n0", "b1"}, got[:4])
	require.Len(t, got, 42)
	// A flood of two priorities leaves the third its turn.
	got = nil
	send(bulk, 0)
	for n := range 100 {
		send(control, n)
		send(normal, n)
	}
	q.RunUntilIdle()
	at := map[string]int{}
	for k, s := range got {
		at[s] = k
	}
	require.LessOrEqual(t, at["b0"], 17)
	require.LessOrEqual(t, at["n0"], 18)
	for ty, n := range map[*netisr.Type[int]]int{control: 371, normal: 101, bulk: 47, bulk2: 3} {
		require.EqualValues(t, n, sent(t, ty, n).Handled, "each has what it handled")
	}
	st.endSend(q)
}

// What waits for the same interface with the same key is replaced; the old state is freed by the
// worker, not by who dispatched.
func TestDispatch_SupersedesTheSameKey(t *testing.T) {
	st := newStack(t)
	q := st.sendQueue(netisr.SendConfig{Manual: true, Streams: 1})
	x, y := st.attach(), st.attach()
	var got, freed []string
	ty := register(t, q, netisr.Spec[string]{QLimit: 4,
		Handle: func(c *netisr.Ctx, m *mbuf.Packet, s string) { got = append(got, s); m.Free(mbuf.Done) },
		Free:   func(s string, why mbuf.Reason) { freed = append(freed, s+": "+why.String()) },
		Key:    func(_ *mbuf.Packet, s string) any { return s[0] },
	})
	for _, s := range []string{"a1", "b1", "a2"} {
		require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, s))
	}
	require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), y, "a3"), "another interface's")
	require.Empty(t, freed)
	require.ErrorIs(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, "c1"), netisr.ErrNoBufs, "what was replaced counts until it is freed")
	q.RunUntilIdle()
	require.Equal(t, []string{"a2", "b1", "a3"}, got)
	require.Equal(t, []string{"a1: superseded"}, freed)
	require.Equal(t, netisr.SendStats{Queued: 4, Handled: 3, Superseded: 1, QDrops: 1, Watermark: 4}, sent(t, ty, 5))
	// What was replaced goes with its interface, too.
	freed = nil
	for _, s := range []string{"a1", "a2"} {
		require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, s))
	}
	st.detach(x)
	require.ElementsMatch(t, []string{"a1: superseded", "a2: interface departed"}, freed)
	require.Zero(t, st.pool.Outstanding())
	st.endSend(q)
}

// A type without interfaces, and types placed by flow.
func TestDispatch_ByNoInterfaceAndByFlow(t *testing.T) {
	st := newStack(t)
	q := st.sendQueue(netisr.SendConfig{Manual: true, Streams: 4})
	streams := map[int]bool{}
	spec := netisr.Spec[int]{NoOut: true, Handle: func(c *netisr.Ctx, m *mbuf.Packet, _ int) {
		require.Nil(t, c.Out)
		streams[c.Stream] = true
		m.Free(mbuf.Done)
	}}
	rtmsg := register(t, q, spec)
	spec.Place = netisr.ByFlow
	flows := register(t, q, spec)
	for f := range uint32(8) {
		require.NoError(t, rtmsg.Dispatch(st.packet(ifnet.ID{}, f, 1), ifnet.ID{}, 0))
	}
	q.RunUntilIdle()
	require.Equal(t, map[int]bool{0: true}, streams)
	for f := range uint32(8) {
		require.NoError(t, flows.Dispatch(st.packet(ifnet.ID{}, f, 1), ifnet.ID{}, 0))
	}
	q.RunUntilIdle()
	require.Len(t, streams, 4)
	st.endSend(q)
}

func TestRegister_SaysWhichFieldOfASpecIsWrong(t *testing.T) {
	st := newStack(t)
	q := st.sendQueue(netisr.SendConfig{Manual: true})
	for field, s := range map[string]netisr.Spec[int]{
		"Name": {Handle: func(*netisr.Ctx, *mbuf.Packet, int) {}}, "Handle": {Name: "x"}, "QLimit": {Name: "x", QLimit: -1},
		"Reserve": {Name: "x", Reserve: -1}, "MaxHops": {Name: "x", MaxHops: -1}, "Prio": {Name: "x", Prio: 4, Handle: func(*netisr.Ctx, *mbuf.Packet, int) {}},
		"Depart":   {Name: "x", Depart: 2, Handle: func(*netisr.Ctx, *mbuf.Packet, int) {}},
		"WhenDown": {Name: "x", WhenDown: 2, Handle: func(*netisr.Ctx, *mbuf.Packet, int) {}},
		"Place":    {Name: "x", Place: 2, Handle: func(*netisr.Ctx, *mbuf.Packet, int) {}},
	} {
		_, err := netisr.Register(q, s)
		var re *netisr.RegError
		require.ErrorAs(t, err, &re)
		require.Equal(t, field, re.Field)
	}
	st.endSend(q)
}

// A Close that will not wait gives back every state, once.
func TestSendQueue_CloseThatWillNotWaitDiscards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		q := st.sendQueue(netisr.SendConfig{Streams: 1})
		x := st.attach()
		var freed [5]atomic.Int32
		ty := register(t, q, netisr.Spec[int]{
			Handle: func(_ *netisr.Ctx, m *mbuf.Packet, n int) {
				time.Sleep(time.Second)
				freed[n].Add(1)
				m.Free(mbuf.Done)
			},
			Free: func(n int, why mbuf.Reason) {
				require.Equal(t, mbuf.Shutdown, why)
				freed[n].Add(1)
			},
		})
		for n := range 5 {
			require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, n))
		}
		synctest.Wait()
		ended, cancel := context.WithCancel(bg())
		cancel()
		require.ErrorIs(t, q.Close(ended, st.l), context.Canceled)
		st.endSend(q)
		for n := range freed {
			require.EqualValues(t, 1, freed[n].Load(), "state %d", n)
		}
		s := st.dom.BindSoftint("s")
		require.ErrorIs(t, q.Close(bg(), s), netisr.ErrWouldDeadlock)
		require.ErrorIs(t, q.Flush(bg(), s), netisr.ErrWouldDeadlock)
		require.ErrorIs(t, ty.Unregister(bg(), s), netisr.ErrWouldDeadlock)
		s.Unbind()
	})
}

// Source selection wants the entry locked, output wants it unlocked (S2): decided under the lock,
// done under none, so the output path may lock any entry, that one too, and nothing is looked at
// again. Sending at once would wait for the lock that the caller has.
func TestSeedS2_OutputMayLockTheEntryThatWasLockedToDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		q := st.sendQueue(netisr.SendConfig{Streams: 1})
		x := st.attach()
		var entry sync.Mutex
		src := netip.MustParseAddr("fe80::1") // guarded by entry
		var sentFrom []netip.Addr
		output := func(chosen netip.Addr) bool {
			if !entry.TryLock() { // ip6_output resolves the next hop: the same entry
				return false
			}
			defer entry.Unlock()
			sentFrom = append(sentFrom, chosen)
			return true
		}
		ty := register(t, q, netisr.Spec[netip.Addr]{Handle: func(_ *netisr.Ctx, m *mbuf.Packet, chosen netip.Addr) {
			entry.Lock()
			sentFrom = append(sentFrom, chosen)
			entry.Unlock()
			m.Free(mbuf.Done)
		}})
		entry.Lock()
		require.False(t, output(src), "the wrong design: it would wait for itself")
		require.NoError(t, ty.Dispatch(st.packet(ifnet.ID{}, 0, 1), x, src))
		src = netip.MustParseAddr("fe80::2") // the state changes on, under the lock
		entry.Unlock()
		require.NoError(t, q.Flush(soon(), st.l))
		require.Equal(t, []netip.Addr{netip.MustParseAddr("fe80::1")}, sentFrom, "what was decided")
		require.NotEqual(t, src, sentFrom[0], "though it is another by now")
		st.endSend(q)
	})
}

// An interface is destroyed while a route leads to it (S5): who sends by the route finds the
// interface whole, and it is waited for, or does not find it; never half of it.
func TestSeedS5_AnInterfaceUnderARouteIsWholeOrNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		x := st.attach()
		rt := rtable.New(st.dom)
		require.NoError(t, rt.Add(rtable.Route{Dst: netip.MustParsePrefix("10.0.0.0/8"), Out: x}))
		start := time.Now()
		send := func(hold time.Duration) (found bool) {
			l := st.dom.Bind()
			defer l.Unbind()
			var ref, ifref psref.Ref
			rte, err := rt.Get(l, &ref, netip.MustParseAddr("10.1.2.3"))
			require.NoError(t, err)
			out := rte.Route().Out
			ref.Release(l)
			ifp, ok := st.ifs.Get(l, &ifref, out)
			if !ok {
				return false
			}
			time.Sleep(hold)
			require.NotZero(t, ifp.MAC())
			require.NoError(t, ifp.Transmit(l, st.packet(ifnet.ID{}, 0, 1)))
			ifref.Release(l)
			return true
		}
		st.ifs.SetInput(func(m *mbuf.Packet) error { m.Free(mbuf.Done); return nil })
		go func() { require.True(t, send(time.Second), "it was there") }()
		synctest.Wait()
		go func() {
			time.Sleep(time.Millisecond)
			require.False(t, send(0), "it is going")
		}()
		st.detach(x)
		require.Equal(t, time.Second, time.Since(start))
		_, err := rt.Depart(x)
		require.NoError(t, err)
		require.NoError(t, rt.Close(bg()))
		require.Zero(t, st.pool.Outstanding())
	})
}

// Watch stands around each Handle and sees what it was given, also when it panics, and not what is dropped.
func TestSendQueue_WatchStandsAroundEveryHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		em0 := st.attach()
		var story []string
		q := st.sendQueue(netisr.SendConfig{Manual: true, Recovered: func(any) { story = append(story, "recovered") },
			Watch: func(c *netisr.Ctx, name string, m *mbuf.Packet) func() {
				l := c.LWP
				require.True(t, l.InSoftint())
				require.Equal(t, em0, c.Out.ID())
				story = append(story, fmt.Sprint("enter ", name, number(m)))
				return func() { story = append(story, "leave") }
			}})
		ty := register(t, q, netisr.Spec[int]{Name: "n", Handle: func(_ *netisr.Ctx, m *mbuf.Packet, bad int) {
			story = append(story, "handle")
			m.Free(mbuf.Done)
			if bad > 0 {
				panic("bad")
			}
		}})
		for i := range 2 {
			require.NoError(t, ty.Dispatch(st.packet(em0, 1, i), em0, i))
		}
		require.Equal(t, 2, q.RunUntilIdle())
		require.NoError(t, ty.Dispatch(st.packet(em0, 1, 7), em0, 0))
		require.NoError(t, st.ifs.Detach(soon(), st.l, em0))
		require.Equal(t, []string{"enter n0", "handle", "leave", "enter n1", "handle", "leave", "recovered"}, story)
		st.endSend(q)
	})
}

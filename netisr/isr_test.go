package netisr_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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
	"github.com/softnet-go/softnet/witness"
)

// The scenarios are those of the functional specification, by number: here what concerns input,
// in send_test.go what concerns sending and departure.

func TestScenario01_QueuedPacketsAreHandledInOrder(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true})
	var got []int
	r := st.register(i, netisr.Handler{Handle: diary(&got)})
	for n := range 3 {
		require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, n+1)))
	}
	require.Equal(t, 3, i.RunUntilIdle())
	require.Equal(t, []int{1, 2, 3}, got)
	w := r.Stats()[0]
	require.Equal(t, netisr.Work{Proto: 1, Name: "proto1", Queued: 3, Handled: 3, Watermark: 3}, w)
	st.end(i, 3, r)
}

func TestScenario02_TheLimitIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		i := st.isr(netisr.Config{Manual: true})
		var got []int
		r := st.register(i, netisr.Handler{Handle: diary(&got), QLimit: 4})
		for n := range 6 {
			err := i.Queue(1, st.packet(ifnet.ID{}, 1, n))
			if n < 4 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, netisr.ErrNoBufs)
			}
		}
		require.EqualValues(t, 2, r.Stats()[0].QDrops)
		require.EqualValues(t, 2, st.pool.Stats().Frees[mbuf.NoBufs])
		st.end(i, 6, r)

		gate := make(chan bool)
		i = st.isr(netisr.Config{})
		r = st.register(i, netisr.Handler{QLimit: 4, Handle: func(_ *netisr.Ctx, m *mbuf.Packet) { <-gate; m.Free(mbuf.Done) }})
		for n := range 20 {
			_ = i.Queue(1, st.packet(ifnet.ID{}, 1, n))
			synctest.Wait()
			w := r.Stats()[0]
			require.LessOrEqual(t, w.Len, 4)
			require.LessOrEqual(t, w.InHand, 1)
			if n%3 == 2 {
				gate <- true
			}
		}
		require.Equal(t, 4, r.Stats()[0].Watermark)
		close(gate)
		st.end(i, 20, r)
	})
}

func TestScenario03_DirectRunsInTheCaller(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Mode: netisr.ModeDirect, Streams: 4})
	em0 := st.attach()
	ran := 0
	r := st.register(i, netisr.Handler{
		M2Flow: func(m *mbuf.Packet, _ uint64) *mbuf.Packet { t.Error("asked for the flow"); return m },
		Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
			ran++
			require.Same(t, st.l, c.LWP)
			require.Equal(t, netisr.ModeDirect, c.Mode)
			require.Equal(t, em0, c.In.ID())
			require.Nil(t, c.Out)
			m.Free(mbuf.Done)
		},
	})
	m := st.packet(em0, 1, 1)
	m.Hash = mbuf.HashNone
	require.NoError(t, i.Dispatch(st.l, 1, m))
	require.Equal(t, 1, ran)
	s := lawful(t, r)
	require.Equal(t, []uint64{1, 1, 0}, []uint64{s.Dispatched, s.Handled, s.Queued})
	st.end(i, 1, r)
}

func TestScenario04_QueueIsDeferredWhateverTheMode(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Mode: netisr.ModeDirect})
	var got []int
	r := st.register(i, netisr.Handler{Handle: diary(&got)})
	require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 1)))
	require.Empty(t, got)
	require.NoError(t, i.Dispatch(st.l, 1, st.packet(ifnet.ID{}, 1, 2)))
	i.RunUntilIdle()
	require.Equal(t, []int{2, 1}, got, "direct overtakes what is queued")
	st.end(i, 2, r)
}

func TestScenario05_HybridBorrowsAnIdleStream(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Mode: netisr.ModeHybrid})
	var got []int
	depth := 0
	r := st.register(i, netisr.Handler{Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
		depth++
		require.Equal(t, 1, depth, "no recursion")
		got = append(got, number(m))
		if number(m) == 1 {
			require.Equal(t, netisr.ModeHybrid, c.Mode)
			require.NoError(t, i.Dispatch(c.LWP, 1, st.packet(ifnet.ID{}, 1, 2)))
			got = append(got, 0)
		}
		m.Free(mbuf.Done)
		depth--
	}})
	require.NoError(t, i.Dispatch(st.l, 1, st.packet(ifnet.ID{}, 1, 1)))
	require.Equal(t, []int{1, 0}, got)
	require.Equal(t, 1, i.RunUntilIdle())
	require.Equal(t, []int{1, 0, 2}, got)
	s := lawful(t, r)
	require.EqualValues(t, 1, s.HybridDispatched)
	require.EqualValues(t, 1, s.Queued)
	st.end(i, 2, r)
}

func TestScenario06_HybridQueuesBehindWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		i := st.isr(netisr.Config{Mode: netisr.ModeHybrid})
		gate := make(chan bool)
		var got []int
		r := st.register(i, netisr.Handler{Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
			<-gate
			got = append(got, number(m))
			m.Free(mbuf.Done)
		}})
		dispatch := func(n int) {
			go func() {
				l := st.dom.Bind()
				defer l.Unbind()
				require.NoError(t, i.Dispatch(l, 1, st.packet(ifnet.ID{}, 1, n)))
			}()
			synctest.Wait()
		}
		require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 1))) // the worker has it
		synctest.Wait()
		dispatch(2)
		s := lawful(t, r)
		require.Equal(t, 1, s.InHand)
		require.Equal(t, 1, s.Len)
		gate <- true
		gate <- true
		synctest.Wait()
		dispatch(3) // borrows
		dispatch(4) // is queued behind
		s = lawful(t, r)
		require.Equal(t, 1, s.Len)
		require.Zero(t, s.InHand)
		close(gate)
		synctest.Wait()
		require.Equal(t, []int{1, 2, 3, 4}, got)
		require.EqualValues(t, 1, lawful(t, r).HybridDispatched)
		st.end(i, 4, r)
	})
}

func TestScenario07_StrictHybridWantsTheCPU(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Mode: netisr.ModeHybrid, StrictHybrid: true, Streams: 4})
	var got []int
	r := st.register(i, netisr.Handler{Handle: diary(&got)})
	require.NoError(t, i.On(1).Dispatch(st.l, 1, st.packet(ifnet.ID{}, 2, 1)))
	require.Empty(t, got, "another CPU's")
	i.RunUntilIdle()
	require.NoError(t, i.Dispatch(st.l, 1, st.packet(ifnet.ID{}, 2, 2)))
	require.Equal(t, []int{1}, got, "nobody's")
	i.RunUntilIdle()
	require.NoError(t, i.On(2).Dispatch(st.l, 1, st.packet(ifnet.ID{}, 2, 3)))
	require.Equal(t, []int{1, 2, 3}, got)
	require.NoError(t, i.On(6).DispatchSrc(st.l, 1, 0, st.packet(ifnet.ID{}, 2, 4)), "a number counts as its remainder")
	require.Equal(t, []int{1, 2, 3, 4}, got)
	st.end(i, 4, r)
}

// Eight producers, four streams: each flow in order, each stream one handler at a time.
func TestScenario08_FlowsKeepTheirOrder(t *testing.T) {
	st := newStack(t)
	const producers, streams = 8, 4
	each := 2000
	if witness.Enabled {
		each = 200 // books take their time
	}
	i := st.isr(netisr.Config{Streams: streams})
	var busy [streams]atomic.Int32
	var last [producers]int
	r := st.register(i, netisr.Handler{QLimit: netisr.MaxQLimit, Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
		if busy[c.Stream].Add(1) != 1 {
			t.Error("two handlers in one stream")
		}
		if n := number(m); n != last[m.FlowID]+1 {
			t.Errorf("flow %d: %d after %d", m.FlowID, n, last[m.FlowID])
		}
		last[m.FlowID] = number(m)
		busy[c.Stream].Add(-1)
		m.Free(mbuf.Done)
	}})
	var g errgroup.Group
	for f := range uint32(producers) {
		g.Go(func() error {
			for n := range each {
				if err := i.Queue(1, st.packet(ifnet.ID{}, f, n+1)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	require.NoError(t, i.Flush(bg(), st.l))
	for _, n := range last {
		require.Equal(t, each, n)
	}
	st.end(i, producers*each, r)
}

func TestScenario09_SourceIgnoresFlows(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Streams: 4})
	em0 := st.attach()
	streams := map[uint64]map[int]bool{}
	source := uint64(0)
	r := st.register(i, netisr.Handler{Policy: netisr.PolicySource, Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
		if streams[source] == nil {
			streams[source] = map[int]bool{}
		}
		streams[source][c.Stream] = true
		m.Free(mbuf.Done)
	}})
	all := map[int]bool{}
	for source = range 8 {
		for flow := range uint32(5) {
			require.NoError(t, i.QueueSrc(1, source, st.packet(em0, flow, 0)))
			i.RunUntilIdle()
		}
		require.Len(t, streams[source], 1, "one source, one stream")
		for s := range streams[source] {
			all[s] = true
		}
	}
	require.Len(t, all, 4, "sources spread")
	st.end(i, 40, r)
}

func TestScenario10_AFlowThatIsNamedSometimesIsSplit(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Streams: 4})
	em0 := st.attach() // index 1
	got := map[int][]int{}
	r := st.register(i, netisr.Handler{Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
		got[c.Stream] = append(got[c.Stream], number(m))
		m.Free(mbuf.Done)
	}})
	for n := range 6 {
		m := st.packet(em0, 3, n)
		if n%2 == 1 {
			m.Hash = mbuf.HashNone
		}
		require.NoError(t, i.Queue(1, m))
	}
	i.RunUntilIdle()
	require.Equal(t, map[int][]int{3: {0, 2, 4}, 1: {1, 3, 5}}, got, "each class in its order")
	st.end(i, 6, r)
}

func TestScenario11_ASteeringThatConsumesIsASteerDrop(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Streams: 2})
	r := st.register(i, netisr.Handler{Handle: diary(new([]int)), M2Flow: func(m *mbuf.Packet, _ uint64) *mbuf.Packet {
		m.Free(mbuf.Steer)
		return nil
	}})
	m := st.packet(ifnet.ID{}, 0, 1)
	m.Hash = mbuf.HashNone
	require.ErrorIs(t, i.Queue(1, m), netisr.ErrNoBufs)
	s := lawful(t, r)
	require.EqualValues(t, 1, s.SteerDrops)
	require.Zero(t, s.QDrops)
	st.end(i, 1, r)
}

func TestScenario12_ACPUCountsAsItsRemainder(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Streams: 4})
	em0 := st.attach() // index 1
	cpu, where := 0, -1
	r := st.register(i, netisr.Handler{Policy: netisr.PolicyCPU, Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
		where = c.Stream
		m.Free(mbuf.Done)
	}, M2CPU: func(m *mbuf.Packet, _ uint64) (*mbuf.Packet, int) {
		if cpu == 99 {
			m.Free(mbuf.Steer)
			return nil, 0
		}
		return m, cpu
	}})
	for in, want := range map[int]int{4 + 2: 2, 3: 3, netisr.CPUNone: 1} {
		cpu = in
		require.NoError(t, i.Queue(1, st.packet(em0, 0, 1)))
		i.RunUntilIdle()
		require.Equal(t, want, where, "M2CPU says %d", in)
	}
	cpu = 99
	require.ErrorIs(t, i.Queue(1, st.packet(em0, 0, 1)), netisr.ErrNoBufs)
	cpu = netisr.CPUNone
	require.NoError(t, i.SetMode(netisr.ModeHybrid))
	require.NoError(t, i.On(2).Dispatch(st.l, 1, st.packet(em0, 0, 1)))
	require.Equal(t, 2, where, "no idea, and the caller has said which CPU it is")
	st.end(i, 5, r)
}

func TestScenario13_WithOneStreamNobodyIsAsked(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true})
	r1 := st.register(i, netisr.Handler{Proto: 1, Handle: diary(new([]int)), M2Flow: func(m *mbuf.Packet, _ uint64) *mbuf.Packet {
		t.Error("M2Flow was asked")
		return m
	}})
	r2 := st.register(i, netisr.Handler{Proto: 2, Policy: netisr.PolicyCPU, Handle: diary(new([]int)), M2CPU: func(m *mbuf.Packet, _ uint64) (*mbuf.Packet, int) {
		t.Error("M2CPU was asked")
		return m, 0
	}})
	for p := range netisr.Proto(2) {
		m := st.packet(ifnet.ID{}, 0, 1)
		m.Hash = mbuf.HashNone
		require.NoError(t, i.Queue(p+1, m))
	}
	st.end(i, 2, r1, r2)
}

func TestScenario14_RegisterSaysWhichFieldIsWrong(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true})
	handle := diary(new([]int))
	flow := func(m *mbuf.Packet, _ uint64) *mbuf.Packet { return m }
	cpu := func(m *mbuf.Packet, _ uint64) (*mbuf.Packet, int) { return m, 0 }
	good := netisr.Handler{Name: "ip", Proto: 1, Handle: handle, Policy: netisr.PolicySource}
	r, err := i.Register(good)
	require.NoError(t, err)
	for _, c := range []struct {
		field  string
		change func(h *netisr.Handler)
	}{
		{"Name", func(h *netisr.Handler) { h.Name = "" }},
		{"Name", func(h *netisr.Handler) { h.Name = strings.Repeat("x", 32) }},
		{"Name", func(h *netisr.Handler) { h.Name = "a b" }},
		{"Name", func(h *netisr.Handler) { h.Name = "a.b" }},
		{"Name", func(h *netisr.Handler) { h.Name = "ip" }},
		{"Proto", func(h *netisr.Handler) { h.Proto = 0 }},
		{"Proto", func(h *netisr.Handler) { h.Proto = 16 }},
		{"Proto", func(h *netisr.Handler) { h.Proto = 1 }},
		{"Handle", func(h *netisr.Handler) { h.Handle = nil }},
		{"Policy", func(h *netisr.Handler) { h.Policy = 0 }},
		{"Policy", func(h *netisr.Handler) { h.Policy = 4 }},
		{"Mode", func(h *netisr.Handler) { h.Mode = 4 }},
		{"M2Flow", func(h *netisr.Handler) { h.M2Flow = flow }},
		{"M2CPU", func(h *netisr.Handler) { h.M2CPU = cpu }},
		{"M2CPU", func(h *netisr.Handler) { h.Policy = netisr.PolicyCPU }},
		{"QLimit", func(h *netisr.Handler) { h.QLimit = -1 }},
	} {
		h := good
		h.Name, h.Proto = "arp", 2
		c.change(&h)
		_, err := i.Register(h)
		var re *netisr.RegError
		require.ErrorAs(t, err, &re)
		require.Equal(t, c.field, re.Field, "%v", err)
		require.ErrorIs(t, err, netisr.ErrInvalid)
	}
	require.Len(t, i.Snapshot().Protos, 1, "nothing has changed")
	st.end(i, 0, r)
	_, err = i.Register(good)
	require.ErrorIs(t, err, netisr.ErrClosed)
}

func TestScenario15_LimitsAreCappedAndChanged(t *testing.T) {
	st := newStack(t)
	var log bytes.Buffer
	i := st.isr(netisr.Config{Manual: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	var got []int
	r := st.register(i, netisr.Handler{Handle: diary(&got), QLimit: 20000})
	require.Equal(t, netisr.MaxQLimit, i.Snapshot().Protos[0].QLimit)
	require.Equal(t, 1, strings.Count(log.String(), "capped"))
	require.ErrorIs(t, r.SetQLimit(netisr.MaxQLimit+1), netisr.ErrInvalid)
	require.ErrorIs(t, r.SetQLimit(-1), netisr.ErrInvalid)
	for n := range 10 {
		require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, n)))
	}
	require.NoError(t, r.SetQLimit(4))
	require.Equal(t, 10, r.Stats()[0].Len, "nothing is freed")
	require.ErrorIs(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 10)), netisr.ErrNoBufs)
	for range 6 {
		i.Step()
	}
	require.ErrorIs(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 11)), netisr.ErrNoBufs)
	i.Step()
	require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 12)))
	require.NoError(t, r.SetQLimit(0))
	i.RunUntilIdle()
	require.ErrorIs(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 13)), netisr.ErrNoBufs)
	require.NoError(t, i.SetMode(netisr.ModeHybrid))
	require.ErrorIs(t, i.Dispatch(st.l, 1, st.packet(ifnet.ID{}, 1, 14)), netisr.ErrNoBufs, "0 refuses all")
	require.ErrorIs(t, i.SetMode(netisr.ModeDefault), netisr.ErrInvalid)
	require.ErrorIs(t, i.SetMode(4), netisr.ErrInvalid)
	st.end(i, 15, r)
}

// A protocol that refills itself for ever leaves the others their turn in each pass.
func TestScenario16_NoProtocolStarvesAnother(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true})
	var order []int
	refills := 0
	r2 := st.register(i, netisr.Handler{Proto: 2, QLimit: 1000, Handle: func(_ *netisr.Ctx, m *mbuf.Packet) {
		order = append(order, 2)
		m.Free(mbuf.Done)
		if refills < 100 {
			refills++
			require.NoError(t, i.Queue(2, st.packet(ifnet.ID{}, 1, 0)))
		}
	}})
	r9 := st.register(i, netisr.Handler{Proto: 9, Handle: func(_ *netisr.Ctx, m *mbuf.Packet) {
		order = append(order, 9)
		m.Free(mbuf.Done)
	}})
	for range 3 {
		require.NoError(t, i.Queue(2, st.packet(ifnet.ID{}, 1, 0)))
		require.NoError(t, i.Queue(9, st.packet(ifnet.ID{}, 1, 0)))
	}
	i.RunUntilIdle()
	require.Equal(t, []int{2, 2, 2, 9, 9, 9, 2, 2, 2}, order[:9])
	st.end(i, 106, r2, r9)
}

func TestScenario17_UnregisterFreesWhatIsQueued(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true})
	frees := 0
	key := mbuf.NewTagKey("tag", mbuf.TagOptions[int]{Free: func(int) { frees++ }})
	r := st.register(i, netisr.Handler{Handle: diary(new([]int))})
	for n := range 5 {
		m := st.packet(ifnet.ID{}, 1, n)
		key.Set(m, n)
		require.NoError(t, i.Queue(1, m))
	}
	require.NoError(t, r.Unregister(soon(), st.l))
	require.Equal(t, 5, frees)
	require.Zero(t, st.pool.Outstanding())
	require.EqualValues(t, 5, lawful(t, r).Unregistered)
	require.False(t, i.Step(), "nothing is left to do")
	require.ErrorIs(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 0)), netisr.ErrNoProto)
	require.EqualValues(t, 1, i.Snapshot().Unknown)
	require.ErrorIs(t, r.Unregister(soon(), st.l), netisr.ErrNotRegistered)
	<-r.Done()
	st.end(i, 5, r)
}

func TestScenario18_UnregisterWaitsForTheHandler(t *testing.T) {
	for _, mode := range []netisr.DispatchMode{netisr.ModeDeferred, netisr.ModeHybrid, netisr.ModeDirect} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStack(t)
				i := st.isr(netisr.Config{Mode: mode})
				var r *netisr.Reg
				ended := false
				var self error
				r = st.register(i, netisr.Handler{Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
					self = r.Unregister(bg(), c.LWP)
					time.Sleep(time.Second)
					ended = true
					m.Free(mbuf.Done)
				}})
				go func() {
					l := st.dom.Bind()
					defer l.Unbind()
					require.NoError(t, i.Dispatch(l, 1, st.packet(ifnet.ID{}, 1, 1)))
				}()
				synctest.Wait()
				start := time.Now()
				short, cancel := context.WithTimeout(bg(), time.Millisecond)
				defer cancel()
				require.ErrorIs(t, r.Unregister(short, st.l), context.DeadlineExceeded)
				require.ErrorIs(t, i.Dispatch(st.l, 1, st.packet(ifnet.ID{}, 1, 2)), netisr.ErrNoProto)
				require.NoError(t, r.Unregister(soon(), st.l), "and goes on")
				require.True(t, ended)
				require.Equal(t, time.Second, time.Since(start))
				require.ErrorIs(t, self, netisr.ErrWouldDeadlock, "from the handler")
				st.end(i, 2, r)
			})
		})
	}
}

func TestScenario19_PacketsDoNotReachALaterRegistration(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true})
	r := st.register(i, netisr.Handler{Handle: diary(new([]int))})
	require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 1)))
	require.NoError(t, r.Unregister(soon(), st.l))
	var got []int
	next := st.register(i, netisr.Handler{Handle: diary(&got)})
	require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 2)))
	i.RunUntilIdle()
	require.Equal(t, []int{2}, got)
	require.EqualValues(t, 1, lawful(t, next).Queued, "fresh counters")
	st.end(i, 2, r, next)
}

func TestScenario20_DrainedIsToldOnceABatch(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Streams: 2})
	var told []int
	refill := true
	r := st.register(i, netisr.Handler{Handle: diary(new([]int)), Drained: func(stream int) {
		told = append(told, stream)
		if refill { // no lock is held
			refill = false
			require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 0)))
		}
	}})
	for range 150 { // more than a hand
		require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 0)))
	}
	require.Equal(t, 151, i.RunUntilIdle())
	require.Equal(t, []int{1, 1}, told)
	require.NoError(t, i.SetMode(netisr.ModeDirect))
	require.NoError(t, i.Dispatch(st.l, 1, st.packet(ifnet.ID{}, 1, 0)))
	require.Len(t, told, 2, "not for direct")
	st.end(i, 152, r)
}

// A handler with ModeDirect that dispatches to itself ends in the queue, not at the end of the stack.
func TestDispatch_NestedTooDeepIsQueued(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Mode: netisr.ModeDirect})
	deepest, n := 0, 0
	r := st.register(i, netisr.Handler{Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
		deepest = max(deepest, c.Depth)
		m.Free(mbuf.Done)
		if n++; n < 40 {
			require.NoError(t, i.Dispatch(c.LWP, 1, st.packet(ifnet.ID{}, 1, n)))
		}
	}})
	require.NoError(t, i.Dispatch(st.l, 1, st.packet(ifnet.ID{}, 1, 0)))
	require.Equal(t, netisr.MaxDepth, n)
	require.Equal(t, netisr.MaxDepth-1, deepest)
	i.RunUntilIdle()
	require.Equal(t, 40, n)
	require.EqualValues(t, 2, lawful(t, r).DepthDeferred)
	st.end(i, 40, r)
}

// With ModeDirect, too, a packet of an interface that has gone is refused, and one whose protocol
// nobody takes any more.
func TestDispatch_DirectRefusesWhatHasGone(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Mode: netisr.ModeDirect})
	var got []int
	r := st.register(i, netisr.Handler{Handle: diary(&got)})
	em0, em1 := st.attach(), st.attach()
	st.detach(em0)
	require.ErrorIs(t, i.Dispatch(st.l, 1, st.packet(em0, 1, 1)), netisr.ErrIfDeparted)
	m := st.packet(em1, 1, 2)
	m.Out = em0
	require.ErrorIs(t, i.Dispatch(st.l, 1, m), netisr.ErrIfDeparted)
	require.ErrorIs(t, i.Dispatch(st.l, 7, st.packet(em1, 1, 3)), netisr.ErrNoProto)
	require.ErrorIs(t, i.Dispatch(st.l, 200, st.packet(em1, 1, 3)), netisr.ErrNoProto)
	require.Empty(t, got)
	require.EqualValues(t, 2, i.Snapshot().Unknown)
	st.end(i, 2, r)
	require.ErrorIs(t, i.Dispatch(st.l, 1, st.packet(em1, 1, 4)), netisr.ErrNoProto)
}

func TestScenario39_APanicLeavesTheStreamWhole(t *testing.T) {
	for _, mode := range []netisr.DispatchMode{netisr.ModeDeferred, netisr.ModeHybrid, netisr.ModeDirect} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStack(t)
				em0 := st.attach()
				var recovered []any
				i := st.isr(netisr.Config{Mode: mode, Recovered: func(x any) { recovered = append(recovered, x) }})
				var got []int
				r := st.register(i, netisr.Handler{Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
					if number(m) == 1 {
						if mode == netisr.ModeDirect {
							m.Free(mbuf.Handler) // there nobody knows whose it is
						}
						panic("bad packet")
					}
					got = append(got, number(m))
					m.Free(mbuf.Done)
				}})
				for n := range 3 {
					require.NoError(t, i.Dispatch(st.l, 1, st.packet(em0, 1, n)))
				}
				require.NoError(t, i.Flush(soon(), st.l))
				require.Equal(t, []any{"bad packet"}, recovered)
				require.Equal(t, []int{0, 2}, got)
				require.EqualValues(t, 1, lawful(t, r).Panics)
				require.EqualValues(t, 3, lawful(t, r).Handled)
				require.EqualValues(t, 1, st.pool.Stats().Frees[mbuf.Handler])
				st.detach(em0) // no pin is left
				st.end(i, 3, r)
			})
		})
	}
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true})
	r := st.register(i, netisr.Handler{Handle: func(*netisr.Ctx, *mbuf.Packet) { panic("bad packet") }})
	require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 1)))
	require.PanicsWithValue(t, "bad packet", func() { i.Step() })
	st.end(i, 1, r)
}

func TestScenario40_CloseDrainsOrDiscards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		handler := func(_ *netisr.Ctx, m *mbuf.Packet) {
			time.Sleep(time.Second)
			m.Free(mbuf.Done)
		}
		i := st.isr(netisr.Config{})
		r := st.register(i, netisr.Handler{Handle: handler})
		for n := range 5 {
			require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, n)))
		}
		start := time.Now()
		require.NoError(t, i.Close(soon(), st.l))
		require.Equal(t, 5*time.Second, time.Since(start))
		require.EqualValues(t, 5, lawful(t, r).Handled)
		err := i.Queue(1, st.packet(ifnet.ID{}, 1, 9))
		require.True(t, errors.Is(err, netisr.ErrClosed) || errors.Is(err, netisr.ErrNoProto), "%v", err)
		st.end(i, 5, r)

		i = st.isr(netisr.Config{})
		r = st.register(i, netisr.Handler{Handle: handler})
		for n := range 5 {
			require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, n)))
		}
		synctest.Wait()
		ended, cancel := context.WithCancel(bg())
		cancel()
		require.ErrorIs(t, i.Close(ended, st.l), context.Canceled)
		require.EqualValues(t, 4, lawful(t, r).Discarded)
		require.ErrorIs(t, i.Queue(1, st.packet(ifnet.ID{}, 1, 9)), netisr.ErrClosed)
		st.end(i, 6, r)
		s := st.dom.BindSoftint("s")
		require.ErrorIs(t, i.Close(bg(), s), netisr.ErrWouldDeadlock)
		require.ErrorIs(t, i.Flush(bg(), s), lwp.ErrWouldSleep)
		s.Unbind()
	})
}

// A handler that returns and leaves its packet behind is named, and the packet freed.
func TestHandler_ThatForgetsItsPacketIsNamed(t *testing.T) {
	for _, mode := range []netisr.DispatchMode{netisr.ModeDeferred, netisr.ModeHybrid, netisr.ModeDirect} {
		st := newStack(t)
		var log bytes.Buffer
		i := st.isr(netisr.Config{Manual: true, Mode: mode, Log: slog.New(slog.NewTextHandler(&log, nil))})
		r := st.register(i, netisr.Handler{Name: "forgetful", Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
			if n := number(m); n > 0 { // passes the next one on, and forgets its own
				require.NoError(t, i.Dispatch(c.LWP, 1, st.packet(ifnet.ID{}, 1, n-1)))
			}
		}})
		require.NoError(t, i.Dispatch(st.l, 1, st.packet(ifnet.ID{}, 1, 2)))
		i.RunUntilIdle()
		require.EqualValues(t, 3, lawful(t, r).Leaked)
		require.EqualValues(t, 3, st.pool.Stats().Frees[mbuf.Handler])
		require.Contains(t, log.String(), "handler=forgetful")
		st.end(i, 3, r)
	}
}

// A Ctx that a handler keeps tells nothing afterwards.
func TestCtx_IsEmptyAfterwards(t *testing.T) {
	st := newStack(t)
	em0 := st.attach()
	i := st.isr(netisr.Config{Manual: true})
	var kept []*netisr.Ctx
	r := st.register(i, netisr.Handler{Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
		require.NotNil(t, c.In)
		kept = append(kept, c)
		m.Free(mbuf.Done)
	}})
	require.NoError(t, i.Queue(1, st.packet(em0, 1, 1)))
	i.Step()
	require.NoError(t, i.SetMode(netisr.ModeDirect))
	require.NoError(t, i.Dispatch(st.l, 1, st.packet(em0, 1, 1)))
	for _, c := range kept {
		require.Nil(t, c.In)
		require.Nil(t, c.LWP)
	}
	st.end(i, 2, r)
}

// The snapshot prints as netstat -Q does.
func TestSnapshot_PrintsAsNetstat(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Streams: 2})
	r := st.register(i, netisr.Handler{Name: "ip", Handle: diary(new([]int)), M2Flow: func(m *mbuf.Packet, _ uint64) *mbuf.Packet { return m }})
	arp := st.register(i, netisr.Handler{Name: "arp", Proto: 7, Policy: netisr.PolicySource, Mode: netisr.ModeDirect, QLimit: 50, Handle: diary(new([]int)), Drained: func(int) {}})
	for n := range 3 {
		require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, 1, n)))
	}
	i.Step()
	require.NoError(t, i.Dispatch(st.l, 7, st.packet(ifnet.ID{}, 1, 0)))
	require.Equal(t, `Configuration:
Setting                             Current      Limit
Thread count                              2          2
Default queue limit                     256      10240
Dispatch policy                    deferred        n/a
Threads bound to CPUs              disabled        n/a

Protocols:
Name             Proto QLimit Policy Dispatch Flags
ip                   1    256 flow   default  F-
arp                  7     50 source direct   -D

Workstreams:
WSID CPU Name               Len WMark   Disp'd  HDisp'd   QDrops   Queued  Handled
   0   0 ip                   0     0        0        0        0        0        0
   0   0 arp                  0     0        1        0        0        0        1
   1   1 ip                   2     3        0        0        0        3        1
   1   1 arp                  0     0        0        0        0        0        0
`, fmt.Sprint(i.Snapshot()))
	st.end(i, 4, r, arp)
}

// Workers that keep their OS threads do what the others do.
func TestBindThreads_HandlesAll(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{BindThreads: true, Streams: -1})
	var n atomic.Int32
	r := st.register(i, netisr.Handler{Handle: func(_ *netisr.Ctx, m *mbuf.Packet) { n.Add(1); m.Free(mbuf.Done) }})
	for k := range 100 {
		require.NoError(t, i.Queue(1, st.packet(ifnet.ID{}, uint32(k), k)))
	}
	require.NoError(t, i.Flush(soon(), st.l))
	require.EqualValues(t, 100, n.Load())
	st.end(i, 100, r)
}

package wqinput_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
	"github.com/softnet-go/softnet/wqinput"
)

// What a softint may not do, the handler of what it passes on does: it waits until every softint
// has passed a checkpoint, that one too.
func TestInput_ComesFromASoftintAndIsHandledByAThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		psz := pserialize.New(st.dom)
		em0 := st.attach()
		waited := false
		q := wqinput.New(st.ifs, "icmp", func(ctx context.Context, in *wqinput.Input) {
			require.Equal(t, em0, in.In.ID())
			require.Equal(t, 20, in.Off)
			require.EqualValues(t, 1, in.Proto)
			require.NoError(t, psz.Perform(ctx, in.LWP))
			waited = true
			in.Packet.Free(mbuf.Done)
		}, wqinput.WithStreams(1))
		softint := st.dom.BindSoftint("netisr")
		require.NoError(t, q.Input(st.packet(em0, 1, 0), 20, 1))
		softint.Unbind()
		require.NoError(t, q.Flush(bg()))
		require.True(t, waited)
		synctest.Wait() // the worker sleeps
		st.closed(q, 1)
	})
}

// The bound is exact: so many wait, and what is being handled does not count.
func TestInput_RefusesBeyondTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		gate := make(chan bool)
		q := wqinput.New(st.ifs, "icmp", func(_ context.Context, in *wqinput.Input) {
			<-gate
			in.Packet.Free(mbuf.Done)
		}, wqinput.WithStreams(1), wqinput.WithLimit(4))
		em0 := st.attach()
		require.NoError(t, q.Input(st.packet(em0, 1, 0), 0, 1))
		synctest.Wait() // it is in hand
		for i := range 6 {
			err := q.Input(st.packet(em0, 1, byte(i)), 0, 1)
			if i < 4 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, wqinput.ErrNoBufs)
			}
		}
		require.Equal(t, 5, st.pool.Outstanding(), "what is refused is freed")
		s := q.Stats()
		require.Equal(t, wqinput.Stats{Queued: 5, NoBufs: 2, Len: 4, InHand: 1, Watermark: 4}, s)
		lawful(t, q, 7)
		gate <- true // one is handled, the other four come into the hand, and still wait
		synctest.Wait()
		require.Equal(t, 3, q.Stats().Len)
		require.NoError(t, q.Input(st.packet(em0, 1, 9), 0, 1))
		require.ErrorIs(t, q.Input(st.packet(em0, 1, 9), 0, 1), wqinput.ErrNoBufs)
		close(gate)
		st.closed(q, 9)
		require.EqualValues(t, 3, st.pool.Stats().Frees[mbuf.NoBufs])
	})
}

// A flow's packets are handled in order and one at a time, however long each takes; the flows of
// another stream do not wait for them.
func TestInput_KeepsTheOrderOfAFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		const streams, flows, each = 3, 7, 20
		var mu witness.Mutex
		var got [flows][]byte
		var busy [flows]bool
		var first [flows]time.Duration
		start := time.Now()
		q := wqinput.New(st.ifs, "icmp", func(_ context.Context, in *wqinput.Input) {
			f := in.Packet.FlowID
			mu.Lock()
			require.False(t, busy[f], "two handlers for one flow")
			busy[f] = true
			if got[f] == nil {
				first[f] = time.Since(start)
			}
			got[f] = append(got[f], number(in.Packet))
			mu.Unlock()
			time.Sleep(time.Duration(number(in.Packet)*7%5) * time.Millisecond)
			mu.Lock()
			busy[f] = false
			mu.Unlock()
			in.Packet.Free(mbuf.Done)
		}, wqinput.WithStreams(streams))
		em0 := st.attach()
		for i := range each {
			for f := range uint32(flows) {
				require.NoError(t, q.Input(st.packet(em0, f, byte(i)), 0, 1))
			}
		}
		require.NoError(t, q.Flush(bg()))
		for f := range got {
			require.Len(t, got[f], each)
			for i := range got[f] {
				require.EqualValues(t, i, got[f][i])
			}
		}
		for f := range streams {
			require.Zero(t, first[f], "a flow waited for another stream's")
		}
		st.closed(q, flows*each)
	})
}

// What is no IP packet, and came without a flow, goes to the first stream; an IP packet is hashed.
func TestInput_FindsTheFlow(t *testing.T) {
	st := newStack(t)
	h := mbuf.NewHasher(5)
	q := wqinput.New(st.ifs, "icmp", done(func(byte) {}), wqinput.WithStreams(16), wqinput.WithManual(), wqinput.WithHasher(h))
	m, err := st.pool.From([]byte("no IP packet"))
	require.NoError(t, err)
	require.NoError(t, q.Input(m, 0, 1))
	require.Equal(t, 1, q.StreamStats()[0].Len)
	ip := make([]byte, 28)
	ip[0], ip[9] = 0x45, 1
	copy(ip[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	m, err = st.pool.From(ip)
	require.NoError(t, err)
	f, _, _ := mbuf.FlowOf(m)
	require.NoError(t, q.Input(m, 20, 1))
	require.NotZero(t, h.Flow(f)%16, "the test wants another stream than the first")
	require.Equal(t, 1, q.StreamStats()[h.Flow(f)%16].Len)
	st.closed(q, 2)
}

// The interface is whole while its packet is handled, and Detach waits for just that.
func TestDetach_WaitsForTheHandlerInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		em0 := st.attach()
		start := time.Now()
		handled := 0
		q := wqinput.New(st.ifs, "carp", func(_ context.Context, in *wqinput.Input) {
			time.Sleep(time.Second)
			require.Equal(t, em0, in.In.ID())
			handled++
			in.Packet.Free(mbuf.Done)
		}, wqinput.WithStreams(1))
		for i := range 5 {
			require.NoError(t, q.Input(st.packet(em0, 1, byte(i)), 0, 1))
		}
		synctest.Wait()
		require.NoError(t, st.detach(bg(), em0))
		require.Equal(t, time.Second, time.Since(start))
		require.Equal(t, 1, handled)
		require.ErrorIs(t, q.Input(st.packet(em0, 1, 9), 0, 1), wqinput.ErrIfDeparted)
		s := q.Stats()
		require.EqualValues(t, 4, s.Departed)
		require.EqualValues(t, 1, s.RefusedIf)
		require.Equal(t, 0, st.pool.Outstanding(), "all are freed when Detach returns")
		st.closed(q, 6)
	})
}

// A handler that sleeps over one interface's packet keeps nobody from taking away another's,
// though its worker has them in the hand already.
func TestDetach_DoesNotWaitForAnotherInterfacesHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		em0, em1 := st.attach(), st.attach()
		var got []byte
		q := wqinput.New(st.ifs, "carp", func(_ context.Context, in *wqinput.Input) {
			time.Sleep(time.Second)
			got = append(got, number(in.Packet))
			in.Packet.Free(mbuf.Done)
		}, wqinput.WithStreams(1))
		for i := range 8 {
			id := em0
			if i%2 == 1 {
				id = em1
			}
			require.NoError(t, q.Input(st.packet(id, 1, byte(i)), 0, 1))
		}
		synctest.Wait()
		start := time.Now()
		require.NoError(t, st.detach(bg(), em1))
		require.Zero(t, time.Since(start))
		require.NoError(t, q.Flush(bg()))
		require.Equal(t, []byte{0, 2, 4, 6}, got, "the others keep their order")
		st.closed(q, 8)
	})
}

// A packet that is to leave by an interface concerns it as one does that came by it.
func TestDetach_PurgesByOutToo(t *testing.T) {
	st := newStack(t)
	em0, em1 := st.attach(), st.attach()
	q := wqinput.New(st.ifs, "carp", done(func(byte) {}), wqinput.WithStreams(1), wqinput.WithManual())
	m := st.packet(em0, 1, 1)
	m.Out = em1
	require.NoError(t, q.Input(m, 0, 1))
	require.NoError(t, st.detach(bg(), em1))
	require.Zero(t, st.pool.Outstanding())
	m = st.packet(em0, 1, 1)
	m.Out = em1
	require.ErrorIs(t, q.Input(m, 0, 1), wqinput.ErrIfDeparted)
	st.closed(q, 2)
}

// The next interface with the same index gets nothing of the last one's.
func TestDetach_TheNextWithTheIndexIsAnother(t *testing.T) {
	st := newStack(t)
	em0 := st.attach()
	var got []byte
	q := wqinput.New(st.ifs, "carp", done(func(n byte) { got = append(got, n) }), wqinput.WithStreams(1), wqinput.WithManual())
	require.NoError(t, q.Input(st.packet(em0, 1, 1), 0, 1))
	require.NoError(t, st.detach(bg(), em0))
	next := st.attach()
	require.Equal(t, em0.Index, next.Index)
	require.ErrorIs(t, q.Input(st.packet(em0, 1, 2), 0, 1), wqinput.ErrIfDeparted)
	require.NoError(t, q.Input(st.packet(next, 1, 3), 0, 1))
	for q.Step() {
	}
	require.Equal(t, []byte{3}, got)
	st.closed(q, 3)
}

// A handler may keep a packet, or hand it over, without being taken for one that forgot it.
func TestHandler_MayKeepThePacket(t *testing.T) {
	st := newStack(t)
	hold := mbuf.NewQueue("the hold queue")
	var held *mbuf.Packet
	q := wqinput.New(st.ifs, "carp", func(_ context.Context, in *wqinput.Input) {
		held = in.Packet
		held.Keep(hold)
	}, wqinput.WithManual())
	require.NoError(t, q.Input(st.packet(st.attach(), 1, 1), 0, 1))
	require.True(t, q.Step())
	require.False(t, q.Step())
	require.Zero(t, q.Stats().Leaked)
	held.Take(hold, nil)
	held.Free(mbuf.Done)
	st.closed(q, 1)
}

// One that forgets its packet is named, and the packet freed.
func TestHandler_ThatForgetsItsPacketIsNamed(t *testing.T) {
	st := newStack(t)
	var log bytes.Buffer
	q := wqinput.New(st.ifs, "carp", func(context.Context, *wqinput.Input) {}, wqinput.WithManual(),
		wqinput.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	require.NoError(t, q.Input(st.packet(st.attach(), 1, 1), 0, 112))
	require.True(t, q.Step())
	require.EqualValues(t, 1, q.Stats().Leaked)
	require.EqualValues(t, 1, st.pool.Stats().Frees[mbuf.Handler])
	require.Contains(t, log.String(), "handler=carp")
	st.closed(q, 1)
}

// A handler's panic leaves the stream whole: with WithRecover the next packet is handled.
func TestHandler_ThatPanicsLeavesTheStreamWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		em0 := st.attach()
		var recovered []any
		var got []byte
		q := wqinput.New(st.ifs, "carp", func(_ context.Context, in *wqinput.Input) {
			if number(in.Packet) == 1 {
				panic("a bad packet")
			}
			got = append(got, number(in.Packet))
			in.Packet.Free(mbuf.Done)
		}, wqinput.WithStreams(1), wqinput.WithRecover(func(r any) { recovered = append(recovered, r) }))
		for i := range 3 {
			require.NoError(t, q.Input(st.packet(em0, 1, byte(i)), 0, 1))
		}
		require.NoError(t, q.Flush(bg()))
		require.Equal(t, []any{"a bad packet"}, recovered)
		require.Equal(t, []byte{0, 2}, got)
		s := q.Stats()
		require.EqualValues(t, 1, s.Panics)
		require.EqualValues(t, 3, s.Handled)
		require.NoError(t, st.detach(bg(), em0), "the pin was released")
		st.closed(q, 3)
	})
}

// Without WithRecover it goes on, and still nothing is left behind.
func TestHandler_ThatPanicsPanics(t *testing.T) {
	st := newStack(t)
	q := wqinput.New(st.ifs, "carp", func(context.Context, *wqinput.Input) { panic("a bad packet") }, wqinput.WithManual())
	require.NoError(t, q.Input(st.packet(st.attach(), 1, 1), 0, 1))
	require.PanicsWithValue(t, "a bad packet", func() { q.Step() })
	require.EqualValues(t, 1, q.Stats().Panics)
	st.closed(q, 1)
}

func violates(t *testing.T, f func()) *witness.Violation {
	t.Helper()
	var v *witness.Violation
	func() {
		defer func() { v, _ = recover().(*witness.Violation) }()
		f()
	}()
	require.NotNil(t, v, "no violation")
	return v
}

// Checked builds say which handler returned with a reference or a lock, and where it took it.
func TestHandler_ThatHoldsOnIsNamed(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("only checked builds know")
	}
	st := newStack(t)
	class := psref.NewClass(st.dom, "rtentry")
	var target psref.Target
	class.Init(&target)
	var ref psref.Ref
	q := wqinput.New(st.ifs, "carp", func(_ context.Context, in *wqinput.Input) {
		in.Packet.Free(mbuf.Done)
		require.True(t, class.Acquire(in.LWP, &ref, &target))
	}, wqinput.WithManual())
	require.NoError(t, q.Input(st.packet(st.attach(), 1, 1), 0, 1))
	v := violates(t, func() { q.Step() })
	require.Contains(t, v.Text, "holds rtentry")
}

// Close handles what is queued, and refuses the rest.
func TestClose_DrainsWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		em0 := st.attach()
		n := 0
		q := wqinput.New(st.ifs, "carp", func(ctx context.Context, in *wqinput.Input) {
			time.Sleep(time.Second)
			require.NoError(t, ctx.Err())
			n++
			in.Packet.Free(mbuf.Done)
		}, wqinput.WithStreams(1))
		for i := range 100 { // more than a hand
			require.NoError(t, q.Input(st.packet(em0, 1, byte(i)), 0, 1))
		}
		go func() {
			time.Sleep(1500 * time.Millisecond)
			require.ErrorIs(t, q.Input(st.packet(em0, 1, 0), 0, 1), wqinput.ErrClosed)
			require.NoError(t, q.Close(bg()), "two may close it")
		}()
		require.NoError(t, q.Close(bg()))
		require.Equal(t, 100, n)
		synctest.Wait()
		st.closed(q, 101) // and again
	})
}

// A Close that does not want to wait any longer frees what is queued, and tells the handler.
func TestClose_ThatWillNotWaitDiscards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		em0 := st.attach()
		q := wqinput.New(st.ifs, "carp", func(ctx context.Context, in *wqinput.Input) {
			<-ctx.Done()
			time.Sleep(time.Second) // it takes its time
			in.Packet.Free(mbuf.Done)
		}, wqinput.WithStreams(1))
		for i := range 20 {
			require.NoError(t, q.Input(st.packet(em0, 1, byte(i)), 0, 1))
		}
		ctx, cancel := context.WithTimeout(bg(), time.Second)
		defer cancel()
		require.ErrorIs(t, q.Close(ctx), context.DeadlineExceeded)
		s := q.Stats()
		require.EqualValues(t, 19, s.Discarded)
		require.Equal(t, 1, s.InHand)
		require.Equal(t, 1, st.pool.Outstanding())
		st.closed(q, 20)
		require.EqualValues(t, 19, st.pool.Stats().Frees[mbuf.Shutdown])
	})
}

func TestClose_WithoutWorkersHandlesInTheCaller(t *testing.T) {
	st := newStack(t)
	n := 0
	q := wqinput.New(st.ifs, "carp", done(func(byte) { n++ }), wqinput.WithManual(), wqinput.WithStreams(2))
	for i := range 4 {
		require.NoError(t, q.Input(st.packet(st.attach(), uint32(i), 1), 0, 1))
	}
	st.closed(q, 4)
	require.Equal(t, 4, n)
	q = wqinput.New(st.ifs, "carp", done(func(byte) { n++ }), wqinput.WithManual())
	require.NoError(t, q.Input(st.packet(st.attach(), 1, 1), 0, 1))
	ended, cancel := context.WithCancel(bg())
	cancel()
	require.ErrorIs(t, q.Close(ended), context.Canceled)
	require.EqualValues(t, 1, q.Stats().Discarded)
	st.closed(q, 1)
	require.Equal(t, 4, n)
}

// A handler that would wait for itself is told so, and does not hang.
func TestHandler_CannotWaitForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		var q *wqinput.Queue
		var errs []error
		q = wqinput.New(st.ifs, "carp", func(ctx context.Context, in *wqinput.Input) {
			errs = append(errs, q.Close(ctx), q.Flush(ctx))
			in.Packet.Free(mbuf.Done)
		}, wqinput.WithStreams(1))
		require.NoError(t, q.Input(st.packet(st.attach(), 1, 1), 0, 1))
		require.NoError(t, q.Flush(bg()))
		require.Len(t, errs, 2)
		require.ErrorIs(t, errs[0], wqinput.ErrWouldDeadlock)
		require.ErrorIs(t, errs[1], wqinput.ErrWouldDeadlock)
		st.closed(q, 1)
	})
}

// Flush waits for what came before it, not for what comes after.
func TestFlush_DoesNotWaitForLaterPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		em0 := st.attach()
		q := wqinput.New(st.ifs, "carp", func(_ context.Context, in *wqinput.Input) {
			time.Sleep(time.Second)
			in.Packet.Free(mbuf.Done)
		}, wqinput.WithStreams(1))
		for range 3 {
			require.NoError(t, q.Input(st.packet(em0, 1, 1), 0, 1))
		}
		go func() {
			for range 10 {
				time.Sleep(100 * time.Millisecond)
				require.NoError(t, q.Input(st.packet(em0, 1, 1), 0, 1))
			}
		}()
		start := time.Now()
		require.NoError(t, q.Flush(bg()))
		require.Equal(t, 3*time.Second, time.Since(start))
		short, cancel := context.WithTimeout(bg(), 100*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, q.Flush(short), context.DeadlineExceeded)
		st.closed(q, 13)
	})
}

func TestNew_RefusesNonsense(t *testing.T) {
	st := newStack(t)
	h := done(func(byte) {})
	for _, f := range []func(){
		func() { wqinput.New(st.ifs, "x", nil) },
		func() { wqinput.New(st.ifs, "x", h, wqinput.WithStreams(0)) },
		func() { wqinput.New(st.ifs, "x", h, wqinput.WithLimit(0)) },
	} {
		require.Contains(t, violates(t, f).Text, "it needs all of them")
	}
}

func TestProtosw_KnowsWhoTakesAProtocol(t *testing.T) {
	st := newStack(t)
	var sw wqinput.Protosw
	var got []byte
	carp := wqinput.New(st.ifs, "carp", done(func(n byte) { got = append(got, n) }), wqinput.WithManual())
	icmp := wqinput.New(st.ifs, "icmp", done(func(byte) {}), wqinput.WithManual())
	require.Nil(t, sw.Lookup(112))
	require.ErrorIs(t, sw.Input(st.packet(st.attach(), 1, 1), 0, 112), wqinput.ErrNoProto)
	require.NoError(t, sw.Register(112, carp))
	err := sw.Register(112, icmp)
	require.ErrorIs(t, err, wqinput.ErrTaken)
	require.ErrorContains(t, err, "protocol 112 for icmp: the protocol is taken, by carp")
	require.Same(t, carp, sw.Lookup(112))
	require.NoError(t, sw.Input(st.packet(st.attach(), 1, 7), 0, 112))
	require.False(t, sw.Unregister(112, icmp))
	require.False(t, sw.Unregister(1, nil))
	require.True(t, sw.Unregister(112, carp))
	require.NoError(t, sw.Register(112, icmp))
	require.EqualValues(t, 1, st.pool.Stats().Frees[mbuf.NoProto])
	st.closed(carp, 1)
	st.closed(icmp, 0)
	require.Equal(t, []byte{7}, got, "what was queued stays queued")
}

// A packet costs no memory on its way through.
func TestInput_AllocatesNothing(t *testing.T) {
	if invariants.Enabled || witness.Enabled {
		t.Skip("checked builds keep books")
	}
	st := newStack(t)
	em0 := st.attach()
	q := wqinput.New(st.ifs, "icmp", done(func(byte) {}), wqinput.WithManual(), wqinput.WithStreams(1))
	one := []byte{1}
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
		m, _ := st.pool.From(one)
		m.In = em0
		_ = q.Input(m, 0, 1)
		q.Step()
	}), 0.0)
}

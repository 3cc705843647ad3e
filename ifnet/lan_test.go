package ifnet_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
)

// A segment is a LAN with so many interfaces of one table, and what each has received.
type segment struct {
	t     require.TestingT
	l     *lwp.LWP
	ifs   *ifnet.Table
	lan   *ifnet.LAN
	ports []*ifnet.Port
	ifps  []*ifnet.Interface
	start time.Time
	got   map[ifnet.ID][]string
}

func newSegment(t require.TestingT, n int, c ifnet.LANConfig, pool *mbuf.Pool) *segment {
	if pool == nil {
		pool = mbuf.NewPool(mbuf.PoolConfig{})
	}
	dom, ifs := newTable(ifnet.WithPool(pool))
	s := &segment{t: t, l: dom.Bind(), ifs: ifs, lan: ifnet.NewLAN(c), start: time.Now(), got: map[ifnet.ID][]string{}}
	ifs.SetInput(func(m *mbuf.Packet) error {
		s.got[m.In] = append(s.got[m.In], fmt.Sprintf("%s@%v", m.Bytes()[14:], time.Since(s.start)))
		m.Free(mbuf.Done)
		return nil
	})
	for i := range n {
		p := s.lan.NewPort()
		ifp, err := ifs.Attach(ifnet.Spec{Name: fmt.Sprintf("em%d", i), Driver: p, Up: true, MAC: ifnet.MAC{2, 0, 0, 0, 0, byte(i)}})
		require.NoError(t, err)
		s.ports, s.ifps = append(s.ports, p), append(s.ifps, ifp)
	}
	return s
}

func (s *segment) send(from int, text string) {
	m, err := s.ifs.Pool().From([]byte(text))
	require.NoError(s.t, err)
	ifnet.PushEther(m, ifnet.BroadcastMAC, s.ifps[from].MAC(), 0x88b5)
	require.NoError(s.t, s.ifps[from].Transmit(s.l, m))
}

// received returns what an interface has received since it was last asked.
func (s *segment) received(i int) []string {
	synctest.Wait()
	defer delete(s.got, s.ifps[i].ID())
	return s.got[s.ifps[i].ID()]
}

func (s *segment) lawful() ifnet.LANStats {
	st := s.lan.Stats()
	require.Equal(s.t, st.Copies, st.Delivered+st.Lost+st.Cut+st.Overflow+st.NoBufs+uint64(st.InFlight), "%+v", st)
	return st
}

// What one sends all others receive, when the network says: at once, or after its delay.
func TestLAN_DeliversAfterItsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSegment(t, 3, ifnet.LANConfig{}, nil)
		s.send(0, "a")
		require.Empty(t, s.received(0))
		require.Equal(t, []string{"a@0s"}, s.received(1))
		require.Equal(t, []string{"a@0s"}, s.received(2))
		s.lan.Close()

		s = newSegment(t, 2, ifnet.LANConfig{Delay: 3 * time.Millisecond}, nil)
		s.send(0, "a")
		time.Sleep(time.Millisecond)
		s.send(0, "b")
		require.Equal(t, 2, s.lawful().InFlight)
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, []string{"a@3ms", "b@4ms"}, s.received(1))
		s.lan.Close()
		require.Equal(t, ifnet.LANStats{Frames: 2, Copies: 2, Delivered: 2}, s.lawful())
	})
}

// What is held back is overtaken.
func TestLAN_Reorders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSegment(t, 2, ifnet.LANConfig{Seed: 1, Reorder: 0.5, Delay: time.Millisecond, Hold: 10 * time.Millisecond}, nil)
		const n = 40
		for i := range n {
			s.send(0, fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		got, overtaken, last := s.received(1), 0, -1
		require.Len(t, got, n)
		for _, g := range got {
			var i int
			_, err := fmt.Sscanf(g, "%d@", &i)
			require.NoError(t, err)
			if i < last {
				overtaken++
			}
			last = max(last, i)
		}
		require.Greater(t, overtaken, n/5)
		require.InDelta(t, n/2, s.lawful().HeldBack, n/5)
		s.lan.Close()
	})
}

// Loss and duplication are as probable as they are said to be, and the same seed does the same.
func TestLAN_LosesAndDuplicatesBySeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(seed uint64) []string {
			s := newSegment(t, 2, ifnet.LANConfig{Seed: seed, Loss: 0.2, Duplicate: 0.1, Jitter: 5 * time.Millisecond}, nil)
			for i := range 2000 {
				s.send(0, fmt.Sprint(i))
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Second)
			st := s.lawful()
			require.InDelta(t, 400, st.Lost, 80)
			require.InDelta(t, 160, st.Duplicated, 60)
			s.lan.Close()
			return s.received(1)
		}
		one := run(7)
		require.Equal(t, one, run(7))
		require.NotEqual(t, one, run(8))
	})
}

// Sides do not hear each other, and one whose cable is pulled hears nobody and notices.
func TestLAN_CanBeCutAndHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSegment(t, 3, ifnet.LANConfig{}, nil)
		var events []string
		s.ifs.OnEvent(func(ev ifnet.Event) { events = append(events, fmt.Sprint(ev.Kind, " ", ev.Name)) })
		s.ports[2].SetSide(1)
		s.send(0, "a")
		s.send(2, "b")
		require.Empty(t, s.received(0))
		require.Len(t, s.received(1), 1)
		require.Empty(t, s.received(2))
		s.ports[2].SetSide(0)
		s.ports[1].Pull(true)
		require.False(t, s.ifps[1].HasLink())
		s.send(0, "c")
		s.send(1, "d")
		require.Empty(t, s.received(1))
		require.Equal(t, []string{"c@0s"}, s.received(2))
		s.ports[1].Pull(false)
		s.send(0, "e")
		require.Len(t, s.received(1), 1)
		require.Equal(t, []string{"link changed em1", "link changed em1"}, events)
		require.EqualValues(t, 6, s.lawful().Cut)
		s.lan.Close()
	})
}

// What is on its way when a receiver leaves, or the network is closed, is lost and counted, and
// no timer is left.
func TestLAN_LosesWhatIsUnderWayAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSegment(t, 3, ifnet.LANConfig{Delay: time.Second, InFlight: 5}, nil)
		for range 3 {
			s.send(0, "x")
		}
		require.EqualValues(t, 1, s.lawful().Overflow)
		require.NoError(t, s.ifs.Detach(bg(), s.l, s.ifps[1].ID()))
		time.Sleep(time.Second)
		require.Len(t, s.received(2), 2)
		require.EqualValues(t, 3, s.lawful().Cut)
		s.send(0, "y")
		s.lan.Close()
		require.Zero(t, s.lawful().InFlight)
		s.send(0, "to nobody")
		_, err := s.ifs.Attach(ifnet.Spec{Name: "late", Driver: s.lan.NewPort()})
		require.ErrorIs(t, err, ifnet.ErrClosed)
		p, _ := ifnet.NewPair()
		_, err = s.ifs.Attach(ifnet.Spec{Name: "once", Driver: p})
		require.NoError(t, err)
		_, err = s.ifs.Attach(ifnet.Spec{Name: "twice", Driver: p})
		require.ErrorIs(t, err, ifnet.ErrExists)
		s.ifs.Pool().CheckLeaks(t)
	})
}

// A receiver without buffers loses the frame and counts it.
func TestLAN_CountsWhatTheReceiverHasNoRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := mbuf.NewPool(mbuf.PoolConfig{Limit: 1})
		s := newSegment(t, 2, ifnet.LANConfig{Delay: time.Second}, pool)
		s.send(0, "x")
		hog, err := pool.Alloc(1)
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		require.EqualValues(t, 1, s.lawful().NoBufs)
		require.EqualValues(t, 1, s.ifps[1].Stats().In.Drops)
		hog.Free(mbuf.Done)
		s.lan.Close()
	})
}

// Whatever is done to a network, each copy is in one counter, and no packet is lost from the pool.
func TestLAN_LosesNoCopyUncounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			p := rapid.Float64Range(0, 0.5)
			s := newSegment(t, 4, ifnet.LANConfig{
				Seed: rapid.Uint64().Draw(t, "seed"), Loss: p.Draw(t, "loss"), Duplicate: p.Draw(t, "dup"), Reorder: p.Draw(t, "reorder"),
				Delay: time.Duration(rapid.IntRange(0, 3).Draw(t, "delay")) * time.Millisecond, Jitter: time.Duration(rapid.IntRange(0, 3).Draw(t, "jitter")) * time.Millisecond,
				InFlight: rapid.IntRange(1, 20).Draw(t, "in flight"),
			}, nil)
			port := rapid.IntRange(0, 3)
			there := [4]bool{true, true, true, true}
			t.Repeat(map[string]func(*rapid.T){
				"": func(t *rapid.T) {
					synctest.Wait()
					s.lawful()
					s.ifs.Pool().CheckLeaks(t)
				},
				"send": func(t *rapid.T) {
					if i := port.Draw(t, "from"); there[i] {
						s.send(i, "x")
					}
				},
				"wait": func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 5000).Draw(t, "µs")) * time.Microsecond) },
				"side": func(t *rapid.T) { s.ports[port.Draw(t, "port")].SetSide(rapid.IntRange(0, 1).Draw(t, "side")) },
				"pull": func(t *rapid.T) { s.ports[port.Draw(t, "port")].Pull(rapid.Bool().Draw(t, "out")) },
				"detach": func(t *rapid.T) {
					if i := port.Draw(t, "port"); there[i] {
						require.NoError(t, s.ifs.Detach(bg(), s.l, s.ifps[i].ID()))
						there[i] = false
					}
				},
				"attach": func(t *rapid.T) {
					if i := port.Draw(t, "port"); !there[i] {
						ifp, err := s.ifs.Attach(ifnet.Spec{Name: fmt.Sprintf("em%d", i), Driver: s.ports[i], Up: true})
						require.NoError(t, err)
						s.ifps[i], there[i] = ifp, true
					}
				},
			})
			s.lan.Close()
			require.Zero(t, s.lawful().InFlight)
		})
	})
}

package pf_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// A fw is a table, and who uses it.
type fw struct {
	*pf.Table
	t    require.TestingT
	l    *lwp.LWP
	pool *mbuf.Pool
}

func newFW(t require.TestingT, c pf.Config) *fw {
	dom := lwp.NewDomain()
	c.Manual = true
	return &fw{pf.New(dom, c), t, dom.Bind(), mbuf.NewPool(mbuf.PoolConfig{})}
}

// close checks that nothing is referred to by anybody but the table.
func (f *fw) close() {
	require.NoError(f.t, f.Close(context.Background()))
	require.Equal(f.t, f.Len(), f.Outstanding())
	require.Zero(f.t, f.pool.Outstanding())
	f.l.Unbind()
}

// later runs a test in virtual time.
func later(t *testing.T, c pf.Config, f func(fw *fw)) {
	synctest.Test(t, func(t *testing.T) {
		w := newFW(t, c)
		f(w)
		w.close()
	})
}

func (f *fw) test(dir pf.Dir, on string, b []byte) pf.Verdict {
	m, err := f.pool.From(b)
	require.NoError(f.t, err)
	defer m.Free(mbuf.Done)
	return f.Test(f.l, dir, on, m)
}

func (f *fw) pass(dir pf.Dir, on string, b []byte) {
	require.Equal(f.t, pf.Pass, f.test(dir, on, b))
}

func (f *fw) block(dir pf.Dir, on string, b []byte) {
	require.Equal(f.t, pf.Block, f.test(dir, on, b))
}

func ip4(proto byte, src, dst string, payload []byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0}
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	b = append(append(append(b, s[:]...), d[:]...), payload...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func udp(sport, dport uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, sport)
	return append(binary.BigEndian.AppendUint16(b, dport), 0, 8, 0, 0)
}

const (
	fin = 1
	syn = 2
	rst = 4
	ack = 16
)

func tcp(sport, dport uint16, flags byte, seq, acked uint32, win uint16, n int) []byte {
	be := binary.BigEndian
	b := be.AppendUint16(be.AppendUint16(nil, sport), dport)
	b = be.AppendUint32(be.AppendUint32(b, seq), acked)
	b = be.AppendUint16(append(b, 0x50, flags), win)
	return append(append(b, 0, 0, 0, 0), make([]byte, n)...)
}

const a, b = "10.0.0.1", "10.0.0.2"

func TestRules_TheLastMatchDecidesUnlessOneIsQuick(t *testing.T) {
	p := netip.MustParsePrefix
	later(t, pf.Config{}, func(f *fw) {
		f.block(pf.In, "em0", ip4(17, a, b, udp(1, 2)))
		require.EqualValues(t, 1, f.Stats().Blocked)
		f.SetRules([]pf.Rule{
			{Proto: 17, DstPort: pf.Ports{First: 53}},
			{Block: true, Src: p("10.0.0.0/24")},
			{Quick: true, On: "em1"},
			{Block: true, On: "em1"},
			{Dir: pf.Out, SrcPort: pf.Ports{First: 1000, Last: 2000}},
			{Proto: 17, Dst: p("fd00::/8")},
		})
		f.pass(pf.In, "em0", ip4(17, "10.0.1.1", b, udp(1, 53)))
		f.block(pf.In, "em0", ip4(17, "10.0.1.1", b, udp(1, 54)))
		f.block(pf.In, "em0", ip4(17, a, b, udp(1, 53)))
		f.pass(pf.In, "em1", ip4(17, a, b, udp(1, 99)))
		f.pass(pf.Out, "em0", ip4(17, a, b, udp(1500, 99)))
		f.block(pf.Out, "em0", ip4(17, a, b, udp(2001, 99)))
		f.block(pf.In, "em0", ip4(17, a, b, udp(1501, 99)))
	})
}

// A packet of a state passes whatever the rules say.
func TestRules_StatesComeFirst(t *testing.T) {
	later(t, pf.Config{Rules: []pf.Rule{{Dir: pf.In, On: "em0"}}}, func(f *fw) {
		f.pass(pf.In, "em0", ip4(17, a, b, udp(1, 2)))
		f.pass(pf.Out, "em0", ip4(17, b, a, udp(2, 1)))
		f.SetRules(nil)
		f.pass(pf.In, "em0", ip4(17, a, b, udp(1, 2)))
		f.block(pf.Out, "em0", ip4(17, a, b, udp(1, 2)))
	})
}

func TestRules_NoStateAndBound(t *testing.T) {
	later(t, pf.Config{Rules: []pf.Rule{{Proto: 17, NoState: true}, {Proto: 6, Bound: true}}}, func(f *fw) {
		f.pass(pf.In, "em0", ip4(17, a, b, udp(1, 2)))
		require.Zero(t, f.Len())
		f.pass(pf.In, "em0", ip4(6, a, b, tcp(1, 2, syn, 1, 0, 10, 0)))
		k := pf.KeyOf(pf.In, 6, netip.MustParseAddrPort(a+":1"), netip.MustParseAddrPort(b+":2"))
		require.NotNil(t, f.Find(&k, pf.In, "em0"))
		require.Nil(t, f.Find(&k, pf.In, "em1"))
		require.Equal(t, "em0", f.Find(&k, pf.In, "em0").Interface())
	})
}

// Who is bound to an interface is found before who is not.
func TestFind_TheInterfacesOwnComesFirst(t *testing.T) {
	later(t, pf.Config{}, func(f *fw) {
		k := pf.KeyOf(pf.In, 17, netip.MustParseAddrPort(a+":1"), netip.MustParseAddrPort(b+":2"))
		own, err := f.Insert(f.l, k, k, pf.In, "em0")
		require.NoError(t, err)
		all, err := f.Insert(f.l, k, k, pf.In, "")
		require.NoError(t, err)
		require.Equal(t, own, f.Find(&k, pf.In, "em0"))
		require.Equal(t, all, f.Find(&k, pf.In, "em1"))
	})
}

func TestInsert_OneOfAKeyForEachInterfaceAndDirection(t *testing.T) {
	later(t, pf.Config{}, func(f *fw) {
		k := pf.KeyOf(pf.In, 17, netip.MustParseAddrPort(a+":1"), netip.MustParseAddrPort(b+":2"))
		other := pf.KeyOf(pf.In, 17, netip.MustParseAddrPort(a+":7"), netip.MustParseAddrPort(b+":2"))
		insert := func(outside, inside pf.Key, dir pf.Dir, on string) error {
			_, err := f.Insert(f.l, outside, inside, dir, on)
			return err
		}
		require.NoError(t, insert(k, k, pf.In, "em0"))
		require.ErrorIs(t, insert(k, k, pf.In, "em0"), pf.ErrExists)
		require.NoError(t, insert(k, k, pf.Out, "em0"))
		require.NoError(t, insert(k, k, pf.In, "em1"))
		require.ErrorIs(t, insert(k, other, pf.In, "em1"), pf.ErrExists)
		require.ErrorIs(t, insert(other, k, pf.In, "em1"), pf.ErrExists)
		require.NoError(t, insert(k, other, pf.In, "em2"))
		require.ErrorIs(t, insert(other, other, pf.In, "em2"), pf.ErrExists, "it is another's key inside")
		require.EqualValues(t, 4, f.Stats().Collisions)
		require.Equal(t, f.Len(), f.Outstanding())
	})
}

// A TCP conversation that both ends have finished makes room for another with the same ends.
func TestTCP_TheSameEndsAgain(t *testing.T) {
	later(t, pf.Config{Rules: []pf.Rule{{}}}, func(f *fw) {
		f.pass(pf.In, "em0", ip4(6, a, b, tcp(1, 2, syn, 100, 0, 1000, 0)))
		f.pass(pf.Out, "em0", ip4(6, b, a, tcp(2, 1, syn|ack, 500, 101, 1000, 0)))
		f.pass(pf.In, "em0", ip4(6, a, b, tcp(1, 2, ack, 101, 501, 1000, 0)))
		f.block(pf.In, "em0", ip4(6, a, b, tcp(1, 2, syn, 90000, 0, 1000, 0)))
		f.pass(pf.In, "em0", ip4(6, a, b, tcp(1, 2, rst, 101, 0, 0, 0)))
		f.pass(pf.In, "em0", ip4(6, a, b, tcp(1, 2, syn, 90000, 0, 1000, 0)))
		require.EqualValues(t, 1, f.Stats().Removals)
		k := pf.KeyOf(pf.In, 6, netip.MustParseAddrPort(a+":1"), netip.MustParseAddrPort(b+":2"))
		src, dst := f.Find(&k, pf.In, "em0").Levels()
		require.Equal(t, [2]uint8{2, 0}, [2]uint8{src, dst})
	})
}

// What an end sends is what the other has said it would take.
func TestTCP_Windows(t *testing.T) {
	later(t, pf.Config{Rules: []pf.Rule{{}}}, func(f *fw) {
		in := func(flags byte, seq, acked uint32, n int) []byte {
			return ip4(6, a, b, tcp(1, 2, flags, seq, acked, 1000, n))
		}
		f.block(pf.In, "em0", in(ack, 1, 1, 0)) // no state is made in the middle
		f.pass(pf.In, "em0", in(syn, 100, 0, 0))
		f.pass(pf.Out, "em0", ip4(6, b, a, tcp(2, 1, syn|ack, 500, 101, 1000, 0)))
		f.pass(pf.In, "em0", in(ack, 101, 501, 0))
		f.pass(pf.In, "em0", in(ack, 101, 501, 1000))
		f.block(pf.In, "em0", in(ack, 1101, 501, 1))
		f.block(pf.In, "em0", in(ack, 900_000, 501, 1))
		f.block(pf.In, "em0", in(ack, 50, 501, 1)) // a window back is as far as it goes
		f.block(pf.In, "em0", in(rst, 7, 0, 0))
		f.block(pf.In, "em0", in(ack, 1101, 501+70_000, 0))
		f.pass(pf.Out, "em0", ip4(6, b, a, tcp(2, 1, ack, 501, 1101, 1000, 0)))
		f.pass(pf.In, "em0", in(ack, 1101, 501, 1))
		f.pass(pf.In, "em0", in(ack, 1101, 501, 1)) // again
		f.pass(pf.In, "em0", in(rst, 1102, 501, 0))
		require.EqualValues(t, 5, f.Stats().Mismatches)
	})
}

func TestTCP_Sloppy(t *testing.T) {
	later(t, pf.Config{Rules: []pf.Rule{{Sloppy: true, AnyFlags: true}}}, func(f *fw) {
		f.pass(pf.In, "em0", ip4(6, a, b, tcp(1, 2, ack, 100, 0, 1000, 0)))
		f.pass(pf.In, "em0", ip4(6, a, b, tcp(1, 2, ack, 900000, 0, 1000, 0)))
		f.pass(pf.In, "em0", ip4(6, a, b, tcp(1, 2, fin|ack, 9, 0, 1000, 0)))
		k := pf.KeyOf(pf.In, 6, netip.MustParseAddrPort(a+":1"), netip.MustParseAddrPort(b+":2"))
		src, _ := f.Find(&k, pf.In, "em0").Levels()
		require.EqualValues(t, 7, src)
	})
}

// known inserts, as from a peer, an established conversation of a:1 and b:2 as it was a while ago.
func (f *fw) known() *pf.State {
	k := pf.KeyOf(pf.In, 6, netip.MustParseAddrPort(a+":1"), netip.MustParseAddrPort(b+":2"))
	wk := wire.Key{Addr: k.Addr, Port: k.Port, AF: k.AF}
	st, err := f.Import(f.l, &wire.State{
		ID: wire.ID{ID: 1, Creator: 1}, IfName: wire.NameOf("all"), Wire: wk, Stack: wk, AF: k.AF, Proto: 6, Direction: wire.In, Timeout: uint8(pf.TCPEstablished),
		Src: wire.Peer{Level: 4, SeqLo: 1000, SeqHi: 2000, MaxWin: 1000}, Dst: wire.Peer{Level: 4, SeqLo: 5000, SeqHi: 6000, MaxWin: 1000},
	})
	require.NoError(f.t, err)
	return st
}

// The first segment of each half that is seen after a peer has told of it is believed though it is
// ahead, and no other.
func TestTCP_FollowsWhatAPeerHasSeen(t *testing.T) {
	later(t, pf.Config{}, func(f *fw) {
		st := f.known()
		f.block(pf.In, "em0", ip4(6, a, b, tcp(1, 2, rst, 900_000, 5000, 1000, 0)))
		f.block(pf.In, "em0", ip4(6, a, b, tcp(1, 2, ack, 1<<31+1000, 5000, 1000, 1)))
		f.pass(pf.In, "em0", ip4(6, a, b, tcp(1, 2, ack, 900_000, 800_000, 1000, 10)))
		f.block(pf.In, "em0", ip4(6, a, b, tcp(1, 2, ack, 1_900_000, 800_000, 1000, 10)))
		f.pass(pf.In, "em0", ip4(6, a, b, tcp(1, 2, ack, 900_010, 800_000, 1000, 10)))
		f.pass(pf.Out, "em0", ip4(6, b, a, tcp(2, 1, ack, 800_000, 900_020, 1000, 10)))
		f.block(pf.Out, "em0", ip4(6, b, a, tcp(2, 1, ack, 1_800_000, 900_020, 1000, 10)))
		src, dst := st.Seqs()
		require.Equal(t, [2]uint32{900_020, 800_010}, [2]uint32{src, dst})
	})
	later(t, pf.Config{Rules: []pf.Rule{{}}}, func(f *fw) { // nobody has told of this one
		f.pass(pf.In, "em0", ip4(6, a, b, tcp(1, 2, syn, 100, 0, 1000, 0)))
		f.pass(pf.Out, "em0", ip4(6, b, a, tcp(2, 1, syn|ack, 500, 101, 1000, 0)))
		f.pass(pf.In, "em0", ip4(6, a, b, tcp(1, 2, ack, 101, 501, 1000, 0)))
		f.block(pf.In, "em0", ip4(6, a, b, tcp(1, 2, ack, 900_000, 800_000, 1000, 10)))
	})
}

func TestICMP_ErrorsPassForWhatTheyAreAbout(t *testing.T) {
	later(t, pf.Config{Rules: []pf.Rule{{Dir: pf.Out}}}, func(f *fw) {
		out := ip4(17, a, b, udp(1, 2))
		f.pass(pf.Out, "em0", out)
		unreachable := func(about []byte) []byte {
			return ip4(1, "10.9.9.9", a, append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, about...))
		}
		f.pass(pf.In, "em0", unreachable(out))
		require.Equal(t, 1, f.Len())
		f.block(pf.In, "em0", unreachable(ip4(17, a, b, udp(1, 3))))
		for n := range len(out) {
			f.block(pf.In, "em0", unreachable(out[:n]))
		}
		ping := ip4(1, a, b, []byte{8, 0, 0, 0, 0x12, 0x34, 0, 1})
		f.pass(pf.Out, "em0", ping)
		f.pass(pf.In, "em0", ip4(1, b, a, []byte{0, 0, 0, 0, 0x12, 0x34, 0, 1}))
		f.block(pf.In, "em0", ip4(1, b, a, []byte{0, 0, 0, 0, 0x12, 0x35, 0, 1}))
		f.pass(pf.In, "em0", unreachable(ping))
		f.block(pf.In, "em0", unreachable(unreachable(out)))
	})
}

func TestTest_WhatIsNoPacketIsBlocked(t *testing.T) {
	whole := [][]byte{ip4(6, a, b, tcp(1, 2, syn, 1, 0, 10, 0)), ip4(17, a, b, udp(1, 2)), ip4(1, a, b, []byte{8, 0, 0, 0, 0, 1, 0, 1})}
	v6 := append([]byte{0x60, 0, 0, 0, 0, 16, 0, 64}, make([]byte, 32)...)
	v6 = append(v6, 17, 0, 0, 0, 0, 0, 0, 0) // hop-by-hop options, and then UDP
	whole = append(whole, append(v6, udp(1, 2)...))
	later(t, pf.Config{Rules: []pf.Rule{{}}}, func(f *fw) {
		for _, p := range whole {
			for n := range len(p) {
				f.block(pf.In, "em0", p[:n])
			}
		}
		require.Zero(t, f.Len())
		fragment := ip4(17, a, b, udp(1, 2))
		fragment[6] = 0x20
		f.block(pf.In, "em0", fragment)
		n := f.Stats().Malformed
		for _, p := range whole {
			f.pass(pf.In, "em0", p)
		}
		require.Equal(t, n, f.Stats().Malformed)
		require.Equal(t, 4, f.Len())
	})
}

func FuzzTest(f *testing.F) {
	f.Add(ip4(6, a, b, tcp(1, 2, syn, 1, 0, 10, 4)), true)
	f.Add(ip4(1, a, b, append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, ip4(17, a, b, udp(1, 2))...)), false)
	f.Add(append([]byte{0x60, 0, 0, 0, 0, 8, 17, 64}, make([]byte, 40)...), true)
	w := newFW(f, pf.Config{Rules: []pf.Rule{{AnyFlags: true}}})
	f.Fuzz(func(t *testing.T, b []byte, in bool) {
		dir := pf.Out
		if in {
			dir = pf.In
		}
		w.t = t
		w.test(dir, "em0", b)
		w.test(dir, "em0", b)
	})
}

func TestPurge_TakesWhatIsOverAndSparesWhatIsUsed(t *testing.T) {
	later(t, pf.Config{Rules: []pf.Rule{{}}}, func(f *fw) {
		for port := range uint16(300) {
			f.pass(pf.In, "em0", ip4(17, a, b, udp(1+port, 2)))
		}
		time.Sleep(59 * time.Second)
		f.pass(pf.In, "em0", ip4(17, a, b, udp(1, 2)))
		looked, gone := f.Purge(f.l, 1000)
		require.Equal(t, [2]int{300, 0}, [2]int{looked, gone})
		time.Sleep(2 * time.Second)
		looked, gone = f.Purge(f.l, 100)
		require.Equal(t, [2]int{100, 99}, [2]int{looked, gone})
		looked, gone = f.Purge(f.l, 1000)
		require.Equal(t, [2]int{200, 200}, [2]int{looked, gone}, "it goes on where it was")
		require.Equal(t, 1, f.Len())
		require.Equal(t, 1, f.Outstanding())
		looked, gone = f.Purge(f.l, 1000)
		require.Equal(t, [2]int{1, 0}, [2]int{looked, gone})
		time.Sleep(time.Minute)
		looked, gone = f.Purge(f.l, 1000)
		require.Equal(t, [2]int{1, 1}, [2]int{looked, gone})
		looked, gone = f.Purge(f.l, 1000)
		require.Equal(t, [2]int{0, 0}, [2]int{looked, gone})
	})
}

// What is used after a purge has looked at it, and before it takes it down, is spared.
func TestPurge_LooksAgain(t *testing.T) {
	later(t, pf.Config{Rules: []pf.Rule{{}}}, func(f *fw) {
		f.pass(pf.In, "em0", ip4(17, a, b, udp(1, 2)))
		f.pass(pf.In, "em0", ip4(17, a, b, udp(2, 2)))
		time.Sleep(time.Minute)
		over := f.Scan(10)
		require.Len(t, over, 2)
		f.pass(pf.In, "em0", ip4(17, a, b, udp(1, 2)))
		require.Equal(t, 1, f.Take(f.l, over))
		require.Equal(t, 1, f.Len())
	})
}

func TestPurge_TheWorkerDoesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom := lwp.NewDomain()
		tab := pf.New(dom, pf.Config{Rules: []pf.Rule{{}}})
		f := &fw{tab, t, dom.Bind(), mbuf.NewPool(mbuf.PoolConfig{})}
		for port := range uint16(1000) {
			f.pass(pf.In, "em0", ip4(17, a, b, udp(1+port, 2)))
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		require.Less(t, f.Len(), 1000)
		time.Sleep(12 * time.Second) // every state is looked at once in an interval
		synctest.Wait()
		require.Zero(t, f.Len())
		f.close()
		_, err := f.Insert(f.l, pf.Key{}, pf.Key{}, pf.In, "")
		require.ErrorIs(t, err, pf.ErrClosed)
	})
}

// With many states each has less time, and with too many none.
func TestTimeouts_Adaptive(t *testing.T) {
	ts := pf.DefaultTimeouts()
	ts[pf.AdaptiveStart], ts[pf.AdaptiveEnd] = 100, 200
	later(t, pf.Config{Rules: []pf.Rule{{}}, Timeouts: &ts}, func(f *fw) {
		left := func() uint32 {
			for st := range f.All() {
				var w wire.State
				st.Export(&w, f.Now())
				return w.Expire
			}
			return 0
		}
		for port := range uint16(200) {
			want := 60
			if f.Len() > 100 {
				want = 60 * (200 - f.Len()) / 100
			}
			if f.Len() > 0 {
				require.EqualValues(t, want, left(), f.Len())
			}
			f.pass(pf.In, "em0", ip4(17, a, b, udp(1+port, 2)))
		}
		require.Zero(t, left())
		_, gone := f.Purge(f.l, 1000)
		require.NotZero(t, gone)
	})
}

func TestRules_LimitsAndTimeouts(t *testing.T) {
	ts := pf.DefaultTimeouts()
	ts[pf.UDPFirst] = 5
	later(t, pf.Config{Limit: 5, Rules: []pf.Rule{{}, {SrcPort: pf.Ports{First: 1, Last: 99}, MaxStates: 2, Timeouts: &ts}}}, func(f *fw) {
		f.pass(pf.In, "em0", ip4(17, a, b, udp(1, 2)))
		f.pass(pf.In, "em0", ip4(17, a, b, udp(2, 2)))
		f.block(pf.In, "em0", ip4(17, a, b, udp(3, 2)))
		f.pass(pf.In, "em0", ip4(17, a, b, udp(1, 2)))
		for port := range uint16(3) {
			f.pass(pf.In, "em0", ip4(17, a, b, udp(100+port, 2)))
		}
		f.block(pf.In, "em0", ip4(17, a, b, udp(110, 2)))
		require.EqualValues(t, 2, f.Stats().Limit)
		time.Sleep(7 * time.Second)
		_, gone := f.Purge(f.l, 100)
		require.Equal(t, 1, gone, "the other one has been used twice, and has another timeout")
		f.pass(pf.In, "em0", ip4(17, a, b, udp(3, 2)))
	})
}

// Who remembers a state forgets it when it is taken down or when they close, in either order.
func TestOutside_EitherOrder(t *testing.T) {
	later(t, pf.Config{}, func(f *fw) {
		var o, p pf.Outside
		require.Nil(t, f.Recall(&o))
		st := f.known()
		require.True(t, f.Remember(&o, st))
		require.False(t, f.Remember(&p, st), "one remembers it already")
		got := f.Recall(&o)
		require.Equal(t, st, got)
		got.Release()
		f.Forgo(&o)
		f.Forgo(&o)
		require.Nil(t, f.Recall(&o))
		require.True(t, f.Remember(&p, st))
		require.True(t, f.Remember(&p, st), "again")
		require.Equal(t, 1, f.Outstanding())
		require.True(t, f.Remove(f.l, st))
		require.Nil(t, f.Recall(&p))
		require.False(t, f.Remember(&o, st), "it has been taken down")
		f.Forgo(&p)
		f.Purge(f.l, 10)
		require.Zero(t, f.Outstanding())
		require.False(t, f.Remember(&o, st), "it is gone")
	})
}

// A packet that waits keeps its state, wherever it ends.
func TestTag_APacketThatWaitsRefersToItsState(t *testing.T) {
	later(t, pf.Config{}, func(f *fw) {
		st := f.known()
		m, err := f.pool.Alloc(1)
		require.NoError(t, err)
		require.True(t, st.Hold())
		pf.Tag.Set(m, st)
		f.Remove(f.l, st)
		f.Purge(f.l, 10)
		require.Equal(t, 1, f.Outstanding())
		m.Free(mbuf.NoBufs)
		require.Zero(t, f.Outstanding())
	})
}

func TestNew_WhatCannotBe(t *testing.T) {
	dom := lwp.NewDomain()
	require.PanicsWithValue(t, "pf: a table for -1 states", func() { pf.New(dom, pf.Config{Limit: -1}) })
	require.Panics(t, func() { pf.New(nil, pf.Config{}) })
}

func TestState_ReleasedTwice(t *testing.T) {
	f := newFW(t, pf.Config{})
	st := f.known()
	f.Remove(f.l, st)
	f.Purge(f.l, 10)
	require.False(t, st.Hold())
	require.PanicsWithValue(t, "pf: a reference to the state 0000000000000001/00000001 was released twice", st.Release)
}

// A conversation translated from one family to the other has a key of each.
func TestImport_AnotherFamilyInside(t *testing.T) {
	later(t, pf.Config{}, func(f *fw) {
		w := wire.State{
			ID: wire.ID{ID: 1, Creator: 1}, AF: wire.AFInet6, Proto: pf.ICMPv6, Direction: wire.In, Timeout: uint8(pf.ICMPFirst),
			Wire: wire.Key{AF: wire.AFInet6, Port: [2]uint16{5, 128}}, Stack: wire.Key{AF: wire.AFInet, Port: [2]uint16{5, 8}},
		}
		st, err := f.Import(f.l, &w)
		require.NoError(t, err)
		require.EqualValues(t, pf.ICMP, st.Stack().Proto)
		require.EqualValues(t, pf.ICMPv6, st.Key().Proto)
		inside, outside := st.Stack(), st.Key()
		require.Equal(t, st, f.Find(&inside, pf.Out, "em0"))
		require.Equal(t, st, f.Find(&outside, pf.In, "em0"))
		require.Nil(t, f.Find(&outside, pf.Out, "em0"))
		var back wire.State
		st.Export(&back, f.Now())
		w.IfName, w.Rule, w.Anchor, w.NATRule, w.Expire = wire.NameOf("all"), wire.None, wire.None, wire.None, 20
		require.Equal(t, w, back, "what is not understood is kept")
	})
}

func TestImport_Refuses(t *testing.T) {
	later(t, pf.Config{}, func(f *fw) {
		_, err := f.Import(f.l, &wire.State{AF: wire.AFInet})
		require.ErrorIs(t, err, pf.ErrCreator)
		st, err := f.Import(f.l, &wire.State{ID: wire.ID{Creator: 1}})
		require.NoError(t, err)
		require.Nil(t, st)
		_, err = f.Import(f.l, &wire.State{ID: wire.ID{Creator: 1}, AF: 28})
		require.ErrorIs(t, err, wire.ErrValue)
		f.known()
		_, err = f.Import(f.l, &wire.State{ID: wire.ID{ID: 1, Creator: 1}, AF: wire.AFInet})
		require.ErrorIs(t, err, pf.ErrExists)
		require.Equal(t, 1, f.Len())
	})
}

// Whatever is done to a table, it has the states that an obvious one would have.
func TestTable_IsAsAnObviousOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFW(t, pf.Config{Limit: 16, Seed: 1})
		type id struct {
			key pf.Key
			dir pf.Dir
			on  string
		}
		model := map[id]*pf.State{}
		gen := rapid.Custom(func(t *rapid.T) id {
			return id{
				pf.KeyOf(pf.In, 17, netip.AddrPortFrom(netip.MustParseAddr(a), rapid.Uint16Range(1, 4).Draw(t, "port")), netip.MustParseAddrPort(b+":2")),
				rapid.SampledFrom([]pf.Dir{pf.In, pf.Out}).Draw(t, "dir"), rapid.SampledFrom([]string{"em0", "em1", "all"}).Draw(t, "on"),
			}
		})
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				i := gen.Draw(t, "state")
				st, err := f.Insert(f.l, i.key, i.key, i.dir, i.on)
				if f.Len() == 16 && st == nil {
					require.Error(t, err)
				} else if model[i] != nil {
					require.ErrorIs(t, err, pf.ErrExists)
				} else {
					require.NoError(t, err)
					model[i] = st
				}
			},
			"remove": func(t *rapid.T) {
				i := gen.Draw(t, "state")
				if st := model[i]; st != nil {
					require.True(t, f.Remove(f.l, st))
					require.False(t, f.Remove(f.l, st))
					delete(model, i)
				}
			},
			"purge": func(t *rapid.T) {
				f.Purge(f.l, 1000)
				require.Equal(t, len(model), f.Len())
			},
			"": func(t *rapid.T) {
				require.GreaterOrEqual(t, f.Len(), len(model))
				for i, st := range model {
					require.Equal(t, st, f.ByID(st.ID()))
					got := f.Find(&i.key, i.dir, i.on)
					require.NotNil(t, got)
					require.Equal(t, i.on, got.Interface())
				}
				n := 0
				for st := range f.All() {
					if st.Timeout() != pf.Unlinked {
						n++
					}
				}
				require.Equal(t, len(model), n)
			},
		})
		f.close()
	})
}

// Packets find what is not changed, whatever else comes and goes.
func TestFind_WhileOthersComeAndGo(t *testing.T) {
	f := newFW(t, pf.Config{Limit: 64}) // chains are long
	key := func(port uint16) pf.Key {
		return pf.KeyOf(pf.In, 17, netip.AddrPortFrom(netip.MustParseAddr(a), port), netip.MustParseAddrPort(b+":2"))
	}
	var stay [8]*pf.State
	for i := range stay {
		st, err := f.Insert(f.l, key(uint16(i)), key(uint16(i)), pf.In, "")
		require.NoError(t, err)
		stay[i] = st
	}
	var readers, ready sync.WaitGroup
	stop := make(chan struct{})
	ready.Add(2)
	for range 2 {
		readers.Go(func() {
			for n := 0; ; n++ {
				for i, st := range stay {
					k := key(uint16(i))
					if f.Find(&k, pf.In, "em0") != st || f.ByID(st.ID()) != st {
						t.Errorf("state %d was not found", i)
						return
					}
				}
				if n == 0 {
					ready.Done()
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	ready.Wait()
	rng := rand.New(rand.NewPCG(1, 2))
	there := map[uint16]*pf.State{}
	for range 20_000 {
		port := uint16(100 + rng.IntN(40))
		k := key(port)
		if st := there[port]; st != nil {
			require.True(t, f.Remove(f.l, st))
			delete(there, port)
			if rng.IntN(8) == 0 {
				f.Purge(f.l, 100)
			}
		} else if st, err := f.Insert(f.l, k, k, pf.In, ""); err == nil {
			there[port] = st
		} else {
			f.Purge(f.l, 100)
		}
	}
	close(stop)
	readers.Wait()
	f.close()
}

func TestKey_Strings(t *testing.T) {
	k := pf.KeyOf(pf.Out, 6, netip.MustParseAddrPort(a+":1"), netip.MustParseAddrPort(b+":2"))
	require.Equal(t, "tcp 10.0.0.2:2 10.0.0.1:1", k.String())
	require.Equal(t, pf.KeyOf(pf.In, 6, netip.MustParseAddrPort(b+":2"), netip.MustParseAddrPort(a+":1")), k, "both directions have one key")
	require.Equal(t, "proto 99 [::1]:0 [::]:0", fmt.Sprint(pf.KeyOf(pf.In, 99, netip.AddrPortFrom(netip.MustParseAddr("::1"), 0), netip.AddrPortFrom(netip.MustParseAddr("::"), 0))))
}

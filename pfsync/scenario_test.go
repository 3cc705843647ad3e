package pfsync

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// in returns flows of which each belongs to a slice, made by one of the functions above.
func (n *node) in(slice uint32, of func(uint16) *flow, many int) (fs []*flow) {
	k := n.pf
	for port := uint16(1024); len(fs) < many; port++ {
		f := of(port)
		key := f.key(pf.Out)
		if k.Hash(&key)%2 == slice {
			fs = append(fs, f)
		}
	}
	return fs
}

func TestScenario01_OneStateIsToldOfWithinASecond(t *testing.T) {
	pair(t, func(a, b *node) {
		st := a.open(tcpFlow(1024))
		sleep(2 * time.Second)
		require.Equal(t, []string{"1s INSx1"}, a.heard())
		require.Len(t, a.said[0].packet, 308-20)
		require.EqualValues(t, quiet, st.Sync.Queue)
		same(a, b)
		require.Len(t, b.states(), 1)
		require.Equal(t, 1, a.pf.Outstanding())
	})
}

func TestScenario02_EachSliceHasAPacketOfItsOwn(t *testing.T) {
	pair(t, func(a, b *node) {
		for slice := range uint32(2) {
			for _, f := range a.in(slice, tcpFlow, 2) {
				a.open(f)
			}
		}
		sleep(2 * time.Second)
		require.Equal(t, []string{"1s INSx2", "1s INSx2"}, a.heard())
		same(a, b)
	})
}

func TestScenario03_WhatDoesNotFitGoesIntoTheNextPacket(t *testing.T) {
	pair(t, func(a, b *node) {
		fs := a.in(0, tcpFlow, 6)
		for _, f := range fs[:5] {
			a.open(f)
		}
		sleep(100 * time.Millisecond)
		require.Empty(t, a.heard())
		a.open(fs[5])
		sleep(2 * time.Second)
		require.Equal(t, []string{"100ms INSx5", "1.1s INSx1"}, a.heard())
		require.EqualValues(t, 1, a.sliceSum(func(s SliceStats) uint64 { return s.Enqueues }))
		same(a, b)
	})
}

func TestScenario04_CreatedAndDeletedInTheWindow(t *testing.T) {
	pair(t, func(a, b *node) {
		st := a.open(tcpFlow(1024))
		a.pf.Remove(a.l, st)
		sleep(2 * time.Second)
		require.Empty(t, a.heard())
		require.EqualValues(t, 1, a.sliceSum(func(s SliceStats) uint64 { return s.WriteNops }))
		for _, s := range a.dev.Stats().Slice {
			require.Equal(t, empty, s.Len)
		}
		require.EqualValues(t, dead, st.Sync.Queue)
	})
}

// settled opens a flow, and waits until the peer knows.
func settled(a *node, f *flow) *pf.State {
	st := a.open(f)
	sleep(10 * time.Second)
	a.hush()
	return st
}

func TestScenario05_TheUpdateAfterMaxUpdatesDoesNotWait(t *testing.T) {
	pair(t, func(a, b *node) {
		f := tcpFlow(1024)
		settled(a, f)
		for range 128 {
			a.pass(f, false, ack, 10)
		}
		sleep(time.Millisecond)
		require.Empty(t, a.heard())
		a.pass(f, false, ack, 10)
		sleep(time.Millisecond)
		require.Equal(t, []string{"1ms UPD_Cx1"}, a.heard())
		same(a, b)
		src, _ := b.find(f).Seqs()
		require.Equal(t, f.seq, src)
	})
}

func TestScenario06_DatagramsForceNothing(t *testing.T) {
	pair(t, func(a, b *node) {
		f := udpFlow(1024)
		settled(a, f)
		for range 1000 {
			a.pass(f, false, 0, 10)
			time.Sleep(900 * time.Microsecond)
		}
		sleep(2 * time.Second)
		require.Equal(t, []string{"1s UPD_Cx1"}, a.heard())
	})
}

func TestScenario07_WithMaxUpdatesOneTheSecondUpdateDoesNotWait(t *testing.T) {
	pair(t, func(a, b *node) {
		f := tcpFlow(1024)
		settled(a, f)
		a.pass(f, false, ack, 10)
		sleep(time.Millisecond)
		require.Empty(t, a.heard())
		a.pass(f, false, ack, 10)
		sleep(time.Millisecond)
		require.Equal(t, []string{"1ms UPD_Cx1"}, a.heard())
	}, func(c *Config, _ *pf.Config) { c.MaxUpdates = 1 })
}

func TestScenario08_WhatThePeerSeesTooIsToldAtOnce(t *testing.T) {
	pair(t, func(a, b *node) {
		f := tcpFlow(1024)
		settled(a, f)
		a.pass(f, false, ack, 10)
		sleep(time.Second) // b has been told
		b.hush()
		b.pass(f, true, ack, 10)
		sleep(time.Millisecond)
		require.Equal(t, []string{"0s UPD_Cx1"}, b.heard())
		sleep(3 * time.Second)
		b.hush()
		b.pass(f, true, ack, 10) // a has not answered, and b has told it since: nobody is in a hurry
		sleep(2 * time.Second)
		require.Equal(t, []string{"1s UPD_Cx1"}, b.heard())
	})
}

func TestScenario09_ALostInsertIsAskedFor(t *testing.T) {
	pair(t, func(a, b *node) {
		f := tcpFlow(1024)
		b.deaf.Store(true)
		settled(a, f)
		b.deaf.Store(false)
		a.pass(f, false, ack, 10)
		sleep(2 * time.Second)
		require.Equal(t, []string{"1s UPD_Cx1", "1s UPDx1"}, a.heard())
		require.Equal(t, []string{"UPD_REQx1"}, b.last(1))
		same(a, b)
		require.Zero(t, a.dev.Stats().BadState+b.dev.Stats().BadState)
	})
}

func TestScenario10_ALostRequestIsRepeatedWithTheNextUpdate(t *testing.T) {
	pair(t, func(a, b *node) {
		f := tcpFlow(1024)
		b.deaf.Store(true)
		settled(a, f)
		b.deaf.Store(false)
		a.deaf.Store(true)
		a.pass(f, false, ack, 10)
		sleep(time.Minute)
		require.Equal(t, []string{"UPD_REQx1"}, b.last(2), "no timer repeats it")
		a.deaf.Store(false)
		a.pass(f, false, ack, 10)
		sleep(2 * time.Second)
		require.Equal(t, []string{"UPD_REQx1", "UPD_REQx1"}, b.last(2))
		same(a, b)
	})
}

func TestScenario11_WhoMissedADeleteKeepsTheStateUntilItIsOver(t *testing.T) {
	pair(t, func(a, b *node) {
		f := tcpFlow(1024)
		st := settled(a, f)
		b.deaf.Store(true)
		a.pf.Remove(a.l, st)
		sleep(2 * time.Second)
		b.deaf.Store(false)
		require.Len(t, b.states(), 1)
		a.hush()
		b.pass(f, false, ack, 10)
		sleep(2 * time.Second)
		require.Equal(t, []string{"UPD_REQx1"}, a.last(1), "a packet at b: a hears of it, and asks")
		same(a, b)
		sleep(2 * time.Minute)
		require.Empty(t, a.states())
		require.Empty(t, b.states())
	}, func(_ *Config, p *pf.Config) {
		ts := pf.DefaultTimeouts()
		ts[pf.TCPEstablished] = 60
		p.Timeouts = &ts
	})
}

// exported returns what is told of a state.
func (n *node) exported(st *pf.State) *wire.State {
	var w wire.State
	st.Export(&w, n.pf.Now())
	return &w
}

func TestScenario12_AnInsertThatComesTwice(t *testing.T) {
	pair(t, func(a, b *node) {
		w := a.exported(settled(a, tcpFlow(1024)))
		b.hush()
		before := b.dev.Stats()
		w.Flags |= pf.Ack
		b.tell(section(wire.INS, w))
		sleep(2 * time.Second)
		require.Empty(t, b.heard(), "it is not acknowledged again")
		after := b.dev.Stats()
		require.Equal(t, before.IPackets+1, after.IPackets)
		require.Equal(t, before.BadState+before.BadVal+before.Stale, after.BadState+after.BadVal+after.Stale)
		require.Equal(t, 1, b.pf.Outstanding())
	})
}

func TestScenario13_AnUpdateBeforeTheInsert(t *testing.T) {
	pair(t, func(a, b *node) {
		b.deaf.Store(true)
		st := settled(a, tcpFlow(1024))
		b.deaf.Store(false)
		w := a.exported(st)
		b.tell(section(wire.UPDC, &wire.Update{ID: st.ID(), Src: w.Src, Dst: w.Dst, Timeout: w.Timeout}))
		sleep(time.Second)
		require.Equal(t, []string{"UPD_REQx1"}, b.last(1))
		require.Equal(t, []string{"UPDx1"}, a.last(1))
		require.Len(t, b.states(), 1)
		b.tell(section(wire.INS, w))
		require.Len(t, b.states(), 1)
		require.Zero(t, b.dev.Stats().BadState)
	})
}

func TestScenario14_ADeleteBeforeTheInsertLeavesAGhost(t *testing.T) {
	pair(t, func(a, b *node) {
		b.deaf.Store(true)
		st := settled(a, udpFlow(1024))
		w := a.exported(st)
		b.deaf.Store(false)
		b.tell(section(wire.DELC, st.ID()))
		require.EqualValues(t, 1, b.dev.Stats().BadState)
		b.tell(section(wire.INS, w))
		require.Len(t, b.states(), 1)
		sleep(time.Duration(w.Expire+12) * time.Second)
		require.Empty(t, b.states())
	})
}

func TestScenario15_AnUpdateThatComesTwice(t *testing.T) {
	pair(t, func(a, b *node) {
		f := udpFlow(1024)
		w := a.exported(settled(a, f))
		b.hush()
		u := &wire.Update{ID: w.ID, Src: w.Src, Dst: w.Dst, Timeout: w.Timeout}
		sleep(15 * time.Second)
		left := b.exported(b.find(f)).Expire
		b.tell(section(wire.UPDC, u))
		require.Greater(t, b.exported(b.find(f)).Expire, left+10, "its time begins again")
		b.tell(section(wire.UPDC, u))
		sleep(2 * time.Second)
		require.Empty(t, b.heard())
		require.Zero(t, b.dev.Stats().Stale)
	})
}

// merged has a TCP state of b's meet an update of which both halves are as given, and returns what
// has become of it.
func merged(t *testing.T, ours, theirs [2]wire.Peer, check func(b *node, got *wire.State, left uint32)) {
	alone(t, func(b *node) {
		b.up()
		sleep(30 * time.Second)
		f := tcpFlow(1024)
		k := wire.Key{AF: wire.AFInet, Port: [2]uint16{80, 1024}}
		w := wire.State{
			ID: wire.ID{ID: 7, Creator: 99}, IfName: wire.NameOf("all"), Wire: k, Stack: k, AF: wire.AFInet, Proto: f.proto,
			Direction: wire.Out, Timeout: uint8(pf.TCPFirst), Expire: 100, Src: ours[0], Dst: ours[1],
		}
		b.tell(section(wire.INS, &w))
		sleep(10 * time.Second)
		b.hush()
		left := b.exported(b.pf.ByID(w.ID)).Expire
		b.tell(section(wire.UPDC, &wire.Update{ID: w.ID, Src: theirs[0], Dst: theirs[1], Timeout: uint8(pf.TCPEstablished)}))
		check(b, b.exported(b.pf.ByID(w.ID)), left)
		require.Equal(t, b.pf.Now(), b.pf.ByID(w.ID).SyncedAt())
		b.down()
	})
}

func half(level uint8, seq uint32) wire.Peer { return wire.Peer{Level: level, SeqLo: seq} }

func TestScenario16_EachHalfIsMergedForItself(t *testing.T) {
	merged(t, [2]wire.Peer{half(4, 200), half(4, 100)}, [2]wire.Peer{half(4, 100), half(4, 200)}, func(b *node, got *wire.State, left uint32) {
		require.Equal(t, [2]wire.Peer{half(4, 200), half(4, 200)}, [2]wire.Peer{got.Src, got.Dst})
		require.EqualValues(t, pf.TCPEstablished, got.Timeout)
		require.EqualValues(t, 86400, got.Expire, "its time begins again")
		require.EqualValues(t, 1, b.dev.Stats().Stale)
		require.Equal(t, []string{"0s UPD_Cx1"}, b.heard(), "the peer is told at once")
	})
}

func TestScenario17_NothingIsTakenOverThatIsOlder(t *testing.T) {
	merged(t, [2]wire.Peer{half(4, 200), half(4, 200)}, [2]wire.Peer{half(4, 100), half(4, 100)}, func(b *node, got *wire.State, left uint32) {
		require.Equal(t, [2]wire.Peer{half(4, 200), half(4, 200)}, [2]wire.Peer{got.Src, got.Dst})
		require.EqualValues(t, pf.TCPFirst, got.Timeout)
		require.Equal(t, left, got.Expire)
		require.EqualValues(t, 1, b.dev.Stats().Stale)
		require.Equal(t, []string{"0s UPD_Cx1"}, b.heard())
	})
}

func TestScenario18_SequenceNumbersGoRound(t *testing.T) {
	for _, c := range []struct {
		ours, theirs uint32
		kept         bool
	}{
		{0xfffffff0, 0x10, false}, {0x10, 0xfffffff0, true}, {5, 5, false},
		{0, 0x7ffffff0, false}, {0, 0x80000000, false}, {0x80000000, 0, false}, {0x7fffffff, 0, true},
	} {
		merged(t, [2]wire.Peer{half(4, c.ours), half(4, 1)}, [2]wire.Peer{half(4, c.theirs), half(4, 1)}, func(b *node, got *wire.State, _ uint32) {
			want := c.theirs
			if c.kept {
				want = c.ours
			}
			require.Equal(t, want, got.Src.SeqLo, "%x, %x", c.ours, c.theirs)
		})
	}
}

func TestScenario19_AProxyMayFallBack(t *testing.T) {
	for _, c := range []struct {
		ours, theirs uint8
		src          bool
		kept         bool
	}{
		{12, 4, true, false}, {11, 4, true, false}, {12, 11, true, true}, {11, 12, true, false}, {4, 2, true, true},
		{12, 4, false, true}, {4, 2, false, true}, {2, 4, false, false},
	} {
		ours, theirs := [2]wire.Peer{half(2, 1), half(2, 1)}, [2]wire.Peer{half(2, 1), half(2, 1)}
		i := 1
		if c.src {
			i = 0
		}
		ours[i], theirs[i] = half(c.ours, 9), half(c.theirs, 3)
		merged(t, ours, theirs, func(b *node, got *wire.State, _ uint32) {
			is := [2]wire.Peer{got.Src, got.Dst}[i].Level
			if c.kept {
				require.Equal(t, c.ours, is, c)
			} else {
				require.Equal(t, c.theirs, is, c)
			}
		})
	}
}

func TestScenario20_WhatIsTakenDownStaysDown(t *testing.T) {
	pair(t, func(a, b *node) {
		f := tcpFlow(1024)
		w := a.exported(settled(a, f))
		st := b.find(f)
		require.True(t, st.Hold()) // somebody has looked it up, and then it is taken down
		b.pf.RemoveSilently(b.l, st)
		require.False(t, b.pf.Remove(b.l, st))
		st.Merge(&w.Src, &w.Dst, pf.Timeout(w.Timeout))
		require.Equal(t, pf.Unlinked, st.Timeout())
		sleep(12 * time.Second)
		require.Zero(t, b.pf.Len())
		require.Equal(t, 1, b.pf.Outstanding())
		st.Release()
	})
}

func TestScenario21_AnUpdateOfAStateThatWasCleared(t *testing.T) {
	pair(t, func(a, b *node) {
		f := tcpFlow(1024)
		settled(a, f)
		a.pass(f, false, ack, 10)
		require.Equal(t, 1, a.pf.Clear(a.l, ""))
		sleep(2 * time.Second)
		require.Equal(t, []string{"0s CLRx1", "1s UPD_Cx1"}, a.heard())
		require.Equal(t, byte(pf.Unlinked), a.said[1].packet[24+80])
		require.EqualValues(t, 1, b.dev.Stats().BadVal)
		require.Empty(t, b.states())
	})
}

func TestScenario40_BothDirectionsOfAConversationAreInOneSlice(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		defer n.down()
		used := map[*slice]int{}
		r := n.dev.running.Load()
		for port := range uint16(500) {
			f := tcpFlow(1024 + port)
			st := n.open(f)
			out, back := f.packet(false, ack, 0), f.packet(true, ack, 0)
			for _, b := range [][]byte{out, back} {
				m, err := n.ifs.Pool().From(b)
				require.NoError(t, err)
				var h mbuf.Hasher
				require.True(t, h.Packet(m))
				require.Equal(t, st.Hash(), m.FlowID, "packets are steered by it")
				m.Free(mbuf.Done)
			}
			used[r.slice(st)]++
		}
		require.Len(t, used, 2)
		// Of a state whose addresses are translated only the key outside counts.
		outside, inside := udpFlow(7).key(pf.Out), udpFlow(8).key(pf.Out)
		st, err := n.pf.Insert(n.l, outside, inside, pf.Out, "")
		require.NoError(t, err)
		require.Equal(t, n.pf.Hash(&outside), st.Hash())
		// And all SAs are of the first.
		sleep(2 * time.Second)
		for i := range uint32(50) {
			tn := n.dev.c.Tunnels.Add(TunnelKey{SPI: 256 + i, Dst: netip.MustParseAddr("192.0.2.1"), Proto: 50})
			n.dev.c.Tunnels.Count(tn, 1, 1, true)
		}
		require.Equal(t, 50-28, r.slices[0].tunnels.n, "28 have filled a packet")
		require.Zero(t, r.slices[1].tunnels.n)
	})
}

// last returns the words, without their times, of the last packets said.
func (n *node) last(many int) (words []string) {
	all := n.said[max(0, len(n.said)-many):]
	for _, s := range all {
		words = append(words, saying{packet: s.packet}.String()[len("0s "):])
	}
	return words
}

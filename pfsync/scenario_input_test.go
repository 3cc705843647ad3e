package pfsync

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

func TestScenario22_LengthsThatCannotBe(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		defer n.down()
		for i, length := range []byte{200, 19, 0} {
			b := pfsyncPacket(section(wire.UPDREQ, wire.ID{}))
			b[3] = length
			n.tellRaw(wire.TTL, b)
			require.EqualValues(t, i+1, n.dev.Stats().BadLen)
		}
		sleep(time.Second)
		require.NotContains(t, n.heard(), "BUSx1", "no section was taken")
	})
}

func TestScenario23_WhatComesBeforeAMistakeCounts(t *testing.T) {
	pair(t, func(a, b *node) {
		f := tcpFlow(1024)
		st := settled(a, f)
		bad := section(wire.DELC, wire.ID{ID: 1, Creator: 1})
		bad[3] = 9
		b.tell(section(wire.DELC, st.ID()), bad)
		require.EqualValues(t, 1, b.dev.Stats().BadLen)
		require.Empty(t, b.states())
	})
}

func TestScenario24_WhatALaterVersionAddsIsPassedOver(t *testing.T) {
	pair(t, func(a, b *node) {
		st := settled(a, tcpFlow(1024))
		longer := wire.ID{ID: 0x99, Creator: 0x99}.Append([]byte{byte(wire.DELC), 4, 0, 2})
		longer = append(longer, 0xee, 0xee, 0xee, 0xee)
		longer = append(st.ID().Append(longer), 0xee, 0xee, 0xee, 0xee)
		b.tell([]byte{42, 3, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, longer)
		require.Empty(t, b.states())
		s := b.dev.Stats()
		require.EqualValues(t, 1, s.BadState, "of the first, which nobody knows")
		require.Zero(t, s.BadAct+s.BadLen+s.BadVal)
	})
}

func TestScenario25_FreeBSDIsNotUnderstood(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		defer n.down()
		b := pfsyncPacket(section(wire.UPDREQ, wire.ID{}))
		b[0] = 5
		n.tellRaw(wire.TTL, b)
		s := n.dev.Stats()
		require.EqualValues(t, 1, s.IPackets)
		require.EqualValues(t, 1, s.BadVer)
		require.Zero(t, s.BadIf+s.BadTTL+s.HDrops+s.BadLen+s.BadAct+s.BadVal+s.BadState)
	})
}

// Each error of a packet has its counter, and they are looked for in this order.
func TestInput_CountersInOrder(t *testing.T) {
	alone(t, func(n *node) {
		request := pfsyncPacket(section(wire.UPDREQ, wire.ID{}))
		n.tellRaw(wire.TTL, request)
		require.Equal(t, Stats{IPackets: 1}, n.dev.Stats(), "nobody runs: it is not looked at")
		n.up()
		defer n.down()
		sleep(time.Minute)
		said := len(n.said)
		bad := func(f func(b []byte) []byte) []byte { return f(append([]byte(nil), request...)) }
		for _, c := range []struct {
			name   string
			packet []byte
			ttl    byte
			is     func(Stats) uint64
		}{
			{"TTL", request, 254, func(s Stats) uint64 { return s.BadTTL }},
			{"TTL before length", request[:19], 254, func(s Stats) uint64 { return s.BadTTL - 1 }},
			{"no header", request[:19], 255, func(s Stats) uint64 { return s.HDrops }},
			{"version before length", bad(func(b []byte) []byte { b[0], b[3] = 5, 200; return b }), 255, func(s Stats) uint64 { return s.BadVer }},
			{"length", bad(func(b []byte) []byte { b[3] = 37; return b }), 255, func(s Stats) uint64 { return s.BadLen }},
			{"action", pfsyncPacket([]byte{16, 0, 0, 0}, section(wire.UPDREQ, wire.ID{})), 255, func(s Stats) uint64 { return s.BadAct }},
		} {
			n.tellRaw(c.ttl, c.packet)
			require.EqualValues(t, 1, c.is(n.dev.Stats()), c.name)
		}
		m, err := n.ifs.Pool().From(append(appendIP(nil, [4]byte{}, Group.As4(), 20+len(request), 1), request...))
		require.NoError(t, err)
		require.NoError(t, n.dev.Queue().Input(m, 20, wire.Protocol))
		synctest.Wait()
		require.EqualValues(t, 1, n.dev.Stats().BadIf)
		sleep(time.Second)
		require.Len(t, n.said, said, "none was answered")
		n.tellRaw(wire.TTL, append(request, 1, 2, 3))
		sleep(time.Second)
		require.Len(t, n.said, said+1, "what follows the packet is ignored")
	})
}

// Messages that say what cannot be are left out; those around them are not.
func TestInput_ValuesThatNobodyHas(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		defer n.down()
		w := func(id uint64, port uint16, spoil func(*wire.State)) *wire.State {
			k := wire.Key{AF: wire.AFInet, Port: [2]uint16{80, port}}
			s := &wire.State{ID: wire.ID{ID: id, Creator: 5}, Wire: k, Stack: k, AF: wire.AFInet, Proto: pf.UDP, Direction: wire.Out, Timeout: uint8(pf.UDPSingle)}
			if spoil != nil {
				spoil(s)
			}
			return s
		}
		n.tell(section(wire.INS, w(1, 1, nil), w(2, 2, func(s *wire.State) { s.Timeout = 20 }), w(3, 3, nil)))
		require.Len(t, n.states(), 2)
		require.EqualValues(t, 1, n.dev.Stats().BadVal)
		n.tell(section(wire.UPDC, &wire.Update{ID: wire.ID{ID: 1, Creator: 5}, Timeout: 22}))
		require.EqualValues(t, 2, n.dev.Stats().BadVal)
		n.tell(section(wire.UPD, w(1, 1, func(s *wire.State) { s.Src.Level = 13 })))
		require.EqualValues(t, 3, n.dev.Stats().BadVal)

		n.tell(section(wire.INS, w(4, 1, nil)), section(wire.INS, w(5, 5, func(s *wire.State) { s.ID.Creator = 0 })))
		require.Len(t, n.states(), 2, "one of the same key, one of nobody")
		require.Zero(t, n.dev.Stats().BadState, "which is nobody's fault")
		n.tell(section(wire.UPD, w(6, 6, nil)), section(wire.UPD, w(7, 1, nil)), section(wire.UPD, w(8, 8, func(s *wire.State) { s.AF = 0 })))
		require.Len(t, n.states(), 3)
		require.EqualValues(t, 1, n.dev.Stats().BadState, "one whose key is another's")
		require.Zero(t, n.dev.Stats().BadIf)
	})
}

// A section ends when there is no room for more states; what follows it does not.
func TestInput_NoRoom(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		defer n.down()
		w := func(id uint64) *wire.State {
			k := wire.Key{AF: wire.AFInet, Port: [2]uint16{80, uint16(id)}}
			return &wire.State{ID: wire.ID{ID: id, Creator: 5}, Wire: k, Stack: k, AF: wire.AFInet, Proto: pf.UDP, Direction: wire.Out, Timeout: uint8(pf.UDPSingle)}
		}
		n.tell(section(wire.INS, w(1), w(2), w(3), w(4), w(5)), section(wire.DELC, wire.ID{ID: 1, Creator: 5}))
		require.Len(t, n.states(), 2)
		require.Zero(t, n.dev.Stats().BadState)
		require.EqualValues(t, 1, n.pf.Stats().Limit, "the fourth was not tried")
	}, func(_ *Config, p *pf.Config) { p.Limit = 3 })
}

// An interface that nobody here has heard of comes into being, but only so many do.
func TestInput_NamesOfInterfaces(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		defer n.down()
		for i := range 300 {
			k := wire.Key{AF: wire.AFInet, Port: [2]uint16{80, uint16(i)}}
			n.tell(section(wire.INS, &wire.State{
				ID: wire.ID{ID: uint64(i), Creator: 5}, IfName: wire.NameOf("if" + string(rune('A'+i%60)) + string(rune('A'+i/60))),
				Wire: k, Stack: k, AF: wire.AFInet, Proto: pf.UDP, Direction: wire.Out, Timeout: uint8(pf.UDPSingle),
			}))
		}
		require.Len(t, n.states(), 256)
		require.Equal(t, 1, n.pf.Forget(n.l, 5, "ifAA"))
		require.Zero(t, n.pf.Forget(n.l, 6, "ifBA"))
	})
}

func TestInput_ClearForgetsACreatorsStates(t *testing.T) {
	pair(t, func(a, b *node) {
		settled(a, tcpFlow(1024))
		settled(a, tcpFlow(1025))
		settled(b, tcpFlow(1026))
		require.Len(t, b.states(), 3)
		b.tell(section(wire.CLR, &wire.Clear{IfName: wire.NameOf("em7"), Creator: a.host}))
		require.Len(t, b.states(), 3, "no state is on it")
		b.hush()
		b.tell(section(wire.CLR, &wire.Clear{Creator: a.host}))
		require.Len(t, b.states(), 1)
		sleep(2 * time.Second)
		require.Empty(t, b.heard(), "nobody is told what they said themselves")
		require.Equal(t, 3, a.pf.Clear(a.l, ""))
		sleep(time.Second)
		require.Len(t, b.states(), 1, "a has named itself alone")
	})
}

func TestScenario39_CountersOfTunnelsDoNotGoBack(t *testing.T) {
	pair(t, func(a, b *node) {
		k := TunnelKey{SPI: 0x1000, Dst: netip.MustParseAddr("192.0.2.9"), Proto: 50}
		ta, tb := a.dev.c.Tunnels.Add(k), b.dev.c.Tunnels.Add(k)
		is := func(rpl, bytes uint64) {
			t.Helper()
			r, n := tb.Counters()
			require.Equal(t, [2]uint64{rpl, bytes}, [2]uint64{r, n})
		}
		tell := func(rpl, bytes uint64) {
			b.tell(section(wire.TDB, &wire.Tunnel{SPI: k.SPI, Dst: sockaddr(k.Dst), RPL: rpl, Bytes: bytes, Proto: 50}))
		}
		tell(10, 1000)
		is(10, 1000)
		tell(11, 999)
		is(10, 1000)
		tell(20, 2000)
		is(20, 2000)
		tell(10, 1000)
		is(20, 2000)

		a.dev.c.Tunnels.Count(ta, 30, 5000, false)
		sleep(2 * time.Second)
		is(30, 5000)
		a.dev.c.Tunnels.Count(ta, 40, 1, true)
		sleep(2 * time.Second)
		is(40+16384, 5001)
		require.Equal(t, []string{"TDBx1", "TDBx1"}, a.last(2))

		a.dev.c.Tunnels.Count(ta, 41, 1, true)
		a.dev.c.Tunnels.Delete(ta)
		a.dev.c.Tunnels.Count(ta, 42, 1, true)
		said := len(a.said)
		sleep(2 * time.Second)
		require.Len(t, a.said, said, "nothing is said of one that has gone")
		for _, s := range a.dev.Stats().Slice {
			require.Equal(t, empty, s.Len)
		}

		before := b.dev.Stats().BadState
		b.tell(section(wire.TDB,
			&wire.Tunnel{SPI: 255, Dst: sockaddr(k.Dst), RPL: 1e9, Bytes: 1e9, Proto: 50},
			&wire.Tunnel{SPI: k.SPI, Dst: [28]byte{0, wire.AFInet}, RPL: 1e9, Bytes: 1e9, Proto: 50}, // any destination, in OpenBSD
			&wire.Tunnel{SPI: k.SPI, Dst: [28]byte{200, wire.AFInet}, RPL: 1e9, Bytes: 1e9, Proto: 50},
			&wire.Tunnel{SPI: 9999, Dst: sockaddr(k.Dst), RPL: 1e9, Bytes: 1e9, Proto: 50},
		))
		require.Equal(t, before+3, b.dev.Stats().BadState)
		is(40+16384, 5001)
	})
}

func TestTunnels_ManyUpdatesDoNotWait(t *testing.T) {
	pair(t, func(a, b *node) {
		tn := a.dev.c.Tunnels.Add(TunnelKey{SPI: 4096, Dst: netip.MustParseAddr("fd00::1"), Proto: 51})
		for i := range uint64(4) {
			a.dev.c.Tunnels.Count(tn, i, 10, false)
		}
		sleep(time.Millisecond)
		require.Equal(t, []string{"TDBx1"}, a.last(1))
		a.dev.c.Tunnels.Count(tn, 10, 10, false)
		a.down() // forgets it
		a.dev.c.Tunnels.Count(tn, 11, 10, false)
		a.dev.c.Tunnels.Delete(tn)
		a.up()
	}, func(c *Config, _ *pf.Config) { c.MaxUpdates = 3 })
}

func TestInput_PacketsAreFreedOnceWhateverTheySay(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		defer n.down()
		for ttl := range 2 {
			for length := range 80 {
				b := make([]byte, length)
				if length > 0 {
					b[0] = wire.Version
				}
				n.tellRaw(byte(254+ttl), b)
			}
		}
		sleep(time.Second)
		require.Zero(t, n.ifs.Pool().Stats().Frees[mbuf.Handler])
	})
}

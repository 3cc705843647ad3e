package mbuf_test

import (
	"encoding/binary"
	"math"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/mbuf"
)

func addr() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		if rapid.Bool().Draw(t, "v6") {
			return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "addr")))
		}
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "addr")))
	})
}

func flow() *rapid.Generator[mbuf.Flow] {
	return rapid.Custom(func(t *rapid.T) mbuf.Flow {
		return mbuf.Flow{
			Src: addr().Draw(t, "src"), Dst: addr().Draw(t, "dst"),
			SrcPort: rapid.Uint16().Draw(t, "sport"), DstPort: rapid.Uint16().Draw(t, "dport"),
			Proto: rapid.Byte().Draw(t, "proto"),
		}
	})
}

// Both directions of a conversation have one hash, so that one stream, and one slice, has both.
func TestHasher_HasNoDirection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, f := mbuf.NewHasher(rapid.Uint64().Draw(t, "seed")), flow().Draw(t, "flow")
		require.Equal(t, h.Flow(f), h.Flow(f.Reverse()))
		require.Equal(t, f, f.Reverse().Reverse())
	})
}

// Flows that differ in little spread over few buckets about as dice do: the chi-square of each
// set is within what happens by chance once in ten thousand times.
func TestHasher_SpreadsWhatDiffersInLittle(t *testing.T) {
	const flows, buckets = 1 << 14, 8
	sets := map[string]func(i int) mbuf.Flow{
		"ports": func(i int) mbuf.Flow {
			return mbuf.Flow{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), SrcPort: uint16(i), DstPort: 443, Proto: 6}
		},
		"v4 hosts": func(i int) mbuf.Flow {
			return mbuf.Flow{Src: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Dst: netip.MustParseAddr("10.1.0.2"), Proto: 1}
		},
		"both ends alike": func(i int) mbuf.Flow {
			a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			return mbuf.Flow{Src: a, Dst: a, SrcPort: 5, DstPort: 5, Proto: 17}
		},
		"v6 networks": func(i int) mbuf.Flow {
			var a [16]byte
			binary.BigEndian.PutUint32(a[2:], uint32(i))
			return mbuf.Flow{Src: netip.AddrFrom16(a), Dst: netip.MustParseAddr("2001:db8::1"), SrcPort: 1, DstPort: 2, Proto: 6}
		},
	}
	for name, f := range sets {
		for _, seed := range []uint64{0, 1, 1 << 63, math.MaxUint64, 0x123456789abcdef} {
			h := mbuf.NewHasher(seed)
			var n [buckets]float64
			for i := range flows {
				n[h.Flow(f(i))%buckets]++
			}
			chi := 0.0
			for _, x := range n {
				chi += (x - flows/buckets) * (x - flows/buckets) / (flows / buckets)
			}
			require.Less(t, chi, 29.9, "%s, seed %x: %v", name, seed, n)
		}
	}
}

// Who does not know the seed cannot make flows that meet: not by addresses, either, that make a
// factor of the hash 0 and all ports alike.
func TestHasher_DependsOnItsSeed(t *testing.T) {
	for _, hi := range []uint64{0x6a09e667f3bcc909, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1} {
		var a [16]byte
		binary.LittleEndian.PutUint64(a[:8], hi)
		f := mbuf.Flow{Src: netip.AddrFrom16(a), Dst: netip.IPv6Loopback(), SrcPort: 1, Proto: 6}
		g := f
		g.SrcPort = 2
		for seed := range uint64(256) {
			h := mbuf.NewHasher(seed<<40 + 1)
			require.NotEqual(t, h.Flow(f), h.Flow(g), "ports")
			require.NotEqual(t, h.Flow(f), mbuf.NewHasher(seed<<40+2).Flow(f), "seeds")
		}
	}
}

func ipv4(src, dst netip.Addr, proto uint8, frag uint16, options int, payload []byte) []byte {
	b := make([]byte, 20+4*options, 20+4*options+len(payload))
	b[0] = 4<<4 | byte(5+options)
	binary.BigEndian.PutUint16(b[6:], frag)
	b[9] = proto
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	return append(b, payload...)
}

func ipv6(src, dst netip.Addr, next uint8, payload []byte) []byte {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[6] = 6<<4, next
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	return append(b, payload...)
}

func TestFlowOf_FindsAddressesAndPorts(t *testing.T) {
	a4, b4 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	a6, b6 := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	ports := []byte{0, 7, 0, 9}
	hop := append([]byte{17, 0, 1, 4, 0, 0, 0, 0}, ports...)              // hop-by-hop, then UDP
	frag := append([]byte{17, 0, 0, 1, 0, 0, 0, 1}, ports...)             // first fragment of UDP
	twice := append([]byte{60, 0, 1, 4, 0, 0, 0, 0}, hop...)              // hop-by-hop, then options, then UDP
	far := append(append([]byte{17, 15}, make([]byte, 126)...), ports...) // ports beyond 128 bytes
	for name, c := range map[string]struct {
		b     []byte
		want  mbuf.Flow
		ports bool
		ok    bool
	}{
		"udp":                  {ipv4(a4, b4, 17, 0, 0, ports), mbuf.Flow{Src: a4, Dst: b4, SrcPort: 7, DstPort: 9, Proto: 17}, true, true},
		"udp, do not fragment": {ipv4(a4, b4, 17, 0x4000, 0, ports), mbuf.Flow{Src: a4, Dst: b4, SrcPort: 7, DstPort: 9, Proto: 17}, true, true},
		"options":              {ipv4(a4, b4, 6, 0, 2, ports), mbuf.Flow{Src: a4, Dst: b4, SrcPort: 7, DstPort: 9, Proto: 6}, true, true},
		"icmp":                 {ipv4(a4, b4, 1, 0, 0, ports), mbuf.Flow{Src: a4, Dst: b4, Proto: 1}, false, true},
		"first fragment":       {ipv4(a4, b4, 17, 0x2000, 0, ports), mbuf.Flow{Src: a4, Dst: b4, Proto: 17}, false, true},
		"later fragment":       {ipv4(a4, b4, 17, 5, 0, ports), mbuf.Flow{Src: a4, Dst: b4, Proto: 17}, false, true},
		"ports cut off":        {ipv4(a4, b4, 17, 0, 0, ports[:3]), mbuf.Flow{Src: a4, Dst: b4, Proto: 17}, false, true},
		"udp6":                 {ipv6(a6, b6, 17, ports), mbuf.Flow{Src: a6, Dst: b6, SrcPort: 7, DstPort: 9, Proto: 17}, true, true},
		"hop-by-hop":           {ipv6(a6, b6, 0, hop), mbuf.Flow{Src: a6, Dst: b6, SrcPort: 7, DstPort: 9, Proto: 17}, true, true},
		"two extensions":       {ipv6(a6, b6, 0, twice), mbuf.Flow{Src: a6, Dst: b6, SrcPort: 7, DstPort: 9, Proto: 17}, true, true},
		"fragment6":            {ipv6(a6, b6, 44, frag), mbuf.Flow{Src: a6, Dst: b6, Proto: 17}, false, true},
		"too far":              {ipv6(a6, b6, 0, far), mbuf.Flow{Src: a6, Dst: b6, Proto: 17}, false, true},
		"extension cut off":    {ipv6(a6, b6, 0, hop[:1]), mbuf.Flow{Src: a6, Dst: b6, Proto: 0}, false, true},
		"header cut off":       {ipv4(a4, b4, 17, 0, 0, nil)[:19], mbuf.Flow{}, false, false},
		"header too short":     {append([]byte{0x44}, make([]byte, 30)...), mbuf.Flow{}, false, false},
		"options cut off":      {ipv4(a4, b4, 17, 0, 9, nil)[:24], mbuf.Flow{}, false, false},
		"v6 cut off":           {ipv6(a6, b6, 17, nil)[:39], mbuf.Flow{}, false, false},
		"neither":              {[]byte{0x50, 1, 2, 3}, mbuf.Flow{}, false, false},
		"empty":                {nil, mbuf.Flow{}, false, false},
	} {
		pool := mbuf.NewPool(mbuf.PoolConfig{})
		for cut := 0; cut <= len(c.b); cut += max(1, len(c.b)/7) {
			m, err := pool.From(c.b[:cut], c.b[cut:]) // however it is cut
			require.NoError(t, err)
			f, ports, ok := mbuf.FlowOf(m)
			require.Equal(t, c.ok, ok, name)
			require.Equal(t, c.ports, ports, name)
			require.Equal(t, c.want, f, name)
			h := mbuf.NewHasher(3)
			require.Equal(t, ok, h.Packet(m), name)
			switch {
			case !ok:
				require.Equal(t, mbuf.HashNone, m.Hash)
			case ports:
				require.Equal(t, mbuf.HashPorts, m.Hash)
			default:
				require.Equal(t, mbuf.HashAddrs, m.Hash)
			}
			if ok {
				require.Equal(t, h.Flow(c.want), m.FlowID)
				m.FlowID = 99
				require.True(t, h.Packet(m))
				require.EqualValues(t, 99, m.FlowID, "who has one keeps it")
			}
			m.Free(mbuf.Done)
		}
	}
}

// No bytes make FlowOf panic or change the packet.
func FuzzFlowOf(f *testing.F) {
	f.Add([]byte{0x45}, 0)
	f.Add(ipv6(netip.IPv6Loopback(), netip.IPv6Loopback(), 0, []byte{0, 0, 0, 0, 0, 0, 0, 0}), 41)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = max(0, min(cut, len(b)))
		m, err := mbuf.NewPool(mbuf.PoolConfig{}).From(b[:cut], b[cut:])
		require.NoError(t, err)
		mbuf.FlowOf(m)
		require.Equal(t, len(b), m.Len())
		require.True(t, string(b) == string(m.Bytes()))
	})
}

func BenchmarkHasher(b *testing.B) {
	h := mbuf.NewHasher(7)
	f := mbuf.Flow{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), SrcPort: 7, DstPort: 9, Proto: 17}
	for b.Loop() {
		f.SrcPort++
		h.Flow(f)
	}
}

func BenchmarkAllocFree(b *testing.B) {
	p := mbuf.NewPool(mbuf.PoolConfig{})
	for b.Loop() {
		m, _ := p.Alloc(64)
		m.Free(mbuf.Done)
	}
}

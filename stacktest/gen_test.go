package stacktest_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/stacktest"
)

// sum is the Internet checksum's sum, written once more and differently: byte by byte.
func sum(b []byte) uint16 {
	var high, low int
	for i, x := range b {
		if i%2 == 0 {
			high += int(x)
		} else {
			low += int(x)
		}
	}
	n := high<<8 + low
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}

// unpacked returns the flow of a whole IP packet and what follows its header.
func unpacked(t require.TestingT, b []byte) (mbuf.Flow, []byte) {
	m, err := mbuf.NewPool(mbuf.PoolConfig{}).From(b)
	require.NoError(t, err)
	f, _, ok := mbuf.FlowOf(m)
	require.True(t, ok)
	if b[0]>>4 == 4 {
		require.EqualValues(t, 0xffff, sum(b[:20]), "header checksum")
		require.EqualValues(t, len(b), binary.BigEndian.Uint16(b[2:]))
		return f, b[20:]
	}
	require.EqualValues(t, len(b)-40, binary.BigEndian.Uint16(b[4:]))
	return f, b[40:]
}

func pseudoHeader(src, dst netip.Addr, proto uint8, n int) []byte {
	b := append(src.AsSlice(), dst.AsSlice()...)
	return append(b, 0, proto, byte(n>>8), byte(n))
}

func TestUDPPackets_AreRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, b := unpacked(t, stacktest.UDPPackets().Draw(t, "packet"))
		require.EqualValues(t, 17, f.Proto)
		require.EqualValues(t, len(b), binary.BigEndian.Uint16(b[4:]))
		require.NotZero(t, binary.BigEndian.Uint16(b[6:]), "no checksum")
		require.EqualValues(t, 0xffff, sum(append(pseudoHeader(f.Src, f.Dst, 17, len(b)), b...)))
	})
}

func TestICMPPackets_AreRight(t *testing.T) {
	seen := map[byte]bool{}
	rapid.Check(t, func(t *rapid.T) {
		f, b := unpacked(t, stacktest.ICMPPackets().Draw(t, "packet"))
		seen[b[0]] = true
		if f.Src.Is4() {
			require.EqualValues(t, 1, f.Proto)
			require.EqualValues(t, 0xffff, sum(b))
			if b[0] == 3 || b[0] == 5 {
				inner, _ := unpacked(t, b[8:])
				require.Equal(t, f.Dst, inner.Src, "it is about what its receiver has sent")
			}
			return
		}
		require.EqualValues(t, 58, f.Proto)
		require.EqualValues(t, 0xffff, sum(append(pseudoHeader(f.Src, f.Dst, 58, len(b)), b...)))
	})
	require.GreaterOrEqual(t, len(seen), 7, "%v", seen)
}

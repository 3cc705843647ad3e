package internet

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The stored table says what its source says, line by line.
func TestPrefixes_AreThoseOfTheSource(t *testing.T) {
	ps := Prefixes()
	first6 := slices.IndexFunc(ps, func(p netip.Prefix) bool { return p.Addr().Is6() })
	require.Equal(t, 901_899, first6)
	require.Equal(t, 901_899+160_147, len(ps))

	h := sha256.New()
	var line []byte
	for _, p := range ps {
		line = append(p.AppendTo(line[:0]), '\n')
		h.Write(line)
	}
	sum := hex.EncodeToString(h.Sum(nil))
	require.Equal(t, "10907add98323934e5088e5ef12cd9d0b181dcbac62bf49c000a30cd9c99939e", sum)

	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), sum)
}

func parse(lines string) (ps []netip.Prefix) {
	for _, s := range strings.Fields(lines) {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

var tables = []string{
	"",
	"0.0.0.0/0",
	"::/0",
	"10.0.0.0/8 10.0.0.0/9 10.0.0.0/32 255.255.255.255/32",
	"0.0.0.0/0 255.0.0.0/8 ::/0 ::/64 ::/65 ::1/128 2001:db8::/32 2001:db8::8000:0:0:0/65 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
}

func TestDecode_IsWhatEncodeWas(t *testing.T) {
	for _, lines := range tables {
		ps := parse(lines)
		stored, err := Encode(ps)
		require.NoError(t, err)
		back, err := Decode(stored)
		require.NoError(t, err)
		require.True(t, slices.Equal(ps, back), "%v\n%v", ps, back)
	}
}

func TestEncode_RefusesWhatDecodeWouldChange(t *testing.T) {
	for _, lines := range []string{"10.0.0.1/8", "10.0.0.0/8 10.0.0.0/8", "10.0.0.0/9 10.0.0.0/8", "::/0 10.0.0.0/8"} {
		_, err := Encode(parse(lines))
		require.ErrorContains(t, err, "out of order")
	}
	_, err := Encode([]netip.Prefix{{}})
	require.Error(t, err)
}

func TestDecode_RefusesDamage(t *testing.T) {
	_, err := Decode(table[:len(table)/2])
	require.ErrorIs(t, err, errCorrupt)
	_, err = Decode([]byte("no deflate stream"))
	require.ErrorIs(t, err, errCorrupt)
}

// Whatever Decode accepts is a table that Encode accepts.
func FuzzDecode(f *testing.F) {
	for _, lines := range tables {
		stored, err := Encode(parse(lines))
		require.NoError(f, err)
		f.Add(stored)
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		ps, err := Decode(stored)
		if err != nil {
			return
		}
		again, err := Encode(ps)
		require.NoError(t, err)
		back, err := Decode(again)
		require.NoError(t, err)
		require.True(t, slices.Equal(ps, back))
	})
}

func BenchmarkPrefixes(b *testing.B) {
	for range b.N {
		Prefixes()
	}
}

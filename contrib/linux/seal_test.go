package linux_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/contrib/linux"
)

var secret = bytes.Repeat([]byte{7}, 32)

func frameFrom(last byte, payload string) []byte {
	return append([]byte{1, 0, 0x5e, 0, 0, 0xf0, 2, 0, 0, 0, 0, last, 8, 0}, payload...)
}

func newSeal(t *testing.T, key []byte) *linux.Seal {
	s, err := linux.NewSeal(key)
	require.NoError(t, err)
	return s
}

func TestSeal_WhatIsSealedIsOpened(t *testing.T) {
	a, b := newSeal(t, secret), newSeal(t, secret)
	for _, payload := range []string{"", "x", "a longer one"} {
		f := frameFrom(1, payload)
		sealed := a.Close(f)
		require.Len(t, sealed, len(f)+linux.SealLen)
		got, err := b.Open(sealed)
		require.NoError(t, err)
		require.Equal(t, f, got)
	}
	_, err := linux.NewSeal(secret[:15])
	require.ErrorIs(t, err, linux.ErrKey)
}

// Whoever changes a bit, or cuts, or has another key, or none, is not believed.
func TestSeal_Forgeries(t *testing.T) {
	a, b := newSeal(t, secret), newSeal(t, secret)
	f := frameFrom(1, "payload")
	sealed := a.Close(f)
	n := uint64(0)
	refused := func(frame []byte, what ...any) {
		t.Helper()
		_, err := b.Open(frame)
		require.ErrorIs(t, err, linux.ErrForged, what)
		n++
	}
	for i := range sealed {
		for bit := range 8 {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1 << bit
			refused(bad, "byte", i, "bit", bit)
		}
		refused(sealed[:i], i, "bytes")
	}
	refused(f, "not sealed")
	refused(newSeal(t, bytes.Repeat([]byte{8}, 32)).Close(f), "another key")
	require.Equal(t, n, b.Bad())
	_, err := b.Open(sealed)
	require.NoError(t, err, "and it is good still")
}

// A frame is believed once, in whatever order frames come, and one of before a restart not after it.
func TestSeal_Replays(t *testing.T) {
	a, b := newSeal(t, secret), newSeal(t, secret)
	var fs [][]byte
	for range 200 {
		fs = append(fs, a.Close(frameFrom(1, "payload")))
	}
	open := func(i int) error { _, err := b.Open(fs[i]); return err }
	for _, i := range []int{0, 2, 1, 70, 10, 69, 71, 199} {
		require.NoError(t, open(i), i)
		require.ErrorIs(t, open(i), linux.ErrReplay, i)
	}
	require.ErrorIs(t, open(135), linux.ErrReplay, "too long ago")
	require.NoError(t, open(136))
	restarted := newSeal(t, secret) // a moment later
	_, err := b.Open(restarted.Close(frameFrom(1, "payload")))
	require.NoError(t, err)
	require.ErrorIs(t, open(150), linux.ErrReplay)
	_, err = b.Open(a.Close(frameFrom(2, "payload")))
	require.NoError(t, err, "another sender has counters of its own")
}

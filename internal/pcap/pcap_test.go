package pcap_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/internal/pcap"
)

func TestWriter_WhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var buf bytes.Buffer
		link := rapid.SampledFrom([]pcap.LinkType{pcap.Ethernet, pcap.Raw}).Draw(t, "link")
		w, err := pcap.NewWriter(&buf, link)
		require.NoError(t, err)
		var want []pcap.Packet
		for range rapid.IntRange(0, 5).Draw(t, "packets") {
			p := pcap.Packet{
				Time: time.Unix(rapid.Int64Range(0, 1<<32-1).Draw(t, "sec"), rapid.Int64Range(0, 999999999).Draw(t, "nsec")).UTC(),
				Data: rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "data"),
			}
			p.Len = len(p.Data)
			cut := rapid.IntRange(0, p.Len).Draw(t, "cut")
			require.NoError(t, w.Write(p.Time, p.Data[:cut], p.Data[cut:]))
			want = append(want, p)
		}
		gotLink, got, err := pcap.ReadAll(&buf)
		require.NoError(t, err)
		require.Equal(t, link, gotLink)
		require.Equal(t, len(want), len(got))
		for i := range want {
			require.True(t, want[i].Time.Equal(got[i].Time))
			require.Equal(t, string(want[i].Data), string(got[i].Data))
			require.Equal(t, want[i].Len, got[i].Len)
		}
	})
}

// Both byte orders and both units are read: tcpdump writes what its machine is.
func TestReader_ReadsEitherOrderAndUnit(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for magic, want := range map[uint32]time.Time{
			0xa1b2c3d4: time.Unix(7, 5000).UTC(),
			0xa1b23c4d: time.Unix(7, 5).UTC(),
		} {
			b := order.AppendUint32(nil, magic)
			b = order.AppendUint16(b, 2)
			b = order.AppendUint16(b, 4)
			b = append(b, make([]byte, 8)...)
			b = order.AppendUint32(b, 65535)
			b = order.AppendUint32(b, uint32(pcap.Raw))
			for _, x := range []uint32{7, 5, 3, 60} {
				b = order.AppendUint32(b, x)
			}
			b = append(b, "abc"...)
			link, ps, err := pcap.ReadAll(bytes.NewReader(b))
			require.NoError(t, err)
			require.Equal(t, pcap.Raw, link)
			require.Equal(t, []pcap.Packet{{Time: want, Data: []byte("abc"), Len: 60}}, ps)
		}
	}
}

func TestReader_BadInputIsAnErrorThatSaysWhat(t *testing.T) {
	var whole bytes.Buffer
	w, err := pcap.NewWriter(&whole, pcap.Ethernet)
	require.NoError(t, err)
	require.NoError(t, w.Write(time.Unix(1, 0), []byte("one")))
	require.NoError(t, w.Write(time.Unix(2, 0), []byte("two")))
	b := whole.Bytes()
	for i := range b {
		_, ps, err := pcap.ReadAll(bytes.NewReader(b[:i]))
		switch {
		case i < 24:
			require.ErrorIs(t, err, pcap.ErrFormat)
		case i == 24 || i == 24+16+3:
			require.NoError(t, err)
		default:
			require.ErrorIs(t, err, pcap.ErrTruncated)
		}
		require.Len(t, ps, max(0, i-24)/19)
	}
	huge := bytes.Clone(b)
	binary.LittleEndian.PutUint32(huge[24+8:], 1<<30)
	_, _, err = pcap.ReadAll(bytes.NewReader(huge))
	require.ErrorIs(t, err, pcap.ErrFormat)
	_, err = pcap.NewReader(io.MultiReader(bytes.NewReader([]byte{0x0a, 0x0d, 0x0d, 0x0a}), bytes.NewReader(b)))
	require.ErrorContains(t, err, "pcapng")
	require.ErrorIs(t, err, pcap.ErrFormat)
	_, err = pcap.NewReader(iotestErr{})
	require.ErrorIs(t, err, errBroken)
}

var errBroken = errors.New("broken")

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, errBroken }

// What is longer than tcpdump would read is cut off, and its length kept.
func TestWriter_CutsWhatIsTooLong(t *testing.T) {
	var buf bytes.Buffer
	w, err := pcap.NewWriter(&buf, pcap.Raw)
	require.NoError(t, err)
	require.NoError(t, w.Write(time.Unix(1, 0), make([]byte, 300000)))
	_, ps, err := pcap.ReadAll(&buf)
	require.NoError(t, err)
	require.Len(t, ps[0].Data, 262144)
	require.Equal(t, 300000, ps[0].Len)
}

// tcpdump opens what is written, and says the same.
func TestWriter_TcpdumpAgrees(t *testing.T) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("tcpdump is not installed")
	}
	file := filepath.Join(t.TempDir(), "arp.pcap")
	f, err := os.Create(file)
	require.NoError(t, err)
	w, err := pcap.NewWriter(f, pcap.Ethernet)
	require.NoError(t, err)
	arp := []byte{
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6,
		0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2,
	}
	require.NoError(t, w.Write(time.Unix(86400, 123456789), arp[:14], arp[14:]))
	require.NoError(t, f.Close())
	out, err := exec.Command(tcpdump, "-nr", file, "-tt", "--nano").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.True(t, strings.Contains(string(out), "86400.123456789 ARP, Request who-has 10.0.0.2 tell 10.0.0.1"), "%s", out)
}

func FuzzReader(f *testing.F) {
	var buf bytes.Buffer
	w, _ := pcap.NewWriter(&buf, pcap.Ethernet)
	_ = w.Write(time.Unix(1, 0), []byte("one"))
	f.Add(buf.Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, ps, err := pcap.ReadAll(bytes.NewReader(b))
		if err != nil && !errors.Is(err, pcap.ErrFormat) && !errors.Is(err, pcap.ErrTruncated) {
			t.Fatalf("an error of its own: %v", err)
		}
		for _, p := range ps {
			if p.Len < len(p.Data) {
				t.Fatalf("captured %d bytes of %d", len(p.Data), p.Len)
			}
		}
	})
}

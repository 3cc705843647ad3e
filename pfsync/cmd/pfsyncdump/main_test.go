package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/pfsync/wire"
)

const captures = "../../testdata/"

func dumped(t *testing.T, args ...string) (status int, out, errs string) {
	var stdout, stderr bytes.Buffer
	status = run(args, strings.NewReader(""), &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

// Every field of every packet of a capture is what another decoder made of it.
func TestRun_JSONIsTheGroundTruth(t *testing.T) {
	status, out, _ := dumped(t, "-json", captures+"flows4.pcap")
	require.Zero(t, status)
	b, err := os.ReadFile(captures + "flows4.json")
	require.NoError(t, err)
	var truth struct{ Packets []map[string]any }
	require.NoError(t, json.Unmarshal(b, &truth))
	require.Len(t, truth.Packets, 15)
	dec := json.NewDecoder(strings.NewReader(out))
	for _, want := range truth.Packets {
		var got map[string]any
		require.NoError(t, dec.Decode(&got))
		require.Equal(t, want, got)
	}
	require.False(t, dec.More())
}

// Of the other captures, who has sent how many messages of which action.
func TestRun_TotalsAreTheGroundTruths(t *testing.T) {
	files, err := filepath.Glob(captures + "*.pcap")
	require.NoError(t, err)
	require.Len(t, files, 15)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, out, _ := dumped(t, "-json", file)
			b, err := os.ReadFile(strings.TrimSuffix(file, "pcap") + "json")
			require.NoError(t, err)
			type total struct{ Sections, Messages int }
			var truth struct{ Totals map[string]map[string]total }
			require.NoError(t, json.Unmarshal(b, &truth))
			require.NotEmpty(t, truth.Totals)
			got := map[string]map[string]total{}
			for dec := json.NewDecoder(strings.NewReader(out)); dec.More(); {
				var p packet
				require.NoError(t, dec.Decode(&p))
				for _, s := range p.Sections {
					by := got[p.Src.String()]
					if by == nil {
						by = map[string]total{}
						got[p.Src.String()] = by
					}
					by[s.Action] = total{by[s.Action].Sections + 1, by[s.Action].Messages + s.Count}
				}
			}
			if filepath.Base(file) == "odd-packets.pcap" {
				// The other decoder has counted sections that are wrong, too: what is left
				// is what the kernel answered.
				const kernel = "10.9.0.1"
				require.Len(t, truth.Totals[kernel], 5)
				require.Equal(t, truth.Totals[kernel], got[kernel])
				return
			}
			require.Equal(t, truth.Totals, got)
		})
	}
}

func TestRun_ForPeople(t *testing.T) {
	status, out, _ := dumped(t, captures+"flows4.pcap")
	require.Zero(t, status)
	require.Contains(t, out, `1.004506 10.9.0.1 > 224.0.0.240: PFSYNCv6 len 552
    INS count 2
        icmp 10.20.0.1:14005 10.30.0.1:8 in all 0:0 icmp.error age 1s expires 3s 3:3 pkts 252:252 bytes id 65a1b2c300000012/abcdef01
`)
	status, out, _ = dumped(t, captures+"odd-packets.pcap")
	require.Equal(t, 1, status)
	for _, want := range []string{
		"BAD: TTL 254", "BAD: pfsync: not version 6 but 5", "BAD: pfsync: a length is more than there is",
		"BAD: pfsync: an action that nobody can take or skip", "BAD: pfsync: shorter than a header",
		"    42 count 2, skipped: messages of 12 bytes", "bulk start of 0badcafe", "bulk end of 0badcafe",
		"states of 0badcafe on em0", "SA 0x12345678 to 203.0.113.77, protocol 50: number 1000, 1500000 bytes",
		"udp 192.0.2.53:53 203.0.113.9:61001 (udp 192.0.2.53:53 10.1.1.20:5353) out em0 2:2 udp.multiple",
	} {
		require.Contains(t, out, want)
	}
}

// A key that says no family is of its state's, as pf takes it.
func TestRun_KeyWithoutFamilyIsOfTheStates(t *testing.T) {
	s := wire.State{AF: wire.AFInet, Proto: 6, Direction: wire.In}
	s.Wire.Addr = [2][16]byte{{192, 0, 2, 1}, {198, 51, 100, 2}}
	s.Wire.Port = [2]uint16{1024, 80}
	s.Stack = s.Wire
	require.NoError(t, s.CheckInsert())
	p := s.Append(wire.AppendSubheader(wire.AppendHeader(nil), wire.INS, 1))
	wire.Finish(p)
	file := captured(t, [][]byte{datagram(p)})
	_, out, _ := dumped(t, file)
	require.Contains(t, out, "tcp 192.0.2.1:1024 198.51.100.2:80 in")
	_, out, _ = dumped(t, "-json", file)
	require.Contains(t, out, `"wire":{"addr":["192.0.2.1","198.51.100.2"],"port":[1024,80],"rdomain":0,"af":0}`)
}

func TestRun_SaysWhatItCannotRead(t *testing.T) {
	for _, args := range [][]string{{}, {"a", "b"}, {"-frob"}, {"/nonexistent"}, {"-"}, {captures + "README.md"}} {
		status, out, errs := dumped(t, args...)
		require.Equal(t, 2, status, args)
		require.Empty(t, out)
		require.NotEmpty(t, errs)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const captures = "../../testdata/"

func dump(t *testing.T, args ...string) (status int, out, errs string) {
	var stdout, stderr bytes.Buffer
	status = run(args, strings.NewReader(""), &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

func TestRun_PrintsALineForEach(t *testing.T) {
	status, out, _ := dump(t, "-pass", "secret", "-vip", "10.77.0.50", captures+"ucarp-tie.pcap")
	require.Zero(t, status)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 9)
	require.Contains(t, lines[0], "10.77.0.1 > 224.0.0.18 vhid 42 advbase 1 advskew 0 demote 0 counter 005b7d51922b5d93 checksum ok digest ok")

	status, out, _ = dump(t, captures+"ucarp-tie.pcap")
	require.Zero(t, status)
	require.NotContains(t, out, "digest", "what was not asked for")
}

func TestRun_SaysWhoseDigestIsWrong(t *testing.T) {
	status, out, _ := dump(t, "-pass", "secret", "-vip", "10.77.0.50", captures+"ucarp-badpass.pcap")
	require.Equal(t, 1, status)
	require.Equal(t, 5, strings.Count(out, "digest ok"))
	require.Equal(t, 3, strings.Count(out, "digest bad"))
}

func TestRun_SaysWhatIsOdd(t *testing.T) {
	status, out, _ := dump(t, captures+"openbsd-odd-adverts.pcap")
	require.Equal(t, 1, status)
	for want, n := range map[string]int{
		", TTL 254": 1, "checksum bad": 2, ", version 3": 2, ", type 2": 1, ", authlen 6": 1, ", bow-out": 1,
		"shorter than an advertisement: 35 bytes": 1, "\n": 40,
	} {
		require.Equal(t, n, strings.Count(out, want), "%q in\n%s", want, out)
	}
}

func TestRun_JSONHasBothFamilies(t *testing.T) {
	status, out, _ := dump(t, "-json", "-pass", "s3cret", "-vip", "fd09::100,10.9.0.100", captures+"openbsd-dual-stack.pcap")
	require.Zero(t, status)
	families, bowOuts := map[bool]int{}, 0
	dec := json.NewDecoder(strings.NewReader(out))
	for dec.More() {
		var l line
		require.NoError(t, dec.Decode(&l))
		families[l.Src.Is4()]++
		require.Equal(t, "ok", l.Verdict)
		require.Equal(t, "ok", l.Checksum)
		require.Equal(t, 36, l.Length)
		if l.BowOut {
			bowOuts++
		}
	}
	require.Equal(t, map[bool]int{true: 15, false: 15}, families)
	require.Equal(t, 2, bowOuts)
}

func TestRun_NonsenseIsStatus2(t *testing.T) {
	for _, args := range [][]string{
		{}, {"a", "b"}, {"-bad"}, {"-vip", "x", captures + "ucarp-tie.pcap"}, {captures + "none.pcap"},
		{captures + "README.md"}, {"-pass", "12345678901234567890", captures + "ucarp-tie.pcap"}, {"-"},
	} {
		status, out, errs := dump(t, args...)
		require.Equal(t, 2, status, args)
		require.Empty(t, out)
		require.NotEmpty(t, errs)
	}
}

func TestRun_ReadsTheStandardInput(t *testing.T) {
	f, err := os.Open(captures + "ucarp-usr2.pcap")
	require.NoError(t, err)
	defer f.Close()
	var out bytes.Buffer
	require.Zero(t, run([]string{"-"}, f, &out, &out))
	require.Equal(t, 8, strings.Count(out.String(), "\n"))
}

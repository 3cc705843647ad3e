package forward

import (
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/examples/internal/lesson"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "accept it with -update")
}

// table returns a table of n prefixes, some inside others.
func table(n int) (ps []netip.Prefix) {
	r := rand.New(rand.NewPCG(7, 7))
	seen := map[netip.Prefix]bool{}
	for len(ps) < n {
		var a [16]byte
		binary.BigEndian.PutUint64(a[:], 0x2001_0db8_0000_0000|uint64(r.Uint32())&0x00ff_0000)
		p := netip.PrefixFrom(netip.AddrFrom16(a), 40+r.IntN(9)).Masked()
		if r.IntN(6) > 0 {
			p = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}), 20+r.IntN(8)).Masked()
		}
		if !seen[p] {
			seen[p] = true
			ps = append(ps, p)
		}
	}
	return ps
}

// file writes a table as -routes reads it.
func file(t *testing.T, ps []netip.Prefix) string {
	var b strings.Builder
	for _, p := range ps {
		fmt.Fprintln(&b, p)
	}
	path := filepath.Join(t.TempDir(), "routes.txt")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
	return path
}

// Every packet is sent or missed for a reason, and nothing is freed while it is used,
// though everything that can change does.
func TestRun_HoldsWhileEverythingChanges(t *testing.T) {
	// On a machine that does much else it takes longer until everything has happened.
	for _, seconds := range []string{"0.7", "3", "12"} {
		if idle := runAll(t, seconds); idle == "" {
			return
		} else if seconds == "12" {
			require.Empty(t, idle, "it was vacuous")
		}
	}
}

// runAll forwards while everything changes, and checks what has to be; it returns what has not
// happened.
func runAll(t *testing.T, seconds string) (idle string) {
	var stdout, stderr strings.Builder
	code := Program.Run(t.Context(), []string{"-routes", file(t, table(3000)), "-seconds", seconds, "-workers", "3", "-json"}, &stdout, &stderr)
	require.Equal(t, lesson.ExitOK, code, stdout.String()+stderr.String())
	require.Contains(t, stderr.String(), "loading 3,000 routes: 25 % 50 % 75 % 100 %\n")

	var rep report
	d := json.NewDecoder(strings.NewReader(stdout.String()))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&rep))
	require.Zero(t, rep.Violations)
	require.Equal(t, rep.Packets, rep.Sent+rep.NoRoute+rep.Updating+rep.GatewayLeft)
	require.Equal(t, rep.Packets, rep.Cache.Hits+rep.Cache.Refills+rep.Cache.NoRoute+rep.Cache.Updating)
	require.Equal(t, rep.Updating, rep.Cache.Updating)
	require.Zero(t, rep.Torn)
	require.Equal(t, rep.Frames.Received, rep.Frames.accounted())
	require.Equal(t, 3000, rep.IPv4+rep.IPv6)
	require.Equal(t, 2, rep.Threads)
	require.Equal(t, 1, rep.Softints)
	require.Zero(t, rep.Table.Left)

	for what, n := range map[string]uint64{
		"packets": rep.Packets, "hits": rep.Cache.Hits, "refills": rep.Cache.Refills, "updated": rep.Changes.Updated, "no route": rep.NoRoute, "slept": rep.Slept,
		"added": rep.Changes.Added, "deleted": rep.Changes.Deleted, "changed": rep.Changes.Changed,
		"renewed": rep.Gateways.Renewed, "left": rep.Gateways.Left, "lost": rep.Gateways.RoutesLost,
		"freed": rep.Table.Freed, "graces": rep.Table.Graces, "frames": rep.Frames.Sent,
	} {
		if n == 0 {
			idle = what
		}
	}
	require.Equal(t, rep.Gateways.RoutesLost, rep.Gateways.RoutesBack)
	return idle
}

// A check that cannot fail proves nothing: without either safeguard it does.
func TestUnsafe_CatchesItself(t *testing.T) {
	for unsafe, kinds := range map[string][]fault{
		skipPerform: {lookedFreed},
		skipPsref:   {entryFreed, gatewayFreed},
	} {
		t.Run(unsafe, func(t *testing.T) {
			c := config{duration: time.Minute, workers: 2, churn: 2000, seed: 1, unsafe: unsafe, untilCaught: true, routes: file(t, table(3000))}
			var stdout, stderr strings.Builder
			require.Equal(t, lesson.ExitWrong, c.run(t.Context(), &stdout, &stderr), stdout.String()+stderr.String())
			require.NotContains(t, stdout.String(), "BROKEN", "packets are accounted for, whatever happens")
			_, caught, found := strings.Cut(stdout.String(), "\nCAUGHT after ")
			require.True(t, found, stdout.String())
			known := false
			for _, kind := range kinds {
				known = known || strings.Contains(caught, kind.String())
			}
			require.True(t, known, caught)
		})
	}
}

func TestRun_CtrlCEndsItWithTheReport(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var stdout, stderr strings.Builder
	code := Program.Run(ctx, []string{"-routes", file(t, table(200)), "-seconds", "3600"}, &stdout, &stderr)
	require.Equal(t, lesson.ExitOK, code, stderr.String())
	require.Contains(t, stdout.String(), " until interrupted, ")
	require.Contains(t, stdout.String(), "\nHELD: ")
}

// Tables in which there is little or nothing to change are tables too.
func TestRun_SmallTables(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		for _, churn := range []string{"0", "5000"} {
			var stdout, stderr strings.Builder
			code := Program.Run(t.Context(), []string{"-routes", file(t, table(n)), "-seconds", "0.05", "-workers", "1", "-churn", churn}, &stdout, &stderr)
			require.Equal(t, lesson.ExitOK, code, stdout.String()+stderr.String())
		}
	}
}

func TestRun_RefusesWhatItDoesNotUnderstand(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.txt")
	require.NoError(t, os.WriteFile(bad, []byte("# a table\n10.0.0.0/8\n\n10.0.0.0/33\n"), 0o644))
	empty := filepath.Join(dir, "empty.txt")
	require.NoError(t, os.WriteFile(empty, nil, 0o644))
	for _, c := range []struct{ args, says string }{
		{"now", `what is "now"?`},
		{"-seconds 0", "-seconds 0: more than 0"},
		{"-seconds NaN", "-seconds NaN: more than 0"},
		{"-seconds soon", "invalid value"},
		{"-workers 0", "-workers 0: 1 to 1024"},
		{"-churn -1", "-churn -1: 0 to"},
		{"-frames -1", "-frames -1: 0 to"},
		{"-unsafe everything", "either skip-perform or skip-psref"},
		{"-unsafe=skip-psref -churn 0", "-churn must not be 0"},
		{"-speed 3", "flag provided but not defined"},
		{"-routes " + filepath.Join(dir, "none.txt"), "none.txt"},
		{"-routes " + bad, "bad.txt:4: netip.ParsePrefix"},
		{"-routes " + empty, "not one prefix"},
	} {
		var stdout, stderr strings.Builder
		require.Equal(t, lesson.ExitUsage, Program.Run(t.Context(), strings.Fields(c.args), &stdout, &stderr), c.args)
		require.Contains(t, stderr.String(), c.says)
		require.Empty(t, stdout.String())
	}
}

func TestRun_HelpIsNoMistake(t *testing.T) {
	var stdout, stderr strings.Builder
	require.Equal(t, lesson.ExitOK, Program.Run(t.Context(), []string{"-h"}, &stdout, &stderr))
	for _, name := range []string{"-seconds", "-workers", "-churn", "-frames", "-seed", "-json", "-unsafe", "-routes"} {
		require.Contains(t, stderr.String(), "\n  "+name)
	}
}

func TestPrefixes_ReadsPlainAndGzippedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routes.gz")
	f, err := os.Create(path)
	require.NoError(t, err)
	z := gzip.NewWriter(f)
	_, err = z.Write([]byte("10.1.2.3/8 # host bits do not count\r\n\r\n10.0.0.0/8\n2001:db8::/32"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, f.Close())
	ps, err := config{routes: path}.prefixes()
	require.NoError(t, err)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}, ps)
}

// A seed says which routes flap, where packets go, and who is steady; the gateway of a
// prefix is the same in every run.
func TestTraffic_IsASeeds(t *testing.T) {
	ps := table(300)
	var b strings.Builder
	for seed := range uint64(2) {
		c := config{seed: seed}
		tr := newTraffic(c.random(0), ps)
		fmt.Fprintf(&b, "seed %d: %d routes flap, the first %v\n", seed, len(tr.flapping), tr.flapping[0])
		for _, d := range tr.draw(c.random(10), 12) {
			fmt.Fprintf(&b, "  %v from a /%d, steady: %v\n", d.addr, d.bits, d.steady)
		}
	}
	b.WriteString("gateways\n")
	for _, p := range ps[:12] {
		fmt.Fprintf(&b, "  %v\n", routeTo(p, gatewayOf(p), 1))
	}
	golden(t, "traffic.txt", b.String())
}

func TestTraffic_StaysInItsPrefix(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, s := range []string{"0.0.0.0/0", "10.0.0.0/8", "10.1.2.0/23", "10.1.2.3/32", "::/0", "2001:db8::/29", "2001:db8::1/128"} {
		p := netip.MustParsePrefix(s)
		seen := map[netip.Addr]bool{}
		for range 100 {
			a := randomAddr(rng, p)
			require.True(t, p.Contains(a), "%v in %v", a, p)
			seen[a] = true
		}
		require.Equal(t, p.IsSingleIP(), len(seen) == 1)
	}
}

// sample is a report with a number in every place.
func sample() *report {
	rep := &report{Seed: 1, Seconds: 5.004, Threads: 2, Softints: 2, IPv4: 901_899, IPv6: 160_147, LoadSeconds: 0.3812, HeapBytes: 163 << 20,
		Packets: 15_234_567, PerSecond: 3_044_478, Sent: 15_100_000, NoRoute: 133_000, Updating: 1_000, GatewayLeft: 567, Slept: 321}
	rep.Cache.Hits, rep.Cache.Refills, rep.Cache.NoRoute, rep.Cache.Updating = 12_345_678, 2_832_889, 55_000, 1_000
	rep.Frames = frames{12, 500_000, 480_000, 15_000, 100, 3_000, 1_900, 321}
	rep.Changes.PerSecond, rep.Changes.Added, rep.Changes.Deleted, rep.Changes.Changed, rep.Changes.Updated = 2000.4, 3_334, 3_333, 3_300, 43
	rep.Gateways.Renewed, rep.Gateways.Left, rep.Gateways.RoutesLost, rep.Gateways.RoutesBack, rep.Gateways.Longest = 2_345, 5, 221_000, 221_000, 0.00234567
	rep.Table.Freed, rep.Table.Graces, rep.Table.Trash, rep.Table.Longest = 227_676, 4_321, 12, 0.0123456
	return rep
}

func TestReport_Text(t *testing.T) {
	held := sample()
	interrupted := sample()
	interrupted.Interrupted, interrupted.Seconds, interrupted.Threads, interrupted.Softints = true, 1.23, 1, 0
	caught := sample()
	caught.Unsafe, caught.Violations, caught.FirstAfter = skipPsref, 1_234, 0.0468
	caught.ByKind = map[string]uint64{entryFreed.String(): 1_200, gatewayFreed.String(): 34}
	caught.First = "route freed while a packet held it: 10.0.0.0/8 via 192.0.2.1 out 1.1, by a packet to 10.1.2.3"
	lucky := sample()
	lucky.Unsafe = skipPerform
	lost := sample()
	lost.Sent--
	for name, rep := range map[string]*report{"held": held, "interrupted": interrupted, "caught": caught, "lucky": lucky, "lost": lost} {
		var b strings.Builder
		rep.text(&b)
		golden(t, name+".txt", b.String())
		require.Equal(t, name == "held" || name == "interrupted" || name == "lucky", rep.ok())
	}
	var b strings.Builder
	require.NoError(t, caught.json(&b))
	golden(t, "caught.json", b.String())
}

func TestFaults_KeepTheFirstAndCountAll(t *testing.T) {
	fs := faults{start: time.Now()}
	fs.add(torn, "the %s", "first")
	fs.add(missed, "another")
	fs.add(torn, "again")
	require.Equal(t, "route or gateway not the packet's: the first", fs.first)
	require.EqualValues(t, 3, fs.total())
	require.Equal(t, map[string]uint64{torn.String(): 2, missed.String(): 1}, fs.byKind())
	for kind := range kinds {
		require.NotEmpty(t, kind.String())
	}
}

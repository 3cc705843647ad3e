package failover

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var long = flag.Bool("long", false, "a thousand schedules of kills and cut cables, instead of some")

func fewer(flows int) config {
	return config{
		flows: flows, every: 500 * time.Millisecond, again: 300 * time.Millisecond, ramp: time.Second, seed: 1, streams: 2, bulkEvery: 2 * time.Millisecond,
		pfsync: true, deferring: true, demote: true, preempt: true,
	}
}

// played plays the story in virtual time.
func played(t *testing.T, c config, check func(r *report)) {
	synctest.Test(t, func(t *testing.T) {
		r, err := play(context.Background(), c, io.Discard)
		require.NoError(t, err)
		check(r)
	})
}

// moments returns what a firewall has done, after a time.
func (r *report) moments(who, what string, after time.Duration) (n int) {
	for _, m := range r.Masters {
		if m.Who == who && m.At >= after && strings.Contains(m.What, what) {
			n++
		}
	}
	return n
}

func TestPlay_NobodyIsLost(t *testing.T) {
	c := fewer(40)
	played(t, c, func(r *report) {
		require.Zero(t, r.Lost)
		require.Zero(t, r.Wrong)
		// Until the other firewall takes over, and then until it is said again what was lost.
		require.LessOrEqual(t, r.silences[len(r.silences)-1], patience+c.every+c.again)
		require.Zero(t, r.Blocked)
		require.Equal(t, map[string]int{"ada": 80, "bob": 80}, r.States)
		require.Equal(t, 2, r.moments("bob", "BACKUP -> MASTER", time.Duration(r.Killed)))
		require.Equal(t, 2, r.moments("ada", "BACKUP -> MASTER", time.Duration(r.Returned)))
		demoted := 0
		for _, m := range r.Masters {
			for _, d := range []struct {
				what string
				by   int
			}{{"demotion +32", 32}, {"demotion -32", -32}, {"demotion +1:", 1}, {"demotion -1:", -1}} {
				if m.Who == "bob" && strings.Contains(m.What, d.what) {
					demoted += d.by
				}
			}
		}
		require.Zero(t, demoted, "the demotion is back where it was")
	})
}

func TestPlay_WithoutPFSyncConnectionsDie(t *testing.T) {
	c := fewer(40)
	c.pfsync, c.deferring = false, false
	played(t, c, func(r *report) {
		require.Equal(t, 30, r.Lost, "each that is a connection")
		require.NotZero(t, r.Blocked)
	})
}

// Who has come back takes over at once, and blocks what it has not been told of yet.
func TestPlay_WithoutDemotionWhoComesBackKnowsTooLittle(t *testing.T) {
	c := fewer(40)
	c.demote, c.bulkEvery = false, 100*time.Millisecond
	played(t, c, func(r *report) { require.NotZero(t, r.Blocked) })
	c.demote = true
	played(t, c, func(r *report) { require.Zero(t, r.Blocked) })
}

func TestPlay_WithoutPreemptionWhoComesBackDoesNotTakeOver(t *testing.T) {
	c := fewer(10)
	c.preempt = false
	played(t, c, func(r *report) {
		require.Zero(t, r.Lost)
		require.Zero(t, r.moments("ada", "BACKUP -> MASTER", time.Duration(r.Returned)))
	})
}

// A connection that is made a moment before the kill, while nothing else is said that would take its
// states along, is known to the other firewall only if its first packet has waited for that.
func TestPlay_WithoutDeferralTheYoungDie(t *testing.T) {
	for _, defers := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx := context.Background()
			c := fewer(0)
			c.deferring = defers
			w, err := newWorld(c)
			require.NoError(t, err)
			for i := range w.walls {
				require.NoError(t, w.switchOn(ctx, i))
			}
			require.NoError(t, w.run(ctx, 5*time.Second, nil))
			w.converse(1, time.Millisecond)
			require.NoError(t, w.run(ctx, 300*time.Millisecond, nil))
			killed := time.Now()
			require.NoError(t, w.switchOff(ctx, 0))
			require.NoError(t, w.run(ctx, 5*time.Second, nil))
			require.NoError(t, w.settle(ctx))
			r := w.report(killed, killed)
			require.NoError(t, w.close(ctx))
			require.Equal(t, defers, r.Lost == 0)
		})
	}
}

// Whoever is killed, whichever cable is pulled, and for how long: as long as the firewalls have had
// time to tell each other, and one of them is whole, every conversation goes on.
func TestPlay_AnySchedule(t *testing.T) {
	check := func(t *rapid.T) {
		ctx := context.Background()
		c := fewer(0)
		c.seed = rapid.Uint64().Draw(t, "seed")
		w, err := newWorld(c)
		require.NoError(t, err)
		for i := range w.walls {
			require.NoError(t, w.switchOn(ctx, i))
		}
		require.NoError(t, w.run(ctx, 5*time.Second, nil))
		w.converse(6, time.Second)
		calm := func() {
			// Until both know everything again, and what a conversation does at its own pace.
			for n := 0; !w.agreed() || w.masterOr(-1) < 0; n++ {
				require.Less(t, n, 60, "they do not find together")
				require.NoError(t, w.run(ctx, time.Second, nil))
			}
			require.NoError(t, w.run(ctx, 3*time.Second, nil))
		}
		calm()
		for range rapid.IntRange(1, 3).Draw(t, "scenes") {
			i := rapid.IntRange(0, 1).Draw(t, "firewall")
			for_ := time.Duration(rapid.IntRange(1, 6000).Draw(t, "ms")) * time.Millisecond
			if rapid.Bool().Draw(t, "kill") {
				require.NoError(t, w.switchOff(ctx, i))
				require.NoError(t, w.run(ctx, for_, nil))
				require.NoError(t, w.switchOn(ctx, i))
			} else {
				side := rapid.IntRange(inside, outside).Draw(t, "cable")
				w.walls[i].ports[side].Pull(true)
				require.NoError(t, w.run(ctx, for_, nil))
				w.walls[i].ports[side].Pull(false)
			}
			calm()
		}
		require.NoError(t, w.run(ctx, 3*time.Second, nil))
		require.NoError(t, w.settle(ctx))
		r := w.report(time.Now(), time.Now())
		require.NoError(t, w.close(ctx))
		require.NoError(t, w.conserve(r))
		require.Zero(t, r.Lost, "%+v", r.Masters)
		require.Zero(t, r.Wrong)
	}
	many := "15"
	if *long {
		many = "1000"
	}
	checks := flag.Lookup("rapid.checks")
	was := checks.Value.String()
	require.NoError(t, checks.Value.Set(many))
	defer func() { _ = checks.Value.Set(was) }()
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, check) })
}

// What each interface has seen others read without complaint.
func TestRun_CapturesThatOthersRead(t *testing.T) {
	dir := t.TempDir()
	c := fewer(10)
	c.pcap = dir
	played(t, c, func(r *report) { require.Zero(t, r.Lost) })
	files, err := filepath.Glob(filepath.Join(dir, "*.pcap"))
	require.NoError(t, err)
	require.Len(t, files, 9, "of three firewalls: one came back as another")
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("tcpdump is not installed")
	}
	for _, f := range files {
		out, err := exec.Command(tcpdump, "-vnnr", f).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.NotContains(t, string(out), "bad cksum")
		require.NotContains(t, string(out), "incorrect")
		require.NotContains(t, string(out), "truncated")
	}
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	for _, f := range files {
		out, err := exec.Command(tshark, "-X", "lua_script:../../contrib/wireshark/pfsync.lua", "-r", f, "-d", "ip.proto==112,carp", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
			"-Y", "_ws.malformed || pfsync.bad || ip.checksum.status == 0 || tcp.checksum.status == 0").Output()
		require.NoError(t, err)
		require.Empty(t, string(out), f)
	}
}

func TestRun_Reports(t *testing.T) {
	page := filepath.Join(t.TempDir(), "failover.html")
	synctest.Test(t, func(t *testing.T) {
		var out, errs bytes.Buffer
		require.Zero(t, run(context.Background(), []string{"-flows", "8", "-json", "-html", page}, &out, &errs), errs.String())
		var r struct {
			Flows, Lost int
			Outage      map[string]string
			Moments     []moment
		}
		require.NoError(t, json.Unmarshal(out.Bytes(), &r))
		require.Equal(t, 8, r.Flows)
		require.NotEmpty(t, r.Moments)
		require.NotEmpty(t, r.Outage["most"])
		require.Contains(t, errs.String(), "master ada")
	})
	b, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(b), "ada is KILLED")
	synctest.Test(t, func(t *testing.T) {
		var out, errs bytes.Buffer
		require.Equal(t, 1, run(context.Background(), []string{"-flows", "8", "-no-pfsync"}, &out, &errs))
		require.Contains(t, out.String(), "lost          6\n")
	})
	for _, args := range [][]string{{"-flows", "0"}, {"x"}, {"-frob"}} {
		require.Equal(t, 2, run(context.Background(), args, io.Discard, io.Discard))
	}
}

func TestRun_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 7*time.Second)
		defer cancel()
		require.Equal(t, 1, run(ctx, []string{"-flows", "4"}, io.Discard, io.Discard))
	})
}

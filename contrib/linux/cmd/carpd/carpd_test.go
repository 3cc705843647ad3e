package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/internal/pcap"
)

func containsAll(s string, all ...string) bool {
	for _, x := range all {
		if !strings.Contains(s, x) {
			return false
		}
	}
	return true
}

func TestParse_NonsenseIsSaid(t *testing.T) {
	good := []string{"-i", "eth0", "-vhid", "7", "-vip", vip}
	_, err := parse(good, &bytes.Buffer{})
	require.NoError(t, err)
	for _, bad := range [][]string{
		{"-vhid", "0"}, {"-vhid", "256"}, {"-vip", "x"}, {"-vip", ""}, {"-i", ""}, {"-advbase", "255"}, {"-advskew", "255"}, {"-advskew", "300"},
		{"-pass", "12345678901234567890"}, {"-pass", "a", "-passfile", "b"}, {"-passfile", "/nonexistent"}, {"-src", "fe80::1"}, {"-demote", "256"},
		{"-masterdown", "x"}, {"-group", "10.0.0.1"}, {"-peer", "224.0.0.18"}, {"-peer", "10.0.0.1", "-group", "224.0.0.18"}, {"rest"}, {"-unknown"},
	} {
		_, err := parse(append(good[:len(good):len(good)], bad...), &bytes.Buffer{})
		require.Error(t, err, bad)
	}
}

func TestParse_OptionsArrive(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pass")
	require.NoError(t, os.WriteFile(file, []byte("secret\nnot this\n"), 0o600))
	o, err := parse([]string{"-i", "eth0", "-vhid", "7", "-vip", "10.0.0.1, fd00::1", "-passfile", file, "-advbase", "2", "-advskew", "3",
		"-masterdown", "scaled", "-preempt", "-peer", "10.0.0.9", "-shutdown", "-demote", "4"}, &bytes.Buffer{})
	require.NoError(t, err)
	require.Equal(t, carp.Config{
		Nodes: []carp.Node{{VHID: 7, AdvSkew: 3}}, Password: "secret", AdvBase: 2, MasterDown: carp.Scaled, Preempt: true, Peer: o.config.Peer,
	}, o.config)
	require.Equal(t, "10.0.0.9", o.config.Peer.String())
	require.Len(t, o.vips, 2)
	require.True(t, o.shutdown)
	require.Equal(t, 4, o.demote)
}

func TestListen_LoopbackUnlessSaid(t *testing.T) {
	l, err := listen(":0")
	require.NoError(t, err)
	defer l.Close()
	require.True(t, strings.HasPrefix(l.Addr().String(), "127.0.0.1:"))
}

func TestPage_HasTheStatus(t *testing.T) {
	o, err := parse([]string{"-i", "eth0", "-vhid", "7", "-vip", vip}, &bytes.Buffer{})
	require.NoError(t, err)
	d := &daemon{o: o, asked: make(chan func()), parent: carp.NewParent(carp.ParentConfig{})}
	d.dev, err = d.parent.Add(o.config)
	require.NoError(t, err)
	go func() {
		for f := range d.asked {
			f()
		}
	}()
	defer close(d.asked)
	w := httptest.NewRecorder()
	d.page().ServeHTTP(w, httptest.NewRequest("GET", "/status", nil))
	var s status
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &s))
	require.Equal(t, "INIT", s.State)
	require.Equal(t, uint8(7), s.VHID)
	w = httptest.NewRecorder()
	d.page().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Contains(t, w.Body.String(), "eth0")
}

// Two of us: who asks for the address all the time notices next to nothing of an orderly end.
func TestCarpd_ClientsHardlyNoticeABowOut(t *testing.T) {
	needs(t, "ping")
	t.Parallel()
	n := newNetwork(t)
	file := filepath.Join(n.dir, "a.pcap")
	a := n.carpd("a", 0, "-shutdown", "-pcap", file)
	b := n.carpd("b", 100)
	n.await(addrA, time.Time{}, settled)
	ping := n.start("c", "ping", "-i", "0.01", vip)
	require.Eventually(t, func() bool { return len(n.replies()) > 20 }, settled, 10*time.Millisecond)
	began := time.Now()
	a.end(unix.SIGTERM)
	took := b.transition("BACKUP", "MASTER", began, settled)
	bow := n.await(addrA, began, settled)
	require.True(t, bow.ad.IsBowOut())
	within(t, "from the bow-out to the other master", 0, took.Sub(bow.at))
	time.Sleep(time.Second)
	ping.end(unix.SIGINT)
	rs := n.replies()
	worst := time.Duration(0)
	for i := 1; i < len(rs); i++ {
		worst = max(worst, rs[i].Sub(rs[i-1]))
	}
	require.True(t, rs[len(rs)-1].After(took.Add(500*time.Millisecond)), "the other one answers")
	t.Logf("longest time without an answer: %v, of 10ms between questions", worst)
	require.Less(t, worst, 500*time.Millisecond) // on a busy machine; on an idle one it is 20

	// The capture that it wrote is one, and all it sent is in it.
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	_, ps, err := pcap.ReadAll(f)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(ps), 1+len(n.adverts(addrA, time.Time{})), "advertisements and an ARP request")
}

func (n *network) replies() (at []time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.packets {
		if s.reply {
			at = append(at, s.at)
		}
	}
	return at
}

// With scripts the daemon leaves addresses alone; SIGUSR2 hands over; privileges are gone.
func TestCarpd_ScriptsSignalsAndPrivileges(t *testing.T) {
	needs(t)
	t.Parallel()
	n := newNetwork(t)
	story := filepath.Join(n.dir, "story")
	for _, name := range []string{"up", "down"} {
		script := "#!/bin/sh\necho " + name + " $1 $2 >> " + story + "\n"
		require.NoError(t, os.WriteFile(filepath.Join(n.dir, name), []byte(script), 0o755))
	}
	a := n.carpd("a", 0, "-up", filepath.Join(n.dir, "up"), "-down", filepath.Join(n.dir, "down"))
	b := n.carpd("b", 100)
	n.await(addrA, time.Time{}, settled)
	reads := func(want string) {
		t.Helper()
		require.Eventually(t, func() bool { s, _ := os.ReadFile(story); return string(s) == want }, settled, 10*time.Millisecond)
	}
	reads("up eth0 " + vip + "\n")
	has := func(host string) bool {
		out, err := exec.Command("ip", "-n", n.ns(host), "addr").CombinedOutput()
		require.NoError(t, err)
		return strings.Contains(string(out), vip+"/")
	}
	require.False(t, has("a"), "that is the script's")

	began := time.Now()
	require.NoError(t, a.cmd.Process.Signal(unix.SIGUSR2))
	took := b.transition("BACKUP", "MASTER", began, settled)
	within(t, "from SIGUSR2 to the other master", 0, took.Sub(began))
	a.transition("MASTER", "INIT", began, settled)
	reads("up eth0 " + vip + "\ndown eth0 " + vip + "\n")
	require.Eventually(t, func() bool { return has("b") }, settled, 10*time.Millisecond)

	st, err := os.ReadFile("/proc/" + strconv.Itoa(a.cmd.Process.Pid) + "/status")
	require.NoError(t, err)
	require.Contains(t, string(st), "CapEff:\t0000000000001000", "CAP_NET_ADMIN and nothing else")
	require.Contains(t, string(st), "CapBnd:\t0000000000003000", "and CAP_NET_RAW for commands")

	began = time.Now()
	b.end(unix.SIGTERM) // without -shutdown: no bow-out, and the address goes all the same
	require.False(t, has("b"))
	for _, s := range n.adverts(addrB, began) {
		require.False(t, s.ad.IsBowOut())
	}
}

func TestCarpd_BothFamilies(t *testing.T) {
	needs(t)
	t.Parallel()
	n := newNetwork(t)
	a := n.carpd("a", 0, "-vip", vip+",fd77::50")
	b := n.carpd("b", 100, "-vip", vip+",fd77::50")
	first := n.await(addrA, time.Time{}, settled)
	n.await(addrA, first.at.Add(halfAMore), settled)
	require.NoError(t, b.cmd.Process.Signal(unix.SIGUSR1))
	require.Eventually(t, func() bool {
		return containsAll(b.out.String(), "BACKUP", "BadAuth:0 ") && !strings.Contains(b.out.String(), "IPackets6:0 ")
	}, settled, 10*time.Millisecond)
	a.end(unix.SIGTERM)
	b.transition("BACKUP", "MASTER", first.at, settled)
	out, err := exec.Command("ip", "-n", n.ns("b"), "addr").CombinedOutput()
	require.NoError(t, err)
	require.True(t, containsAll(string(out), vip+"/32", "fd77::50/128"), "%s", out)
}

func TestCarpd_UnicastPeers(t *testing.T) {
	needs(t)
	t.Parallel()
	n := newNetwork(t)
	n.carpd("a", 0, "-peer", addrB)
	b := n.carpd("b", 100, "-peer", addrA)
	first := n.await(addrA, time.Time{}, settled)
	n.await(addrA, first.at.Add(halfAMore), settled)
	require.NoError(t, b.cmd.Process.Signal(unix.SIGUSR1))
	require.Eventually(t, func() bool {
		return containsAll(b.out.String(), "BACKUP  ", "BadVHID:0 ") && !strings.Contains(b.out.String(), " Accepted:0 ")
	}, settled, 10*time.Millisecond)
	require.Empty(t, n.adverts(addrB, time.Time{}))
}

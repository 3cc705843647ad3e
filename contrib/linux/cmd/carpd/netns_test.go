package main

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/internal/pcap"
)

// A network is two nodes and a client on one bridge, each in a network namespace, and somebody who
// captures on the bridge. It is gone when the test ends.
type network struct {
	t    *testing.T
	name string
	dir  string

	mu      sync.Mutex
	packets []seen
}

// A seen packet is one on the bridge: an advertisement, or an echo reply.
type seen struct {
	at    time.Time
	src   netip.Addr
	ad    carp.Advert
	isAd  bool
	reply bool
}

const (
	vip   = "10.77.0.50"
	addrA = "10.77.0.1"
	addrB = "10.77.0.2"
)

var networks atomic.Int32

// needs skips a test that cannot run here, and says why.
func needs(t *testing.T, tools ...string) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, tool := range append(tools, "ip", "tcpdump") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	if out, err := exec.Command("ip", "netns", "list").CombinedOutput(); err != nil {
		t.Skipf("no network namespaces here: %s", out)
	}
}

func newNetwork(t *testing.T) *network {
	n := &network{t: t, dir: t.TempDir(), name: fmt.Sprintf("carpd%d-%d", os.Getpid(), networks.Add(1))}
	n.ip("netns", "add", n.ns("br"))
	t.Cleanup(func() { n.ip("netns", "del", n.ns("br")) })
	n.ip("-n", n.ns("br"), "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
	n.ip("-n", n.ns("br"), "link", "set", "br0", "up")
	for host, addr := range map[string]string{"a": addrA, "b": addrB, "c": "10.77.0.100"} {
		n.ip("netns", "add", n.ns(host))
		t.Cleanup(func() { n.ip("netns", "del", n.ns(host)) })
		n.ip("-n", n.ns("br"), "link", "add", "name", "port-"+host, "type", "veth", "peer", "name", "eth0", "netns", n.ns(host))
		n.ip("-n", n.ns("br"), "link", "set", "port-"+host, "master", "br0", "up")
		n.ip("-n", n.ns(host), "addr", "add", addr+"/24", "dev", "eth0")
		n.ip("-n", n.ns(host), "link", "set", "lo", "up")
		n.ip("-n", n.ns(host), "link", "set", "eth0", "up")
	}
	n.capture()
	return n
}

func (n *network) ns(host string) string { return n.name + host }

func (n *network) ip(args ...string) {
	n.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(n.t, err, "ip %v: %s", args, out)
}

// plug plugs a node's cable into the bridge, or pulls it out on that side: the node has a carrier
// all the same.
func (n *network) plug(host string, in bool) {
	args := []string{"-n", n.ns("br"), "link", "set", "port-" + host, "nomaster"}
	if in {
		args = append(args[:len(args)-1], "master", "br0")
	}
	n.ip(args...)
}

// carrier takes a node's carrier away, or gives it back.
func (n *network) carrier(host, updown string) {
	n.ip("-n", n.ns("br"), "link", "set", "port-"+host, updown)
}

// capture reads what tcpdump sees on the bridge, with the kernel's time.
func (n *network) capture() {
	cmd := exec.Command("ip", "netns", "exec", n.ns("br"), "tcpdump", "-i", "br0", "-U", "--immediate-mode", "-w", "-", "-n", "ip proto 112 or icmp[icmptype] == 0")
	out, err := cmd.StdoutPipe()
	require.NoError(n.t, err)
	require.NoError(n.t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r, err := pcap.NewReader(out) // once tcpdump listens
		if err != nil {
			return
		}
		for {
			p, err := r.Next()
			if err != nil {
				return
			}
			n.see(p)
		}
	}()
	n.t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		<-ended
		_ = cmd.Wait()
	})
}

func (n *network) see(p pcap.Packet) {
	if len(p.Data) < 34 {
		return
	}
	s := seen{at: p.Time, src: netip.AddrFrom4([4]byte(p.Data[26:]))}
	if dg, ok := carp.ParseIP(p.Data[14:]); ok {
		if a, err := carp.Parse(dg.Payload); err == nil {
			s.ad, s.isAd = a, true
		}
	}
	s.reply = !s.isAd
	n.mu.Lock()
	defer n.mu.Unlock()
	n.packets = append(n.packets, s)
}

// adverts returns the advertisements of a node, of all if from is "", that were seen after a time.
func (n *network) adverts(from string, after time.Time) (as []seen) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.packets {
		if s.isAd && s.at.After(after) && (from == "" || s.src.String() == from) {
			as = append(as, s)
		}
	}
	return as
}

// await waits for an advertisement of a node after a time, and returns it.
func (n *network) await(from string, after time.Time, patience time.Duration) seen {
	n.t.Helper()
	var got []seen
	require.Eventually(n.t, func() bool {
		got = n.adverts(from, after)
		return len(got) > 0
	}, patience, 2*time.Millisecond, "no advertisement of %s within %v", from, patience)
	return got[0]
}

// last returns the last advertisement of a node up to now.
func (n *network) last(from string) seen {
	n.t.Helper()
	as := n.adverts(from, time.Time{})
	require.NotEmpty(n.t, as)
	return as[len(as)-1]
}

// quiet requires that a node says nothing for a while.
func (n *network) quiet(from string, d time.Duration) {
	n.t.Helper()
	since := time.Now()
	time.Sleep(d)
	require.Empty(n.t, n.adverts(from, since), "%s advertises", from)
}

// A proc is a daemon in a namespace, and its log.
type proc struct {
	t   *testing.T
	cmd *exec.Cmd
	out *output
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

var _ io.Writer = (*output)(nil)

func (n *network) start(host string, args ...string) *proc {
	n.t.Helper()
	p := &proc{t: n.t, out: &output{}}
	p.cmd = exec.Command("ip", append([]string{"netns", "exec", n.ns(host)}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	require.NoError(n.t, p.cmd.Start())
	n.t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.end(unix.SIGKILL)
		}
		if n.t.Failed() {
			n.t.Logf("%s: %s\n%s", host, strings.Join(args, " "), p.out)
		}
	})
	return p
}

// end sends a signal that ends a daemon, and waits for that.
func (p *proc) end(s unix.Signal) {
	_ = p.cmd.Process.Signal(s)
	_ = p.cmd.Wait()
}

func (n *network) carpd(host string, skew int, args ...string) *proc {
	n.t.Helper()
	args = append([]string{carpd(n.t), "-i", "eth0", "-vhid", "42", "-vip", vip, "-advskew", fmt.Sprint(skew)}, args...)
	if !strings.Contains(strings.Join(args, " "), "-pass ") {
		args = append(args, "-pass", "secret")
	}
	return n.start(host, args...)
}

func (n *network) ucarp(host string, skew int, args ...string) *proc {
	n.t.Helper()
	for name, verb := range map[string]string{"up": "add", "down": "del"} {
		script := fmt.Sprintf("#!/bin/sh\nexec ip addr %s \"$2/32\" dev \"$1\"\n", verb)
		require.NoError(n.t, os.WriteFile(filepath.Join(n.dir, host+name), []byte(script), 0o755))
	}
	src := map[string]string{"a": addrA, "b": addrB}[host]
	return n.start(host, append([]string{
		"ucarp", "-i", "eth0", "-s", src, "-v", "42", "-p", "secret", "-a", vip, "-k", fmt.Sprint(skew), "-n",
		"-u", filepath.Join(n.dir, host+"up"), "-d", filepath.Join(n.dir, host+"down"),
	}, args...)...)
}

// transition waits for a line of carpd's log that tells of a change, and returns its time.
func (p *proc) transition(from, to string, after time.Time, patience time.Duration) time.Time {
	p.t.Helper()
	var at time.Time
	require.Eventually(p.t, func() bool {
		for line := range strings.Lines(p.out.String()) {
			if strings.Contains(line, "from="+from+" to="+to+" ") {
				stamp, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
				t, err := time.Parse(time.RFC3339Nano, stamp)
				if err == nil && t.After(after.Truncate(time.Millisecond).Add(-time.Millisecond)) { // it has milliseconds
					at = t
					return true
				}
			}
		}
		return false
	}, patience, 2*time.Millisecond, "no transition from %s to %s", from, to)
	return at
}

var binary struct {
	once sync.Once
	path string
	err  error
}

// carpd builds the daemon, once.
func carpd(t *testing.T) string {
	binary.once.Do(func() {
		dir, err := os.MkdirTemp("", "carpd")
		if err != nil {
			binary.err = err
			return
		}
		binary.path = filepath.Join(dir, "carpd")
		cmd := exec.Command("go", "build", "-o", binary.path, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			binary.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	require.NoError(t, binary.err)
	return binary.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binary.path != "" {
		os.RemoveAll(filepath.Dir(binary.path))
	}
	os.Exit(code)
}

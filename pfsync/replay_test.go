package pfsync

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/pcap"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// What is written about a capture: testdata/README.md.
type truth struct {
	A, B        struct{ Addr, HostID string }
	ANewHostID  string `json:"A_new_hostid"`
	Limit       int
	Steps       []step
	Checkpoints []checkpoint
}

type step struct {
	Name, Label   string
	Before, After *kernelState
	Counters      map[string]uint64
	Added         []json.RawMessage `json:"states_added"`
	Removed       []json.RawMessage `json:"states_removed"`
}

type checkpoint struct {
	T      float64
	Node   string
	Label  string
	States []json.RawMessage // short, or whole
	Status struct {
		PFStates int `json:"pf_states"`
	}
}

// kernelState is a state as it was read from a kernel's memory.
type kernelState struct {
	ID, CreatorID, Direction, IfName string
	AF, Proto, Timeout               uint8
	LastPacket                       float64 `json:"last_packet_s_ago"`
	Synced                           float64 `json:"pfsync_time_s_ago"`
	Wire, Stack                      struct {
		Addr []netip.Addr
		Port []uint16
	}
	Src, Dst kernelPeer
}

type kernelPeer struct {
	SeqLo, SeqHi, SeqDiff uint32
	MaxWin                uint16 `json:"max_win"`
	MSS                   uint16
	State, WScale         uint8
	WScaleFlag            bool `json:"wscale_flag"`
}

func (p kernelPeer) peer() wire.Peer {
	w := wire.Peer{SeqLo: p.SeqLo, SeqHi: p.SeqHi, SeqDiff: p.SeqDiff, MaxWin: p.MaxWin, MSS: p.MSS, Level: p.State, WScale: p.WScale}
	if p.WScaleFlag {
		w.WScale |= 0x80
	}
	return w
}

func (s *kernelState) id() wire.ID { return parseID(s.ID + "/" + s.CreatorID) }

func parseID(s string) wire.ID {
	id, creator, _ := strings.Cut(s, "/")
	n, err := strconv.ParseUint(id, 16, 64)
	if err != nil {
		panic(err)
	}
	c, _ := strconv.ParseUint(creator, 16, 32)
	return wire.ID{ID: n, Creator: uint32(c)}
}

// message returns the state as its creator would send it.
func (s *kernelState) message() *wire.State {
	w := &wire.State{
		ID: s.id(), IfName: wire.NameOf(s.IfName), AF: s.AF, Proto: s.Proto, Direction: wire.In, Timeout: s.Timeout,
		Src: s.Src.peer(), Dst: s.Dst.peer(),
	}
	if s.Direction == "out" {
		w.Direction = wire.Out
	}
	for i := range 2 {
		w.Wire.Port[i], w.Stack.Port[i] = s.Wire.Port[i], s.Stack.Port[i]
		copy(w.Wire.Addr[i][:], s.Wire.Addr[i].AsSlice())
		copy(w.Stack.Addr[i][:], s.Stack.Addr[i].AsSlice())
	}
	w.Wire.AF, w.Stack.AF = s.AF, s.AF
	return w
}

func readTruth(t *testing.T, name string) (tr truth) {
	b, err := os.ReadFile("testdata/" + name + ".json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &tr))
	return tr
}

type captured struct {
	at       time.Duration
	src, dst netip.Addr
	ip       []byte
}

func readCapture(t *testing.T, name string) (cs []captured) {
	f, err := os.Open("testdata/" + name + ".pcap")
	require.NoError(t, err)
	defer f.Close()
	_, ps, err := pcap.ReadAll(f)
	require.NoError(t, err)
	for _, p := range ps {
		if ip := p.Data[14:]; binary.BigEndian.Uint16(p.Data[12:]) == 0x0800 && ip[9] == wire.Protocol {
			cs = append(cs, captured{
				p.Time.Sub(ps[0].Time), netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:])),
				ip[:binary.BigEndian.Uint16(ip[2:])],
			})
		}
	}
	return cs
}

// arrive has a datagram arrive by the node's interface.
func (n *node) arrive(ip []byte) {
	m, err := n.ifs.Pool().From(ip)
	require.NoError(n.t, err)
	m.In = n.ifp
	require.NoError(n.t, n.dev.Queue().Input(m, 20, wire.Protocol))
	synctest.Wait()
}

// counted returns the counters that have a name in the kernel, of input alone.
func (n *node) counted() map[string]uint64 {
	s := n.dev.Stats()
	return map[string]uint64{
		"ipackets": s.IPackets, "badif": s.BadIf, "badttl": s.BadTTL, "hdrops": s.HDrops, "badver": s.BadVer, "badlen": s.BadLen,
		"badact": s.BadAct, "badval": s.BadVal, "badstate": s.BadState, "stale": s.Stale,
	}
}

func (n *node) moved(before map[string]uint64) map[string]uint64 {
	m := map[string]uint64{}
	for name, v := range n.counted() {
		if v != before[name] {
			m[name] = v - before[name]
		}
	}
	return m
}

// The merge rule, half by half, with what an OpenBSD kernel made of twenty updates.
func TestReplay_MergesAsTheKernelDid(t *testing.T) {
	tr, cs := readTruth(t, "merge"), readCapture(t, "merge")
	var told []captured
	for _, c := range cs {
		if c.src.String() == "10.9.0.66" {
			told = append(told, c)
		}
	}
	require.Len(t, tr.Steps, 20)
	require.Len(t, told, 20)
	for i, s := range tr.Steps {
		t.Run(s.Label, func(t *testing.T) {
			alone(t, func(n *node) {
				n.up()
				defer n.down()
				w := s.Before.message()
				n.tell(section(wire.INS, w))
				before := n.counted()
				sleep(10 * time.Second)
				n.hush()
				n.arrive(told[i].ip)
				sleep(0)
				want := map[string]uint64{}
				for name, v := range s.Counters {
					if name != "opackets" {
						want[name] = v
					}
				}
				require.Equal(t, want, n.moved(before))
				require.Equal(t, s.Counters["opackets"] != 0, slices.Contains(n.heard(), "0s UPD_Cx1"), "it answers at once")
				got := n.exported(n.pf.ByID(w.ID))
				require.Equal(t, s.After.Src.peer(), got.Src)
				require.Equal(t, s.After.Dst.peer(), got.Dst)
				require.Equal(t, s.After.Timeout, got.Timeout)
			}, func(_ *Config, p *pf.Config) { p.Timeouts = all(400) })
		})
	}
}

func all(seconds uint32) *pf.Timeouts {
	ts := pf.DefaultTimeouts()
	for i := range ts[:pf.Fragment] {
		ts[i] = seconds
	}
	return &ts
}

// Sixty-four packets, most of them odd, with what an OpenBSD kernel counted and did. We refuse three
// that it took: their length does not cover the header.
func TestReplay_OddPacketsAreTakenAsTheKernelDid(t *testing.T) {
	tr, cs := readTruth(t, "odd-packets"), readCapture(t, "odd-packets")
	var told []captured
	for _, c := range cs {
		if c.src.String() != "10.9.0.1" {
			told = append(told, c)
		}
	}
	require.Len(t, tr.Steps, 64)
	require.Len(t, told, 64)
	alone(t, func(n *node) {
		n.up()
		defer n.down()
		start := time.Now()
		for i, s := range tr.Steps {
			sleep(told[i].at - time.Since(start))
			if s.Name == "P07" {
				continue // to another host
			}
			before, states := n.counted(), n.states()
			n.arrive(told[i].ip)
			want := map[string]uint64{}
			for name, v := range s.Counters {
				if name != "opackets" {
					want[name] = v
				}
			}
			if s.Name == "N3" || s.Name == "T34" || s.Name == "T35" {
				want["badlen"] = 1
			}
			require.Equal(t, want, n.moved(before), "%s %s", s.Name, s.Label)
			var added, removed []string
			for _, st := range n.states() {
				if !slices.Contains(ids(states), ids([]string{st})[0]) {
					added = append(added, ids([]string{st})[0])
				}
			}
			for _, st := range states {
				if !slices.Contains(ids(n.states()), ids([]string{st})[0]) {
					removed = append(removed, ids([]string{st})[0])
				}
			}
			require.ElementsMatch(t, raws(t, s.Added), added, s.Name)
			if s.Name != "T14" { // which no state of was taken down by: it was over
				require.ElementsMatch(t, raws(t, s.Removed), removed, s.Name)
			}
		}
	}, func(_ *Config, p *pf.Config) { p.Timeouts = all(400) })
}

// ids returns what states are called, the first word of what they are.
func ids(states []string) (is []string) {
	for _, s := range states {
		id, _, _ := strings.Cut(s, " ")
		is = append(is, id)
	}
	return is
}

// raws returns what the states of a list are called, which are short or whole.
func raws(t *testing.T, list []json.RawMessage) (is []string) {
	for _, r := range list {
		var s string
		if json.Unmarshal(r, &s) != nil {
			var k kernelState
			require.NoError(t, json.Unmarshal(r, &k))
			s = k.id().String()
		}
		is = append(is, ids([]string{s})...)
	}
	return is
}

// A node stands in for a kernel that took part in a capture: what the other one sent arrives at it,
// and what it sent itself is done to its table by hand. At each moment at which the kernel's table
// was looked at, every state that the other one has made, and that has been on the wire, is in
// both tables or in neither, and the same.
func TestReplay_TheTableIsAsTheKernels(t *testing.T) {
	type off struct{ from, to time.Duration } // when the kernel was cut off the network
	for _, c := range []struct {
		file, node string
		off        []off
		short      bool // the capture's timeouts are the short ones
	}{
		{file: "flows4", node: "B", short: true}, {file: "flows6", node: "B", short: true},
		{file: "defer", node: "B", short: true}, {file: "defer", node: "A", short: true, off: []off{{8800 * time.Millisecond, 12 * time.Second}}},
		{file: "clear-kill", node: "B", short: true},
		{file: "lost-insert", node: "B", short: true, off: []off{{-2 * time.Second, 1216 * time.Millisecond}, {4633 * time.Millisecond, 7176 * time.Millisecond}}},
		{file: "burst", node: "B"}, {file: "bulk", node: "B"}, {file: "crash-rejoin", node: "B"},
		{file: "bulk-lost", node: "B", off: []off{{1500 * time.Millisecond, 2600 * time.Millisecond}}},
		{file: "asym-defer", node: "B"}, {file: "asym-nodefer", node: "A"}, {file: "asym-nodefer", node: "B"},
		{file: "empty-tables", node: "A"}, {file: "empty-tables", node: "B"},
	} {
		t.Run(c.file+" "+c.node, func(t *testing.T) {
			tr, cs := readTruth(t, c.file), readCapture(t, c.file)
			me, other := tr.A, tr.B
			if c.node == "B" {
				me, other = other, me
			}
			checked := 0
			synctest.Test(t, func(t *testing.T) {
				lan := ifnet.NewLAN(ifnet.LANConfig{})
				n := newNode(t, lan, 1, func(_ *Config, p *pf.Config) {
					p.HostID = parseID("0/" + me.HostID).Creator
					p.Timeouts = all(400)
					if c.short {
						p.Timeouts = short()
					}
				})
				n.up()
				seen := map[wire.ID]bool{}
				start := time.Now()
				k := 0
				for _, cp := range tr.Checkpoints {
					at := time.Duration(cp.T * float64(time.Second))
					if cp.Node != c.node || at < 0 || cp.Status.PFStates != len(cp.States) {
						continue
					}
					for ; k < len(cs) && cs[k].at <= at; k++ {
						sleep(cs[k].at - time.Since(start))
						if cs[k].src == netip.MustParseAddr(me.Addr) {
							n.imitate(cs[k].ip[20:], seen)
						} else if !slices.ContainsFunc(c.off, func(o off) bool { return o.from <= cs[k].at && cs[k].at < o.to }) {
							n.arrive(cs[k].ip)
							n.imitate(cs[k].ip[20:], seen, false)
						}
					}
					sleep(at - time.Since(start))
					checked += n.as(t, cp, parseID("0/"+other.HostID).Creator, seen)
				}
				n.down()
				n.close()
				lan.Close()
			})
			if c.file != "empty-tables" {
				require.NotZero(t, checked)
			}
			t.Log(checked, "states compared")
		})
	}
}

func short() *pf.Timeouts {
	ts := pf.DefaultTimeouts()
	for t, s := range map[pf.Timeout]uint32{
		pf.TCPFirst: 9, pf.TCPOpening: 6, pf.TCPEstablished: 60, pf.TCPClosing: 7, pf.TCPFinWait: 5, pf.TCPClosed: 4,
		pf.UDPFirst: 9, pf.UDPSingle: 6, pf.UDPMultiple: 8, pf.ICMPFirst: 5, pf.ICMPError: 4, pf.Interval: 2,
	} {
		ts[t] = s
	}
	return &ts
}

// imitate does to the table what the kernel must have done to its own to say what it said, unless
// it was the other one that said it; and takes note of which states have been on the wire.
func (n *node) imitate(packet []byte, seen map[wire.ID]bool, mine ...bool) {
	do := len(mine) == 0
	body, err := wire.Open(packet)
	require.NoError(n.t, err)
	for len(body) > 0 {
		var s wire.Section
		s, body, err = wire.Next(body)
		require.NoError(n.t, err)
		for m := range s.Messages() {
			switch s.Action {
			case wire.INS, wire.UPD:
				w := wire.ParseState(m)
				seen[w.ID] = true
				if st := n.pf.ByID(w.ID); do && st != nil {
					set(st, &w.Src, &w.Dst, w.Timeout)
				} else if do {
					_, _ = n.pf.Import(n.l, &w)
				}
			case wire.UPDC:
				u := wire.ParseUpdate(m)
				if st := n.pf.ByID(u.ID); do && st != nil && u.Timeout < wire.Timeouts {
					set(st, &u.Src, &u.Dst, u.Timeout)
				}
			case wire.DELC:
				if st := n.pf.ByID(wire.ParseID(m)); do && st != nil {
					n.pf.RemoveSilently(n.l, st)
				}
			case wire.CLR:
				if c := wire.ParseClear(m); do {
					n.pf.Clear(n.l, c.IfName.String())
				}
			}
		}
	}
	synctest.Wait()
}

// set makes a state what the kernel said that it was: it had seen packets that we have not.
func set(st *pf.State, src, dst *wire.Peer, timeout uint8) { st.Merge(src, dst, pf.Timeout(timeout)) }

// as compares the tables, of states that a creator has made, and returns how many.
func (n *node) as(t *testing.T, cp checkpoint, creator uint32, seen map[wire.ID]bool) (compared int) {
	what := fmt.Sprint(cp.T, " ", cp.Label)
	theirs := map[wire.ID]bool{}
	for _, r := range cp.States {
		var k kernelState
		short := false
		var s string
		if json.Unmarshal(r, &s) == nil {
			id, _, _ := strings.Cut(s, " ")
			k.ID, k.CreatorID, _ = strings.Cut(id, "/")
			short = true
		} else {
			require.NoError(t, json.Unmarshal(r, &k))
		}
		id := k.id()
		theirs[id] = true
		if id.Creator != creator || !seen[id] {
			continue
		}
		st := n.pf.ByID(id)
		if st == nil && !short && k.LastPacket+3 >= float64(n.timeouts[k.Timeout]) {
			continue // it is over, or nearly: who purges when is left to them
		}
		require.NotNil(t, st, "%s: the kernel has %v", what, id)
		compared++
		if short {
			continue
		}
		w, want := n.exported(st), k.message()
		require.Equal(t, want.Wire, w.Wire, what)
		require.Equal(t, want.Stack, w.Stack, what)
		require.Equal(t, want.Direction, w.Direction, what)
		require.Equal(t, want.Proto, w.Proto, what)
		require.Equal(t, want.IfName, w.IfName, what)
		if k.Synced >= 0 && k.LastPacket >= k.Synced { // no packet has passed since the other one told of it
			require.Equal(t, want.Src, w.Src, "%s %v", what, st)
			require.Equal(t, want.Dst, w.Dst, "%s %v", what, st)
			require.Equal(t, want.Timeout, w.Timeout, "%s %v", what, st)
		}
	}
	for st := range n.pf.All() {
		w := n.exported(st)
		if w.Proto == pf.ICMPv6 && w.Wire.Port[0] != 128 && w.Wire.Port[1] != 128 {
			continue // both kernels make their own states of multicasts that both hear, and then refuse each other's
		}
		if w.Timeout < wire.Timeouts && w.ID.Creator == creator && !theirs[w.ID] {
			require.LessOrEqual(t, w.Expire, uint32(2), "%s: the kernel has not %v", what, st)
		}
	}
	return compared
}

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/pcap"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// everyField is all fields of the dissector.
func everyField() []string {
	fs := strings.Fields(`version len pfcksum action words count skipped extra id creatorid ifname bus.endtime bus.status rt_addr rt_addr6 rule anchor
		nat_rule creation expire packets0 packets1 bytes0 bytes1 rtableid0 rtableid1 max_mss af proto direction log rt timeout sync_flags
		updates min_ttl set_tos state_flags set_prio0 set_prio1 tdb.spi tdb.sa_len tdb.sa_family tdb.dst tdb.dst6 tdb.rpl tdb.cur_bytes
		tdb.sproto tdb.updates tdb.rdomain`)
	for _, k := range []string{"wire", "stack"} {
		for _, f := range strings.Fields("addr0 addr1 addr60 addr61 port0 port1 rdomain af") {
			fs = append(fs, k+"."+f)
		}
	}
	for _, k := range []string{"src", "dst"} {
		for _, f := range strings.Fields("scrub.flags scrub.ttl scrub.valid scrub.ts_mod seqlo seqhi seqdiff max_win mss state wscale") {
			fs = append(fs, k+"."+f)
		}
	}
	return fs
}

func (c collect) hex(field string, bytes int, v any) { c.add(field, fmt.Sprintf("0x%0*x", 2*bytes, v)) }

func (c collect) address(prefix, suffix string, a [16]byte, af uint8) {
	if af == wire.AFInet {
		c.add(prefix+suffix, netip.AddrFrom4([4]byte(a[:4])))
	} else {
		c.add(prefix+"6"+suffix, netip.AddrFrom16(a))
	}
}

func (c collect) wholePeer(which string, p wire.Peer) {
	c.hex(which+".scrub.flags", 2, p.Scrub.Flags)
	c.add(which+".scrub.ttl", p.Scrub.TTL)
	c.add(which+".scrub.valid", p.Scrub.Valid)
	c.hex(which+".scrub.ts_mod", 4, p.Scrub.TSMod)
	c.add(which+".seqlo", p.SeqLo)
	c.add(which+".seqhi", p.SeqHi)
	c.add(which+".seqdiff", p.SeqDiff)
	c.add(which+".max_win", p.MaxWin)
	c.add(which+".mss", p.MSS)
	c.add(which+".state", p.Level)
	c.hex(which+".wscale", 1, p.WScale)
}

func (c collect) wholeKey(which string, k wire.Key, af uint8) {
	if k.AF != 0 {
		af = k.AF
	}
	for i := range 2 {
		c.address(which+".addr", fmt.Sprint(i), k.Addr[i], af)
		c.add(fmt.Sprint(which, ".port", i), k.Port[i])
	}
	c.add(which+".rdomain", k.RDomain)
	c.add(which+".af", k.AF)
}

func (c collect) wholeID(i wire.ID) {
	c.hex("id", 8, i.ID)
	c.hex("creatorid", 4, i.Creator)
}

func (c collect) whole(a wire.Action, m []byte) {
	switch a {
	case wire.CLR:
		x := wire.ParseClear(m)
		c.add("ifname", x.IfName.String())
		c.hex("creatorid", 4, x.Creator)
	case wire.BUS:
		x := wire.ParseBulk(m)
		c.hex("creatorid", 4, x.Creator)
		c.add("bus.endtime", x.EndTime)
		c.add("bus.status", uint8(x.Status))
	case wire.UPDC:
		x := wire.ParseUpdate(m)
		c.wholeID(x.ID)
		c.wholePeer("src", x.Src)
		c.wholePeer("dst", x.Dst)
		c.add("expire", x.Expire)
		c.add("timeout", x.Timeout)
		c.hex("state_flags", 2, x.Flags)
	case wire.TDB:
		x := wire.ParseTunnel(m)
		c.hex("tdb.spi", 4, x.SPI)
		c.add("tdb.sa_len", x.Dst[0])
		c.add("tdb.sa_family", x.Dst[1])
		if x.Dst[1] == wire.AFInet6 {
			c.add("tdb.dst6", netip.AddrFrom16([16]byte(x.Dst[8:24])))
		} else {
			c.add("tdb.dst", netip.AddrFrom4([4]byte(x.Dst[4:8])))
		}
		c.add("tdb.rpl", x.RPL)
		c.add("tdb.cur_bytes", x.Bytes)
		c.add("tdb.sproto", x.Proto)
		c.add("tdb.updates", x.Updates)
		c.add("tdb.rdomain", x.RDomain)
	case wire.INS, wire.UPD, wire.DEL:
		x := wire.ParseState(m)
		c.wholeID(x.ID)
		c.add("ifname", x.IfName.String())
		c.wholeKey("wire", x.Wire, x.AF)
		c.wholeKey("stack", x.Stack, x.AF)
		c.wholePeer("src", x.Src)
		c.wholePeer("dst", x.Dst)
		c.address("rt_addr", "", x.RtAddr, x.AF)
		c.add("rule", int32(x.Rule))
		c.add("anchor", int32(x.Anchor))
		c.add("nat_rule", int32(x.NATRule))
		c.add("creation", x.Age)
		c.add("expire", x.Expire)
		for i := range 2 {
			c.add(fmt.Sprint("packets", i), x.Packets[i])
			c.add(fmt.Sprint("bytes", i), x.Bytes[i])
			c.add(fmt.Sprint("rtableid", i), x.RTable[i])
			c.add(fmt.Sprint("set_prio", i), x.SetPrio[i])
		}
		c.add("max_mss", x.MaxMSS)
		c.add("af", x.AF)
		c.add("proto", x.Proto)
		c.add("direction", x.Direction)
		c.add("log", x.Log)
		c.add("rt", x.Rt)
		c.add("timeout", x.Timeout)
		c.hex("sync_flags", 1, x.SyncFlags)
		c.add("updates", x.Updates)
		c.add("min_ttl", x.MinTTL)
		c.hex("set_tos", 1, x.SetTOS)
		c.hex("state_flags", 2, x.Flags)
	default:
		c.wholeID(wire.ParseID(m))
	}
}

// seen returns what the dissector has to show of a packet.
func seen(p []byte) (c collect, bad bool) {
	c = collect{}
	if len(p) >= wire.HeaderLen {
		c.add("version", p[0])
		c.add("len", binary.BigEndian.Uint16(p[2:]))
		c.add("pfcksum", hex.EncodeToString(p[4:20]))
	}
	body, err := wire.Open(p)
	for err == nil && len(body) >= wire.SubheaderLen {
		c.add("action", body[0])
		c.add("words", body[1])
		c.add("count", binary.BigEndian.Uint16(body[2:]))
		var s wire.Section
		if s, body, err = wire.Next(body); err != nil {
			break
		}
		if !s.Known() && len(s.Body) > 0 {
			c.add("skipped", hex.EncodeToString(s.Body))
		}
		if s.Known() {
			for m := range s.Messages() {
				c.whole(s.Action, m)
				if len(m) > s.Action.Size() {
					c.add("extra", hex.EncodeToString(m[s.Action.Size():]))
				}
			}
		}
	}
	return c, err != nil
}

func datagram(p []byte) []byte {
	b := make([]byte, 20, 20+len(p))
	b[0], b[8], b[9] = 0x45, wire.TTL, wire.Protocol
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(p)))
	copy(b[12:], []byte{10, 9, 0, 1, 224, 0, 0, 240})
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
	return append(b, p...)
}

var messageKinds = []wire.Action{wire.CLR, wire.INSACK, wire.UPDC, wire.UPDREQ, wire.DEL, wire.DELC, wire.BUS, wire.INS, wire.UPD, wire.TDB}

// random is a message with something in every field.
func random(r *rand.Rand, a wire.Action) []byte {
	b := make([]byte, a.Size())
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	af := func() byte { return []byte{wire.AFInet, wire.AFInet6}[r.IntN(2)] }
	name := append([]byte(fmt.Sprintf("em%d", r.IntN(1000))), make([]byte, 16)...)[:16]
	switch a {
	case wire.CLR:
		c := wire.ParseClear(b)
		c.IfName = wire.Name(name)
		return c.Append(nil)
	case wire.UPDC:
		u := wire.ParseUpdate(b)
		return u.Append(nil)
	case wire.BUS:
		u := wire.ParseBulk(b)
		return u.Append(nil)
	case wire.TDB:
		t := wire.ParseTunnel(b)
		t.Dst[1] = af()
		return t.Append(nil)
	case wire.INS, wire.UPD, wire.DEL:
		s := wire.ParseState(b)
		s.IfName = wire.Name(name)
		s.AF, s.Wire.AF, s.Stack.AF = af(), af(), af()
		if r.IntN(4) == 0 {
			s.Wire.AF, s.Stack.AF = 0, 0
		}
		return s.Append(nil)
	}
	return wire.ParseID(b).Append(nil)
}

func randomPacket(r *rand.Rand) []byte {
	p := wire.AppendHeader(nil)
	for range 1 + r.IntN(4) {
		a := messageKinds[r.IntN(len(messageKinds))]
		n := 1 + r.IntN(3)
		p = wire.AppendSubheader(p, a, n)
		for range n {
			p = append(p, random(r, a)...)
		}
	}
	wire.Finish(p)
	return p
}

// captured writes datagrams into a capture, and returns its name.
func captured(t *testing.T, datagrams [][]byte) string {
	file := filepath.Join(t.TempDir(), "own.pcap")
	f, err := os.Create(file)
	require.NoError(t, err)
	w, err := pcap.NewWriter(f, pcap.Raw)
	require.NoError(t, err)
	for i, d := range datagrams {
		require.NoError(t, w.Write(time.Unix(int64(i), 0), d))
	}
	require.NoError(t, f.Close())
	return file
}

// notation has IPv6 addresses as netip writes them: tshark ends some as IPv4 ends.
func notation(column string) string {
	as := strings.Split(column, ",")
	for i, s := range as {
		if a, err := netip.ParseAddr(s); err == nil {
			as[i] = a.String()
		}
	}
	return strings.Join(as, ",")
}

// dissected has the dissector look at packets, compares all that it shows with what the codec reads,
// and returns how many values of each field there were. Names of interfaces are compared only if
// they are ones.
func dissected(t *testing.T, packets [][]byte, names bool) (values map[string]int, bad int) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	datagrams := make([][]byte, len(packets))
	for i, p := range packets {
		datagrams[i] = datagram(p)
	}
	fields := everyField()
	args := []string{
		"-X", "lua_script:../../../contrib/wireshark/pfsync.lua", "-r", captured(t, datagrams), "-T", "fields",
		"-e", "pfsync.bad", "-e", "_ws.expert.message",
	}
	for _, f := range fields {
		args = append(args, "-e", "pfsync."+f)
	}
	cmd := exec.Command(tshark, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	require.NotContains(t, stderr.String(), "Lua")
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	require.Len(t, lines, len(packets))
	values = map[string]int{}
	for n, line := range lines {
		cols := strings.Split(line, "\t")
		require.Len(t, cols, 2+len(fields), "packet %d", n)
		require.NotContains(t, cols[1], "Lua", "packet %d", n)
		c, isBad := seen(packets[n])
		require.Equal(t, isBad, cols[0] != "", "packet %d is malformed: %x", n, packets[n])
		if isBad {
			bad++
		}
		for i, f := range fields {
			if f == "ifname" && !names {
				continue
			}
			values[f] += len(c[f])
			require.Equal(t, strings.Join(c[f], ","), notation(cols[2+i]), "packet %d, %s: %x", n, f, packets[n])
		}
	}
	return values, bad
}

// Every field of every packet that kernels sent, in every capture, is shown as the codec reads it.
func TestDissector_EveryFieldOfTheCaptures(t *testing.T) {
	files, err := filepath.Glob(captures + "*.pcap")
	require.NoError(t, err)
	require.Len(t, files, 15)
	var ps [][]byte
	for _, file := range files {
		ps = append(ps, payloads(t, file)...)
	}
	values, bad := dissected(t, ps, true)
	require.Equal(t, 10, bad) // all of them in odd-packets
	for _, f := range everyField() {
		require.NotZero(t, values[f], f)
	}
}

// Of packets that the codec wrote, with something in every field of every action.
func TestDissector_EveryFieldOfOurs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	ps := make([][]byte, 500)
	for i := range ps {
		ps[i] = randomPacket(r)
	}
	values, bad := dissected(t, ps, true)
	require.Zero(t, bad)
	for _, f := range everyField() {
		if f != "skipped" && f != "extra" {
			require.NotZero(t, values[f], f)
		}
	}
}

// Packets that are cut or spoilt are called malformed when the codec refuses them, never stop the
// script, and what was right in them is shown.
func TestDissector_BrokenPackets(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var ps [][]byte
	for len(ps) < 2000 {
		p := randomPacket(r)
		switch r.IntN(5) {
		case 0:
			p = p[:1+r.IntN(len(p))]
		case 1: // cut, and says so
			p = p[:20+r.IntN(len(p)-19)]
			wire.Finish(p)
		case 2: // the head of a section
			p[20+r.IntN(4)] = byte(r.Uint32())
		case 3: // the header
			p[r.IntN(4)] = byte(r.Uint32())
		case 4:
			for range 1 + r.IntN(8) {
				p[r.IntN(len(p))] = byte(r.Uint32())
			}
		}
		ps = append(ps, p)
	}
	values, bad := dissected(t, ps, false)
	require.Greater(t, bad, 500)
	require.Less(t, bad, 1900)
	require.NotZero(t, values["skipped"])
	require.NotZero(t, values["extra"])
}

// payloads returns what is behind the IP header of each pfsync packet of a capture of Ethernet.
func payloads(t testing.TB, file string) (ps [][]byte) {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	link, frames, err := pcap.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, pcap.Ethernet, link)
	for _, f := range frames {
		b := f.Data
		if len(b) >= 34 && b[12] == 8 && b[13] == 0 && b[14] == 0x45 && b[23] == wire.Protocol {
			ps = append(ps, b[34:14+int(binary.BigEndian.Uint16(b[16:]))])
		}
	}
	return ps
}

// Whatever is in a packet, it is printed, or what is wrong with it is.
func FuzzRun(f *testing.F) {
	files, _ := filepath.Glob(captures + "*.pcap")
	for _, file := range files {
		for _, p := range payloads(f, file) {
			f.Add(datagram(p))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var file bytes.Buffer
		w, err := pcap.NewWriter(&file, pcap.Raw)
		require.NoError(t, err)
		require.NoError(t, w.Write(time.Unix(1, 0), b))
		var statuses [2]int
		for i, args := range [][]string{{"-"}, {"-json", "-"}} {
			var out, errs bytes.Buffer
			statuses[i] = run(args, bytes.NewReader(file.Bytes()), &out, &errs)
			require.Empty(t, errs.String())
			if statuses[i] == 1 {
				require.NotZero(t, out.Len())
			}
		}
		require.Equal(t, statuses[0], statuses[1])
	})
}

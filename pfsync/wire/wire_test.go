package wire

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/pcap"
)

// golden is a packet of testdata/golden.txt: the pfsync part, and the fields that somebody listed.
type golden struct {
	packet []byte
	fields []field
}

type field struct {
	name  string
	value string // hex
}

var (
	heading   = regexp.MustCompile(`^([PN]\d+)  `)
	hexLine   = regexp.MustCompile(`^  [0-9a-f]{4}  ((?:[0-9a-f]{2} ?)+)$`)
	fieldLine = regexp.MustCompile(`^ +(\d+) +(\d+)  \S.*?\s([A-Za-z_]+[.#]\S+)`)
)

func goldens(t *testing.T) map[string]*golden {
	f, err := os.Open("../testdata/golden.txt")
	require.NoError(t, err)
	defer f.Close()
	gs := map[string]*golden{}
	var g *golden
	for in := bufio.NewScanner(f); in.Scan(); {
		line := in.Text()
		if strings.HasPrefix(line, "Decoder checks") {
			break
		} else if m := heading.FindStringSubmatch(line); m != nil {
			g = new(golden)
			gs[m[1]] = g
		} else if m := hexLine.FindStringSubmatch(line); m != nil {
			b, err := hex.DecodeString(strings.ReplaceAll(m[1], " ", ""))
			require.NoError(t, err)
			g.packet = append(g.packet, b...)
		} else if m := fieldLine.FindStringSubmatch(line); m != nil {
			at, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			n, err := strconv.Atoi(m[2])
			require.NoError(t, err)
			g.fields = append(g.fields, field{m[3], hex.EncodeToString(g.packet[at:][:n])})
		}
	}
	for _, g := range gs {
		g.packet = g.packet[20:]
	}
	return gs
}

func hexOf(v any) string {
	b, err := binary.Append(nil, binary.BigEndian, v)
	if err != nil {
		panic(err)
	}
	return hex.EncodeToString(b)
}

// told spells a message's fields as the list does.
func told(a Action, m []byte) map[string]string {
	is := map[string]string{}
	put := func(name string, v any) { is[name] = hexOf(v) }
	peer := func(half string, p Peer) {
		put(half+".scrub.flags", p.Scrub.Flags)
		put(half+".scrub.ttl", p.Scrub.TTL)
		put(half+".scrub.scrub_flag", p.Scrub.Valid)
		put(half+".scrub.ts_mod", p.Scrub.TSMod)
		put(half+".seqlo", p.SeqLo)
		put(half+".seqhi", p.SeqHi)
		put(half+".seqdiff", p.SeqDiff)
		put(half+".max_win", p.MaxWin)
		put(half+".mss", p.MSS)
		put(half+".state", p.Level)
		put(half+".wscale", p.WScale)
		put(half+".pad", [6]byte{})
	}
	key := func(which string, k Key) {
		name := func(s string) string { return "key[" + which + "]." + s }
		put(name("addr[0]"), k.Addr[0])
		put(name("addr[1]"), k.Addr[1])
		put(name("port[0]"), k.Port[0])
		put(name("port[1]"), k.Port[1])
		put(name("rdomain"), k.RDomain)
		put(name("af"), k.AF)
		put(name("pad"), uint8(0))
	}
	name := func(id ID) {
		put("id", id.ID)
		put("creatorid", id.Creator)
		put("id+creatorid", id)
	}
	switch a {
	case INSACK, UPDREQ, DELC:
		name(ParseID(m))
	case CLR:
		c := ParseClear(m)
		put("ifname", c.IfName)
		put("creatorid", c.Creator)
	case BUS:
		u := ParseBulk(m)
		put("creatorid", u.Creator)
		put("endtime", u.EndTime)
		put("status", u.Status)
		put("pad", [3]byte{})
	case UPDC:
		u := ParseUpdate(m)
		name(u.ID)
		peer("src", u.Src)
		peer("dst", u.Dst)
		put("expire", u.Expire)
		put("timeout", u.Timeout)
		put("state_flags", u.Flags)
		put("pad", uint16(0))
	case TDB:
		u := ParseTunnel(m)
		put("spi", u.SPI)
		put("dst.sa_len", u.Dst[0])
		put("dst.sa_family", u.Dst[1])
		put("dst.port", u.Dst[2:4])
		put("dst.sin_addr", u.Dst[4:8])
		put("dst", u.Dst[8:]) // "dst unused"
		put("dst.flowinfo", u.Dst[4:8])
		put("dst.sin6_addr", u.Dst[8:24])
		put("dst.scope_id", u.Dst[24:])
		put("rpl", u.RPL)
		put("cur_bytes", u.Bytes)
		put("sproto", u.Proto)
		put("updates", u.Updates)
		put("rdomain", u.RDomain)
	case INS, UPD, DEL:
		s := ParseState(m)
		name(s.ID)
		put("ifname", s.IfName)
		key("WIRE", s.Wire)
		key("STACK", s.Stack)
		peer("src", s.Src)
		peer("dst", s.Dst)
		put("rt_addr", s.RtAddr)
		put("rule", s.Rule)
		put("anchor", s.Anchor)
		put("nat_rule", s.NATRule)
		put("creation", s.Age)
		put("expire", s.Expire)
		put("packets[0]", s.Packets[0])
		put("packets[1]", s.Packets[1])
		put("bytes[0]", s.Bytes[0])
		put("bytes[1]", s.Bytes[1])
		put("rtableid[WIRE]", s.RTable[0])
		put("rtableid[STACK]", s.RTable[1])
		put("max_mss", s.MaxMSS)
		put("af", s.AF)
		put("proto", s.Proto)
		put("direction", s.Direction)
		put("log", s.Log)
		put("rt", s.Rt)
		put("timeout", s.Timeout)
		put("sync_flags", s.SyncFlags)
		put("updates", s.Updates)
		put("min_ttl", s.MinTTL)
		put("set_tos", s.SetTOS)
		put("state_flags", s.Flags)
		put("set_prio[2]", s.SetPrio)
	}
	return is
}

// again reads a message and writes it.
func again(a Action, m []byte) []byte {
	switch a {
	case INSACK, UPDREQ, DELC:
		return ParseID(m).Append(nil)
	case CLR:
		c := ParseClear(m)
		return c.Append(nil)
	case BUS:
		u := ParseBulk(m)
		return u.Append(nil)
	case UPDC:
		u := ParseUpdate(m)
		return u.Append(nil)
	case TDB:
		u := ParseTunnel(m)
		return u.Append(nil)
	default:
		s := ParseState(m)
		return s.Append(nil)
	}
}

// rewrite reads a packet and writes it: what is known, by way of its fields; what is not, and what
// messages have that is longer than ours, as it came.
func rewrite(packet []byte) (written []byte, sections []Section, err error) {
	body, err := Open(packet)
	if err != nil {
		return nil, nil, err
	}
	b := AppendHeader(nil)
	copy(b[4:20], packet[4:]) // the checksum that nobody looks at
	for err == nil && len(body) > 0 {
		var s Section
		if s, body, err = Next(body); err != nil || s.Body == nil {
			break
		}
		sections = append(sections, s)
		if !s.Known() {
			b = append(b, byte(s.Action), byte(s.Stride/4), byte(s.Count>>8), byte(s.Count))
			b = append(b, s.Body...)
			continue
		}
		n := len(b)
		b = AppendSubheader(b, s.Action, s.Count)
		b[n+1] = byte(s.Stride / 4)
		for m := range s.Messages() {
			b = append(append(b, again(s.Action, m)...), m[s.Action.Size():]...)
		}
	}
	Finish(b)
	return b, sections, err
}

// The twelve packets that were written out by hand have the fields they are listed with, and are
// written as the bytes they are.
func TestWire_GoldenPackets(t *testing.T) {
	checked := 0
	for name, g := range goldens(t) {
		if name[0] != 'P' {
			continue
		}
		t.Run(name, func(t *testing.T) {
			b, sections, err := rewrite(g.packet)
			require.NoError(t, err)
			require.Equal(t, g.packet, b)
			is := map[string][]string{} // in the order of coming
			for _, s := range sections {
				if !s.Known() {
					continue
				}
				i := 0
				for m := range s.Messages() {
					for k, v := range told(s.Action, m) {
						for _, name := range []string{fmt.Sprintf("%v.%s", s.Action, k), fmt.Sprintf("%v#%d.%s", s.Action, i, k)} {
							is[name] = append(is[name], v)
						}
					}
					i++
				}
			}
			for _, f := range g.fields {
				for _, outside := range []string{"ip.", "header.", "subheader.", "unknown", "DEL_C#0.extra", "DEL_C#1.extra"} {
					if strings.HasPrefix(f.name, outside) {
						f.name = ""
					}
				}
				if f.name == "" {
					continue
				}
				require.NotEmpty(t, is[f.name], f.name)
				require.Equal(t, f.value, is[f.name][0], f.name)
				is[f.name] = is[f.name][1:]
				checked++
			}
		})
	}
	require.Greater(t, checked, 500)
}

func TestWire_OddPackets(t *testing.T) {
	want := map[string]struct {
		err   error
		taken string
	}{
		"N1": {ErrVersion, ""},
		"N2": {ErrLength, ""},
		"N3": {ErrLength, ""},
		"N4": {ErrAction, ""},
		"N5": {nil, "DEL_C skipped, INS_ACK 1"},
		"N6": {ErrLength, ""},
		"N7": {nil, "UPD_REQ 1"}, // the TTL is the IP header's
		"N8": {nil, "INS_ACK 1"},
	}
	gs := goldens(t)
	require.Len(t, gs, 20)
	for name, w := range want {
		t.Run(name, func(t *testing.T) {
			_, sections, err := rewrite(gs[name].packet)
			require.ErrorIs(t, err, w.err)
			var taken []string
			for _, s := range sections {
				if s.Known() {
					taken = append(taken, fmt.Sprint(s.Action, s.Count))
				} else {
					taken = append(taken, fmt.Sprint(s.Action, " skipped"))
				}
			}
			require.Equal(t, w.taken, strings.Join(taken, ", "))
		})
	}
}

// datagrams returns the pfsync packets of a capture, and the TTLs they came with.
func datagrams(t testing.TB, file string) (ps [][]byte) {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	_, all, err := pcap.ReadAll(f)
	require.NoError(t, err)
	for _, p := range all {
		if ip := p.Data[14:]; binary.BigEndian.Uint16(p.Data[12:]) == 0x0800 && ip[9] == Protocol {
			ps = append(ps, ip[20:binary.BigEndian.Uint16(ip[2:])])
		}
	}
	return ps
}

// What two OpenBSD kernels said to each other is written as the bytes it was.
func TestWire_CapturesOfKernels(t *testing.T) {
	files, err := filepath.Glob("../testdata/*.pcap")
	require.NoError(t, err)
	require.Len(t, files, 15)
	total := map[Action]int{}
	for _, file := range files {
		if filepath.Base(file) == "odd-packets.pcap" {
			continue
		}
		for i, p := range datagrams(t, file) {
			b, sections, err := rewrite(p)
			require.NoError(t, err, "%s, packet %d", file, i)
			require.Equal(t, p, b, "%s, packet %d", file, i)
			for _, s := range sections {
				require.True(t, s.Known())
				total[s.Action] += s.Count
			}
		}
	}
	for _, a := range []Action{CLR, INSACK, UPDC, UPDREQ, DELC, BUS, INS, UPD} {
		require.NotZero(t, total[a], a)
	}
}

func TestWire_SkippedSectionsMayBeEmpty(t *testing.T) {
	for _, a := range []Action{1, 3, 8, 9, 11, EOF} {
		s, rest, err := Next([]byte{byte(a), 0, 0, 0, byte(DELC), 3, 0, 0})
		require.NoError(t, err)
		require.False(t, s.Known(), a)
		require.Len(t, rest, 4)
	}
	for _, b := range [][]byte{{16, 0, 0, 1}, {16, 3, 0, 0}, {byte(DELC), 2, 0, 0}, {byte(DELC), 0, 0, 1}} {
		_, _, err := Next(b)
		require.ErrorIs(t, err, ErrAction)
	}
	_, _, err := Next([]byte{200, 1, 0, 2, 1, 2, 3, 4})
	require.ErrorIs(t, err, ErrLength, "what is skipped has to be there, too")
}

func TestWire_ValuesThatNobodyHas(t *testing.T) {
	good := State{Direction: Out, AF: AFInet, Timeout: 19, Src: Peer{Level: 12}, Dst: Peer{Level: 12}}
	require.NoError(t, good.CheckInsert())
	for name, spoil := range map[string]func(s *State){
		"timeout":         func(s *State) { s.Timeout = 20 },
		"source level":    func(s *State) { s.Src.Level = 13 },
		"dst level":       func(s *State) { s.Dst.Level = 13 },
		"direction":       func(s *State) { s.Direction = 3 },
		"family":          func(s *State) { s.AF = 28 },
		"a key's family":  func(s *State) { s.Wire.AF, s.Stack.AF = AFInet, 28 },
		"one key's alone": func(s *State) { s.Wire.AF = AFInet },
	} {
		s := good
		spoil(&s)
		require.ErrorIs(t, s.CheckInsert(), ErrValue, name)
		u := Update{Src: s.Src, Dst: s.Dst, Timeout: s.Timeout}
		update := strings.Contains(name, "level") || name == "timeout"
		require.Equal(t, update, u.Check() != nil, name)
		require.Equal(t, update, s.CheckUpdate() != nil, name)
	}
}

func FuzzDecode(f *testing.F) {
	files, _ := filepath.Glob("../testdata/*.pcap")
	for _, file := range files {
		for _, p := range datagrams(f, file) {
			f.Add(p)
		}
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		b, sections, err := rewrite(p)
		n := 0
		for _, s := range sections {
			n += SubheaderLen + len(s.Body)
			require.Equal(t, s.Stride*s.Count, len(s.Body))
		}
		require.LessOrEqual(t, n, len(p))
		if err != nil {
			return
		}
		// What was read is read again, the same: only padding is lost.
		c, _, err := rewrite(b)
		require.NoError(t, err)
		require.Equal(t, b, c)
	})
}

func BenchmarkState(b *testing.B) {
	s := State{ID: ID{1, 2}, AF: AFInet}
	buf := make([]byte, 0, 1500)
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			buf = s.Append(buf[:0])
		}
	})
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			s = ParseState(buf)
		}
	})
	b.Run("copy", func(b *testing.B) {
		to := make([]byte, 264)
		for b.Loop() {
			copy(to, buf)
		}
	})
}

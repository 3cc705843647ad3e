package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// collect gathers values of messages, as tshark does: in order, separated by commas.
type collect map[string][]string

func (c collect) add(field string, v any) { c[field] = append(c[field], fmt.Sprint(v)) }

func (c collect) peer(which string, p peer) {
	wscale := p.WScale
	if p.Scaled {
		wscale |= 0x80
	}
	c.add(which+".seqlo", p.SeqLo)
	c.add(which+".seqhi", p.SeqHi)
	c.add(which+".max_win", p.MaxWin)
	c.add(which+".state", p.Level)
	c.add(which+".wscale", fmt.Sprintf("0x%02x", wscale))
}

func (c collect) key(which string, k key) {
	for i, a := range k.Addr {
		field := fmt.Sprint(which, ".addr", i)
		if a.Is6() {
			field = fmt.Sprint(which, ".addr6", i)
		}
		c.add(field, a)
		c.add(fmt.Sprint(which, ".port", i), k.Port[i])
	}
}

func (c collect) packet(p *packet) {
	for _, s := range p.Sections {
		for _, m := range s.Messages {
			if i, ok := m.(interface{ ident() id }); ok {
				c.add("id", "0x"+i.ident().ID)
				c.add("creatorid", "0x"+i.ident().Creator)
			}
			switch m := m.(type) {
			case state:
				c.peer("src", m.Src)
				c.peer("dst", m.Dst)
				c.key("wire", m.Wire)
				c.key("stack", m.Stack)
				c.add("timeout", m.Timeout)
				c.add("expire", m.Expire)
				c.add("creation", m.Age)
				c.add("bytes0", m.Bytes[0])
				c.add("packets1", m.Packets[1])
				c.add("rtableid1", m.RTable[1])
				c.add("proto", m.Proto)
			case update:
				c.peer("src", m.Src)
				c.peer("dst", m.Dst)
				c.add("expire", m.Expire)
				c.add("timeout", m.Timeout)
			case clr:
				c.add("creatorid", "0x"+m.Creator)
			case bulk:
				c.add("creatorid", "0x"+m.Creator)
			case tunnel:
				c.add("tdb.spi", fmt.Sprintf("0x%08x", m.SPI))
				c.add("tdb.rpl", m.RPL)
				c.add("tdb.cur_bytes", m.Bytes)
			}
		}
	}
}

func (i id) ident() id { return i }

// The dissector and this command see the same in every packet of every capture, and call the same ones
// malformed.
func TestDissector_SeesTheSame(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	fields := []string{
		"id", "creatorid", "src.seqlo", "src.seqhi", "src.max_win", "src.state", "src.wscale", "dst.seqlo", "dst.seqhi", "dst.max_win",
		"dst.state", "dst.wscale", "wire.addr0", "wire.addr1", "wire.addr60", "wire.addr61", "wire.port0", "wire.port1", "stack.addr0",
		"stack.addr1", "stack.addr60", "stack.addr61", "stack.port0", "stack.port1", "timeout", "expire", "creation", "bytes0", "packets1",
		"rtableid1", "proto", "tdb.spi", "tdb.rpl", "tdb.cur_bytes",
	}
	files, err := filepath.Glob(captures + "*.pcap")
	require.NoError(t, err)
	require.Len(t, files, 15)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			args := []string{"-X", "lua_script:../../../contrib/wireshark/pfsync.lua", "-r", file, "-Y", "ip.proto==240", "-T", "fields", "-e", "frame.number", "-e", "pfsync.bad"}
			for _, f := range fields {
				args = append(args, "-e", "pfsync."+f)
			}
			cmd := exec.Command(tshark, args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			require.NoError(t, err, stderr.String())
			require.NotContains(t, stderr.String(), "Lua")
			in, err := os.Open(file)
			require.NoError(t, err)
			defer in.Close()
			var ours []packet
			_, err = dump(in, func(p *packet) error { ours = append(ours, *p); return nil })
			require.NoError(t, err)
			lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
			require.Len(t, lines, len(ours))
			for n, line := range lines {
				cols := strings.Split(line, "\t")
				require.Len(t, cols, 2+len(fields))
				p := ours[n]
				require.Equal(t, cols[0], fmt.Sprint(p.Nr))
				require.Equal(t, cols[1] != "", strings.Contains(p.Error, "pfsync:"), "frame %d: %s", p.Nr, p.Error)
				c := collect{}
				c.packet(&p)
				for i, f := range fields {
					require.Equal(t, strings.Join(c[f], ","), cols[2+i], "frame %d, %s", p.Nr, f)
				}
			}
		})
	}
}

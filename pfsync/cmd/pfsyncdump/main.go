package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/softnet-go/softnet/internal/pcap"
	"github.com/softnet-go/softnet/pfsync/wire"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main, with all it touches.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("pfsyncdump", flag.ContinueOnError)
	fs.SetOutput(stderr)
	asJSON := fs.Bool("json", false, "print an object for each packet")
	fs.Usage = func() {
		fmt.Fprintln(stderr, "usage: pfsyncdump [-json] FILE.pcap")
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if fs.NArg() != 1 {
		fs.Usage()
		return 2
	}
	in := stdin
	if name := fs.Arg(0); name != "-" {
		f, err := os.Open(name)
		if err != nil {
			fmt.Fprintln(stderr, "pfsyncdump:", err)
			return 2
		}
		defer f.Close()
		in = f
	}
	print := text
	if *asJSON {
		print = func(w io.Writer, p *packet) error { return json.NewEncoder(w).Encode(p) }
	}
	bad, err := dump(in, func(p *packet) error { return print(stdout, p) })
	if err != nil {
		fmt.Fprintln(stderr, "pfsyncdump:", err)
		return 2
	}
	if bad {
		return 1
	}
	return 0
}

// A packet is what is printed of one.
type packet struct {
	Nr        int        `json:"nr"` // of the frame
	T         float64    `json:"t"`  // seconds since the first
	EthSrc    string     `json:"eth_src,omitempty"`
	EthDst    string     `json:"eth_dst,omitempty"`
	Src       netip.Addr `json:"src"`
	Dst       netip.Addr `json:"dst"`
	IPLen     int        `json:"ip_len"`
	IPID      uint16     `json:"ip_id"`
	IPOff     uint16     `json:"ip_off"`
	TOS       uint8      `json:"tos"`
	TTL       uint8      `json:"ttl"`
	Version   uint8      `json:"version"`
	HeaderLen int        `json:"header_len"` // as the header gives it
	Checksum  string     `json:"pfcksum"`
	Sections  []section  `json:"sections"`
	LeftOver  int        `json:"left_over"` // bytes that are in no section
	Summary   string     `json:"summary"`
	Error     string     `json:"error,omitempty"`
}

type section struct {
	Action   string `json:"action"`
	ActionNr uint8  `json:"action_nr"`
	MsgLen   int    `json:"msg_len"`
	Count    int    `json:"count"`
	Messages []any  `json:"messages"` // none of an action that is skipped
}

// dump has each pfsync packet of a capture printed, and reports whether one was bad.
func dump(in io.Reader, print func(*packet) error) (bad bool, err error) {
	r, err := pcap.NewReader(in)
	if err != nil {
		return false, err
	}
	var first time.Time
	for nr := 1; ; nr++ {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return bad, nil
		}
		if err != nil {
			return bad, err
		}
		if first.IsZero() {
			first = f.Time
		}
		p := packet{Nr: nr, T: float64(f.Time.Sub(first).Microseconds()) / 1e6}
		ip := f.Data
		if r.LinkType() == pcap.Ethernet {
			if len(ip) < 14 || binary.BigEndian.Uint16(ip[12:]) != 0x0800 {
				continue
			}
			p.EthDst, p.EthSrc = net.HardwareAddr(ip[:6]).String(), net.HardwareAddr(ip[6:12]).String()
			ip = ip[14:]
		}
		if p.decode(ip) {
			bad = bad || p.Error != ""
			if err := print(&p); err != nil {
				return bad, err
			}
		}
	}
}

// decode fills in what an IP packet says, and reports whether it is one of pfsync.
func (p *packet) decode(ip []byte) bool {
	be := binary.BigEndian
	if len(ip) < 20 || ip[0]>>4 != 4 || ip[9] != wire.Protocol {
		return false
	}
	ihl := 4 * int(ip[0]&15)
	p.TOS, p.IPLen, p.IPID, p.IPOff, p.TTL = ip[1], int(be.Uint16(ip[2:])), be.Uint16(ip[4:]), be.Uint16(ip[6:]), ip[8]
	p.Src, p.Dst = netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
	p.Sections = []section{}
	if ihl < 20 || p.IPLen < ihl || len(ip) < ihl {
		p.Error = "an IP header that is not one"
		return true
	}
	b := ip[ihl:min(len(ip), p.IPLen)]
	if p.TTL != wire.TTL {
		p.Error = fmt.Sprint("TTL ", p.TTL)
	}
	if len(b) >= wire.HeaderLen {
		p.Version, p.HeaderLen, p.Checksum = b[0], int(be.Uint16(b[2:])), hex.EncodeToString(b[4:20])
	}
	body, err := wire.Open(b)
	var words []string
	for err == nil && len(body) > 0 {
		var s wire.Section
		p.LeftOver = len(body)
		if s, body, err = wire.Next(body); err != nil || s.Body == nil {
			break
		}
		p.LeftOver = 0
		out := section{strings.TrimPrefix(s.Action.String(), "action "), uint8(s.Action), s.Stride, s.Count, []any{}}
		if s.Known() {
			for m := range s.Messages() {
				out.Messages = append(out.Messages, message(s.Action, m))
			}
		}
		p.Sections = append(p.Sections, out)
		words = append(words, fmt.Sprintf("%vx%d", s.Action, s.Count))
	}
	p.Summary = strings.Join(words, "+")
	if err != nil {
		p.Error = strings.TrimPrefix(strings.Join([]string{p.Error, err.Error()}, "; "), "; ")
	}
	return true
}

// text prints a packet for people.
func text(w io.Writer, p *packet) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%.6f %v > %v: PFSYNCv%d len %d", p.T, p.Src, p.Dst, p.Version, p.HeaderLen)
	if p.Error != "" {
		fmt.Fprintf(&b, ", BAD: %s", p.Error)
	}
	b.WriteByte('\n')
	for _, s := range p.Sections {
		fmt.Fprintf(&b, "    %s count %d", s.Action, s.Count)
		if len(s.Messages) < s.Count {
			fmt.Fprintf(&b, ", skipped: messages of %d bytes", s.MsgLen)
		}
		b.WriteByte('\n')
		for _, m := range s.Messages {
			fmt.Fprintf(&b, "        %v\n", m)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

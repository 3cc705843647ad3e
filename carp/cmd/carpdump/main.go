package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/internal/pcap"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main, with all it touches.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("carpdump", flag.ContinueOnError)
	fs.SetOutput(stderr)
	asJSON := fs.Bool("json", false, "print an object for each advertisement")
	pass := fs.String("pass", "", "check the digests with this password")
	vips := fs.String("vip", "", "check the digests for these virtual addresses, comma separated")
	fs.Usage = func() {
		fmt.Fprintln(stderr, "usage: carpdump [-json] [-pass P] [-vip ADDR[,ADDR...]] FILE.pcap")
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if fs.NArg() != 1 {
		fs.Usage()
		return 2
	}
	d := dumper{}
	fs.Visit(func(f *flag.Flag) { d.verify = d.verify || f.Name == "pass" || f.Name == "vip" })
	d.pass = *pass
	var err error
	if d.addrs, err = addrs(*vips); err == nil {
		_, err = carp.NewAuth(d.pass, 1, d.addrs, nil)
	}
	if err != nil {
		fmt.Fprintln(stderr, "carpdump:", err)
		return 2
	}
	in := stdin
	if name := fs.Arg(0); name != "-" {
		f, err := os.Open(name)
		if err != nil {
			fmt.Fprintln(stderr, "carpdump:", err)
			return 2
		}
		defer f.Close()
		in = f
	}
	d.print = text
	if *asJSON {
		d.print = func(w io.Writer, l *line) error { return json.NewEncoder(w).Encode(l) }
	}
	if err := d.dump(in, stdout); err != nil {
		fmt.Fprintln(stderr, "carpdump:", err)
		return 2
	}
	if d.bad {
		return 1
	}
	return 0
}

func addrs(s string) (as []netip.Addr, err error) {
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		a, err := netip.ParseAddr(f)
		if err != nil {
			return nil, err
		}
		as = append(as, a)
	}
	return as, nil
}

// A line is what is printed of an advertisement.
type line struct {
	Time     time.Time  `json:"time"`
	Src      netip.Addr `json:"src"`
	Dst      netip.Addr `json:"dst"`
	TTL      uint8      `json:"ttl"`
	Length   int        `json:"length"` // after the IP header
	Version  uint8      `json:"version"`
	Type     uint8      `json:"type"`
	VHID     uint8      `json:"vhid"`
	AdvBase  uint8      `json:"advbase"`
	AdvSkew  uint8      `json:"advskew"`
	AuthLen  uint8      `json:"authlen"`
	Demote   uint8      `json:"demote"`
	BowOut   bool       `json:"bowout"`
	Counter  string     `json:"counter"`
	Digest   string     `json:"digest"`
	Checksum string     `json:"checksum"`        // ok or bad
	Verdict  string     `json:"auth,omitempty"`  // ok or bad; empty if not asked for
	Error    string     `json:"error,omitempty"` // too short; the fields are then 0
}

type dumper struct {
	verify bool
	pass   string
	addrs  []netip.Addr
	print  func(w io.Writer, l *line) error
	bad    bool // some advertisement was
}

func (d *dumper) dump(in io.Reader, out io.Writer) error {
	r, err := pcap.NewReader(in)
	if err != nil {
		return err
	}
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if dg, ok := carp.ParseIP(network(r.LinkType(), p.Data)); ok {
			if err := d.print(out, d.line(p.Time, dg)); err != nil {
				return err
			}
		}
	}
}

// network returns the IP packet of a frame, nil if it is none.
func network(link pcap.LinkType, b []byte) []byte {
	switch {
	case link == pcap.Raw:
		return b
	case link != pcap.Ethernet:
		return nil
	}
	for i := 12; i+2 <= len(b); i += 4 {
		switch uint16(b[i])<<8 | uint16(b[i+1]) {
		case 0x0800, 0x86dd:
			return b[i+2:]
		case 0x8100, 0x88a8: // VLAN tags
		default:
			return nil
		}
	}
	return nil
}

func (d *dumper) line(at time.Time, dg carp.Datagram) *line {
	l := &line{Time: at, Src: dg.Src, Dst: dg.Dst, TTL: dg.TTL, Length: len(dg.Payload)}
	a, err := carp.Parse(dg.Payload)
	if err != nil {
		l.Error = err.Error()
		d.bad = true
		return l
	}
	l.Version, l.Type, l.VHID, l.AdvBase, l.AdvSkew, l.AuthLen, l.Demote = a.Version, a.Type, a.VHID, a.AdvBase, a.AdvSkew, a.AuthLen, a.Demote
	l.BowOut = a.IsBowOut()
	l.Counter, l.Digest = hex.EncodeToString(a.Counter[:]), hex.EncodeToString(a.Digest[:])
	l.Checksum = verdict(carp.ChecksumOK(dg.Payload))
	if d.verify {
		auth, _ := carp.NewAuth(d.pass, a.VHID, d.addrs, nil) // the password is short enough: run has tried
		l.Verdict = verdict(auth.Verify(a.Counter, a.Digest))
	}
	if l.TTL != carp.TTL || l.Version != carp.Version || l.Checksum == "bad" || l.Verdict == "bad" {
		d.bad = true
	}
	return l
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "bad"
}

// text prints a line for people.
func text(w io.Writer, l *line) error {
	s := fmt.Sprintf("%s %v > %v", l.Time.Format("15:04:05.000000"), l.Src, l.Dst)
	if l.Error != "" {
		_, err := fmt.Fprintf(w, "%s: %s\n", s, l.Error)
		return err
	}
	s += fmt.Sprintf(" vhid %d advbase %d advskew %d demote %d counter %s checksum %s", l.VHID, l.AdvBase, l.AdvSkew, l.Demote, l.Counter, l.Checksum)
	if l.Verdict != "" {
		s += " digest " + l.Verdict
	}
	if l.BowOut {
		s += ", bow-out"
	}
	for _, odd := range []struct {
		name string
		is   uint8
		want uint8
	}{{"TTL", l.TTL, carp.TTL}, {"version", l.Version, carp.Version}, {"type", l.Type, carp.TypeAdvert}, {"authlen", l.AuthLen, carp.AuthLen}} {
		if odd.is != odd.want {
			s += fmt.Sprintf(", %s %d", odd.name, odd.is)
		}
	}
	_, err := fmt.Fprintln(w, s)
	return err
}

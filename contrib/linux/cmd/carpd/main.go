package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/softnet-go/softnet/carp"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "carpd:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	if err := run(ctx, o, log); err != nil {
		log.Error("carpd ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options, log *slog.Logger) error {
	d, err := open(o, log)
	if err != nil {
		return err
	}
	defer d.close()
	if err := dropPrivileges(); err != nil {
		log.Warn("privileges are kept", "error", err)
	}
	return d.run(ctx)
}

// options are the command line's.
type options struct {
	ifname   string
	src      netip.Addr
	vips     []netip.Addr
	config   carp.Config
	up, down string
	shutdown bool
	demote   int
	pcap     string
	http     string
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("carpd", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.ifname, "i", "", "`interface`")
	fs.TextVar(&o.src, "src", netip.Addr{}, "source `address` of IPv4 advertisements")
	vhid := fs.Uint("vhid", 0, "number of the group, 1 to 255")
	pass := fs.String("pass", "", "password")
	passfile := fs.String("passfile", "", "`file` whose first line is the password")
	vips := fs.String("vip", "", "`addresses` to share, comma separated")
	base := fs.Uint("advbase", 1, "seconds between advertisements")
	skew := fs.Uint("advskew", 0, "1/256 s more between advertisements")
	masterdown := fs.String("masterdown", "classic", "classic or scaled")
	fs.BoolVar(&o.config.Preempt, "preempt", false, "take over from a worse master")
	fs.BoolVar(&o.config.Fresh, "fresh", false, "counters that grow; only among carpd")
	fs.StringVar(&o.up, "up", "", "`command` to run on becoming master")
	fs.StringVar(&o.down, "down", "", "`command` to run when no longer master")
	group := fs.String("group", "", "IPv4 group to advertise to")
	peer := fs.String("peer", "", "IPv4 address to advertise to")
	fs.BoolVar(&o.shutdown, "shutdown", false, "bow out on the way out")
	fs.IntVar(&o.demote, "demote", 0, "demotion to start with")
	fs.StringVar(&o.pcap, "pcap", "", "`file` for what is sent and received")
	fs.StringVar(&o.http, "http", "", "`address` of the status page")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("what is %q?", fs.Arg(0))
	}
	if o.ifname == "" || *vips == "" {
		return nil, errors.New("-i and -vip are required")
	}
	for _, f := range strings.Split(*vips, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(f))
		if err != nil {
			return nil, fmt.Errorf("-vip: %w", err)
		}
		o.vips = append(o.vips, a.Unmap())
	}
	if o.src.IsValid() && !o.src.Is4() {
		return nil, fmt.Errorf("-src: %v is no IPv4 address", o.src)
	}
	if *vhid > 255 || *base > 255 || *skew > 255 {
		return nil, errors.New("-vhid, -advbase and -advskew are at most 255")
	}
	if o.demote < 0 || o.demote > 255 {
		return nil, errors.New("-demote is 0 to 255")
	}
	switch *masterdown {
	case carp.Classic.String():
	case carp.Scaled.String():
		o.config.MasterDown = carp.Scaled
	default:
		return nil, fmt.Errorf("-masterdown is classic or scaled, not %q", *masterdown)
	}
	if err := o.setPeer(*group, *peer); err != nil {
		return nil, err
	}
	o.config.Nodes = []carp.Node{{VHID: uint8(*vhid), AdvSkew: uint8(*skew)}}
	o.config.AdvBase = uint8(*base)
	o.config.Password = *pass
	if *passfile != "" {
		if *pass != "" {
			return nil, errors.New("-pass or -passfile, not both")
		}
		var err error
		if o.config.Password, err = firstLine(*passfile); err != nil {
			return nil, err
		}
	}
	// What else is wrong the protocol itself says, before any socket is opened.
	_, err := carp.NewParent(carp.ParentConfig{}).Add(o.config)
	return o, err
}

func (o *options) setPeer(group, peer string) error {
	if group != "" && peer != "" {
		return errors.New("-group or -peer, not both")
	}
	for _, p := range []struct {
		flag, value string
		multicast   bool
	}{{"-group", group, true}, {"-peer", peer, false}} {
		if p.value == "" {
			continue
		}
		a, err := netip.ParseAddr(p.value)
		if err != nil {
			return fmt.Errorf("%s: %w", p.flag, err)
		}
		if !a.Is4() || a.IsMulticast() != p.multicast {
			return fmt.Errorf("%s: %v is no IPv4 address of that kind", p.flag, a)
		}
		o.config.Peer = a
	}
	return nil
}

func firstLine(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Scan()
	return s.Text(), s.Err()
}

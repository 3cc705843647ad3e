// Command firewalld is a stateful firewall in user space, of the packages of this module alone, on a Linux
// machine's interfaces: two of them share addresses (CARP) and know the same conversations (pfsync).
//
//	firewalld -in IF,ADDR/LEN,VIP -out IF,ADDR/LEN,VIP -sync IF,ADDR/LEN [-skew N] [-pass P] [-key FILE]
//
// What the inside begins may pass, and what belongs to it; nothing else may. VIP is the address that both
// firewalls share on a side, the gateway of who is there. The one with the smaller skew (1/256 s) is
// master while it is well. With -key what goes over the sync interface is sealed with the key in FILE;
// without, whoever can send there is believed.
//
// The interfaces must belong to it alone: no addresses of the kernel's, promiscuous, and senders that
// compute checksums themselves. demo/failover.sh makes such a place of network namespaces. It wants
// CAP_NET_RAW, runs in the foreground, and ends on SIGTERM, bowing out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/contrib/linux"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/pfsync"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
	"github.com/softnet-go/softnet/stacktest/ministack"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	o, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "firewalld:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	if err := run(ctx, o, log); err != nil {
		log.Error("firewalld ends", "error", err)
		os.Exit(1)
	}
}

// A leg is an interface, what it is called here, our address on it, and the one that is shared.
type leg struct {
	ifname string
	addr   netip.Prefix
	vip    netip.Addr // none on the sync interface
}

func (g *leg) String() string { return g.ifname }

// Set reads IF,ADDR/LEN[,VIP].
func (g *leg) Set(s string) (err error) {
	f := strings.Split(s, ",")
	if len(f) < 2 || len(f) > 3 || f[0] == "" {
		return errors.New("want IF,ADDR/LEN or IF,ADDR/LEN,VIP")
	}
	g.ifname = f[0]
	if g.addr, err = netip.ParsePrefix(f[1]); err == nil && len(f) == 3 {
		g.vip, err = netip.ParseAddr(f[2])
	}
	return err
}

// options are the command line's.
type options struct {
	in, out, sync leg
	skew          uint
	pass, key     string
}

func parse(args []string) (*options, error) {
	o := new(options)
	fs := flag.NewFlagSet("firewalld", flag.ContinueOnError)
	fs.Var(&o.in, "in", "the inside: `IF,ADDR/LEN,VIP`")
	fs.Var(&o.out, "out", "the outside: `IF,ADDR/LEN,VIP`")
	fs.Var(&o.sync, "sync", "to the other firewall: `IF,ADDR/LEN`")
	fs.UintVar(&o.skew, "skew", 64, "how much worse than others this firewall is, in 1/256 s")
	fs.StringVar(&o.pass, "pass", "", "CARP's `password`")
	fs.StringVar(&o.key, "key", "", "seal the sync interface with the key in this `file`")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if !o.in.vip.IsValid() || !o.out.vip.IsValid() || o.sync.ifname == "" || o.sync.vip.IsValid() || o.skew < 1 || o.skew > 254 || fs.NArg() > 0 {
		return nil, errors.New("want -in and -out with a shared address, -sync without, and a skew from 1 to 254")
	}
	return o, nil
}

const groupCARP = carp.DefaultGroup

// run is the firewall, until ctx ends.
func run(ctx context.Context, o *options, log *slog.Logger) (err error) {
	var table *pf.Table
	names := map[ifnet.ID]string{}
	s, err := ministack.New(ministack.Config{
		Forward: true, Streams: 2,
		OnCARP: func(c carp.Change) { log.Info("carp", "vhid", c.VHID, "from", c.From, "to", c.To, "why", c.Why) },
		Filter: func(c *netisr.Ctx, m *mbuf.Packet, d ministack.Direction) ministack.Verdict {
			dir, on := pf.In, names[m.In]
			if d == ministack.Out {
				dir, on = pf.Out, names[m.Out]
			}
			switch table.Test(c.LWP, dir, on, m) {
			case pf.Pass:
				return ministack.Pass
			case pf.Deferred:
				return ministack.Taken
			}
			return ministack.Block
		},
	})
	if err != nil {
		return err
	}
	l := s.Dom.Bind()
	defer l.Unbind()
	end := func(f func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, f(ctx))
	}
	defer end(s.Close)
	icmp := pf.Rule{Proto: pf.ICMP, NoState: true}
	table = pf.New(s.Dom, pf.Config{Rules: []pf.Rule{
		{Dir: pf.In, On: "in"}, {Dir: pf.Out, On: "out"}, icmp, {Proto: carp.Protocol, NoState: true}, {Proto: wire.Protocol, On: "sync", NoState: true},
	}})
	defer end(table.Close)

	ids := map[string]ifnet.ID{}
	for _, x := range []struct {
		name string
		leg  leg
	}{{"in", o.in}, {"out", o.out}, {"sync", o.sync}} {
		id, err := attach(s, x.name, x.leg, o.key)
		if err != nil {
			return fmt.Errorf("%s: %w", x.leg.ifname, err)
		}
		ids[x.name], names[id] = id, x.name
	}
	dev, err := pfsync.New(pfsync.Config{
		Table: table, Ifs: s.Ifs, Send: s.Send, Dev: ids["sync"], Defer: true, MTU: 1500 - linux.SealLen,
		Forward: func(c *netisr.Ctx, m *mbuf.Packet) { _ = s.Output(context.Background(), c.LWP, m) },
		Demote: func(by int, why string) {
			log.Info("demoted", "by", by, "why", why)
			s.CARP.Demote(groupCARP, by)
		},
	})
	if err != nil {
		return err
	}
	defer end(func(ctx context.Context) error { return dev.Close(ctx, l) })
	if err := s.Protosw.Register(wire.Protocol, dev.Queue()); err != nil {
		return err
	}
	if err := dev.Up(ctx, l); err != nil {
		return err
	}
	for i, g := range []leg{o.in, o.out} {
		v, err := s.CARP.Attach(l, ids[[]string{"in", "out"}[i]])
		if err != nil {
			return err
		}
		if err := v.Add(carp.Config{Nodes: []carp.Node{{VHID: uint8(i + 1), AdvSkew: uint8(o.skew)}}, Password: o.pass, Preempt: true}, g.vip); err != nil {
			return err
		}
		defer func() { _ = v.Step(uint8(i+1), carp.Down{}) }() // a master bows out
	}
	log.Info("firewalld", "in", o.in.addr, "out", o.out.addr)
	for t := time.NewTicker(time.Second); ; {
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
			st := table.Stats()
			log.Debug("states", "known", st.States, "blocked", st.Blocked, "mismatches", st.Mismatches)
		}
	}
}

// attach makes an interface of the stack of one of the machine.
func attach(s *ministack.Stack, name string, g leg, keyFile string) (ifnet.ID, error) {
	sock, err := linux.Open(g.ifname, linux.FilterAll())
	if err != nil {
		return ifnet.ID{}, err
	}
	driver, mtu := linux.NewDriver(sock, s.Ifs.Pool()), 1500
	if name == "sync" {
		mtu -= linux.SealLen
		if keyFile != "" {
			key, err := os.ReadFile(keyFile)
			if err != nil {
				return ifnet.ID{}, err
			}
			seal, err := linux.NewSeal(key)
			if err != nil {
				return ifnet.ID{}, err
			}
			driver = linux.NewSealedDriver(sock, s.Ifs.Pool(), seal)
		}
	}
	ifp, err := s.Ifs.Attach(ifnet.Spec{Name: name, Driver: driver, MAC: ifnet.MAC(sock.Interface().HardwareAddr), MTU: mtu, Up: true})
	if err != nil {
		return ifnet.ID{}, err
	}
	return ifp.ID(), s.AddAddr(ifp.ID(), g.addr)
}

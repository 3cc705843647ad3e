package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/contrib/linux"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/pcap"
)

// A daemon drives the core. All fields are those of the goroutine in run.
type daemon struct {
	o    *options
	log  *slog.Logger
	link *linux.Link
	sock *linux.Socket
	raw  *ipv4.RawConn // for a unicast peer, whom the kernel finds
	mac  ifnet.MAC     // the interface's own

	parent *carp.Parent
	dev    *carp.Device
	src6   netip.Addr

	address *addresser
	file    *os.File
	capture *pcap.Writer
	listen  net.Listener
	asked   chan func() // what others want to know

	demoted bool // by SIGUSR2
	history []transition
	buf     []byte
}

// A transition is kept for the status page.
type transition struct {
	Time time.Time `json:"time"`
	From string    `json:"from"`
	To   string    `json:"to"`
	Why  string    `json:"why"`
}

const (
	kept  = 20   // transitions
	queue = 64   // received frames that wait for the daemon
	snap  = 2048 // bytes of a frame
)

// open opens all that privileges are needed for.
func open(o *options, log *slog.Logger) (d *daemon, err error) {
	d = &daemon{o: o, log: log.With("if", o.ifname, "vhid", o.config.Nodes[0].VHID), asked: make(chan func())}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.link, err = linux.FindLink(o.ifname); err != nil {
		return d, err
	}
	if d.sock, err = linux.Open(o.ifname, linux.FilterProtocol(carp.Protocol)); err != nil {
		return d, err
	}
	if len(d.sock.Interface().HardwareAddr) != 6 {
		return d, fmt.Errorf("%s has no Ethernet address", o.ifname)
	}
	d.mac = ifnet.MAC(d.sock.Interface().HardwareAddr)
	d.parent = carp.NewParent(carp.ParentConfig{MAC: d.mac, Simplex: true})
	if d.dev, err = d.parent.Add(o.config); err != nil {
		return d, err
	}
	if err = d.joinGroups(); err != nil {
		return d, err
	}
	if err = d.findSource(); err != nil {
		return d, err
	}
	if o.pcap != "" {
		if d.file, err = os.Create(o.pcap); err != nil {
			return d, err
		}
		if d.capture, err = pcap.NewWriter(d.file, pcap.Ethernet); err != nil {
			return d, err
		}
	}
	if o.http != "" {
		if d.listen, err = listen(o.http); err != nil {
			return d, err
		}
	}
	d.address = newAddresser(o, d.link, d.log)
	return d, nil
}

func (d *daemon) close() {
	if d.sock != nil {
		d.sock.Close()
	}
	if d.raw != nil {
		d.raw.Close()
	}
	if d.file != nil {
		d.file.Close()
	}
	if d.listen != nil {
		d.listen.Close()
	}
}

// run is the daemon's life, until ctx is done.
func (d *daemon) run(ctx context.Context) error {
	stop := make(chan struct{})
	defer close(stop)
	frames, failed := d.receive(stop)
	links := make(chan bool, queue)
	if err := d.link.Watch(stop, func(up bool) {
		select {
		case links <- up:
		case <-stop:
		}
	}); err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(signals)
	if d.listen != nil {
		srv := &http.Server{Handler: d.page(), ReadHeaderTimeout: 5 * time.Second}
		go srv.Serve(d.listen)
		defer srv.Close()
		d.log.Info("status page", "addr", d.listen.Addr().String())
	}
	if err := d.start(); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if at := d.parent.Next(); at.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(at))
		}
		select {
		case <-timer.C:
			d.do(d.parent.Step(time.Now(), carp.Tick{}))
		case frame := <-frames:
			d.input(frame)
		case up := <-links:
			d.linkIs(up)
		case s := <-signals:
			d.signalled(s)
		case f := <-d.asked:
			f()
		case err := <-failed:
			d.leave()
			return err
		case <-ctx.Done():
			d.leave()
			return nil
		}
	}
}

// start comes up as backup, if there is a link.
func (d *daemon) start() error {
	up, err := d.link.IsUp()
	if err != nil {
		return err
	}
	d.address.set(false)
	d.parent.Groups().Set(carp.DefaultGroup, d.o.demote)
	d.linkIs(up)
	for _, a := range d.o.vips {
		d.do(d.dev.Step(time.Now(), carp.AddAddr{Addr: a}))
	}
	return nil
}

func (d *daemon) leave() {
	now := time.Now()
	if d.o.shutdown {
		d.do(d.dev.Step(now, carp.Down{}))
	}
	d.do(d.dev.Step(now, carp.Detach{}))
	d.address.close()
	d.log.Info("ends", "stats", d.parent.Stats())
}

func (d *daemon) input(frame []byte) {
	d.record(frame)
	if len(frame) < 14 {
		return
	}
	was := d.parent.Stats()
	do := d.parent.Input(time.Now(), frame[14:])
	if now := d.parent.Stats(); now.BadAuth > was.BadAuth && now.BadAuth&(now.BadAuth-1) == 0 {
		// Fail-open: each side hears nobody and becomes master. Loud, but not once for each packet.
		d.log.Warn("an advertisement of our vhid is signed with another password, or for other addresses", "badauth", now.BadAuth)
	}
	d.do(do)
}

func (d *daemon) linkIs(up bool) {
	if up == !d.dev.Suppressed() {
		return
	}
	d.log.Info("link", "up", up)
	var ev carp.Event = carp.LinkDown{}
	if up {
		ev = carp.LinkUp{}
		if err := d.findSource(); err != nil {
			d.log.Warn("no source", "error", err)
		}
	}
	d.do(d.parent.Step(time.Now(), ev))
}

func (d *daemon) signalled(s os.Signal) {
	if s == unix.SIGUSR1 {
		d.status().print(os.Stderr)
		return
	}
	now := time.Now()
	if d.demoted = !d.demoted; !d.demoted {
		d.do(d.dev.Step(now, carp.Demote{By: -1, Reason: "SIGUSR2"}))
		return
	}
	d.do(d.dev.Step(now, carp.Demote{By: +1, Reason: "SIGUSR2"}))
	if d.dev.State() == carp.Master { // who looks at demotion has been told; the rest take a bow-out
		d.do(d.dev.Step(now, carp.Down{}))
		d.do(d.dev.Step(now, carp.Up{}))
	}
}

// do does what the core wants, in its order.
func (d *daemon) do(actions []carp.Action) {
	for _, a := range actions {
		switch a := a.(type) {
		case carp.Transition:
			d.log.Info("transition", "from", a.From, "to", a.To, "why", a.Why)
			d.history = append(d.history, transition{time.Now(), a.From.String(), a.To.String(), a.Why})
			d.history = d.history[max(0, len(d.history)-kept):]
			d.address.set(a.To == carp.Master)
		case carp.Send:
			err := d.send(a)
			if err != nil {
				d.log.Warn("not sent", "error", err)
			}
			d.do(d.dev.Step(time.Now(), carp.Sent{Family: a.Family, Err: err}))
		case carp.Announce:
			a.MAC = d.mac // it is the kernel that answers and receives
			d.buf = a.Frame(d.buf[:0], d.mac)
			d.record(d.buf)
			if err := d.sock.Send(d.buf); err != nil {
				d.log.Warn("not announced", "addr", a.Addr, "error", err)
			}
		case carp.Demoted:
			d.log.Info("demoted", "by", a.By, "why", a.Reason, "group", d.parent.Groups().Demotion(carp.DefaultGroup))
			if a.All {
				d.do(d.dev.Step(time.Now(), carp.Advertise{}))
			}
		}
	}
}

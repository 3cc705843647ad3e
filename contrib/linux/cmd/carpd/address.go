package main

import (
	"context"
	"log/slog"
	"net/netip"
	"os/exec"
	"sync"
	"time"

	"github.com/softnet-go/softnet/contrib/linux"
)

// An addresser makes the addresses those of the master: by rtnetlink at once, or with the user's
// commands, one after the other in a goroutine of its own.
type addresser struct {
	o    *options
	link *linux.Link
	log  *slog.Logger

	mu      sync.Mutex
	master  bool // what is wished
	was     bool // what the commands have been told last
	closed  bool
	changed sync.Cond // on mu
	done    chan struct{}
}

// patience is how long a command may take, and how long the end waits for the last.
const patience = 30 * time.Second

func newAddresser(o *options, link *linux.Link, log *slog.Logger) *addresser {
	a := &addresser{o: o, link: link, log: log, done: make(chan struct{})}
	a.changed.L = &a.mu
	go a.work()
	return a
}

func (a *addresser) manages() bool { return a.o.up == "" && a.o.down == "" }

// set says whether we are master. Taking away what is not there does no harm, and cleans up after
// a daemon that crashed.
func (a *addresser) set(master bool) {
	if a.manages() {
		for _, vip := range a.o.vips {
			if err := a.change(vip, master); err != nil {
				a.log.Error("address", "master", master, "error", err)
			}
		}
		return
	}
	a.mu.Lock()
	a.master = master
	a.mu.Unlock()
	a.changed.Signal()
}

func (a *addresser) change(vip netip.Addr, master bool) error {
	if master {
		return a.link.AddAddr(vip)
	}
	return a.link.RemoveAddr(vip)
}

// close waits for the command that tells of the last change.
func (a *addresser) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.changed.Signal()
	<-a.done
}

func (a *addresser) work() {
	defer close(a.done)
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		for a.master == a.was {
			if a.closed {
				return
			}
			a.changed.Wait()
		}
		a.was = a.master
		cmd := a.o.down
		if a.was {
			cmd = a.o.up
		}
		a.mu.Unlock()
		a.run(cmd)
		a.mu.Lock()
	}
}

func (a *addresser) run(cmd string) {
	if cmd == "" {
		return
	}
	for _, vip := range a.o.vips {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		out, err := exec.CommandContext(ctx, cmd, a.o.ifname, vip.String()).CombinedOutput()
		cancel()
		if err != nil {
			a.log.Error("command failed", "command", cmd, "addr", vip, "error", err, "output", string(out))
			continue
		}
		a.log.Info("command ran", "command", cmd, "addr", vip)
	}
}

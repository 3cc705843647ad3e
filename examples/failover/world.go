package failover

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync"
)

// A config is what is played.
type config struct {
	flows   int
	every   time.Duration // a word of each
	again   time.Duration // a word is said again
	ramp    time.Duration // from the first conversation to the last
	seed    uint64
	streams int

	pfsync, deferring, demote, preempt bool

	bulkEvery time.Duration // a packet of a transfer
	pcap      string        // a directory; empty for none
}

// skew makes ada the better one. CARP's base is 0, so that it is quick: advertisements each quarter of
// a second, and three of them have to be missed.
func (c config) skew(number byte) uint8 {
	if number == 1 {
		return 64
	}
	return 80
}

// patience is how long the worse one waits for advertisements: with a base of 0, three times its skew
// in 1/256 s.
const patience = 3 * 80 * time.Second / 256

// A moment is something that happened.
type moment struct {
	At   time.Duration `json:"at"`
	Who  string        `json:"who"`
	What string        `json:"what"`
}

// A world is the two firewalls, and who talks through them.
type world struct {
	c       config
	start   time.Time
	lans    [sides]*ifnet.LAN
	clients *clients
	servers *host
	walls   [2]*firewall // nil for one that is switched off
	hosts   uint32       // firewalls that there have been

	mu      sync.Mutex
	moments []moment
	frees   map[mbuf.Reason]uint64 // of firewalls that are no more
	sent    uint64                 // packets forwarded by those
	blocked uint64
	missed  uint64 // packets that did not fit a state
}

var wallNames = [2]string{"ada", "bob"}

func newWorld(c config) (*world, error) {
	w := &world{c: c, start: time.Now(), frees: map[mbuf.Reason]uint64{}}
	for i := range w.lans {
		w.lans[i] = ifnet.NewLAN(ifnet.LANConfig{Seed: c.seed})
	}
	w.clients = &clients{c: c}
	var err error
	if w.clients.h, err = newHost(w.lans[inside], "clients", clientMAC, carp.VirtualMAC(vhids[inside]), w.clients.hear); err != nil {
		return nil, err
	}
	if w.servers, err = newHost(w.lans[outside], "servers", serverMAC, carp.VirtualMAC(vhids[outside]), servers()); err != nil {
		return nil, err
	}
	return w, nil
}

const echo = 7 // the port of those who say again what they are told, RFC 862

// converse makes conversations, which begin one after the other from now on.
func (w *world) converse(n int, ramp time.Duration) {
	w.clients.mu.Lock()
	defer w.clients.mu.Unlock()
	for i := range n {
		id := len(w.clients.flows) + 1
		f := &flow{
			id: uint32(id), proto: protoTCP, begins: time.Now().Add(ramp * time.Duration(i) / time.Duration(n)), seq: uint32(id) * 7919,
			src: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, byte(id >> 8), byte(id)}), 40000),
			dst: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 30, 0, byte(id)}), echo),
		}
		if id%4 == 0 {
			f.proto = protoUDP
		}
		f.due = f.begins
		w.clients.flows = append(w.clients.flows, f)
	}
}

func (w *world) hostID() uint32 { w.hosts++; return 0xf0000000 + w.hosts }

func (w *world) tell(who, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moments = append(w.moments, moment{time.Since(w.start).Round(100 * time.Microsecond), who, what})
}

// switchOn has a firewall there, with an empty table.
func (w *world) switchOn(ctx context.Context, i int) error {
	f, err := newFirewall(w, wallNames[i], byte(i+1))
	if err != nil {
		return err
	}
	w.walls[i] = f
	w.tell(f.name, "is switched on")
	return f.start(ctx)
}

// switchOff kills one. What it leaves behind is counted.
func (w *world) switchOff(ctx context.Context, i int) error {
	f := w.walls[i]
	f.kill()
	w.tell(f.name, "is KILLED")
	w.walls[i] = nil
	return w.bury(ctx, f)
}

func (w *world) bury(ctx context.Context, f *firewall) error {
	err := f.close(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	s := f.pf.Stats()
	w.sent += f.forwarded.Load()
	w.blocked += s.Blocked
	w.missed += s.Mismatches
	for why, n := range f.ifs.Pool().Stats().Frees {
		w.frees[why] += n
	}
	return err
}

// tick is how often clients look at what is due.
const tick = 5 * time.Millisecond

// run lets clients talk for a while. each is called now and then.
func (w *world) run(ctx context.Context, d time.Duration, each func()) error {
	end := time.Now().Add(d)
	t := time.NewTicker(tick)
	defer t.Stop()
	for n := 0; time.Now().Before(end); n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-t.C:
			w.clients.speak(now)
			if each != nil && n%50 == 0 {
				each()
			}
		}
	}
	return nil
}

// settle lets what is under way arrive, and nobody say more.
func (w *world) settle(ctx context.Context) error {
	select {
	case <-time.After(200 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends it: everything has to be given back.
func (w *world) close(ctx context.Context) (err error) {
	for i, f := range w.walls {
		if f != nil {
			err = errors.Join(err, w.bury(ctx, f))
			w.walls[i] = nil
		}
	}
	err = errors.Join(err, w.clients.h.close(ctx), w.servers.close(ctx))
	for _, lan := range w.lans {
		lan.Close()
	}
	return err
}

// master returns who has both addresses, for the progress line.
func (w *world) master() string {
	if i := w.masterOr(-1); i >= 0 {
		return wallNames[i]
	}
	return "nobody"
}

// masterOr returns which firewall has both addresses, or another number if none has.
func (w *world) masterOr(none int) int {
	for i, f := range w.walls {
		if f != nil && f.master() {
			return i
		}
	}
	return none
}

// agreed reports whether both firewalls are there and know each other's states.
func (w *world) agreed() bool {
	for _, f := range w.walls {
		if f == nil || w.c.pfsync && f.sync.Stats().Phase != pfsync.PhaseDone {
			return false
		}
	}
	return true
}

// known returns how many states the firewalls know.
func (w *world) known() string {
	s := ""
	for i, f := range w.walls {
		n := 0
		if f != nil {
			n = f.states()
		}
		s += fmt.Sprintf("  %s knows %d", wallNames[i], n)
	}
	return s
}

package forward

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
)

// How workers work.
const (
	burst     = 3       // packets that are received and then sent; one more may be set aside
	turn      = 16      // bursts after which a worker lets others run, and tells what it did
	round     = 256     // bursts after which it looks after the packet that is set aside
	seldom    = 4       // rounds after which a thread sleeps, and is preempted in a section
	destsEach = 1 << 16 // destinations that a worker goes round

	flows = 32 // that are under way at once: so many destinations come in turn
	train = 8  // packets that each has before other flows begin

	// A packet is set aside for so many rounds while its route stays, and for so many
	// when it has gone: it is to be sent at the worst moment.
	asideFor = 128
	goneFor  = 8

	sleepFor   = time.Millisecond
	preemptFor = 200 * time.Microsecond
)

// A packet is in flight: received and not yet sent.
type packet struct {
	to    dest
	ro    *rtcache.Cache // holds rte
	rte   *rtable.Entry
	route rtable.Route // what rte said when it was found
	gw    *gateway
	gwRef psref.Ref
}

// counts is what became of the packets of one worker, or of all.
type counts struct {
	in, sent, noRoute, updating, gatewayLeft uint64
	slept                                    uint64 // bursts that a thread slept with
}

func (c *counts) add(d counts) {
	c.in += d.in
	c.sent += d.sent
	c.noRoute += d.noRoute
	c.updating += d.updating
	c.gatewayLeft += d.gatewayLeft
	c.slept += d.slept
}

// A worker forwards packets in bursts, and has one more set aside for longer, as if its
// neighbour had to be asked for. It is a softint, which never sleeps and comes by a
// checkpoint in each burst, or a thread, which now and then sleeps with all it holds.
type worker struct {
	r       *router
	l       *lwp.LWP
	softint bool
	dests   []dest
	n       int // packets taken in from the flows under way and before
	flap    int // of dests: where the last packet that was set aside went
	counts
	told atomic.Uint64 // sent, as of the last turn

	flight  [burst]packet
	aside   packet
	wait    int  // for how many more rounds aside is set aside; 0 if it is not in use
	preempt bool // whether to be preempted when the next gateway that is renewed is looked at
}

// run forwards until stop is set.
func (w *worker) run(stop *atomic.Bool) {
	if w.softint {
		w.l = w.r.dom.BindSoftint("input")
	} else {
		w.l = w.r.dom.Bind()
	}
	for i := 0; !stop.Load(); i++ {
		disturbed := !w.softint && i%(seldom*round) == 0
		w.preempt = w.preempt || disturbed
		w.forward(disturbed)
		if i%turn == 0 {
			w.told.Store(w.sent)
			runtime.Gosched()
		}
		if i%round == 0 {
			w.setAside()
		}
	}
	if w.wait > 0 {
		w.send(&w.aside)
	}
	w.told.Store(w.sent)
	w.l.Unbind()
}

// forward receives a burst, has it in flight across a checkpoint or a sleep, and sends it.
func (w *worker) forward(sleep bool) {
	n := 0
	for range w.flight {
		if w.receive(&w.flight[n], w.arrives()) {
			n++
		}
	}
	w.l.Checkpoint()
	if sleep {
		w.slept++
		time.Sleep(sleepFor)
	}
	for n--; n >= 0; n-- { // the last first: a softint's references are a stack
		w.send(&w.flight[n])
	}
}

// setAside sends the packet that is set aside if it is time to: some time after its route
// has gone, so that it would have been freed if nobody held it. It then sets aside the
// next one that goes to a route that flaps.
func (w *worker) setAside() {
	if w.wait > 0 {
		w.wait--
		if w.aside.rte.Flags()&rtable.FlagUp == 0 {
			w.wait = min(w.wait, goneFor)
		}
		if w.wait > 0 && !w.aside.rte.Freed() {
			return
		}
		w.send(&w.aside)
		w.wait = 0
	}
	if w.softint { // there is nothing to do for a moment, and it holds nothing
		w.l.Offline()
		runtime.Gosched()
		w.l.Online()
	}
	w.flap = (w.flap + flapEvery) % len(w.dests)
	if w.receive(&w.aside, w.dests[w.flap]) {
		w.wait = asideFor
	}
}

// arrives returns where the next packet goes: that of each of some flows in turn, until they
// have sent their trains and others begin.
func (w *worker) arrives() dest {
	i := w.n/(flows*train)*flows + w.n%flows
	w.n++
	return w.dests[i%len(w.dests)]
}

// receive takes a packet in, looks up where it goes and refers to that. It reports false if
// it goes nowhere.
func (w *worker) receive(p *packet, d dest) bool {
	r := w.r
	w.in++
	p.ro = r.caches.Cache(w.l, d.addr)
	rte, err := p.ro.Lookup(w.l, r.table, d.addr)
	if err != nil {
		switch {
		case err == rtable.ErrUpdating: // its longest match is one of those that flap
			w.updating++
		case d.steady:
			r.faults.add(missed, "%v found no route", d.addr)
			fallthrough
		default:
			w.noRoute++
		}
		return false
	}
	p.to, p.rte, p.route = d, rte, says(rte)
	if d.steady && p.route.Dst.Bits() < int(d.bits) {
		r.faults.add(missed, "%v found %v only, and not its route of length %d", d.addr, p.route, d.bits)
	}
	if r.unsafe == skipPsref {
		p.ro.Release(w.l) // as if having found it were enough
	}
	if w.findGateway(p) {
		return true
	}
	w.gatewayLeft++
	w.letGo(p)
	return false
}

// findGateway refers to the gateway of a packet's route, unless it has left meanwhile.
func (w *worker) findGateway(p *packet) bool {
	r, out := w.r, p.route.Out
	s := r.psz.ReadEnter(w.l)
	g := r.places[out.Index-1].Load()
	if g == nil || g.out != out {
		s.Exit()
		if !leaves(out) {
			r.faults.add(missed, "%v found %v and not its gateway, which never leaves", p.to.addr, p.route)
		}
		return false
	}
	if w.preempt && renews(out) && r.renewNow(out.Index) {
		// A thread may be preempted anywhere: here it is, at the worst moment.
		for start := time.Now(); g.whole() && time.Since(start) < preemptFor; {
			runtime.Gosched()
		}
		w.preempt = false
	}
	whole := g.whole()
	held := r.unsafe == skipPsref || r.class.Acquire(w.l, &p.gwRef, &g.Target)
	s.Exit()
	if !whole || !held {
		r.faults.add(lookedFreed, "%v, by a packet to %v in a read section", g, p.to.addr)
	}
	p.gw = g
	return held
}

// send looks whether all is as it was when the packet came in, and lets go of it.
func (w *worker) send(p *packet) {
	fs := &w.r.faults
	if same := p.sameRoute(); p.rte.Freed() {
		fs.add(entryFreed, "%v, by a packet to %v", p.route, p.to.addr)
	} else if !same {
		fs.add(torn, "%v, of a packet to %v, was %v", p.rte, p.to.addr, p.route)
	}
	if link := p.gw.link.Load(); link == poison {
		fs.add(gatewayFreed, "%v, by a packet to %v", p.gw, p.to.addr)
	} else if link != p.gw.linkAddr() || p.gw.out != p.route.Out {
		fs.add(torn, "%v, of a packet to %v", p.gw, p.to.addr)
	}
	if p.gwRef.Held() {
		p.gwRef.Release(w.l)
	}
	w.letGo(p)
	w.sent++
}

func (w *worker) letGo(p *packet) {
	if w.r.unsafe != skipPsref {
		p.ro.Release(w.l)
	}
}

// says returns what an entry says and what nobody may change while it is held. It may be
// deleted meanwhile, and flagged by somebody who waits for whoever holds it.
func says(e *rtable.Entry) rtable.Route {
	rt := e.Route()
	rt.Flags &^= rtable.FlagUp | rtable.FlagUpdating
	return rt
}

// sameRoute reports whether the entry says what it said. In checked builds one that has
// been freed panics when it is asked.
func (p *packet) sameRoute() (same bool) {
	defer func() {
		if v := recover(); v != nil && !p.rte.Freed() {
			panic(v)
		}
	}()
	return says(p.rte) == p.route && p.route.Dst.Contains(p.to.addr)
}

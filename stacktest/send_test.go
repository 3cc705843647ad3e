package stacktest_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/stacktest"
	"github.com/softnet-go/softnet/witness"
)

var senderClass = witness.NewClass("sender")

// A sender decides to send while it holds its lock, and has the packet sent later, with the route that it
// counts on.
type sender struct {
	s  *stacktest.Stack
	mu witness.Mutex
	ty *netisr.Type[*rtable.Entry]
	// urgent is for packets that go first, where a sender does what is wrong.
	urgent *netisr.Type[*rtable.Entry]
	n      int // guarded by mu

	keepsRefused, twoPriorities bool // what is wrong
}

// sends makes a Config of a sender; change is what is wrong.
func sends(change func(p *sender, sp *netisr.Spec[*rtable.Entry])) stacktest.Config {
	return stacktest.Config{New: func(s *stacktest.Stack) stacktest.Subject {
		p := &sender{s: s}
		p.mu.Init(senderClass)
		sp := netisr.Spec[*rtable.Entry]{
			Name: "later", QLimit: 16, Prio: netisr.Bulk,
			Handle: func(c *netisr.Ctx, m *mbuf.Packet, e *rtable.Entry) {
				_ = c.Out.Transmit(c.LWP, m)
				p.unref(e)
			},
			Free: func(e *rtable.Entry, _ mbuf.Reason) { p.unref(e) },
		}
		if change != nil {
			change(p, &sp)
		}
		var err error
		if p.ty, err = netisr.Register(s.Send, sp); err != nil {
			panic(err)
		}
		sp.Prio = netisr.Control
		if p.urgent, err = netisr.Register(s.Send, sp); err != nil {
			panic(err)
		}
		return stacktest.Subject{Name: "subject", Output: p.output}
	}}
}

func (p *sender) unref(e *rtable.Entry) {
	if e != nil {
		e.Unref()
	}
}

func (p *sender) output(l *lwp.LWP, m *mbuf.Packet, out ifnet.ID) {
	var e *rtable.Entry
	if b, ok := m.Pullup(20); ok && b[0]>>4 == 4 {
		e, _ = p.s.Routes.Lookup(context.Background(), l, netip.AddrFrom4([4]byte(b[16:20])))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	ty := p.ty
	if p.twoPriorities && p.n%2 == 0 {
		ty = p.urgent
	}
	if err := ty.Dispatch(m, out, e); err != nil && !p.keepsRefused {
		p.unref(e)
	}
}

// Senders that are wrong: what they register is called by a worker, later, or never.
var sendCrimes = map[string]crime{
	"later: keeps what goes with a refused packet": {
		config: sends(func(p *sender, _ *netisr.Spec[*rtable.Entry]) { p.keepsRefused = true }),
		charge: "holds a route when everything has ended|holds a route for ever: it cannot be changed",
	},
	"later: gives nothing back for what departs": {
		config: sends(func(_ *sender, sp *netisr.Spec[*rtable.Entry]) { sp.Free = nil }),
		charge: "holds a route when everything has ended|holds a route for ever: it cannot be changed",
	},
	"later: sends a packet twice": {
		config: sends(func(p *sender, sp *netisr.Spec[*rtable.Entry]) {
			sp.Handle = func(c *netisr.Ctx, m *mbuf.Packet, e *rtable.Entry) {
				_ = c.Out.Transmit(c.LWP, m)
				p.unref(e)
				_ = c.Out.Transmit(c.LWP, m)
			}
		}),
		charge: "panics: mbuf: ",
	},
	"later: forgets the packet": {
		config: sends(func(p *sender, sp *netisr.Spec[*rtable.Entry]) {
			sp.Handle = func(_ *netisr.Ctx, _ *mbuf.Packet, e *rtable.Entry) { p.unref(e) }
		}),
		charge: "returns and forgets its packet",
	},
	"later: sleeps": {
		config: sends(func(p *sender, sp *netisr.Spec[*rtable.Entry]) {
			send := sp.Handle
			sp.Handle = func(c *netisr.Ctx, m *mbuf.Packet, e *rtable.Entry) {
				time.Sleep(time.Millisecond)
				send(c, m, e)
			}
		}),
		charge: "sleeps in a softint",
	},
	"later: overtakes itself": {
		config: sends(func(p *sender, _ *netisr.Spec[*rtable.Entry]) { p.twoPriorities = true }),
		charge: "ends packets of a flow out of order",
	},
	"later: sends while holding its lock": {
		config: sends(func(p *sender, sp *netisr.Spec[*rtable.Entry]) {
			send := sp.Handle
			sp.Handle = func(c *netisr.Ctx, m *mbuf.Packet, e *rtable.Entry) {
				p.mu.Lock()
				defer p.mu.Unlock()
				send(c, m, e)
			}
		}),
		charge:  "panics: witness: .*sender.*sending a packet",
		checked: true,
	},
	"later: keeps the packet": {
		config: sends(func(p *sender, sp *netisr.Spec[*rtable.Entry]) {
			place := mbuf.NewQueue("a shelf")
			sp.Handle = func(_ *netisr.Ctx, m *mbuf.Packet, e *rtable.Entry) { p.unref(e); m.Keep(place) }
		}),
		charge: "keeps packets without a bound|has a packet of interface|leaks a packet",
	},
}

func TestHandler_HasNothingAgainstARightSender(t *testing.T) {
	stacktest.Handler(t, sends(nil))
}

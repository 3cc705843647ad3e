package stacktest

import (
	"context"
	"testing"
	"time"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// inSchedule is one schedule, in which nobody knows what time it is.
type inSchedule struct{ s *sched.S }

func (inSchedule) settle()              {}
func (inSchedule) elapse(time.Duration) {}
func (inSchedule) now() time.Time       { return time.Time{} }
func (w inSchedule) until(time.Duration) (context.Context, context.CancelFunc) {
	return w.s.Context(), func() {}
}

func (inSchedule) Logf(string, ...any)                 {}
func (w inSchedule) Fatalf(format string, args ...any) { w.s.Failf(format, args...) }

// A scene is what two or three packets meet.
type scene struct {
	name    string
	streams int
	play    func(x *exploration)
}

var scenes = []scene{
	{"two streams", 2, func(x *exploration) {
		for _, m := range x.packets(0, 0, 0, 1) {
			x.submit(x.l, m, x.ports[0].ifp)
		}
		x.worker("one")
		x.worker("other")
	}},
	{"departure", 1, func(x *exploration) {
		x.network()
		x.worker("worker")
		x.actor("detach", func(l *lwp.LWP) { x.detachBy(l, 0) })
	}},
	{"down", 1, func(x *exploration) {
		x.network()
		x.worker("worker")
		id := x.ports[0].ifp.ID()
		x.actor("down", func(*lwp.LWP) { _ = x.st.Ifs.Down(id) })
	}},
	{"route", 1, func(x *exploration) {
		x.network()
		x.worker("worker")
		other := x.ports[1].ifp.ID()
		x.actor("route", func(*lwp.LWP) {
			_ = x.st.Routes.Replace(rtable.Route{Dst: somewhere, Out: other})
			_ = x.st.Routes.Delete(somewhere)
		})
	}},
	{"close", 1, func(x *exploration) {
		x.network()
		x.worker("worker")
		x.actor("close", func(l *lwp.LWP) { x.closeBy(l, time.Second) })
	}},
}

// Explore runs a handler with two or three packets under every schedule that o asks for: in two streams
// at once, and in one while an interface departs or goes down, a route changes, or the queue is closed. A failure is the
// simplest schedule that breaks a promise, drawn, and with a string that runs it again. Each of these is a
// subtest of t, and what was explored is returned for each. o.Preemptions is 1 if 0, which takes about a
// second for each; 2 finds more, and takes a minute for some.
//
// What is explored is what package sched can see: the handler's locks are of package witness or sched,
// what it shares are sched's words, what it starts is started by sched.Go, and it does not ask what time
// it is. Its packets are three that Config.Packets gives as examples. Without the tag sched the same runs on real goroutines for a moment, as sched.Explore does.
func Explore(t *testing.T, o sched.Options, c Config) (results []sched.Result) {
	t.Helper()
	if c.Packets == nil {
		c.Packets = IPPackets()
	}
	if o.Preemptions == 0 {
		o.Preemptions = 1
	}
	var examples [3][]byte
	for i := range examples {
		examples[i] = c.Packets.Example(i + 1)
	}
	for _, sc := range scenes {
		t.Run(sc.name, func(t *testing.T) {
			results = append(results, sched.Explore(t, o, func(s *sched.S) { explore(s, c, sc, examples) }))
		})
	}
	return results
}

// An exploration is an attack in one schedule.
type exploration struct {
	*attack
	s        *sched.S
	examples [3][]byte
}

func explore(s *sched.S, c Config, sc scene, examples [3][]byte) {
	w := inSchedule{s}
	a := newAttack(w, c, Variant{Streams: sc.streams, manual: true}, w)
	a.onBreach = func(promise, detail string) { s.Errorf("handler %s %s: %s", a.sub.Name, promise, detail) }
	x := &exploration{attack: a, s: s, examples: examples}
	sc.play(x)
	s.After(func() {
		for x.step() {
		}
		a.judge(w)
		a.finish(w)
	})
}

// actor starts one with an LWP.
func (x *exploration) actor(name string, f func(l *lwp.LWP)) {
	l := x.st.Dom.Bind()
	x.s.Go(name, func() {
		f(l)
		l.Unbind()
	})
}

// packets makes packets of flows, that a port has received or is to send.
func (x *exploration) packets(i int, flows ...uint32) (ms []*mbuf.Packet) {
	for k, id := range flows {
		m, err := x.st.Pool.From(x.examples[k])
		if err != nil {
			x.s.Failf("%v", err)
		}
		x.label(i, m, false, id)
		ms = append(ms, m)
	}
	return ms
}

// network starts an actor that gives the handler two packets.
func (x *exploration) network() {
	ms, ifp := x.packets(0, 0, 0), x.ports[0].ifp
	x.actor("network", func(l *lwp.LWP) {
		for _, m := range ms {
			x.submit(l, m, ifp)
		}
	})
}

// worker starts an actor that does what waits. What comes later waits for the end, or for another.
func (x *exploration) worker(name string) {
	x.s.Go(name, func() {
		for x.step() {
		}
	})
}

func (x *exploration) step() bool {
	return x.wq != nil && x.wq.Step() || x.isr != nil && x.isr.Step() || x.st.Send.Step()
}

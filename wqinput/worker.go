package wqinput

import (
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/witness"
)

// An Input is what a handler is given, until it returns.
type Input struct {
	// LWP is the worker's: a thread, which may sleep, wait and hold things. It is the
	// handler's until it returns.
	LWP *lwp.LWP
	// Packet is the handler's to end, hand over or keep. Off is where the protocol's own header
	// begins, and Proto which protocol it is.
	Packet *mbuf.Packet
	Off    int
	Proto  uint8
	// In is the interface by which the packet came, whole until the handler returns even if it
	// is being detached; nil if it came by none.
	In *ifnet.Interface
}

// main is the worker's loop.
func (s *stream) main() {
	l := s.q.ifs.Domain().Bind()
	defer l.Unbind()
	defer s.end()
	for s.turn(l, true) {
	}
}

// turn handles one item, and reports whether there was one.
func (s *stream) turn(l *lwp.LWP, mayWait bool) bool {
	it, ok := s.next(mayWait)
	if !ok {
		return false
	}
	m := it.m
	m.Take(s.queue, s.fist)
	if !it.in.IsZero() {
		if s.in.In, ok = s.q.ifs.Get(l, &s.pin, it.in); !ok {
			m.Free(mbuf.Stale)
			s.stale.Inc()
			s.finish()
			return true
		}
	}
	s.in.LWP, s.in.Packet, s.in.Off, s.in.Proto = l, m, it.off, it.proto
	s.handle(l, m)
	return true
}

// handle calls the handler. The pin goes last, and then nobody waits for this any more.
func (s *stream) handle(l *lwp.LWP, m *mbuf.Packet) {
	s.q.level.Enter(nil)
	returned := false
	defer func() {
		s.after(l, m, returned)
		if !returned && s.q.recovered != nil {
			if r := recover(); r != nil {
				s.q.recovered(r)
			}
		}
	}()
	s.q.handler(s.q.ctx, &s.in)
	returned = true
	if witness.Enabled {
		witness.Barrier("wqinput: the end of handler " + s.q.name)
	}
	if invariants.Enabled {
		s.mustHoldNothing(l)
	}
}

// after cleans up behind a handler that returned, or panicked.
func (s *stream) after(l *lwp.LWP, m *mbuf.Packet, returned bool) {
	if !returned {
		s.panics.Inc()
	}
	if m.OwnedBy(s.fist) {
		m.Free(mbuf.Handler)
		s.leaked.Inc()
		if returned {
			s.q.log.Warn("wqinput: the handler returned and its packet was left", "handler", s.q.name, "proto", s.in.Proto)
		}
	}
	s.q.level.Exit(nil)
	s.in = Input{} // whoever kept it has nothing
	if s.pin.Held() {
		s.pin.Release(l)
	}
	s.finish()
}

// mustHoldNothing panics if the handler has returned with a reference of its own.
func (s *stream) mustHoldNothing(l *lwp.LWP) {
	pins := 0
	if s.pin.Held() {
		pins = 1
	}
	if held := l.CPU.Holdings(); len(held) > pins || !l.CPU.Outside() {
		v := &witness.Violation{Rule: "wqinput: leak", Text: "wqinput: handler " + s.q.name + " returned inside a read section"}
		for _, h := range held[min(pins, len(held)):] {
			v.Text = "wqinput: handler " + s.q.name + " returned and holds " + h.What
			v.Sites = append(v.Sites, witness.Site{What: h.What + " acquired", Stack: h.Site.String()})
		}
		panic(v)
	}
}

package deferq

import (
	"context"
	"runtime"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/witness"
)

// main is the worker's loop.
func (s *stream[T]) main() {
	if s.eng.BindThreads {
		runtime.LockOSThread()
	}
	l := s.bind()
	defer s.end()
	defer s.unbind(l)
	for s.await(l) {
		for s.serve(l, HandSize) > 0 {
		}
	}
}

func (s *stream[T]) bind() *lwp.LWP {
	if s.eng.Softint {
		return s.eng.Ifs.Domain().BindSoftint(s.String())
	}
	return s.eng.Ifs.Domain().Bind()
}

// unbind ends the worker's LWP, which a handler may have left with something to hold.
func (s *stream[T]) unbind(l *lwp.LWP) {
	defer s.eng.survive()
	l.Unbind()
}

// await sleeps until there is something to do, and returns false if there will not be.
func (s *stream[T]) await(l *lwp.LWP) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
	if !s.anyLocked() && !s.eng.closed.Load() {
		s.woken.Store(false)
		s.mu.Unlock()
		if s.eng.Softint {
			l.Offline()
			defer l.Online()
		}
		s.linger()
		s.mu.Lock()
	}
	for !s.running {
		switch {
		case s.borrower != nil: // it will wake us if there is anything to do
			s.idle.Wait(&s.mu)
		case s.anyLocked():
			s.running = true
		case s.eng.closed.Load():
			return false
		default:
			s.idle.Wait(&s.mu)
		}
	}
	return true
}

// A worker that finds nothing looks again so many times before it sleeps, each time after so many
// turns of a loop: together about as long as it takes to wake it. If it looked all the time, each
// packet would pay for the lines of the stream to go from one core to the other.
const (
	looks       = 16
	turnsToLook = 1000
)

// linger returns when there is something to do, or there has not been for some time.
func (s *stream[T]) linger() {
	if hook.Exploring() || runtime.GOMAXPROCS(0) == 1 {
		return
	}
	for i := 0; i < looks && !s.woken.Load(); i++ {
		for range turnsToLook { // only time passes
		}
		runtime.Gosched()
	}
}

// anyLocked reports whether there is anything to do.
func (s *stream[T]) anyLocked() bool {
	for _, n := range s.lens {
		if n > 0 {
			return true
		}
	}
	next, end := unpack(s.claim.Load())
	return next != end || len(s.dead) > 0
}

// serve fills the hand and handles up to n items of it. It returns how many there were. The caller
// has the stream.
func (s *stream[T]) serve(l *lwp.LWP, n int) (served int) {
	s.mu.Lock()
	if next, end := unpack(s.claim.Load()); next == end {
		if c := s.settleLocked(); c != nil {
			s.tell(c)
		}
		if len(s.dead) > 0 {
			s.mu.Unlock()
			s.bury()
			s.mu.Lock()
		}
		s.refillLocked()
	}
	s.mu.Unlock()
	defer func() { s.unpin(l) }()
	for served < n {
		it := s.next()
		if it == nil {
			break
		}
		served++
		s.one(l, it)
		l.Checkpoint()
	}
	return served
}

// tell tells a client that a batch has ended. It RELEASES mu meanwhile.
func (s *stream[T]) tell(c *Client[T]) {
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.telling = nil
		s.left.Broadcast()
	}()
	c.Drained(s.index)
}

// next claims an item of the hand, or returns nil when it is empty.
func (s *stream[T]) next() *Item[T] {
	for {
		w := s.claim.Load()
		next, end := unpack(w)
		if next == end {
			return nil
		}
		if s.claim.CompareAndSwap(w, pack(next+1, end)) {
			return s.at(next)
		}
	}
}

// one handles an item that was claimed.
func (s *stream[T]) one(l *lwp.LWP, it *Item[T]) {
	it.M.Take(s.queue, s.fist)
	in, out, ok := s.pin(l, it.In, it.Out)
	if !ok {
		s.eng.Drop(it, Stale)
		it.M.Free(mbuf.Stale)
		s.finishStale(it.c)
		return
	}
	defer s.eng.survive()
	defer s.finish()
	s.call(l, it, in, out)
}

// pin refers to the interfaces of an item, those of the last one if they are the same. What is
// pinned stays so until another is, or the hand is empty.
func (s *stream[T]) pin(l *lwp.LWP, in, out ifnet.ID) (i, o *ifnet.Interface, ok bool) {
	if i, ok = s.pins[0].hold(s.eng.Ifs, l, in); !ok {
		return nil, nil, false
	}
	o, ok = s.pins[1].hold(s.eng.Ifs, l, out)
	return i, o, ok
}

func (p *pin) hold(ifs *ifnet.Table, l *lwp.LWP, id ifnet.ID) (ifp *ifnet.Interface, ok bool) {
	if p.ifp != nil {
		if p.ifp.ID() == id {
			return p.ifp, true
		}
		p.release(l)
	}
	if id.IsZero() {
		return nil, true
	}
	p.ifp, ok = ifs.Get(l, &p.ref, id)
	return p.ifp, ok
}

func (p *pin) release(l *lwp.LWP) {
	if p.ifp != nil {
		p.ifp = nil
		p.ref.Release(l)
	}
}

func (s *stream[T]) unpin(l *lwp.LWP) {
	s.pins[0].release(l)
	s.pins[1].release(l)
}

// call has the client handle an item, and sees to what it leaves behind.
func (s *stream[T]) call(l *lwp.LWP, it *Item[T], in, out *ifnet.Interface) {
	m, c := it.M, it.c
	returned := false
	if witness.Enabled {
		s.eng.Level.Enter(nil)
	}
	defer func() {
		if !returned {
			s.bump(c, func(w *Work) { w.Panics++ })
		}
		if m.OwnedBy(s.fist) {
			m.Free(mbuf.Handler)
			s.bump(c, func(w *Work) { w.Leaked++ })
			if returned {
				s.eng.Log.Warn("the handler returned and its packet was left", "queue", s.eng.Name, "handler", c.Name)
			}
		}
		if witness.Enabled {
			s.eng.Level.Exit(nil)
		}
	}()
	s.eng.Handle(l, s.index, it, in, out)
	returned = true
	if witness.Enabled {
		witness.Barrier(s.eng.Name + ": the end of handler " + c.Name)
	}
	if invariants.Enabled {
		s.mustHoldNothing(l, c)
	}
}

func (s *stream[T]) bump(c *Client[T], f func(*Work)) {
	s.mu.Lock()
	f(&c.work[s.index].Work)
	s.mu.Unlock()
}

// mustHoldNothing panics if a handler has returned with a reference of its own. What the caller of
// a borrowed stream held before is its own business.
func (s *stream[T]) mustHoldNothing(l *lwp.LWP, c *Client[T]) {
	if s.borrower != nil {
		return
	}
	held := l.CPU.Holdings()
	pins := 0
	for i := range s.pins {
		if s.pins[i].ifp != nil {
			pins++
		}
	}
	if len(held) <= pins && l.CPU.Outside() {
		return
	}
	v := &witness.Violation{Rule: "deferq: leak", Text: s.eng.Name + ": handler " + c.Name + " returned inside a read section"}
	for _, h := range held[min(pins, len(held)):] {
		v.Text = s.eng.Name + ": handler " + c.Name + " returned and holds " + h.What
		v.Sites = append(v.Sites, witness.Site{What: h.What + " acquired", Stack: h.Site.String()})
	}
	panic(v)
}

// borrow has an item handled by the caller, as l, if nobody has the stream and nothing waits. It
// reports whether it took the packet; if not, why says whether it was refused.
func (s *stream[T]) borrow(l *lwp.LWP, c *Client[T], it Item[T]) (took bool, why Refusal) {
	s.mu.Lock()
	if s.running || s.borrower != nil || s.anyLocked() {
		s.mu.Unlock()
		return false, Accepted
	}
	w := &c.work[s.index]
	if why = s.refusesLocked(c, &it, 0); why != Accepted {
		w.Refused[why]++
		s.mu.Unlock()
		return false, why
	}
	it.c, it.seq = c, borrowed
	s.inline = it
	s.borrower = &s.inline
	s.borrowed++
	s.mu.Unlock()
	var pins [2]pin
	handled := false
	defer s.eng.survive()
	defer func() {
		pins[0].release(l)
		pins[1].release(l)
		s.mu.Lock()
		if handled {
			w.Borrowed++
		} else {
			w.Refused[IfGone]++
		}
		s.borrower = nil
		if s.anyLocked() || s.eng.closed.Load() {
			s.wakeLocked()
		}
		s.left.Broadcast()
		s.mu.Unlock()
	}()
	in, ok := pins[0].hold(s.eng.Ifs, l, it.In)
	out, ok2 := pins[1].hold(s.eng.Ifs, l, it.Out)
	if !ok || !ok2 {
		return false, IfGone
	}
	handled, took = true, true // whatever becomes of the handler
	it.M.Keep(s.queue)
	it.M.Take(s.queue, s.fist)
	s.call(l, &s.inline, in, out)
	return took, Accepted
}

// step does what a worker would, in the caller: it handles one item, and reports whether there was
// one and nobody else had the stream.
func (s *stream[T]) step() bool {
	s.mu.Lock()
	if s.running || s.borrower != nil || !s.anyLocked() && s.whose == nil {
		s.mu.Unlock()
		return false
	}
	s.running = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running = false
		s.left.Broadcast()
		s.mu.Unlock()
	}()
	l := s.bind()
	defer l.Unbind()
	return s.serve(l, 1) > 0
}

// shut wakes the worker to find out that the engine is closed.
func (s *stream[T]) shut() {
	s.mu.Lock()
	s.wakeLocked()
	s.mu.Unlock()
}

// over waits until nothing is queued and nobody serves the stream. Without a worker the caller serves it,
// and looks again when somebody else has stepped: who steps may have looked before the last packet came.
func (s *stream[T]) over(ctx context.Context) error {
	if !s.eng.Manual {
		return s.wait(ctx, func() bool { return !s.ended })
	}
	for {
		for ctx.Err() == nil && s.step() {
		}
		done := false
		err := s.wait(ctx, func() bool {
			done = !s.running && !s.anyLocked()
			return !done && (s.running || s.borrower != nil || ctx.Err() != nil)
		})
		if done || err != nil {
			return err
		}
	}
}

// end says that the worker is gone.
func (s *stream[T]) end() {
	s.mu.Lock()
	if c := s.settleLocked(); c != nil {
		s.telling = nil // nobody is to be told any more
	}
	s.ended = true
	s.left.Broadcast()
	s.mu.Unlock()
}

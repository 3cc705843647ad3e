package ifnet_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// Every schedule of two or three actors with up to two preemptions. wire.closes is plain memory
// on purpose.

// world is one schedule's stack, with one interface.
type world struct {
	*sched.S
	dom *lwp.Domain
	ifs *ifnet.Table
	em0 *ifnet.Interface
	w   *wire
	sh  *shelf
}

func explore(t *testing.T, f func(w *world)) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		w := &world{S: s, w: &wire{}}
		w.dom, w.ifs = newTable()
		w.sh = &shelf{ifs: w.ifs}
		w.ifs.AddDrainer(w.sh)
		var err error
		w.em0, err = w.ifs.Attach(ifnet.Spec{Name: "em0", Driver: w.w, Up: true})
		require.NoError(s, err)
		f(w)
	})
}

// actor starts one with an LWP that is bound before the schedule begins.
func (w *world) actor(name string, f func(l *lwp.LWP)) {
	l := w.dom.Bind()
	w.Go(name, func() { f(l); l.Unbind() })
}

// softint starts a worker that goes offline at its end.
func (w *world) softint(name string, f func(l *lwp.LWP)) {
	l := w.dom.BindSoftint(name)
	w.Go(name, func() { f(l); l.Checkpoint(); l.Unbind() })
}

func (w *world) detach(l *lwp.LWP) { require.NoError(w, w.ifs.Detach(w.Context(), l, w.em0.ID())) }

// use finds the interface and, if it is there, finds it whole for as long as it refers to it.
func (w *world) use(l *lwp.LWP) {
	var ref psref.Ref
	if _, ok := w.ifs.Get(l, &ref, w.em0.ID()); ok {
		w.Assert(w.w.closes == 0, "found, and its driver is closed")
		sched.Point("use")
		w.Assert(w.w.closes == 0, "its driver was closed while it was referred to")
		ref.Release(l)
	}
}

func TestExplore_GetAgainstDetach(t *testing.T) {
	explore(t, func(w *world) {
		w.actor("thread", w.use)
		w.softint("softint", w.use)
		w.actor("detach", w.detach)
		w.After(func() { w.Assert(w.w.closes == 1, "closed %d times", w.w.closes) })
	})
}

// After Detach nothing is queued that names the interface, whenever it was put there.
func TestExplore_PutAgainstDetach(t *testing.T) {
	explore(t, func(w *world) {
		for _, name := range []string{"a", "b"} {
			m := packet(w, w.ifs, w.em0.ID(), name)
			w.Go(name, func() { w.sh.put(m) })
		}
		w.actor("detach", func(l *lwp.LWP) {
			w.detach(l)
			w.sh.mu.Lock()
			n := len(w.sh.list)
			w.sh.mu.Unlock()
			w.Assert(n == 0, "%d packets of an interface that has gone", n)
		})
		w.After(func() { require.Zero(w, w.ifs.Pool().Outstanding()) })
	})
}

// A packet of an interface never gets to the next one with its index.
func TestExplore_PutAgainstReuseOfTheIndex(t *testing.T) {
	explore(t, func(w *world) {
		old := w.em0.ID()
		m := packet(w, w.ifs, old, "old")
		w.Go("put", func() { w.sh.put(m) })
		w.actor("reuse", func(l *lwp.LWP) {
			w.detach(l)
			next := attach(w, w.ifs, "em0")
			w.Assert(next.ID().Index == old.Index, "another index")
		})
		w.After(func() { w.Assert(len(w.sh.list) == 0, "the old one's packet is queued under the new one") })
	})
}

func TestExplore_DetachAgainstDetach(t *testing.T) {
	for _, wait := range []bool{false, true} {
		explore(t, func(w *world) {
			var won sched.Int64
			for _, name := range []string{"a", "b"} {
				w.actor(name, func(l *lwp.LWP) {
					f := w.ifs.Detach
					if wait {
						f = w.ifs.DetachWait
					}
					err := f(w.Context(), l, w.em0.ID())
					switch {
					case err == nil:
						won.Add(1)
					case wait:
						w.Assert(errors.Is(err, ifnet.ErrGone), "%v", err)
					default:
						w.Assert(errors.Is(err, ifnet.ErrGone) || errors.Is(err, ifnet.ErrDetaching), "%v", err)
					}
					if wait {
						w.Assert(w.w.closes == 1, "returned before it was over")
					}
				})
			}
			w.After(func() {
				w.Assert(won.Load() == 1 || wait && won.Load() == 2, "%d of two succeed", won.Load())
				w.Assert(w.w.closes == 1, "closed %d times", w.w.closes)
			})
		})
	}
}

func TestExplore_AttachAgainstAttach(t *testing.T) {
	explore(t, func(w *world) {
		var won sched.Int64
		for _, name := range []string{"a", "b"} {
			w.Go(name, func() {
				if _, err := w.ifs.Attach(ifnet.Spec{Name: "em1", Driver: &wire{}}); err == nil {
					won.Add(1)
				} else {
					w.Assert(errors.Is(err, ifnet.ErrExists), "%v", err)
				}
			})
		}
		w.After(func() {
			w.Assert(won.Load() == 1, "%d of two have the name", won.Load())
			w.Assert(len(w.ifs.All()) == 2, "%v", w.ifs.All())
		})
	})
}

// A hook that was registered runs; one that comes too late is refused.
func TestExplore_OnLeavingAgainstDetach(t *testing.T) {
	explore(t, func(w *world) {
		var ran sched.Int64
		registered := false
		w.Go("register", func() {
			_, err := w.ifs.OnLeaving(w.em0.ID(), func(context.Context, *lwp.LWP, *ifnet.Interface) { ran.Add(1) })
			registered = err == nil
		})
		w.actor("detach", w.detach)
		w.After(func() {
			w.Assert(registered == (ran.Load() == 1), "registered %v, ran %d times", registered, ran.Load())
		})
	})
}

// A network's frames reach no interface whose driver is closed.
func TestExplore_ArrivalAgainstDetach(t *testing.T) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		dom, ifs := newTable()
		a, b := ifnet.NewPair()
		em0, err := ifs.Attach(ifnet.Spec{Name: "em0", Driver: a, Up: true})
		require.NoError(s, err)
		em1, err := ifs.Attach(ifnet.Spec{Name: "em1", Driver: b, Up: true})
		require.NoError(s, err)
		gone := false
		ifs.SetInput(func(m *mbuf.Packet) error {
			s.Assert(!gone, "a frame arrives at an interface that is gone")
			m.Free(mbuf.Done)
			return nil
		})
		m := packet(s, ifs, ifnet.ID{}, "hello, world: a frame")
		ls, ld := dom.Bind(), dom.Bind()
		s.Go("send", func() { s.Assert(em0.Transmit(ls, m) == nil, "not sent") })
		s.Go("detach", func() {
			require.NoError(s, ifs.Detach(s.Context(), ld, em1.ID()))
			gone = true
		})
		s.After(func() { require.Zero(s, ifs.Pool().Outstanding()) })
	})
}

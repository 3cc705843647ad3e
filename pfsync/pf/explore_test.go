package pf_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// Every schedule of two or three actors, with up to two preemptions.

// A world is one schedule's table, whose states are over as soon as nobody looks.
type world struct {
	*sched.S
	*fw
}

func explore(t *testing.T, limit int, f func(w *world)) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		ts := pf.Timeouts{}
		w := &world{s, newFW(s, pf.Config{Limit: limit, Seed: 1, HostID: 1, FirstID: 1, Timeouts: &ts, Rules: []pf.Rule{{}}})}
		f(w)
		s.After(func() {
			w.Purge(w.l, 100)
			s.Assert(w.Len() == w.Outstanding(), "%d states, and %d that somebody refers to", w.Len(), w.Outstanding())
			w.close()
		})
	})
}

func (w *world) thread(name string, f func(l *lwp.LWP)) {
	l := w.Domain().Bind()
	w.Go(name, func() { f(l); l.Unbind() })
}

func key(port uint16) pf.Key {
	return pf.KeyOf(pf.In, pf.UDP, netip.AddrPortFrom(netip.MustParseAddr(a), port), netip.MustParseAddrPort(b+":2"))
}

func (w *world) put(l *lwp.LWP, port uint16) (*pf.State, error) {
	return w.Insert(l, key(port), key(port), pf.In, "")
}

// Who walks a chain finds what stays in it, whatever is put in front of them or taken from under
// their feet.
func TestExplore_FindAgainstRemoveAndInsert(t *testing.T) {
	explore(t, 4, func(w *world) {
		var ports []uint16 // in one chain
		for port := uint16(1); len(ports) < 3; port++ {
			if w.Bucket(key(port)) == w.Bucket(key(1)) {
				ports = append(ports, port)
			}
		}
		stays, err := w.put(w.l, ports[0])
		require.NoError(w, err)
		goes, err := w.put(w.l, ports[1]) // in front of it
		require.NoError(w, err)
		w.thread("find", func(*lwp.LWP) {
			k := key(ports[0])
			w.Assert(w.Find(&k, pf.In, "em0") == stays, "what stays was not found by its key")
			w.Assert(w.ByID(stays.ID()) == stays, "what stays was not found by its ID")
		})
		w.thread("others", func(l *lwp.LWP) {
			w.Remove(l, goes)
			_, err := w.put(l, ports[2])
			require.NoError(w, err)
		})
	})
}

// Two make the same state: one does.
func TestExplore_InsertAgainstInsert(t *testing.T) {
	explore(t, 4, func(w *world) {
		var made sched.Int64
		for _, who := range []string{"one", "other"} {
			w.thread(who, func(l *lwp.LWP) {
				_, err := w.put(l, 1)
				switch {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, pf.ErrExists):
					w.Failf("%v", err)
				}
			})
		}
		w.After(func() { w.Assert(made.Load() == 1, "%d were made", made.Load()) })
	})
}

// A packet comes while a purge takes its state down: it is spared, or the packet makes another.
func TestExplore_PacketAgainstPurge(t *testing.T) {
	explore(t, 4, func(w *world) {
		st, err := w.put(w.l, 1)
		require.NoError(w, err)
		w.thread("packet", func(l *lwp.LWP) {
			m, err := w.pool.From(ip4(17, a, b, udp(1, 2)))
			require.NoError(w, err)
			w.Assert(w.Test(l, pf.In, "em0", m) == pf.Pass, "the packet was blocked")
			m.Free(mbuf.Done)
		})
		w.thread("purge", func(l *lwp.LWP) { w.Purge(l, 10) })
		w.After(func() {
			if st.Timeout() == pf.Unlinked {
				w.Assert(!st.Hold(), "it is referred to")
			}
		})
	})
}

// Somebody begins to remember a state, somebody else closes, and it is taken down: nobody remembers
// what is gone, and every reference is given back.
func TestExplore_RememberAgainstRemove(t *testing.T) {
	explore(t, 4, func(w *world) {
		st, err := w.put(w.l, 1)
		require.NoError(w, err)
		var o pf.Outside
		w.thread("socket", func(*lwp.LWP) {
			w.Remember(&o, st)
			if got := w.Recall(&o); got != nil {
				got.Release()
			}
		})
		w.thread("remove", func(l *lwp.LWP) {
			w.Remove(l, st)
			w.Purge(l, 10)
		})
		w.After(func() {
			w.Assert(w.Recall(&o) == nil, "a state that has been taken down is remembered")
			w.Forgo(&o)
		})
	})
}

// A syncer that has been sent away is not told of anything any more.
func TestExplore_NobodyIsToldAfterwards(t *testing.T) {
	explore(t, 4, func(w *world) {
		sy := &listener{w: w}
		require.NoError(w, w.SetSyncer(context.Background(), w.l, sy))
		st, err := w.put(w.l, 1)
		require.NoError(w, err)
		w.thread("update", func(l *lwp.LWP) { w.Update(l, st) })
		w.thread("remove", func(l *lwp.LWP) { w.Remove(l, st) })
		w.thread("end", func(l *lwp.LWP) {
			require.NoError(w, w.SetSyncer(context.Background(), l, nil))
			sy.gone.Store(true)
		})
	})
}

// A listener is a syncer that takes offence at being told afterwards, or of a state twice.
type listener struct {
	w       *world
	gone    sched.Bool
	removed sched.Bool
}

func (s *listener) told() {
	s.w.Assert(!s.gone.Load(), "somebody is told who was sent away")
	sched.Point("told")
	s.w.Assert(!s.gone.Load(), "somebody who was sent away is still being told")
}

func (s *listener) Init(*pf.State, bool, bool)         { s.told() }
func (s *listener) Insert(*pf.State)                   { s.told() }
func (s *listener) Update(*pf.State)                   { s.told() }
func (s *listener) Clear(uint32, string)               { s.told() }
func (s *listener) InUse(*pf.State) bool               { return false }
func (s *listener) Defer(*pf.State, *mbuf.Packet) bool { return false }
func (s *listener) Delete(*pf.State) {
	s.w.Assert(!s.removed.Swap(true), "a state was deleted twice")
	s.told()
}

// Two take a state down: one does, and tells.
func TestExplore_RemoveAgainstRemove(t *testing.T) {
	explore(t, 4, func(w *world) {
		require.NoError(w, w.SetSyncer(context.Background(), w.l, &listener{w: w}))
		st, err := w.put(w.l, 1)
		require.NoError(w, err)
		var did sched.Int64
		for _, who := range []string{"one", "other"} {
			w.thread(who, func(l *lwp.LWP) {
				if w.Remove(l, st) {
					did.Add(1)
				}
			})
		}
		w.After(func() { w.Assert(did.Load() == 1, "%d took it down", did.Load()) })
	})
}

package pfsync

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
	"github.com/softnet-go/softnet/stacktest/sched"
	"github.com/softnet-go/softnet/wqinput"
)

// Every schedule of two or three actors, with one preemption where the way goes through queues and
// interfaces, whose own scenarios have two, and two otherwise.

// A world is one schedule's firewall, without workers: packets are handled by whoever gives them to
// it, and time stands still.
type world struct {
	*sched.S
	*node
	sent sched.Int64 // what was held back and sent on
}

func explore(t *testing.T, preemptions int, f func(w *world)) {
	sched.Explore(t, sched.Options{Preemptions: preemptions, Steps: 100_000}, func(s *sched.S) {
		w := &world{S: s}
		port, _ := ifnet.NewPair() // nobody is at the other end
		w.node = nodeOn(s, port, 1, func(c *Config, p *pf.Config) {
			ts := pf.Timeouts{} // every state is over
			c.Slices, c.Manual, c.Defer, c.Hold = 1, true, true, time.Nanosecond
			c.Input = []wqinput.Option{wqinput.WithManual()}
			c.Forward = func(_ *netisr.Ctx, m *mbuf.Packet) {
				w.sent.Add(1)
				m.Free(mbuf.Done)
			}
			p.Limit, p.Seed, p.Timeouts, p.FirstID = 4, 1, &ts, 1
		})
		w.up()
		w.dev.Step()
		w.send.RunUntilIdle()
		f(w)
		s.After(func() {
			w.dev.Step()
			w.send.RunUntilIdle()
			if r := w.dev.running.Load(); r != nil {
				for _, sl := range r.slices {
					reckoned(s, sl)
				}
			}
			w.pf.Purge(w.l, 100)
			w.down()
			w.send.RunUntilIdle()
			w.close()
		})
	})
}

func (w *world) thread(name string, f func(l *lwp.LWP)) {
	l := w.dom.Bind()
	w.Go(name, func() { f(l); l.Unbind() })
}

func (w *world) put(port uint16) *pf.State {
	k := udpFlow(port).key(pf.Out)
	st, err := w.pf.Insert(w.l, k, k, pf.Out, "")
	require.NoError(w, err)
	return st
}

// hear has a packet handled, as if by the queue's worker.
func (w *world) hear(sections ...[]byte) {
	packet := pfsyncPacket(sections...)
	m, err := w.ifs.Pool().From(append(appendIP(nil, [4]byte{10, 9, 0, 66}, Group.As4(), 20+len(packet), 7), packet...))
	require.NoError(w, err)
	m.In = w.ifp
	_ = w.dev.Queue().Input(m, 20, wire.Protocol)
	for w.dev.Queue().Step() {
	}
}

// turn does what the slice's worker does once.
func (w *world) turn() {
	if r := w.dev.running.Load(); r != nil {
		s := r.slices[0]
		s.lock()
		s.flush = true
		s.turn(time.Now())
		s.mu.Unlock()
	}
}

func TestExplore_UpdateAgainstPurge(t *testing.T) {
	explore(t, 2, func(w *world) {
		st := w.put(1)
		w.turn()
		w.thread("packet", func(l *lwp.LWP) { w.pf.Update(l, st) })
		w.thread("purge", func(l *lwp.LWP) { w.pf.Purge(l, 10) })
	})
}

func TestExplore_UpdateAgainstWrite(t *testing.T) {
	explore(t, 2, func(w *world) {
		st := w.put(1)
		w.thread("packet", func(l *lwp.LWP) { w.pf.Update(l, st) })
		w.thread("remove", func(l *lwp.LWP) { w.pf.Remove(l, st) })
		w.thread("worker", func(*lwp.LWP) { w.turn() })
		w.After(func() {
			w.Assert(st.Sync.Queue == quiet || st.Sync.Queue == del || st.Sync.Queue == dead, "it is in %d", st.Sync.Queue)
		})
	})
}

// A transfer goes on from a state that is being purged.
func TestExplore_BulkAgainstPurge(t *testing.T) {
	explore(t, 1, func(w *world) {
		for port := range uint16(3) {
			w.pf.RemoveSilently(w.l, w.put(port)) // so that a purge takes them
		}
		r := w.dev.running.Load()
		r.mtu = MinMTU
		w.thread("transfer", func(*lwp.LWP) {
			for start := true; start || r.bulk.active(); start = false {
				r.bulkTurn(start)
				unlock := w.pf.LockList()
				if next := r.bulk.next; next != nil {
					found := false
					for st := range w.pf.Walk(nil, nil) {
						found = found || st == next
					}
					w.Assert(found, "the transfer stands on what has left the list")
				}
				unlock()
			}
		})
		w.thread("purge", func(l *lwp.LWP) {
			w.pf.Purge(l, 10)
			w.pf.Purge(l, 10)
		})
	})
}

// The device goes down while its worker writes, and a packet is let through.
func TestExplore_DownAgainstFlushAndHook(t *testing.T) {
	explore(t, 1, func(w *world) {
		st := w.put(1)
		w.thread("down", func(l *lwp.LWP) {
			require.NoError(w, w.dev.Down(w.Context(), l))
			w.Assert(st.Sync.Queue == quiet || st.Sync.Queue == dead, "it is in %d after Down", st.Sync.Queue)
		})
		w.thread("worker", func(*lwp.LWP) { w.turn() })
		w.thread("packet", func(l *lwp.LWP) { w.pf.Update(l, st) })
	})
}

// One packet is held back, and its time is over as it is acknowledged: it is sent once.
func TestExplore_DeferAgainstAck(t *testing.T) {
	explore(t, 1, func(w *world) {
		f := udpFlow(1)
		m, err := w.ifs.Pool().From(f.packet(false, 0, 0))
		require.NoError(w, err)
		require.Equal(w, pf.Deferred, w.pf.Test(w.l, pf.Out, "em1", m))
		id := w.find(f).ID()
		w.thread("ack", func(*lwp.LWP) { w.hear(section(wire.INSACK, id)) })
		w.thread("time", func(*lwp.LWP) { w.turn() })
		w.thread("departure", func(*lwp.LWP) { w.dev.running.Load().Purge(ifnet.ID{Index: 99, Gen: 1}) })
		w.After(func() {
			w.send.RunUntilIdle()
			w.Assert(w.sent.Load() == 1, "it was sent %d times", w.sent.Load())
		})
	})
}

// A peer and a packet make a state of the same key at once: there is one.
func TestExplore_ImportAgainstInsert(t *testing.T) {
	explore(t, 1, func(w *world) {
		f := udpFlow(1)
		k := f.key(pf.Out)
		wk := wire.Key{Addr: k.Addr, Port: k.Port, AF: k.AF}
		ms := wire.State{
			ID: wire.ID{ID: 9, Creator: 9}, IfName: wire.NameOf("all"), Wire: wk, Stack: wk, AF: k.AF, Proto: k.Proto,
			Direction: wire.Out, Timeout: uint8(pf.UDPSingle), Flags: pf.Ack,
		}
		w.thread("peer", func(*lwp.LWP) { w.hear(section(wire.INS, &ms)) })
		w.thread("packet", func(l *lwp.LWP) {
			m, err := w.ifs.Pool().From(f.packet(false, 0, 0))
			require.NoError(w, err)
			if v := w.pf.Test(l, pf.Out, "em1", m); v != pf.Deferred {
				w.Assert(v == pf.Pass, "%v", v)
				m.Free(mbuf.Done)
			}
		})
		w.After(func() { w.Assert(w.pf.Len() == 1, "there are %d", w.pf.Len()) })
	})
}

// A peer asks for a state that is being taken down.
func TestExplore_RequestAgainstRemove(t *testing.T) {
	explore(t, 1, func(w *world) {
		st := w.put(1)
		w.turn()
		w.thread("peer", func(*lwp.LWP) { w.hear(section(wire.UPDREQ, st.ID())) })
		w.thread("remove", func(l *lwp.LWP) { w.pf.Remove(l, st) })
	})
}

// An SA is deleted while it is counted and told of: then nobody tells of it.
func TestExplore_TunnelDeleteAgainstCountAndDown(t *testing.T) {
	explore(t, 1, func(w *world) {
		ts := w.dev.c.Tunnels
		tn := ts.Add(TunnelKey{SPI: 1000, Proto: 50, Dst: client})
		w.thread("count", func(*lwp.LWP) { ts.Count(tn, 1, 1, true) })
		w.thread("delete", func(*lwp.LWP) { ts.Delete(tn) })
		w.thread("down", func(l *lwp.LWP) { require.NoError(w, w.dev.Down(w.Context(), l)) })
		w.After(func() { w.Assert(!tn.queued, "an SA that has been deleted is still to be told of") })
	})
}

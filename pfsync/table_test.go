package pfsync

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// What becomes of a state, by where it is and what happens: the 54 cells. An exclamation mark has the
// packet written at once, a question mark is what must not happen, which is counted and nothing
// else.
//
//	             quiet  INS    UPD_C  UPD    IACK   DEL    arriv. arriv. dead
//	                                                       (ack)
//	insert       INS    ?      INS    ?      ?      ?      IACK!  quiet  dead
//	update       UPD_C  INS    UPD_C  UPD    UPD_C  DEL    arriv. arriv. dead
//	delete       DEL    dead   DEL    DEL    DEL    DEL    ?      ?      dead
//	request      UPD!   INS!   UPD!   UPD!   UPD!   DEL!   arriv. arriv. dead
//	written      quiet  quiet  quiet  quiet  quiet  dead   arriv. arriv. dead
//	dropped      quiet  quiet  quiet  quiet  quiet  quiet  arriv. arriv. dead
func TestSlice_TransitionTable(t *testing.T) {
	const odd, now = 100, 1000
	froms := []uint8{quiet, ins, updc, upd, iack, del, arrivedAck, arrived, dead}
	want := map[string][]int{
		"insert":  {ins, odd, ins, odd, odd, odd, iack + now, quiet, dead},
		"update":  {updc, ins, updc, upd, updc, del, arrivedAck, arrived, dead},
		"delete":  {del, dead, del, del, del, del, odd, odd, dead},
		"request": {upd + now, ins + now, upd + now, upd + now, upd + now, del + now, arrivedAck, arrived, dead},
		"written": {quiet, quiet, quiet, quiet, quiet, dead, arrivedAck, arrived, dead},
		"dropped": {quiet, quiet, quiet, quiet, quiet, quiet, arrivedAck, arrived, dead},
	}
	do := map[string]func(s *slice, st *pf.State){
		"insert": (*slice).insert, "update": (*slice).update, "delete": (*slice).remove, "request": (*slice).request,
		"written": func(s *slice, _ *pf.State) {
			if m := s.write(); m != nil {
				m.Free(mbuf.Done)
			}
		},
		"dropped": func(s *slice, _ *pf.State) { s.drop() },
	}
	cells := 0
	alone(t, func(n *node) {
		r := newRun(n.dev)
		port := uint16(0)
		for event, row := range want {
			for i, from := range froms {
				port++
				f := tcpFlow(port)
				st, err := n.pf.Insert(n.l, f.key(pf.Out), f.key(pf.Out), pf.Out, "") // nobody is told
				require.NoError(t, err)
				s := r.slice(st)
				s.mu.Lock()
				if from >= iack && from <= upd {
					s.enqueue(st, from)
				} else {
					st.Sync.Queue = from
				}
				before := n.dev.Stats().Odd
				do[event](s, st)
				to := row[i]
				require.Equal(t, to >= now, s.flush, "%s in %d: written at once", event, from)
				if to >= now {
					to -= now
				}
				if to == odd {
					require.Equal(t, before+1, n.dev.Stats().Odd, "%s in %d", event, from)
					to = int(from)
				} else {
					require.Equal(t, before, n.dev.Stats().Odd, "%s in %d", event, from)
				}
				require.EqualValues(t, to, st.Sync.Queue, "%s in %d", event, from)
				reckoned(t, s)
				s.drop()
				reckoned(t, s)
				s.mu.Unlock()
				cells++
			}
		}
		n.dev.stats.odd.Store(0)
		require.Equal(t, n.pf.Len(), n.pf.Outstanding(), "each queue gave its reference back")
	}, func(c *Config, _ *pf.Config) { c.Manual = true })
	require.Equal(t, 54, cells)
}

// reckoned checks what is always true of a slice.
func reckoned(t require.TestingT, s *slice) {
	n := empty
	for q := iack; q <= upd; q++ {
		if s.queue[q].n > 0 {
			n += 4 + s.queue[q].n*kinds[q].Size()
		}
		k := 0
		for st := s.queue[q].first; st != nil; st = st.Sync.Next {
			require.EqualValues(t, q, st.Sync.Queue)
			k++
		}
		require.Equal(t, s.queue[q].n, k)
	}
	if s.tunnels.n > 0 {
		n += 4 + 52*s.tunnels.n
	}
	require.Equal(t, n, s.len)
	require.True(t, s.len == empty || !s.flushAt.IsZero(), "what is queued has a time by which it is written")
}

// A packet that finds a state which a peer has just sent, before it has been told that it is
// inserted, is not forgotten.
func TestSlice_APacketBeforeTheHook(t *testing.T) {
	for _, c := range []struct {
		from, to uint8
	}{{arrivedAck, updc}, {arrived, updc}} {
		alone(t, func(n *node) {
			r := newRun(n.dev)
			st := n.open(tcpFlow(1024))
			s := r.slice(st)
			s.mu.Lock()
			st.Sync.Queue = c.from
			s.update(st)
			s.insert(st)
			require.Equal(t, c.to, st.Sync.Queue)
			require.Equal(t, c.from == arrivedAck, s.flush)
			s.drop()
			s.mu.Unlock()
		}, func(c *Config, _ *pf.Config) { c.Manual = true })
	}
}

// The messages of a packet are in one order, whatever the order in which they were queued.
func TestSlice_OrderOfMessages(t *testing.T) {
	alone(t, func(n *node) {
		r := newRun(n.dev)
		s := r.slices[0]
		for i, q := range []uint8{upd, ins, del, updc, iack} {
			f := n.in(0, tcpFlow, i+1)[i]
			st, err := n.pf.Insert(n.l, f.key(pf.Out), f.key(pf.Out), pf.Out, "")
			require.NoError(t, err)
			s.mu.Lock()
			s.enqueue(st, q)
			s.mu.Unlock()
		}
		s.mu.Lock()
		s.room(true, wire.TDB.Size())
		s.tunnels.push(&Tunnel{})
		m := s.write()
		s.mu.Unlock()
		require.Equal(t, "0s INS_ACKx1 UPD_Cx1 DEL_Cx1 INSx1 UPDx1 TDBx1", saying{packet: m.Bytes()[20:]}.String())
		m.Free(mbuf.Done)
	}, func(c *Config, _ *pf.Config) { c.Manual = true })
}

// When there is no packet to write into, nothing is said, and nobody is left waiting in a queue.
func TestSlice_NoMemory(t *testing.T) {
	alone(t, func(n *node) {
		n.up()
		sleep(time.Minute)
		st := n.open(tcpFlow(1024))
		var all mbuf.List
		for {
			m, err := n.dev.running.Load().slice(st).out.pool.Alloc(0)
			if err != nil {
				break
			}
			all.Push(m)
		}
		sleep(2 * time.Second)
		require.EqualValues(t, 1, n.dev.Stats().NoMem)
		require.EqualValues(t, quiet, st.Sync.Queue)
		require.Equal(t, 1, n.pf.Outstanding())
		all.Free(mbuf.Done)
		n.down()
	})
}

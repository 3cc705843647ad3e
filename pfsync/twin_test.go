package pfsync

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// Two firewalls see conversations come, move from one to the other and end, over a network that
// loses, doubles and reorders, or is cut; devices go down and up, states are killed and cleared, and
// bulk transfers go both ways. Always: no half of a state goes back to what is older; what a slice
// has reckoned is right. And after it has been quiet, with each conversation that is alive going
// on at one of them, both have the same states, and nothing else is left.
func TestTwins_AfterTheStormBothKnowTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			lan := ifnet.NewLAN(ifnet.LANConfig{
				Seed: rapid.Uint64().Draw(t, "seed"), Delay: time.Millisecond, Jitter: time.Millisecond, Duplicate: 0.1, Reorder: 0.1,
			})
			defers := rapid.Bool().Draw(t, "defer")
			s := &storm{t: t}
			for i := range s.ns {
				s.ns[i] = newNode(t, lan, byte(i+1), func(c *Config, p *pf.Config) {
					c.Defer, p.Timeouts, p.Limit = defers, all(30), 100
					c.BulkBurst = 1
				})
			}
			for port := range uint16(6) {
				f := udpFlow(port)
				if port%2 == 0 {
					f = tcpFlow(port)
				}
				s.flows = append(s.flows, &conversation{flow: f, at: int(port/2) % 2})
			}
			s.run(t)
			s.quiet(t)
			for _, n := range s.ns {
				n.down()
				n.close()
			}
			lan.Close()
		})
	})
}

// storm is the twins, and what they have been seen to know.
type storm struct {
	t     require.TestingT
	ns    [2]*node
	flows []*conversation
	seen  [2]map[*pf.State][2]wire.Peer
}

// A conversation is one that goes on, by way of one of the firewalls.
type conversation struct {
	*flow
	at    int
	alive bool
}

func (s *storm) packet(c *conversation, back bool, at int) {
	n := s.ns[at]
	dir, flags := pf.Out, byte(ack)
	if back {
		dir = pf.In
	}
	seq, acked := c.seq, c.ack
	if n.test(dir, c.packet(back, flags, 10)) == pf.Block {
		c.seq, c.ack = seq, acked // it was not seen on the other side, and is sent again
	}
}

// begin begins a conversation anew, whatever is known of it.
func (s *storm) begin(c *conversation) {
	n := s.ns[c.at]
	if c.proto == pf.TCP {
		c.seq += 1 << 20
		c.ack += 1 << 20
		n.test(pf.Out, c.packet(false, syn, 0))
		n.test(pf.In, c.packet(true, syn|ack, 0))
		n.test(pf.Out, c.packet(false, ack, 0))
	} else {
		n.test(pf.Out, c.packet(false, 0, 10))
	}
	c.alive = n.find(c.flow) != nil
}

// check checks what is always true.
func (s *storm) check() {
	for i, n := range s.ns {
		now := map[*pf.State][2]wire.Peer{}
		for st := range n.pf.All() {
			w := n.exported(st)
			if w.Timeout >= wire.Timeouts {
				continue
			}
			is := [2]wire.Peer{w.Src, w.Dst}
			if was, ok := s.seen[i][st]; ok {
				for h := range is {
					require.GreaterOrEqual(s.t, is[h].Level, was[h].Level, "%v", st)
					if w.Proto == pf.TCP && is[h].Level == was[h].Level {
						require.GreaterOrEqual(s.t, int32(is[h].SeqLo-was[h].SeqLo), int32(0), "a half of %v went back", st)
					}
				}
			}
			now[st] = is
		}
		s.seen[i] = now
		if r := n.dev.running.Load(); r != nil {
			for _, sl := range r.slices {
				sl.mu.Lock()
				reckoned(s.t, sl)
				sl.mu.Unlock()
			}
		}
		require.Zero(s.t, n.dev.Stats().Odd)
	}
}

// run has anything happen.
func (s *storm) run(t *rapid.T) {
	node := func(t *rapid.T) *node { return rapid.SampledFrom(s.ns[:]).Draw(t, "node") }
	some := func(t *rapid.T) *conversation { return rapid.SampledFrom(s.flows).Draw(t, "conversation") }
	t.Repeat(map[string]func(*rapid.T){
		"": func(*rapid.T) { s.check() },
		"packets": func(t *rapid.T) {
			c := some(t)
			if s.ns[c.at].find(c.flow) == nil {
				s.begin(c)
			}
			for range rapid.IntRange(1, 5).Draw(t, "packets") {
				s.packet(c, false, c.at)
				s.packet(c, true, c.at^rapid.IntRange(0, 1).Draw(t, "back another way"))
			}
		},
		"move":  func(t *rapid.T) { c := some(t); c.at = 1 - c.at },
		"reset": func(t *rapid.T) { c := some(t); s.ns[c.at].test(pf.Out, c.packet(false, rst, 0)) },
		"wait":  func(t *rapid.T) { sleep(time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms")) * time.Millisecond) },
		"loss":  func(t *rapid.T) { node(t).loss.Store(rapid.Int32Range(0, 60).Draw(t, "percent")) },
		"cut":   func(t *rapid.T) { node(t).port.Pull(rapid.Bool().Draw(t, "out")) },
		"up": func(t *rapid.T) {
			ctx, cancel := soon()
			defer cancel()
			n := node(t)
			_ = n.dev.Up(ctx, n.l)
		},
		"down": func(t *rapid.T) { node(t).down() },
		"ask":  func(t *rapid.T) { n := node(t); n.tell(section(wire.UPDREQ, wire.ID{})) },
		"kill": func(t *rapid.T) {
			n := node(t)
			if st := n.find(some(t).flow); st != nil {
				n.pf.Remove(n.l, st)
			}
		},
		"clear": func(t *rapid.T) { n := node(t); n.pf.Clear(n.l, "") },
	})
}

// quiet has nothing happen any more but what conversations do that go on, each at one of the nodes.
func (s *storm) quiet(t *rapid.T) {
	for _, n := range s.ns {
		n.loss.Store(0)
		n.port.Pull(false)
		n.down()
		n.up()
	}
	for range 40 {
		for _, c := range s.flows[:4] {
			if s.ns[c.at].find(c.flow) == nil {
				s.begin(c)
			}
			s.packet(c, false, c.at)
			s.packet(c, true, c.at)
		}
		sleep(5 * time.Second)
		s.check()
	}
	a, b := s.ns[0], s.ns[1]
	same(a, b)
	require.Len(t, a.states(), 4)
	for _, c := range s.flows[:4] {
		require.Equal(t, pf.Pass, s.ns[1-c.at].test(pf.Out, c.packet(false, ack, 10)), "%v goes on at the other one", c.key(pf.Out))
	}
	for _, n := range s.ns {
		require.Equal(t, PhaseDone, n.dev.Stats().Phase)
		require.Zero(t, n.demotion())
	}
}

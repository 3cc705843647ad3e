package carp_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/stacktest/sched"
	"github.com/softnet-go/softnet/wqinput"
)

// Every schedule of two actors and the worker, with one preemption: the way goes through routes, interfaces and
// queues, whose own scenarios have two.

// explored makes a master, at rest, whose packets are handled by whoever steps its queues.
func explored(s *sched.S) *node {
	s.Daemon("carp timers")
	n := &node{t: s}
	n.port, _ = ifnet.NewPair() // nobody is at the other end
	n.open(1, true, wqinput.WithManual())
	n.add(50)
	require.NoError(s, n.i.Step(1, carp.Force{State: carp.Master}))
	return n
}

// better hands the node an advertisement that it yields to.
func (n *node) better() {
	auth, err := carp.NewAuth("secret", 1, []netip.Addr{vip, vip6}, nil)
	require.NoError(n.t, err)
	a := carp.Advert{Version: carp.Version, Type: carp.TypeAdvert, AuthLen: carp.AuthLen, VHID: 1, AdvBase: 1, Counter: [8]byte{1}}
	a.Digest = auth.Sign(a.Counter)
	m, err := n.ifs.Pool().From(a.AppendIP(nil, netip.Addr{}, carp.Group4, 0))
	require.NoError(n.t, err)
	m.In = n.ifp
	_ = n.carp.Queue().Input(m, 20, carp.Protocol)
	for n.carp.Queue().Step() {
	}
}

// end closes the node, once what waits has been sent.
func (n *node) end() {
	n.send.RunUntilIdle()
	n.close()
}

// Whoever yields while the interface is closed: the routes are gone in the end, and nobody waits
// for ever.
func TestExplore_AdvertAgainstClose(t *testing.T) {
	sched.Explore(t, sched.Options{Preemptions: 1}, func(s *sched.S) {
		n := explored(s)
		s.Go("input", n.better)
		s.Go("close", func() {
			l := n.dom.Bind()
			s.Assert(n.i.Close(s.Context(), l) == nil, "close fails")
			l.Unbind()
		})
		s.After(func() {
			s.Assert(!n.owns(), "routes outlive the interface")
			n.end()
		})
	})
}

// Of one who makes it master and an advertisement against that: routes follow the last word, and
// transitions are told in their order.
func TestExplore_RoutesFollowTheLastWord(t *testing.T) {
	sched.Explore(t, sched.Options{Preemptions: 1}, func(s *sched.S) {
		n := explored(s)
		s.Go("input", n.better)
		s.Go("force", func() { _ = n.i.Step(1, carp.Force{State: carp.Master}) })
		s.After(func() {
			if !hook.Exploring() { // the explorer lets the worker finish, others have to wait for it
				require.NoError(s, n.i.Settle(s.Context(), n.l))
			}
			state, owns := n.state(), n.owns()
			n.end()
			s.Assert((state == carp.Master) == owns, "%v, and routes: %v", state, owns)
			for i := 1; i < len(n.events); i++ {
				s.Assert(n.events[i].From == n.events[i-1].To, "%v is told after %v", n.events[i], n.events[i-1])
			}
		})
	})
}

package ministack_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/stacktest/ministack"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// Two who meet on one entry, under every schedule with up to two preemptions: the timer, the reply,
// who sends, and the interface's departure.

// A scene is a host that has asked for a neighbour, once, and has a packet waiting for the answer.
type scene struct {
	*sched.S
	*host
	family
	id  ifnet.ID
	due time.Time // when the question has been in vain
}

func explore(t *testing.T, f func(s *scene), preemptions ...int) {
	sched.Explore(t, sched.Options{Preemptions: append(preemptions, 0)[0]}, func(x *sched.S) {
		s := &scene{S: x, family: families["ARP"]}
		s.host = &host{t: t, pool: mbuf.NewPool(mbuf.PoolConfig{})}
		var err error
		s.Stack, err = ministack.New(ministack.Config{Manual: true, Forward: true, Pool: s.pool, Neighbours: ministack.NeighbourConfig{Probes: 1}})
		require.NoError(x, err)
		s.ifp, err = s.Ifs.Attach(ifnet.Spec{
			Name: "em0", Driver: &s.wire, MAC: macB, Up: true,
			Addrs: []netip.Prefix{netip.PrefixFrom(s.me, s.net.Bits())},
		})
		require.NoError(x, err)
		s.id = s.ifp.ID()
		s.queue(1)
		s.steps()
		require.Len(x, s.wire.take(), 1)
		require.Equal(x, 1, s.Neighbours()[0].Held)
		s.due = time.Now().Add(time.Second)
		f(s)
		x.After(func() {
			s.steps()
			require.NoError(x, s.Close(context.Background()))
			require.Zero(x, s.pool.Outstanding())
		})
	})
}

// queue has a packet sent to the peer.
func (s *scene) queue(n byte) {
	m, err := s.pool.From(udp(s.me, s.peer, 64, n))
	require.NoError(s.S, err)
	s.Hand(m, s.id, s.peer)
}

// steps does what workers would, but for the timers.
func (s *scene) steps() {
	for s.ISR.Step() || s.Send.Step() {
	}
}

func (s *scene) reply() {
	m, err := mbuf.NewPool(mbuf.PoolConfig{}).From(says(macB, macA, s.peer, s.me, true)) // a driver's own
	require.NoError(s.S, err)
	s.Go("reply", func() {
		_ = s.ifp.Input(m)
		s.ISR.Step()
	})
}

// timer makes the timer go off that gives the neighbour up.
func (s *scene) timer() { s.Go("timer", func() { s.Tick(s.due) }) }

// sender sends another packet.
func (s *scene) sender() {
	s.queue(2)
	s.Go("sender", func() { s.Send.Step() })
}

// detacher takes the interface away: then nothing of it is left.
func (s *scene) detacher() {
	s.Go("detach", func() {
		require.NoError(s.S, s.Detach(s.Context(), s.id))
		s.Assert(len(s.Neighbours()) == 0, "neighbours outlive their interface")
		s.Assert(s.pool.Outstanding() == 0, "Detach has returned, and %d packets are not freed", s.pool.Outstanding())
	})
}

// The packet is sent or dropped, and the neighbour is known if it is sent.
func TestExplore_TimerAgainstReply(t *testing.T) {
	explore(t, func(s *scene) {
		s.timer()
		s.reply()
		s.After(func() {
			s.steps()
			_, known := s.Neighbour(s.id, s.peer)
			sent := len(s.wire.take())
			s.Assert(known == (sent == 1) && sent+s.drops(mbuf.NoNeighbour) == 1, "known: %v, sent: %d", known, sent)
			if known { // and a timer that was late has not made it less so
				s.Assert(s.Neighbours()[0].State == ministack.Reachable, "%v", s.Neighbours())
			}
		})
	})
}

// What is sent while the answer comes goes behind what has waited.
func TestExplore_SenderAgainstReply(t *testing.T) {
	explore(t, func(s *scene) {
		s.sender()
		s.reply()
		s.After(func() {
			s.steps()
			sent := tell(s.wire.take())
			s.Assert(len(sent) == 2, "sent %v", sent)
			require.Contains(s.S, sent[0], "number 1")
			require.Contains(s.S, sent[1], "number 2")
		})
	})
}

// Who sends while the neighbour is given up waits for another answer, or is dropped with the rest.
func TestExplore_SenderAgainstTimer(t *testing.T) {
	explore(t, func(s *scene) {
		s.sender()
		s.timer()
		s.After(func() {
			s.steps()
			asked, held := len(s.wire.take()), 0
			for _, n := range s.Neighbours() {
				held += n.Held
			}
			s.Assert(held == asked && held+s.drops(mbuf.NoNeighbour) == 2, "held: %d, asked: %d", held, asked)
		})
	})
}

func TestExplore_ReplyAgainstDeparture(t *testing.T) {
	explore(t, func(s *scene) {
		s.reply()
		s.detacher()
	})
}

func TestExplore_TimerAgainstDeparture(t *testing.T) {
	explore(t, func(s *scene) {
		s.timer()
		s.detacher()
	})
}

func TestExplore_SenderAgainstDeparture(t *testing.T) {
	explore(t, func(s *scene) {
		s.sender()
		s.detacher()
	})
}

// Who changes a neighbour by hand has packets in hand, too.
func TestExplore_DeletionAgainstDeparture(t *testing.T) {
	explore(t, func(s *scene) {
		s.Go("delete", func() { _ = s.DeleteNeighbour(s.id, s.peer) })
		s.detacher()
	})
}

// Who sets one by hand either has it go with the interface, or is told that this has gone.
func TestExplore_StaticAgainstDeparture(t *testing.T) {
	explore(t, func(s *scene) {
		s.Go("set", func() {
			err := s.SetNeighbour(s.id, s.other, macC)
			s.Assert(err == nil || errors.Is(err, ifnet.ErrGone), "%v", err)
		})
		s.detacher()
	})
}

// A question that a timer has decided on is sent by a whole interface, or not at all.
func TestExplore_QuestionAgainstDeparture(t *testing.T) {
	explore(t, func(s *scene) {
		s.queue(2)
		require.NoError(s.S, s.DeleteNeighbour(s.id, s.peer))
		s.Send.Step()
		s.Go("ask", func() { s.Send.Step() })
		s.detacher()
	}, 1)
}

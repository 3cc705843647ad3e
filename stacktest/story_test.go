package stacktest_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/stacktest"
)

// forward sends a packet where its route says, by whatever reference the variant asks for.
func forward(s *stacktest.Stack) func(c *netisr.Ctx, m *mbuf.Packet) {
	return func(c *netisr.Ctx, m *mbuf.Packet) {
		b, ok := m.Pullup(20)
		if !ok || b[0]>>4 != 4 || m.Flags&mbuf.Broadcast != 0 {
			m.Free(mbuf.Malformed)
			return
		}
		err := s.Route(context.Background(), c.LWP, netip.AddrFrom4([4]byte(b[16:20])), func(e *rtable.Entry) { transmit(s, c, m, e.Out()) })
		if err != nil {
			m.Free(mbuf.NoRoute)
		}
	}
}

// transmit sends a packet by an interface, if there still is one.
func transmit(s *stacktest.Stack, c *netisr.Ctx, m *mbuf.Packet, out ifnet.ID) {
	var ref psref.Ref
	ifp, ok := s.Ifs.Get(c.LWP, &ref, out)
	if !ok {
		m.Free(mbuf.IfDeparted)
		return
	}
	defer ref.Release(c.LWP)
	_ = ifp.Transmit(c.LWP, m)
}

func softint(f func(s *stacktest.Stack) func(c *netisr.Ctx, m *mbuf.Packet)) stacktest.Config {
	return stacktest.Config{
		Packets: rapid.OneOf(stacktest.IPPackets(), stacktest.IPPackets().Filter(func(b []byte) bool { return b[0]>>4 == 4 })),
		New: func(s *stacktest.Stack) stacktest.Subject {
			return stacktest.Subject{Name: "subject", Softint: f(s)}
		},
	}
}

func TestSameStory_OfRightOnes(t *testing.T) {
	t.Run("forward", func(t *testing.T) { stacktest.SameStory(t, softint(forward)) })
	t.Run("echo", func(t *testing.T) {
		stacktest.SameStory(t, subject(always(echo)), stacktest.Variant{Name: "one stream", Streams: 1}, stacktest.Variant{Name: "three streams", Streams: 3})
	})
}

// forgetful forwards by what it once looked up, whatever has become of it.
func forgetful(s *stacktest.Stack) stacktest.Subject {
	var mu sync.Mutex
	known := map[netip.Addr]ifnet.ID{}
	return stacktest.Subject{Name: "subject", Softint: func(c *netisr.Ctx, m *mbuf.Packet) {
		b, ok := m.Pullup(20)
		if !ok || b[0]>>4 != 4 || m.Flags&mbuf.Broadcast != 0 {
			m.Free(mbuf.Malformed)
			return
		}
		dst := netip.AddrFrom4([4]byte(b[16:20]))
		mu.Lock()
		out, ok := known[dst]
		mu.Unlock()
		if !ok {
			_ = s.Route(context.Background(), c.LWP, dst, func(e *rtable.Entry) { out = e.Out() })
			mu.Lock()
			known[dst] = out
			mu.Unlock()
		}
		if out.IsZero() {
			m.Free(mbuf.NoRoute)
			return
		}
		transmit(s, c, m, out)
	}}
}

// Handlers whose story depends on what nobody should notice.
var storyCrimes = map[string]crime{
	"story: knows its stream": {
		config: softint(func(*stacktest.Stack) func(c *netisr.Ctx, m *mbuf.Packet) {
			return func(c *netisr.Ctx, m *mbuf.Packet) {
				if c.Stream == 1 {
					m.Free(mbuf.Denied)
					return
				}
				m.Free(mbuf.Done)
			}
		}),
		try:    func(t *testing.T, c stacktest.Config) { stacktest.SameStory(t, c) },
		charge: "tells two stories, \"deferred, one stream, passive references\" and \"deferred, three streams\"",
	},
	"story: a cache that nobody invalidates": {
		config: softint(forward),
		try: func(t *testing.T, c stacktest.Config) {
			stacktest.SameStory(t, c, stacktest.Variant{Name: "the table"}, stacktest.Variant{Name: "a cache", New: forgetful})
		},
		charge: "tells two stories, \"the table\" and \"a cache\"",
	},
	"story: breaks a promise in one variant": {
		config: softint(func(*stacktest.Stack) func(c *netisr.Ctx, m *mbuf.Packet) {
			return func(c *netisr.Ctx, m *mbuf.Packet) {
				if c.Mode != netisr.ModeDirect {
					m.Free(mbuf.Done)
				}
			}
		}),
		try:    func(t *testing.T, c stacktest.Config) { stacktest.SameStory(t, c) },
		charge: "returns and forgets its packet\\s+\\(variant \"direct\"\\)",
	},
}

package ministack_test

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/stacktest/ministack"
)

// A locked wire is a wire for workers.
type lockedWire struct {
	mu sync.Mutex
	wire
}

func (w *lockedWire) Transmit(_ *lwp.LWP, m *mbuf.Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, bytes.Clone(m.Bytes()))
	m.Free(mbuf.Done)
	return nil
}

// neighbourhood is a stack with workers and one interface, and what a model knows of it: which
// number each neighbour was sent last.
type neighbourhood struct {
	*ministack.Stack
	pool *mbuf.Pool
	wire *lockedWire
	ifp  *ifnet.Interface // nil while there is none
	n    byte
	last map[netip.Addr]byte
}

const (
	modelHold = 3
	modelMax  = 4
)

func (h *neighbourhood) attach(t require.TestingT) {
	h.wire = &lockedWire{}
	var addrs []netip.Prefix
	for _, f := range families {
		addrs = append(addrs, netip.PrefixFrom(f.me, f.net.Bits()))
	}
	var err error
	h.ifp, err = h.Ifs.Attach(ifnet.Spec{Name: "em0", Driver: h.wire, MAC: macB, Addrs: addrs, Up: true})
	require.NoError(t, err)
	for _, f := range families {
		h.ifp.Join(ifnet.MulticastMAC(ministack.SolicitedNode(f.me)))
		require.NoError(t, h.Routes.Add(rtable.Route{Dst: f.net, Out: h.ifp.ID()}))
	}
}

// check is what holds whenever nothing runs: every packet that is not freed waits for a neighbour of
// the interface that is there, few enough do, and each neighbour was sent what was sent first, first.
func (h *neighbourhood) check(t *rapid.T) {
	synctest.Wait()
	held := 0
	ns := h.Neighbours()
	for _, n := range ns {
		held += n.Held
		require.True(t, h.ifp != nil && n.Interface == h.ifp.ID(), "%+v outlives its interface", n)
		require.LessOrEqual(t, n.Held, modelHold)
		require.True(t, n.Held == 0 || n.State == ministack.Incomplete, "%+v: what waits for it?", n)
		require.Equal(t, n.State != ministack.Incomplete, n.MAC != ifnet.MAC{}, "%+v", n)
	}
	require.LessOrEqual(t, len(ns), modelMax+len(families)) // and those that were set by hand
	require.Equal(t, held, h.pool.Outstanding(), "packets are nowhere")
	h.wire.mu.Lock()
	defer h.wire.mu.Unlock()
	for _, f := range h.wire.take() {
		var dst netip.Addr
		var off int
		switch {
		case f[12] == 0x08 && f[13] == 0x00 && f[23] == 17:
			off, dst = 14+20, netip.AddrFrom4([4]byte(f[30:34]))
		case f[12] == 0x86 && f[20] == 17:
			off, dst = 14+40, netip.AddrFrom16([16]byte(f[38:54]))
		default:
			continue // a question, or an announcement
		}
		n := f[off+8]
		require.Less(t, h.last[dst], n, "%v was sent %d before", dst, h.last[dst])
		h.last[dst] = n
	}
}

// Whatever is sent, answered, claimed, set by hand, forgotten, and however interfaces come and go: no
// packet is lost without a reason, and none overtakes another one.
func TestModel_NeighboursKeepEveryPacketInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, attackNeighbours) })
}

func attackNeighbours(t *rapid.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 1000*time.Hour)
	defer cancel()
	h := &neighbourhood{pool: mbuf.NewPool(mbuf.PoolConfig{}), last: map[netip.Addr]byte{}}
	var err error
	h.Stack, err = ministack.New(ministack.Config{
		Pool: h.pool, Streams: 2, Neighbours: ministack.NeighbourConfig{Hold: modelHold, Max: modelMax},
	})
	require.NoError(t, err)
	defer func() { _ = h.Close(ctx) }() // of a case that fails: what it broke is to be told, not what runs on
	h.attach(t)
	fam := rapid.Custom(func(t *rapid.T) family {
		return families[rapid.SampledFrom([]string{"ARP", "ND"}).Draw(t, "family")]
	})
	mac := rapid.SampledFrom([]ifnet.MAC{macA, macC})
	who := func(t *rapid.T, f family) netip.Addr {
		return rapid.SampledFrom([]netip.Addr{f.peer, f.other, f.me.Next()}).Draw(t, "who")
	}
	input := func(frame []byte) {
		if h.ifp == nil {
			return
		}
		m, err := h.pool.From(frame)
		require.NoError(t, err)
		_ = h.ifp.Input(m) // it may be down
	}
	up := func(t *rapid.T) ifnet.ID {
		if h.ifp == nil {
			t.Skip("there is no interface")
		}
		return h.ifp.ID()
	}
	t.Repeat(map[string]func(*rapid.T){
		"": h.check,
		"send": func(t *rapid.T) {
			f := fam.Draw(t, "to")
			to, n := who(t, f), rapid.IntRange(1, 5).Draw(t, "n")
			l := h.Dom.Bind()
			defer l.Unbind()
			for range n {
				if h.n == 255 {
					t.Skip("there are no more numbers")
				}
				h.n++
				m, err := h.pool.From(udp(f.me, to, 64, h.n))
				require.NoError(t, err)
				_ = h.Output(ctx, l, m)
			}
		},
		"answer": func(t *rapid.T) {
			f := fam.Draw(t, "from")
			input(says(macB, mac.Draw(t, "mac"), who(t, f), f.me, rapid.Bool().Draw(t, "asked")))
		},
		"ask": func(t *rapid.T) {
			f := fam.Draw(t, "from")
			input(asks(mac.Draw(t, "mac"), who(t, f), f.me))
		},
		"claim": func(t *rapid.T) {
			f := fam.Draw(t, "whose")
			input(says(ifnet.BroadcastMAC, macC, f.me, f.me, false))
		},
		"set": func(t *rapid.T) {
			require.NoError(t, h.SetNeighbour(up(t), fam.Draw(t, "of").peer, mac.Draw(t, "mac")))
		},
		"delete": func(t *rapid.T) { _ = h.DeleteNeighbour(up(t), who(t, fam.Draw(t, "of"))) },
		"wait": func(t *rapid.T) {
			time.Sleep(time.Duration(rapid.SampledFrom([]int{1, 5, 30, 3600}).Draw(t, "seconds")) * time.Second)
		},
		"down and up": func(t *rapid.T) {
			id := up(t)
			require.NoError(t, h.Ifs.Down(id))
			h.check(t)
			require.NoError(t, h.Ifs.Up(id))
		},
		"go": func(t *rapid.T) {
			require.NoError(t, h.Detach(ctx, up(t)))
			h.ifp = nil
		},
		"come": func(t *rapid.T) {
			if h.ifp != nil {
				t.Skip("it is there")
			}
			h.attach(t)
		},
	})
	require.NoError(t, h.Close(ctx))
	require.Zero(t, h.pool.Outstanding())
}

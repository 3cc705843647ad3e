package stacktest_test

import (
	"context"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/stacktest"
	"github.com/softnet-go/softnet/stacktest/sched"
	"github.com/softnet-go/softnet/wqinput"
)

// A keeper keeps the last packet, until the next one comes or its interface leaves.
type keeper struct {
	live   func(ifnet.ID) bool
	locked bool // it looks whether the interface is there where nobody can purge meanwhile, which is right
	place  *mbuf.Owner
	mu     sched.Mutex
	kept   *mbuf.Packet // guarded by mu
}

func keeps(right bool) stacktest.Config {
	return stacktest.Config{Unordered: true, New: func(s *stacktest.Stack) stacktest.Subject {
		k := &keeper{live: s.Ifs.Live, locked: right, place: mbuf.NewQueue("the last one")}
		remove := s.Ifs.AddDrainer(k)
		return stacktest.Subject{Name: "subject", Input: k.input, Close: func(context.Context) error {
			remove()
			k.swap(nil, mbuf.Shutdown)
			return nil
		}}
	}}
}

func (k *keeper) input(_ context.Context, in *wqinput.Input) {
	m := in.Packet
	if !k.locked && !k.live(m.In) {
		m.Free(mbuf.IfDeparted)
		return
	}
	m.Keep(k.place)
	k.swap(m, mbuf.Done)
}

// swap keeps m in place of what was kept.
func (k *keeper) swap(m *mbuf.Packet, why mbuf.Reason) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.locked && m != nil && !k.live(m.In) {
		m.Take(k.place, nil)
		m.Free(mbuf.IfDeparted)
		return
	}
	if k.kept != nil {
		k.kept.Take(k.place, nil)
		k.kept.Free(why)
	}
	k.kept = m
}

func (k *keeper) Name() string                                      { return "keeper" }
func (k *keeper) Barrier(context.Context, *lwp.LWP, ifnet.ID) error { return nil }
func (k *keeper) Down(ifnet.ID) int                                 { return 0 }

func (k *keeper) Purge(id ifnet.ID) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil || k.kept.In != id {
		return 0
	}
	k.kept.Take(k.place, nil)
	k.kept.Free(mbuf.IfDeparted)
	k.kept = nil
	return 1
}

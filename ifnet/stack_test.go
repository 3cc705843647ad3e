package ifnet_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/witness"
)

func bg() context.Context { return context.Background() }

// A wire is a driver that keeps what it is given to send, and a diary.
type wire struct {
	diary  *[]string
	ifp    *ifnet.Interface
	opens  int
	closes int
	fail   error // of Open
}

func (w *wire) note(f string, args ...any) {
	if w.diary != nil {
		*w.diary = append(*w.diary, fmt.Sprintf(f, args...))
	}
}

func (w *wire) Open(ifp *ifnet.Interface) error {
	w.opens++
	w.ifp = ifp
	w.note("open")
	if w.fail != nil {
		w.opens--
	}
	return w.fail
}

func (w *wire) Transmit(_ *lwp.LWP, m *mbuf.Packet) error {
	w.note("transmit %s", m.Bytes())
	m.Free(mbuf.Done)
	return nil
}

func (w *wire) Close() error {
	w.closes++
	w.note("close")
	return nil
}

// A shelf is a drainer: packets wait in it until somebody takes them.
type shelf struct {
	ifs     *ifnet.Table
	diary   *[]string
	purged  func(ifnet.ID) // called by Purge
	barrier func(ctx context.Context, id ifnet.ID) error

	mu   hook.Mutex
	list []*mbuf.Packet
}

func (s *shelf) Name() string { return "shelf" }

// put is how every drainer queues: liveness is asked under the lock.
func (s *shelf) put(m *mbuf.Packet) bool {
	s.mu.Lock()
	if !s.ifs.Live(m.In) {
		s.mu.Unlock()
		m.Free(mbuf.IfDeparted)
		return false
	}
	s.list = append(s.list, m)
	s.mu.Unlock()
	return true
}

func (s *shelf) Purge(id ifnet.ID) (n int) {
	if s.diary != nil {
		*s.diary = append(*s.diary, fmt.Sprintf("purge live=%v", s.ifs.Live(id)))
	}
	var gone, rest []*mbuf.Packet
	s.mu.Lock()
	for _, m := range s.list {
		if m.In == id {
			gone = append(gone, m)
		} else {
			rest = append(rest, m)
		}
	}
	s.list = rest
	s.mu.Unlock()
	for _, m := range gone {
		m.Free(mbuf.IfDeparted)
	}
	if s.purged != nil {
		s.purged(id)
	}
	return len(gone)
}

func (s *shelf) Barrier(ctx context.Context, _ *lwp.LWP, id ifnet.ID) error {
	if s.diary != nil {
		*s.diary = append(*s.diary, "barrier")
	}
	if s.barrier != nil {
		return s.barrier(ctx, id)
	}
	return nil
}

func (s *shelf) Down(id ifnet.ID) int {
	if s.diary != nil {
		*s.diary = append(*s.diary, fmt.Sprintf("down up=%v", s.ifs.IsUp(id)))
	}
	return 0
}

func newTable(opts ...ifnet.Option) (*lwp.Domain, *ifnet.Table) {
	dom := lwp.NewDomain()
	return dom, ifnet.NewTable(dom, opts...)
}

func attach(t require.TestingT, ifs *ifnet.Table, name string) *ifnet.Interface {
	ifp, err := ifs.Attach(ifnet.Spec{Name: name, Driver: &wire{}, Up: true, MAC: ifnet.MAC{2, 0, 0, 0, 0, 1}})
	require.NoError(t, err)
	return ifp
}

func packet(t require.TestingT, ifs *ifnet.Table, in ifnet.ID, b string) *mbuf.Packet {
	m, err := ifs.Pool().From([]byte(b))
	require.NoError(t, err)
	m.In = in
	return m
}

func violates(t *testing.T, f func()) *witness.Violation {
	t.Helper()
	var v *witness.Violation
	func() {
		defer func() { v, _ = recover().(*witness.Violation) }()
		f()
	}()
	require.NotNil(t, v, "no violation")
	return v
}

var errBroken = errors.New("broken")

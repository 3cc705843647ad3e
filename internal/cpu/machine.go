package cpu

import (
	"context"
	"runtime"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
)

// Machine is the set of all CPUs of a domain. Init makes it ready for use.
type Machine struct {
	// Stalled, if set, is told in checked builds when a wait has lasted for Patience:
	// who waits, and which softint has not answered (nil: a thread's section).
	Stalled  func(what string, who *CPU)
	Patience time.Duration

	_     [hook.LineBytes]byte
	epoch hook.Uint64 // never 0; raised by whoever wants every softint's answer
	_     [hook.LineBytes]byte

	cpus hook.Pointer[[]*CPU] // grows under mu; CPUs are never taken out
	// parked is how many waiters sleep on cv or are about to. An owner that has
	// changed a word loads it, and wakes them if it is not zero.
	parked hook.Int32
	mu     hook.Mutex // leaf
	cv     hook.Cond  // guarded by mu
}

// Init makes m ready for use.
func (m *Machine) Init() { m.epoch.Store(1) }

// Add makes c one of m's CPUs. It must be called before c's owner uses it: a waiter that
// does not find c in the list did its stores before c's owner looked at anything.
func (m *Machine) Add(c *CPU) {
	c.m = m
	m.mu.Lock()
	defer m.mu.Unlock()
	cpus := append(m.All(), c) // readers never look beyond the length they loaded
	m.cpus.Store(&cpus)
}

// All returns the CPUs added so far.
func (m *Machine) All() []*CPU {
	if p := m.cpus.Load(); p != nil {
		return *p
	}
	return nil
}

// Online makes the owner a softint, with the duty to answer. It is in no section and holds
// no reference.
func (c *CPU) Online() {
	c.Softint, c.Depth, c.Top = true, SoftintDepth, c.Base
	c.seen = c.m.epoch.Load()
	c.Quiet.Store(c.seen)
}

// Offline makes it a thread again. It is in no section and holds no reference.
func (c *CPU) Offline() {
	for ch := &c.Refs; ch != nil; ch = ch.Next() {
		clear(ch.Lives[:]) // what was given back in LIFO order is still there
	}
	c.Softint, c.Depth, c.Top = false, 0, Spilled
	c.Quiet.Store(0)
	c.m.wakeParked()
}

// Asked reports to an online owner whether somebody waits for its answer.
func (c *CPU) Asked() bool { return c.m.epoch.Load() != c.seen }

// Answer tells whoever waits for it that the owner is in no section, and counts each
// reference it holds to a dying target. The owner is a softint that is online.
func (c *CPU) Answer() {
	e := c.m.epoch.Load()
	c.countDying()
	c.seen = e
	c.Quiet.Store(e) // after the counting: who sees the answer sees the counts
	c.m.wakeParked()
}

// Rendezvous returns once every softint that was online has answered or gone offline
// since the call began (xc_barrier). It returns early, with ctx.Err(), when ctx ends.
func (m *Machine) Rendezvous(ctx context.Context) error {
	e := m.epoch.Add(1)
	for _, c := range m.All() {
		if answered(c, e) {
			continue
		}
		if err := m.Await(ctx, "a softint's checkpoint", c, func() bool { return answered(c, e) }); err != nil {
			return err
		}
	}
	return nil
}

func answered(c *CPU, e uint64) bool {
	q := c.Quiet.Load()
	return q == 0 || q >= e
}

// spins is how often a waiter yields before it parks: for some twenty microseconds, which
// a short section lasts and being woken costs.
const spins = 200

// Await returns once done is true, or ctx.Err() when ctx ends. Whoever makes done true
// calls Wake afterwards, or has changed Quiet through Answer or Offline.
func (m *Machine) Await(ctx context.Context, what string, who *CPU, done func() bool) error {
	if !hook.Exploring() {
		for range spins {
			if done() {
				return nil
			}
			runtime.Gosched()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.parked.Add(1)
	defer m.parked.Add(-1)
	if invariants.Enabled && m.Stalled != nil && !hook.Exploring() {
		patience, cancel := context.WithTimeout(ctx, m.Patience)
		defer cancel()
		for !done() {
			if m.cv.WaitContext(patience, &m.mu) == nil {
				continue
			}
			if ctx.Err() == nil {
				m.mu.Unlock()
				m.Stalled(what, who)
				m.mu.Lock()
			}
			break
		}
	}
	for !done() {
		if err := m.cv.WaitContext(ctx, &m.mu); err != nil {
			return err
		}
	}
	return nil
}

// HoldersOf lists the references to a target, as far as a checked build remembers them: in
// others it returns none. It may be called by anyone; what is taken or given back meanwhile
// may be in the list or not.
func (m *Machine) HoldersOf(id uint64) (hs []Holding) {
	for _, c := range m.All() {
		for ch := &c.Refs; ch != nil; ch = ch.Next() {
			for i := range uint32(ChunkSlots) {
				if h := ch.Site(i); h != nil && h.Of == id {
					hs = append(hs, *h)
				}
			}
		}
	}
	return hs
}

// Wake wakes every waiter, to look again at what it waits for.
func (m *Machine) Wake() {
	m.mu.Lock()
	m.cv.Broadcast()
	m.mu.Unlock()
}

func (m *Machine) wakeParked() {
	if m.parked.Load() != 0 {
		m.Wake()
	}
}

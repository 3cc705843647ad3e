package witness_test

//lint:file-ignore SA2001 what is shown is the lock: there is nothing to guard

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/witness"
)

// A locker is a lock with a way to take it.
type locker interface {
	sync.Locker
	LockContext(ctx context.Context) error
}

// reader takes an RWMutex for reading.
type reader struct{ rw *witness.RWMutex }

func (r reader) Lock()                                 { r.rw.RLock() }
func (r reader) Unlock()                               { r.rw.RUnlock() }
func (r reader) LockContext(ctx context.Context) error { return r.rw.RLockContext(ctx) }

// waits runs f for each way to wait: for want while somebody has held.
func waits(t *testing.T, f func(t *testing.T, held, want locker)) {
	var m witness.Mutex
	var rw, rr witness.RWMutex
	for _, k := range []struct {
		name       string
		held, want locker
	}{
		{"Mutex", &m, &m},
		{"writer behind writer", &rw, &rw},
		{"reader behind writer", &rw, reader{&rw}},
		{"writer behind reader", reader{&rr}, &rr},
	} {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, k.held, k.want) })
		})
	}
}

// Design, R3: "virtual time works for users". A bubble's clock moves on only when every
// goroutine is durably blocked.
func TestLocks_TimePassesWhileSomebodyWaits(t *testing.T) {
	waits(t, func(t *testing.T, held, want locker) {
		start := time.Now()
		held.Lock()
		go func() {
			want.Lock()
			defer want.Unlock()
			require.Equal(t, time.Hour, time.Since(start))
		}()
		time.Sleep(time.Hour)
		held.Unlock()
		synctest.Wait()
	})
}

// crowd is goroutines that want one lock, and the order in which they got it.
type crowd struct {
	mu  sync.Mutex
	got []string
}

func (c *crowd) note(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, who)
}

// send starts a goroutine that takes and gives l, and returns when it waits for it.
func (c *crowd) send(who string, l sync.Locker) {
	go func() {
		l.Lock()
		c.note(who)
		l.Unlock()
	}()
	synctest.Wait()
}

func TestMutex_PassesInTheOrderOfComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m witness.Mutex
		var c crowd
		m.Lock()
		for _, who := range []string{"a", "b", "c", "d"} {
			c.send(who, &m)
		}
		m.Unlock()
		synctest.Wait()
		require.Equal(t, []string{"a", "b", "c", "d"}, c.got)
		require.True(t, m.TryLock())
		m.Unlock()
	})
}

// A waiter is not passed over for ever by those who come and go without waiting.
func TestMutex_NobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m witness.Mutex
		waited := make(chan struct{})
		m.Lock()
		go func() {
			m.Lock()
			close(waited)
			m.Unlock()
		}()
		synctest.Wait()
		for n := 0; ; n++ {
			m.Unlock()
			m.Lock() // in line behind the other
			select {
			case <-waited:
				require.Zero(t, n, "the waiter's turn is the next")
				m.Unlock()
				return
			default:
			}
		}
	})
}

func TestRWMutex_ReadersShareAndWritersDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rw witness.RWMutex
		var in sync.WaitGroup
		for range 3 {
			in.Go(func() {
				rw.RLock()
				time.Sleep(time.Second)
				require.False(t, rw.TryLock())
				rw.RUnlock()
			})
		}
		start := time.Now()
		in.Wait()
		require.Equal(t, time.Second, time.Since(start), "all at once")
		for range 3 {
			in.Go(func() {
				rw.Lock()
				time.Sleep(time.Second)
				require.False(t, rw.TryRLock())
				rw.Unlock()
			})
		}
		in.Wait()
		require.Equal(t, 4*time.Second, time.Since(start), "one after the other")
	})
}

// "While a writer waits no new reader gets in, and when a writer leaves, the readers
// that have waited go before the next writer."
func TestRWMutex_NobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rw witness.RWMutex
		var c crowd
		rd := reader{&rw}
		rw.RLock()
		c.send("w1", &rw)
		require.False(t, rw.TryRLock(), "a writer waits")
		c.send("r1", rd)
		c.send("w2", &rw)
		c.send("r2", rd)
		rw.RUnlock()
		synctest.Wait()
		require.Equal(t, "w1", c.got[0])
		require.ElementsMatch(t, []string{"r1", "r2"}, c.got[1:3])
		require.Equal(t, "w2", c.got[3])
	})
}

// during holds l for a virtual minute, in another goroutine.
func during(l sync.Locker) {
	go func() {
		l.Lock()
		time.Sleep(time.Minute)
		l.Unlock()
	}()
	synctest.Wait()
}

func TestLockContext_GivesUpWhenTheContextEnds(t *testing.T) {
	waits(t, func(t *testing.T, held, want locker) {
		start := time.Now()
		during(held)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, want.LockContext(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		want.Lock() // it was not left to who gave up
		require.Equal(t, time.Minute, time.Since(start))
		want.Unlock()
	})
}

func TestLockContext_LocksWhenTheLockIsFreeFirst(t *testing.T) {
	waits(t, func(t *testing.T, held, want locker) {
		start := time.Now()
		during(held)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, want.LockContext(ctx))
		require.Equal(t, time.Minute, time.Since(start))
		want.Unlock()
	})
}

// "If the lock is free it is taken, whatever ctx says."
func TestLockContext_TakesAFreeLockWithAnEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var m witness.Mutex
	require.NoError(t, m.LockContext(ctx))
	m.Unlock()
	var rw witness.RWMutex
	require.NoError(t, rw.LockContext(ctx))
	rw.Unlock()
	require.NoError(t, rw.RLockContext(ctx))
	rw.RUnlock()
}

// A writer keeps readers out by waiting. When it gives up they must not stay out.
func TestRWMutex_AWriterThatGivesUpLetsReadersIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rw witness.RWMutex
		var c crowd
		ctx, cancel := context.WithCancel(t.Context())
		rw.RLock()
		go func() { require.ErrorIs(t, rw.LockContext(ctx), context.Canceled) }()
		synctest.Wait()
		c.send("r", reader{&rw})
		require.Empty(t, c.got)
		cancel()
		synctest.Wait()
		require.Equal(t, []string{"r"}, c.got)
		rw.RUnlock()
		require.True(t, rw.TryLock())
		rw.Unlock()
	})
}

// The lock may be passed on at the very moment the context ends: it must not be lost.
func TestLockContext_EndAndUnlockAtOnce(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var m witness.Mutex
			ctx, cancel := context.WithCancel(t.Context())
			m.Lock()
			go func() {
				if m.LockContext(ctx) == nil {
					m.Unlock()
				}
			}()
			synctest.Wait()
			go cancel()
			m.Unlock()
			synctest.Wait()
			require.True(t, m.TryLock())
			m.Unlock()
		})
	}
}

// Real goroutines on real cores, for the race detector: the counters are plain memory.
func TestLocks_KeepOthersOut(t *testing.T) {
	var m witness.Mutex
	var rw witness.RWMutex
	var a, b int
	var wg sync.WaitGroup
	const goroutines, rounds = 8, 500
	for i := range goroutines {
		wg.Go(func() {
			for n := range rounds {
				m.Lock()
				a++
				m.Unlock()
				if (i+n)%4 == 0 {
					rw.Lock()
					b++
					rw.Unlock()
				} else {
					rw.RLock()
					_ = b
					rw.RUnlock()
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, goroutines*rounds, a)
	require.Equal(t, goroutines*rounds/4, b)
}

// says returns the sentence f panics with, and checks the rule.
func says(t require.TestingT, rule string, f func()) string {
	var v *witness.Violation
	func() {
		defer func() { v, _ = recover().(*witness.Violation) }()
		f()
	}()
	require.NotNil(t, v, "%s: no panic", rule)
	require.Equal(t, rule, v.Rule)
	return v.Text
}

func TestLocks_UnlockingWhatIsNotLockedPanics(t *testing.T) {
	var m witness.Mutex
	var rw witness.RWMutex
	m.Init(witness.NewClass("rt_lock"))
	rw.Init(witness.NewClass("if_afdata"))
	const not = witness.RuleNotLocked
	require.Equal(t, "witness: Unlock of rt_lock, which is not locked", says(t, not, m.Unlock))
	require.Equal(t, "witness: Unlock of if_afdata, which is not locked for writing", says(t, not, rw.Unlock))
	require.Equal(t, "witness: RUnlock of if_afdata, which is not locked for reading", says(t, not, rw.RUnlock))
	rw.RLock()
	require.Equal(t, "witness: Unlock of if_afdata, which is not locked for writing", says(t, not, rw.Unlock))
	rw.RUnlock()
	rw.Lock()
	require.Equal(t, "witness: RUnlock of if_afdata, which is not locked for reading", says(t, not, rw.RUnlock))
	rw.Unlock()
	m.Lock() // and all are as good as new
	m.Unlock()
}

func TestLocks_InitOfALockedLockPanics(t *testing.T) {
	c := witness.NewClass("rt_lock")
	var m witness.Mutex
	m.Init(c)
	m.Lock()
	require.Equal(t, "witness: rt_lock is initialised while it is locked", says(t, witness.RuleInUse, func() { m.Init(c) }))
	m.Unlock()
	var rw witness.RWMutex
	rw.Init(c)
	rw.RLock()
	require.Equal(t, "witness: rt_lock is initialised while it is locked", says(t, witness.RuleInUse, func() { rw.Init(c) }))
	rw.RUnlock()
}

func TestAssertHeld_PanicsWhereNobodyHolds(t *testing.T) {
	var m witness.Mutex
	var rw witness.RWMutex
	m.Init(witness.NewClass("rt_lock"))
	rw.Init(witness.NewClass("if_afdata"))
	const not = witness.RuleNotHeld
	require.Equal(t, "witness: rt_lock must be held here, and is not", says(t, not, m.AssertHeld))
	require.Equal(t, "witness: if_afdata must be held here, and is not", says(t, not, rw.AssertHeld))
	require.Equal(t, "witness: if_afdata must be held for reading here, and is not", says(t, not, rw.AssertRHeld))
	require.Equal(t, "witness: if_afdata must be held for writing here, and is not", says(t, not, rw.AssertWHeld))
	m.AssertNotHeld()
	rw.AssertNotHeld()
	m.Lock()
	m.AssertHeld()
	m.Unlock()
	rw.RLock()
	rw.AssertHeld()
	rw.AssertRHeld()
	require.Equal(t, "witness: if_afdata must be held for writing here, and is not", says(t, not, rw.AssertWHeld))
	rw.RUnlock()
	rw.Lock()
	rw.AssertHeld()
	rw.AssertWHeld()
	require.Equal(t, "witness: if_afdata must be held for reading here, and is not", says(t, not, rw.AssertRHeld))
	rw.Unlock()
}

// Also in checked builds, once the books have the room.
func TestLocks_DoNotAllocate(t *testing.T) {
	if witness.Enabled && runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("who the caller is has to be parsed here")
	}
	var m witness.Mutex
	var rw witness.RWMutex
	lv, books := witness.NewLevel("softint", 0), witness.Self()
	for name, f := range map[string]func(){
		"Mutex":   func() { m.Lock(); m.Unlock() },
		"TryLock": func() { m.TryLock(); m.Unlock() },
		"RWMutex": func() { rw.Lock(); rw.Unlock() },
		"readers": func() { rw.RLock(); rw.RUnlock() },
		"nested":  func() { m.Lock(); rw.RLock(); rw.RUnlock(); m.Unlock() },
		"Level":   func() { lv.Enter(books); m.Lock(); m.Unlock(); lv.Exit(books) },
	} {
		require.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}

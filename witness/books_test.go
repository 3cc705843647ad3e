//go:build witness || race

package witness

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// The quick way to a goroutine's id agrees with the slow one, also on a stack that has
// moved.
func TestGoid_IsWhatAStackDumpSays(t *testing.T) {
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			require.Equal(t, parseGoid(), goid())
			grow(1000)
			require.Equal(t, parseGoid(), goid())
		})
	}
	wg.Wait()
	synctest.Test(t, func(t *testing.T) { require.Equal(t, parseGoid(), goid()) })
}

func grow(n int) (x [64]byte) {
	if n > 0 {
		x = grow(n - 1)
	}
	x[n%64]++
	return x
}

func counted(of func(b *books) bool) (n int) {
	everybody(func(b *books) {
		if of(b) {
			n++
		}
	})
	return n
}

// Nobody says when a goroutine ends: its books must go without that.
func TestBooks_OfGoroutinesThatAreGoneAreThrownOut(t *testing.T) {
	lv := NewLevel("level", 0)
	var m Mutex
	for range 5_000 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			l := Self()
			m.Lock()
			lv.Enter(l)
			lv.Exit(l)
			m.Unlock()
		}()
		<-done
	}
	require.Less(t, counted(func(*books) bool { return true }), 8*len(shelves))
}

// Books that show something are kept, however many others come.
func TestBooks_OfWhoHoldsSomethingAreKept(t *testing.T) {
	ck := NewChecker(Options{Mode: Count})
	lv, m, n := ck.NewLevel("level", 0), ck.NewClass("m"), ck.NewClass("n")
	var in, wg sync.WaitGroup
	over := make(chan struct{})
	for i := range 8 * len(shelves) {
		in.Add(1)
		wg.Go(func() {
			if i%2 == 0 {
				lv.Enter(nil)
			} else {
				m.Locked(i, Exclusive)
			}
			in.Done()
			<-over
			n.WillLock("n", Exclusive)
			if i%2 == 0 {
				lv.Exit(nil)
			} else {
				m.Unlocked(i)
			}
		})
	}
	in.Wait()
	close(over)
	wg.Wait()
	require.Equal(t, Stats{Orders: 2}, ck.Stats())
}

// A goroutine that binds one LWP after the other does not gather their books.
func TestBooks_OfThreadsThatAreGoneAreThrownOut(t *testing.T) {
	lv := NewLevel("level", 0)
	for range 1000 {
		l := Self()
		lv.Enter(l)
		lv.Exit(l)
	}
	require.Zero(t, counted(func(b *books) bool { return len(b.threads) > 1 }))
}

// Levels come and go with their domains, and their places in the order with them.
func TestOrder_OfLevelsThatAreGoneIsForgotten(t *testing.T) {
	ck := NewChecker(Options{Mode: Panic})
	c := ck.NewClass("ifnet_mtx")
	wait := func() {
		lv := ck.NewLevel("softint", NoSleep)
		c.Locked(t, Exclusive)
		lv.WillWait(nil)
		c.Unlocked(t)
	}
	const each, times = 1000, 20
	for range times {
		for range each {
			wait()
		}
		runtime.GC()
	}
	n := 0
	for range c.node.after.Range {
		n++
	}
	require.Less(t, n, 4*each)
	require.EqualValues(t, each*times, ck.Stats().Orders)
}

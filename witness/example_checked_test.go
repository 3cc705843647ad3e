//go:build witness || race

package witness_test

//lint:file-ignore SA2001 what is shown is the lock: there is nothing to guard

import (
	"fmt"

	"github.com/softnet-go/softnet/witness"
)

// printer returns a Checker that prints the sentences. Who uses the default one has
// them as panics.
func printer() *witness.Checker {
	return witness.NewChecker(witness.Options{
		Mode:        witness.Count,
		OnViolation: func(v *witness.Violation) { fmt.Println(v.Text) },
	})
}

// Two paths take two locks in opposite orders. They never meet, and still are found.
func ExampleChecker() {
	ck := printer()
	var rtcache, rt witness.Mutex
	rtcache.Init(ck.NewClass("rtcache_lock"))
	rt.Init(ck.NewClass("rt_lock"))

	lookup := func() {
		rtcache.Lock()
		rt.Lock()
		rt.Unlock()
		rtcache.Unlock()
	}
	invalidate := func() {
		rt.Lock()
		rtcache.Lock()
		rtcache.Unlock()
		rt.Unlock()
	}
	lookup()
	invalidate()
	// Output:
	// witness: rtcache_lock is taken while rt_lock is held, but rt_lock is taken while rtcache_lock is held
}

// With a declared order the path that is wrong is reported, whichever runs first.
func ExampleChecker_Order() {
	ck := printer()
	rtcache, rt := ck.NewClass("rtcache_lock"), ck.NewClass("rt_lock")
	ck.Order(rtcache, rt)

	var outer, inner witness.Mutex
	outer.Init(rt)
	inner.Init(rtcache)
	outer.Lock()
	inner.Lock()
	// Output:
	// witness: rtcache_lock is taken while rt_lock is held, but rtcache_lock is declared to come before rt_lock
}

// A handler takes a lock. Elsewhere somebody waits for all handlers, with that lock held.
func ExampleLevel() {
	ck := printer()
	softint := ck.NewLevel("softint", witness.NoSleep)
	var softnet witness.Mutex
	softnet.Init(ck.NewClass("softnet_lock"))

	input := func(l *witness.Thread) {
		softint.Enter(l)
		defer softint.Exit(l)
		softnet.Lock()
		softnet.Unlock()
	}
	detach := func(l *witness.Thread) {
		softnet.Lock()
		defer softnet.Unlock()
		softint.WillWait(l)
		// ... and here it would wait
	}
	l := witness.Self()
	input(l)
	detach(l)
	// Output:
	// witness: level softint is waited for while softnet_lock is held, but softnet_lock is taken inside level softint
}

// A lock of the user's own: a channel with room for one.
type chanLock struct {
	ch    chan struct{}
	class *witness.Class
}

func (l *chanLock) Lock() {
	l.class.WillLock(l, witness.Exclusive)
	l.ch <- struct{}{}
	l.class.Locked(l, witness.Exclusive)
}

func (l *chanLock) Unlock() {
	l.class.Unlocked(l)
	<-l.ch
}

func ExampleClass_WillLock() {
	ck := printer()
	a := &chanLock{make(chan struct{}, 1), ck.NewClass("sessions")}
	b := &chanLock{make(chan struct{}, 1), ck.NewClass("peers")}
	a.Lock()
	b.Lock()
	b.Unlock()
	a.Unlock()

	b.Lock()
	a.Lock()
	a.Unlock()
	b.Unlock()

	defer func() { fmt.Println(recover().(*witness.Violation).Text) }()
	a.Lock()
	a.Lock() // would hang
	// Output:
	// witness: sessions is taken while peers is held, but peers is taken while sessions is held
	// witness: sessions is taken by a goroutine that holds it already, and would wait for itself
	// witness: sessions is taken by a goroutine that holds it already, and would wait for itself
}

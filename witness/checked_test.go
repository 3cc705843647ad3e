//go:build witness || race

package witness_test

//lint:file-ignore SA2001 what is shown is the lock: there is nothing to guard

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/witness"
)

// desk is a Checker and what it reported.
type desk struct {
	*witness.Checker
	mu  sync.Mutex
	got []*witness.Violation
}

func newDesk(mode witness.Mode) *desk {
	d := new(desk)
	d.Checker = witness.NewChecker(witness.Options{Mode: mode, OnViolation: func(v *witness.Violation) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.got = append(d.got, v)
	}})
	return d
}

// texts returns the sentences reported since the last call.
func (d *desk) texts() (texts []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range d.got {
		texts = append(texts, v.Text)
	}
	d.got = nil
	return texts
}

// mutex returns a lock of a new class.
func (d *desk) mutex(name string, traits ...witness.Trait) *witness.Mutex {
	return mutexOf(d.NewClass(name, traits...))
}

func mutexOf(c *witness.Class) *witness.Mutex {
	m := new(witness.Mutex)
	m.Init(c)
	return m
}

func rwMutexOf(c *witness.Class) *witness.RWMutex {
	rw := new(witness.RWMutex)
	rw.Init(c)
	return rw
}

// nest takes the locks in order and gives them back.
func nest(locks ...sync.Locker) {
	for _, l := range locks {
		l.Lock()
	}
	for _, l := range locks {
		l.Unlock()
	}
}

// elsewhere runs f in another goroutine.
func elsewhere(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func takesRtThenSoftnet(rt, softnet sync.Locker) { nest(rt, softnet) }
func takesSoftnetThenRt(rt, softnet sync.Locker) { nest(softnet, rt) }

func TestOrder_TwoLocksReversed(t *testing.T) {
	d := newDesk(witness.Count)
	rt, softnet := d.mutex("rt_lock"), d.mutex("softnet_lock")
	elsewhere(func() { takesRtThenSoftnet(rt, softnet) })
	require.Empty(t, d.texts())
	takesSoftnetThenRt(rt, softnet) // nobody had to be unlucky

	require.Len(t, d.got, 1)
	v := d.got[0]
	require.Equal(t, witness.RuleReversal, v.Rule)
	require.Equal(t, "witness: rt_lock is taken while softnet_lock is held, but softnet_lock is taken while rt_lock is held", v.Text)
	require.Len(t, v.Sites, 4, "each half: where the inner lock was taken, and where the outer one")
	for i, want := range []struct{ what, in string }{
		{"rt_lock is taken while softnet_lock is held, first by goroutine ", "takesSoftnetThenRt"},
		{"softnet_lock was taken before that", "takesSoftnetThenRt"},
		{"softnet_lock is taken while rt_lock is held, first by goroutine ", "takesRtThenSoftnet"},
		{"rt_lock was taken before that", "takesRtThenSoftnet"},
	} {
		require.Contains(t, v.Sites[i].What, want.what)
		require.Contains(t, v.Sites[i].Stack, "witness_test."+want.in+"\n")
		require.True(t, strings.HasPrefix(v.Sites[i].Stack, "github.com/softnet-go/softnet/witness_test.nest\n"), "begins with the caller, not in here: %s", v.Sites[i].Stack)
	}
	require.NotEqual(t, v.Sites[0].What, v.Sites[2].What)
}

func TestOrder_ThreeLocksInACircle(t *testing.T) {
	d := newDesk(witness.Count)
	a, b, c := d.mutex("a"), d.mutex("b"), d.mutex("c")
	nest(a, b)
	nest(b, c)
	nest(a, c)
	require.Empty(t, d.texts())
	nest(c, a)
	require.Len(t, d.got, 1)
	require.Len(t, d.got[0].Sites, 4, "the shortest circle")
	require.Equal(t, []string{"witness: a is taken while c is held, but c is taken while a is held"}, d.texts())

	d = newDesk(witness.Count)
	a, b, c = d.mutex("a"), d.mutex("b"), d.mutex("c")
	nest(a, b)
	nest(b, c)
	nest(c, a)
	require.Len(t, d.got[0].Sites, 6)
	require.Equal(t, []string{"witness: a is taken while c is held, but b is taken while a is held, and c is taken while b is held"}, d.texts())
}

func TestOrder_LongCircle(t *testing.T) {
	d := newDesk(witness.Count)
	var ring []*witness.Mutex
	for i := range 20 {
		ring = append(ring, d.mutex(string(rune('a'+i))))
	}
	for i := range ring {
		require.Empty(t, d.got, "not before the last step")
		nest(ring[i], ring[(i+1)%len(ring)])
	}
	require.Len(t, d.got, 1)
	require.Len(t, d.got[0].Sites, 2*len(ring))
}

// The order is one of classes: the two runs need not have a lock in common.
func TestOrder_ReversedWithOtherLocksOfTheClasses(t *testing.T) {
	d := newDesk(witness.Count)
	outer, inner := d.NewClass("pf_rules"), d.NewClass("pf_state")
	nest(mutexOf(outer), mutexOf(inner))
	nest(mutexOf(inner), mutexOf(outer))
	require.Equal(t, []string{"witness: pf_rules is taken while pf_state is held, but pf_state is taken while pf_rules is held"}, d.texts())
}

// Everything held counts, not only what was taken last.
func TestOrder_BeyondTheInnermost(t *testing.T) {
	d := newDesk(witness.Count)
	a, b, c := d.mutex("a"), d.mutex("b"), d.mutex("c")
	nest(a, b, c)
	nest(c, a)
	require.Equal(t, []string{"witness: a is taken while c is held, but c is taken while a is held"}, d.texts())
}

// A reader behind a waiting writer waits like anybody, so reading has an order too.
func TestOrder_ReadersReversed(t *testing.T) {
	d := newDesk(witness.Count)
	a, b := rwMutexOf(d.NewClass("a")), rwMutexOf(d.NewClass("b"))
	nest(reader{a}, reader{b})
	nest(reader{b}, reader{a})
	require.Equal(t, []string{"witness: a is taken while b is held, but b is taken while a is held"}, d.texts())
}

// Each Checker has an order of its own.
func TestOrder_OfTwoCheckersIsNone(t *testing.T) {
	d, e := newDesk(witness.Count), newDesk(witness.Count)
	a, b := d.mutex("a"), e.mutex("b")
	nest(a, b)
	nest(b, a)
	require.Zero(t, d.Stats())
	require.Zero(t, e.Stats())
}

// What never waits cannot be half of a deadlock; what is held after a try can.
func TestOrder_TriesAreFree(t *testing.T) {
	d := newDesk(witness.Count)
	a, b := d.mutex("a"), d.mutex("b")
	nest(a, b)
	b.Lock()
	require.True(t, a.TryLock())
	a.Unlock()
	b.Unlock()
	require.Empty(t, d.texts())
	require.True(t, b.TryLock())
	nest(a)
	b.Unlock()
	require.Equal(t, []string{"witness: a is taken while b is held, but b is taken while a is held"}, d.texts())
}

func TestOrder_UnnamedLocksAreOneOfAKind(t *testing.T) {
	var a, b witness.Mutex
	nest(&a, &b)
	text := says(t, witness.RuleReversal, func() {
		b.Lock()
		defer b.Unlock()
		a.Lock()
	})
	require.Equal(t, "witness: the unnamed lock of witness_test.nest is taken while the unnamed lock of witness_test.nest is held, but the unnamed lock of witness_test.nest is taken while the unnamed lock of witness_test.nest is held", text)
}

func TestOrder_Declared(t *testing.T) {
	d := newDesk(witness.Count)
	a, b, c := d.NewClass("a"), d.NewClass("b"), d.NewClass("c")
	d.Order(a, b, c)
	nest(mutexOf(c), mutexOf(b)) // nobody ever took them in order
	require.Len(t, d.got[0].Sites, 3)
	require.Contains(t, d.got[0].Sites[2].Stack, "TestOrder_Declared", "where it was declared")
	require.Equal(t, []string{"witness: b is taken while c is held, but b is declared to come before c"}, d.texts())
	nest(mutexOf(c), mutexOf(a))
	require.Equal(t, []string{"witness: a is taken while c is held, but a is declared to come before b, and b is declared to come before c"}, d.texts())
	nest(mutexOf(a), mutexOf(b), mutexOf(c))
	require.Empty(t, d.texts())
}

func TestOrder_DeclaredTwoWays(t *testing.T) {
	d := newDesk(witness.Count)
	a, b, c := d.NewClass("a"), d.NewClass("b"), d.NewClass("c")
	d.Order(a, b)
	d.Order(b, c)
	d.Order(c, a)
	require.Equal(t, witness.RuleContradiction, d.got[0].Rule)
	require.Equal(t, []string{"witness: c is declared to come before a, but a is declared to come before b, and b is declared to come before c"}, d.texts())
	nest(mutexOf(b), mutexOf(a))
	d.Order(a, b)
	require.Equal(t, []string{"witness: a is taken while b is held, but a is declared to come before b"}, d.texts())
}

func TestOrder_DeclaredAgainstWhatHasBeenSeen(t *testing.T) {
	d := newDesk(witness.Count)
	a, b := d.NewClass("a"), d.NewClass("b")
	nest(mutexOf(b), mutexOf(a))
	d.Order(a, b)
	require.Equal(t, []string{"witness: a is declared to come before b, but a is taken while b is held"}, d.texts())
}

func TestOrder_OfAnotherCheckerPanics(t *testing.T) {
	a, b := newDesk(witness.Count).NewClass("a"), newDesk(witness.Count).NewClass("b")
	require.Equal(t, "witness: a and b are given an order by a Checker that is not both of theirs",
		says(t, witness.RuleContradiction, func() { witness.Order(a, b) }))
}

func TestClass_TwoOfOneClassNested(t *testing.T) {
	d := newDesk(witness.Count)
	c := d.NewClass("pf_state")
	nest(mutexOf(c), mutexOf(c))
	require.Contains(t, d.got[0].Sites[1].What, "pf_state taken")
	require.Equal(t, []string{"witness: two locks of class pf_state are taken by one goroutine, and nobody said in which order: another may take them the other way round"}, d.texts())

	c = d.NewClass("pf_state", witness.DupOK)
	nest(mutexOf(c), mutexOf(c))
	require.Empty(t, d.texts())
}

func TestClass_NestedHasAnOrderOfItsOwn(t *testing.T) {
	d := newDesk(witness.Count)
	c := d.NewClass("vnode")
	parent, child := mutexOf(c), rwMutexOf(c)
	parent.Lock()
	child.LockNested(1)
	child.Unlock()
	child.RLockNested(1)
	child.RUnlock()
	parent.Unlock()
	require.Empty(t, d.texts())

	child.LockNested(1)
	parent.Lock()
	require.Equal(t, []string{"witness: vnode is taken while vnode/1 is held, but vnode/1 is taken while vnode is held"}, d.texts())
	parent.Unlock()
	parent.LockNested(1)
	require.Equal(t, []string{"witness: two locks of class vnode/1 are taken by one goroutine, and nobody said in which order: another may take them the other way round"}, d.texts())
}

// What can only hang panics, though the mode is Count.
func TestLocks_LockingAgainstMyself(t *testing.T) {
	d := newDesk(witness.Count)
	m, rw := d.mutex("rt_lock"), rwMutexOf(d.NewClass("if_afdata"))
	m.Lock()
	require.Equal(t, "witness: rt_lock is taken by a goroutine that holds it already, and would wait for itself", says(t, witness.RuleRecursion, m.Lock))
	rw.Lock()
	require.Equal(t, "witness: if_afdata is taken by a goroutine that holds it already, and would wait for itself", says(t, witness.RuleRecursion, rw.Lock))
	require.Equal(t, "witness: if_afdata is taken for reading by a goroutine that writes, and would wait for itself", says(t, witness.RuleRecursion, rw.RLock))
	rw.Unlock()
	rw.RLock()
	require.Equal(t, "witness: if_afdata is taken for writing by a goroutine that reads, and would wait for itself: there is no upgrade", says(t, witness.RuleUpgrade, rw.Lock))
	require.False(t, rw.TryLock(), "a try is no fault")
	rw.RUnlock()
	m.Unlock()
	nest(m, rw)
}

// It hangs only if a writer comes in between, so the mode decides.
func TestRWMutex_ReadingTwice(t *testing.T) {
	d := newDesk(witness.Count)
	rw := rwMutexOf(d.NewClass("if_afdata"))
	rw.RLock()
	rw.RLock()
	require.Equal(t, witness.RuleRecursiveRead, d.got[0].Rule)
	require.Equal(t, []string{"witness: if_afdata is taken for reading by a goroutine that reads already: a writer that came in between would stop both"}, d.texts())
	rw.RUnlock()
	rw.AssertRHeld()
	rw.RUnlock()
	rw.AssertNotHeld()
	d.SetMode(witness.Panic)
	rw.RLock()
	says(t, witness.RuleRecursiveRead, rw.RLock)
	rw.RUnlock()
}

// With a context there is a way to go on, so the mode decides.
func TestLockContext_AgainstMyselfIsReportedAndEnds(t *testing.T) {
	d := newDesk(witness.Count)
	m := d.mutex("rt_lock")
	m.Lock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, m.LockContext(ctx), context.Canceled)
	m.Unlock()
	require.Equal(t, []string{"witness: rt_lock is taken by a goroutine that holds it already, and would wait for itself"}, d.texts())
}

func TestUnlock_BySomebodyElse(t *testing.T) {
	d := newDesk(witness.Count)
	m := d.mutex("rt_lock")
	locked, over := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		m.Lock()
		close(locked)
		<-over
		m.AssertNotHeld() // it was taken out of these books, too
	})
	<-locked
	m.Unlock()
	close(over)
	wg.Wait()
	require.Len(t, d.got[0].Sites, 2)
	require.Regexp(t, `^rt_lock taken by goroutine \d+, which holds it$`, d.got[0].Sites[1].What)
	require.Equal(t, []string{"witness: rt_lock is unlocked by a goroutine that does not hold it"}, d.texts())
}

func TestAssertHeld_KnowsWhoHolds(t *testing.T) {
	m, rw := mutexOf(witness.NewClass("rt_lock")), rwMutexOf(witness.NewClass("if_afdata"))
	nest(m) // as in the other goroutine
	m.Lock()
	rw.RLock()
	elsewhere(func() {
		require.Equal(t, "witness: rt_lock must be held here, and is not", says(t, witness.RuleNotHeld, m.AssertHeld))
		require.Equal(t, "witness: if_afdata must be held for reading here, and is not", says(t, witness.RuleNotHeld, rw.AssertRHeld))
		m.AssertNotHeld()
		rw.AssertNotHeld()
	})
	require.Equal(t, "witness: rt_lock must not be held here, and is", says(t, witness.RuleHeld, m.AssertNotHeld))
	require.Equal(t, "witness: if_afdata must not be held here, and is", says(t, witness.RuleHeld, rw.AssertNotHeld))
	rw.RUnlock()
	m.Unlock()
}

func TestLevel_SleepingInASoftint(t *testing.T) {
	d := newDesk(witness.Count)
	softint, other := d.NewLevel("softint", witness.NoSleep), d.NewLevel("workqueue", 0)
	m := d.mutex("rt_lock")
	l := witness.Self()
	softint.Enter(l)
	m.Lock() // for a moment: that is allowed
	m.Unlock()
	require.Empty(t, d.texts())
	witness.WillSleep(l, "a reply")
	other.WillWait(l)
	require.Contains(t, d.got[0].Sites[1].What, "level softint entered")
	require.Contains(t, d.got[0].Sites[1].Stack, "TestLevel_SleepingInASoftint")
	require.Equal(t, []string{
		"witness: a thread sleeps for a reply inside level softint, whose code may not sleep",
		"witness: level workqueue is waited for inside level softint, whose code may not sleep",
	}, d.texts())
	softint.Exit(l)
	witness.WillSleep(l, "a reply")
	other.WillWait(l)
	require.Empty(t, d.texts())
}

func TestLevel_TakingALockInAReadSection(t *testing.T) {
	d := newDesk(witness.Count)
	section := d.NewLevel("read section", witness.NoSleep|witness.NoLock)
	m, rw := d.mutex("rt_lock"), rwMutexOf(d.NewClass("if_afdata"))
	var short hook.Mutex
	l := witness.Self()
	section.Enter(l)
	short.Lock() // a leaf is allowed
	short.Unlock()
	require.True(t, m.TryLock(), "a try does not wait")
	m.Unlock()
	require.Empty(t, d.texts())
	nest(m, reader{rw})
	section.Exit(l)
	require.Equal(t, []string{
		"witness: rt_lock is taken inside level read section, whose code may take no lock that is slept on",
		"witness: if_afdata is taken inside level read section, whose code may take no lock that is slept on",
	}, d.texts())
	nest(m, rw)
	require.Empty(t, d.texts())
}

func TestLevel_WaitingForItself(t *testing.T) {
	d := newDesk(witness.Count)
	section := d.NewLevel("read section", witness.NoSleep|witness.NoLock)
	l := witness.Self()
	section.Enter(l)
	section.WillWait(l)
	require.Equal(t, []string{"witness: level read section is waited for from inside, and would wait for itself"}, d.texts())
	section.Exit(l)
	section.WillWait(l)
	require.Empty(t, d.texts())

	many := d.NewLevel("psref ifaddr", witness.DupOK)
	many.Enter(l)
	many.WillWait(l)
	require.Empty(t, d.texts(), "that is another of them")
}

func TestLevel_CountsAndLeavesInAnyOrder(t *testing.T) {
	d := newDesk(witness.Count)
	a, b := d.NewLevel("a", witness.NoSleep), d.NewLevel("b", witness.NoSleep)
	l := witness.Self()
	levels := func() uint64 { // how many l is inside of
		before := d.Stats().Violations
		witness.WillSleep(l, "it")
		return d.Stats().Violations - before
	}
	a.Enter(l)
	a.Enter(l)
	b.Enter(l)
	require.EqualValues(t, 2, levels())
	a.Exit(l)
	require.EqualValues(t, 2, levels(), "a was entered twice")
	a.Exit(l)
	require.EqualValues(t, 1, levels())
	b.Exit(l)
	require.Zero(t, levels())
	d.texts()
	a.Exit(l)
	require.Equal(t, []string{"witness: level a is left by a thread that is not inside"}, d.texts())
}

// An LWP is handed on as plain memory is: its books go with it.
func TestThread_GoesWhereItsOwnerGoes(t *testing.T) {
	d := newDesk(witness.Count)
	handler, section := d.NewLevel("handler", 0), d.NewLevel("read section", 0)
	rt, other := d.mutex("rt_lock"), d.mutex("other")
	l := witness.Self()
	handler.Enter(l)
	elsewhere(func() {
		section.Enter(l)
		nest(rt)
		section.Exit(l)
	})
	nest(other) // no business of l's any more
	orders := d.Stats().Orders
	require.EqualValues(t, 2, orders, "handler and read section, each before rt_lock")
	rt.Lock()
	handler.WillWait(witness.Self())
	rt.Unlock()
	require.Equal(t, []string{"witness: level handler is waited for while rt_lock is held, but rt_lock is taken inside level handler"}, d.texts())
}

// Books that were put away because nothing was in them are found again.
func TestThread_IsFoundAgainAfterARest(t *testing.T) {
	d := newDesk(witness.Count)
	level, rt := d.NewLevel("handler", 0), d.mutex("rt_lock")
	l, other := witness.Self(), witness.Self()
	level.Enter(l)
	level.Exit(l)
	level.Enter(other) // l is put away
	level.Exit(other)
	level.Enter(l)
	nest(rt)
	require.EqualValues(t, 1, d.Stats().Orders)
	level.Exit(l)
}

// A test may bind two LWPs in one goroutine. One waits for what the other is inside of,
// and it is for the context to end that.
func TestThread_TwoInOneGoroutineAreTwo(t *testing.T) {
	d := newDesk(witness.Count)
	held := d.NewLevel("psref ifaddr", witness.NoSleep)
	holder, destroyer := witness.Self(), witness.Self()
	held.Enter(holder)
	held.WillWait(destroyer)
	witness.WillSleep(destroyer, "it")
	require.Empty(t, d.texts())
	held.Exit(holder)
}

func TestThread_NilIsTheCaller(t *testing.T) {
	d := newDesk(witness.Count)
	softint := d.NewLevel("softint", witness.NoSleep)
	softint.Enter(nil)
	elsewhere(func() { witness.WillSleep(nil, "a reply") })
	require.Empty(t, d.texts())
	witness.WillSleep(nil, "a reply")
	require.Len(t, d.texts(), 1)
	softint.Exit(nil)
	softint.WillWait(nil)
	require.Empty(t, d.texts())
}

// Leaves are of no Checker a user makes: the default one speaks for them.
func TestLeaf_NothingIsWaitedForBelowOne(t *testing.T) {
	m, softint := mutexOf(witness.NewClass("rt_lock")), witness.NewLevel("softint", 0)
	var short hook.Mutex
	short.Lock()
	const leaf = witness.RuleLeaf
	require.Equal(t, "witness: rt_lock is taken while a leaf lock is held, below which nothing is waited for", says(t, leaf, m.Lock))
	require.Equal(t, "witness: level softint is waited for while a leaf lock is held, below which nothing is waited for", says(t, leaf, func() { softint.WillWait(nil) }))
	require.Equal(t, "witness: a thread sleeps for a reply while a leaf lock is held, below which nothing is waited for", says(t, leaf, func() { witness.WillSleep(nil, "a reply") }))
	elsewhere(func() { nest(m) })
	require.True(t, m.TryLock())
	m.Unlock()
	short.Unlock()
	nest(m)
	require.True(t, short.TryLock())
	says(t, leaf, m.Lock)
	short.Unlock()
}

// A witness lock has a leaf inside. Who waits for one, and who is woken, holds none.
func TestLeaf_TheOneInsideALockIsNoUsers(t *testing.T) {
	var wg sync.WaitGroup
	m, n := mutexOf(witness.NewClass("outer")), mutexOf(witness.NewClass("inner"))
	for range 4 {
		wg.Go(func() {
			for range 100 {
				nest(m, n)
				witness.Barrier("the end of a round")
			}
		})
	}
	wg.Wait()
}

func TestBarrier_NamesWhatIsHeld(t *testing.T) {
	m := mutexOf(witness.NewClass("rt_lock"))
	var short hook.Mutex
	level := witness.NewLevel("softint", witness.NoSleep)
	level.Enter(nil)
	witness.Barrier("the end of a handler")
	m.Lock()
	require.Equal(t, "witness: rt_lock is held at the end of a handler", says(t, witness.RuleHeld, func() { witness.Barrier("the end of a handler") }))
	m.Unlock()
	short.Lock()
	require.Equal(t, "witness: a leaf lock is held at the end of a handler", says(t, witness.RuleHeld, func() { witness.Barrier("the end of a handler") }))
	short.Unlock()
	level.Exit(nil)
}

// reverse takes two new locks of the classes in the given order and lets them go, even
// if it panics.
func reverse(outer, inner *witness.Class) {
	a, b := mutexOf(outer), mutexOf(inner)
	a.Lock()
	defer a.Unlock()
	b.Lock()
	b.Unlock()
}

func TestMode_CountReportsOnceAndCounts(t *testing.T) {
	d := newDesk(witness.Count)
	a, b := d.NewClass("a"), d.NewClass("b")
	reverse(a, b)
	for range 3 {
		reverse(b, a)
	}
	require.Len(t, d.texts(), 1)
	require.Equal(t, witness.Stats{Orders: 2, Violations: 3, Distinct: 1}, d.Stats())
	nest(mutexOf(a), mutexOf(a))
	require.Equal(t, witness.Stats{Orders: 2, Violations: 4, Distinct: 2}, d.Stats())
}

func TestMode_PanicPanicsEachTime(t *testing.T) {
	d := newDesk(witness.Panic)
	a, b := d.NewClass("a"), d.NewClass("b")
	reverse(a, b)
	for range 3 {
		says(t, witness.RuleReversal, func() { reverse(b, a) })
	}
	require.Len(t, d.texts(), 1)
	require.Equal(t, witness.Stats{Orders: 2, Violations: 3, Distinct: 1}, d.Stats())
}

func TestMode_PrintLogs(t *testing.T) {
	var log bytes.Buffer
	ck := witness.NewChecker(witness.Options{Mode: witness.Print, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	a, b := ck.NewClass("a"), ck.NewClass("b")
	reverse(a, b)
	reverse(b, a)
	reverse(b, a)
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	require.Contains(t, log.String(), `level=ERROR msg="witness: a is taken while b is held, but b is taken while a is held" rule="witness: order reversal"`)
	require.Contains(t, log.String(), "witness_test.reverse")
}

func TestMode_PrintWithoutALoggerWritesToStandardError(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	stderr := os.Stderr
	defer func() { os.Stderr = stderr }()
	os.Stderr = w
	d := newDesk(witness.Print)
	a, b := d.NewClass("a"), d.NewClass("b")
	reverse(a, b)
	reverse(b, a)
	require.NoError(t, w.Close())
	out, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, d.got[0].Error()+"\n", string(out))
}

// "Only remember who holds what, so that a later mode can begin at once."
func TestMode_OffRemembersWhoHoldsWhat(t *testing.T) {
	d := newDesk(witness.Off)
	a, b := d.mutex("a"), d.mutex("b")
	section := d.NewLevel("read section", witness.NoLock|witness.NoSleep)
	nest(a, b)
	nest(b, a)
	b.Lock()
	section.WillWait(nil)
	elsewhere(b.Unlock)
	section.Enter(nil)
	section.WillWait(nil)
	witness.WillSleep(nil, "a reply")
	require.Zero(t, d.Stats())
	require.Empty(t, d.texts())
	require.Equal(t, witness.Off, d.Mode())
	b.Lock()
	d.SetMode(witness.Count)
	nest(a)
	b.Unlock()
	require.Equal(t, []string{"witness: a is taken inside level read section, whose code may take no lock that is slept on"}, d.texts())
	require.Equal(t, witness.Stats{Orders: 2, Violations: 1, Distinct: 1}, d.Stats(), "a after b, and after the section")
	section.Exit(nil)
}

func TestMode_Strings(t *testing.T) {
	require.Equal(t, "off count print panic Mode(9)", fmt.Sprint(witness.Off, witness.Count, witness.Print, witness.Panic, witness.Mode(9)))
}

// The whole report, as a user reads it. Run with -update after changing the words.
func TestViolation_Golden(t *testing.T) {
	d := newDesk(witness.Count)
	softint, rt, softnet := d.NewLevel("softint", witness.NoSleep), d.mutex("rt_lock"), d.mutex("softnet_lock")
	d.Order(softint, d.NewClass("if_afdata"))
	handler := func() {
		softint.Enter(nil)
		defer softint.Exit(nil)
		nest(softnet)
	}
	handler()
	nest(softnet, rt)
	rt.Lock()
	softint.WillWait(nil)
	rt.Unlock()
	golden(t, "testdata/report.txt", d.got[0].Error())
}

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with a file, without the numbers that are another's each time.
func golden(t *testing.T, file, text string) {
	text = regexp.MustCompile(`goroutine \d+`).ReplaceAllString(text, "goroutine N")
	text = regexp.MustCompile(`\t\S+/(\w+\.go):\d+`).ReplaceAllString(text, "\t$1")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(text+"\n"), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text+"\n")
}

// Everything at once, for the race detector: reversed pairs, waits, modes, counters.
func TestChecker_IsSafeForConcurrentUse(t *testing.T) {
	d := newDesk(witness.Count)
	level := d.NewLevel("level", 0)
	var classes []*witness.Class
	for i := range 8 {
		classes = append(classes, d.NewClass(string(rune('a'+i))))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			l := witness.Self()
			for i := range 200 {
				reverse(classes[(g+i)%8], classes[(g*i+1)%8])
				level.Enter(l)
				reverse(classes[i%8].Nested(g), classes[g])
				level.Exit(l)
				level.WillWait(l)
				d.SetMode(witness.Mode(i % 2))
				_ = d.Stats()
			}
		})
	}
	wg.Wait()
	s := d.Stats()
	require.NotZero(t, s.Distinct)
	require.GreaterOrEqual(t, s.Violations, s.Distinct)
	require.Len(t, d.got, int(s.Distinct))
}

package psref_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/stacktest/sched"
	"github.com/softnet-go/softnet/witness"
)

// Every schedule of two or three actors with up to two preemptions. thing.freed is plain
// memory on purpose: a build with the race detector also sees an ordering that is missing.

// world is one schedule's stack, with one thing that readers find and an owner destroys.
type world struct {
	*sched.S
	*stack
	psz *pserialize.Serializer
	cur sched.Pointer[thing] // nil once it is out of sight
}

func explore(t *testing.T, f func(w *world)) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		w := &world{S: s, stack: newStack()}
		w.psz = pserialize.New(w.dom)
		w.cur.Store(w.thing())
		f(w)
	})
}

// use is what a holder does: time passes, and the thing must not be freed.
func (w *world) use(x *thing) {
	sched.Point("use")
	w.Assert(!x.freed, "used after it was freed")
	sched.Point("use more")
	w.Assert(!x.freed, "used after it was freed")
}

// read finds the thing as a reader should, uses it, and lets go.
func (w *world) read(l *lwp.LWP) {
	var r psref.Ref
	s := w.psz.ReadEnter(l)
	x := w.cur.Load()
	ok := x != nil && w.class.Acquire(l, &r, &x.target)
	s.Exit()
	if ok {
		w.use(x)
		r.Release(l)
	}
}

// try takes a reference with no section around it, as one who owes x to something else.
func (w *world) try(l *lwp.LWP, r *psref.Ref, x *thing) {
	if w.class.Acquire(l, r, &x.target) {
		w.use(x)
		r.Release(l)
	}
}

// free destroys what is out of sight.
func (w *world) free(l *lwp.LWP, x *thing) {
	require.NoError(w, x.target.Destroy(w.Context(), l))
	x.freed = true
}

// replace is the owner's recipe: out of sight, grace period, destroy.
func (w *world) replace(l *lwp.LWP) {
	x := w.cur.Swap(nil)
	require.NoError(w, w.psz.Perform(w.Context(), l))
	w.free(l, x)
}

// thread and softint start an actor with an LWP of its own, bound before the schedule
// begins.
func (w *world) thread(name string, f func(l *lwp.LWP)) {
	l := w.dom.Bind()
	w.Go(name, func() { f(l); l.Unbind() })
}

func (w *world) softint(name string, f func(l *lwp.LWP)) {
	l := w.dom.BindSoftint(name)
	w.Go(name, func() { f(l); l.Checkpoint(); l.Unbind() })
}

func TestExplore_ThreadAgainstOwner(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("reader", w.read)
		w.thread("owner", w.replace)
	})
}

func TestExplore_SoftintAgainstOwner(t *testing.T) {
	explore(t, func(w *world) {
		w.softint("softint", w.read)
		w.thread("owner", w.replace)
	})
}

func TestExplore_ThreadAndSoftintAgainstOwner(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("reader", w.read)
		w.softint("softint", w.read)
		w.thread("owner", w.replace)
	})
}

// Acquire alone against Destroy alone: it is refused or waited for.
func TestExplore_AcquireAgainstDestroy(t *testing.T) {
	explore(t, func(w *world) {
		x := w.cur.Load()
		w.thread("reader", func(l *lwp.LWP) { w.try(l, new(psref.Ref), x) })
		w.thread("owner", func(l *lwp.LWP) { w.free(l, x) })
	})
}

func TestExplore_TwoAcquiresAgainstDestroy(t *testing.T) {
	explore(t, func(w *world) {
		x := w.cur.Load()
		w.thread("reader 1", func(l *lwp.LWP) { w.try(l, new(psref.Ref), x) })
		w.thread("reader 2", func(l *lwp.LWP) { w.try(l, new(psref.Ref), x) })
		w.thread("owner", func(l *lwp.LWP) { w.free(l, x) })
	})
}

// Two who have held since before the owner came let go at once: the last one wakes it.
func TestExplore_TwoHoldersAgainstDestroy(t *testing.T) {
	explore(t, func(w *world) {
		x := w.cur.Load()
		for _, name := range []string{"holder 1", "holder 2"} {
			l, r := w.dom.Bind(), new(psref.Ref)
			w.class.Acquire(l, r, &x.target)
			w.Go(name, func() {
				w.use(x)
				r.Release(l)
				l.Unbind()
			})
		}
		w.thread("owner", func(l *lwp.LWP) { w.free(l, x) })
	})
}

// A softint that holds across checkpoints is counted once, and waited for.
func TestExplore_SoftintHoldsAcrossCheckpoints(t *testing.T) {
	explore(t, func(w *world) {
		x := w.cur.Load()
		w.softint("softint", func(l *lwp.LWP) {
			var r psref.Ref
			if w.class.Acquire(l, &r, &x.target) {
				l.Checkpoint()
				w.use(x)
				l.Checkpoint()
				w.use(x)
				r.Release(l)
			}
		})
		w.thread("owner", func(l *lwp.LWP) { w.free(l, x) })
	})
}

// A softint that has held since before anybody waited, and answers two at once.
func TestExplore_SoftintHoldsAndAnswersTwo(t *testing.T) {
	explore(t, func(w *world) {
		x, l := w.cur.Load(), w.dom.BindSoftint("softint")
		var r psref.Ref
		w.class.Acquire(l, &r, &x.target)
		w.Go("softint", func() {
			l.Checkpoint()
			w.use(x)
			r.Release(l)
			l.Unbind()
		})
		w.thread("owner", func(l *lwp.LWP) { w.free(l, x) })
		w.thread("writer", func(l *lwp.LWP) { require.NoError(w, w.psz.Perform(w.Context(), l)) })
	})
}

// Two references of a softint, released in the order they were taken: its stack spills.
func TestExplore_SoftintReleasesOutOfOrder(t *testing.T) {
	explore(t, func(w *world) {
		x, y := w.cur.Load(), w.thing()
		w.softint("softint", func(l *lwp.LWP) {
			var a, b psref.Ref
			okA := w.class.Acquire(l, &a, &x.target)
			okB := w.class.Acquire(l, &b, &y.target)
			l.Checkpoint()
			if okA {
				w.use(x)
				a.Release(l)
			}
			l.Checkpoint()
			if okB {
				w.use(y)
				b.Release(l)
			}
		})
		w.thread("owner", func(l *lwp.LWP) { w.free(l, x); w.free(l, y) })
	})
}

func TestExplore_CopyAgainstDestroy(t *testing.T) {
	explore(t, func(w *world) {
		x := w.cur.Load()
		w.thread("reader", func(l *lwp.LWP) {
			var a, b psref.Ref
			if w.class.Acquire(l, &a, &x.target) {
				a.Copy(l, &b)
				a.Release(l)
				w.use(x)
				b.Release(l)
			}
		})
		w.thread("owner", func(l *lwp.LWP) { w.free(l, x) })
	})
}

func TestExplore_SoftintCopyAgainstDestroy(t *testing.T) {
	explore(t, func(w *world) {
		x := w.cur.Load()
		w.softint("softint", func(l *lwp.LWP) {
			var a, b psref.Ref
			if w.class.Acquire(l, &a, &x.target) {
				l.Checkpoint()
				a.Copy(l, &b)
				a.Release(l)
				l.Checkpoint()
				w.use(x)
				b.Release(l)
			}
		})
		w.thread("owner", func(l *lwp.LWP) { w.free(l, x) })
	})
}

// The seventeenth reference lies in another chunk, which the destroyer must look at too.
func TestExplore_OverflowAgainstDestroy(t *testing.T) {
	explore(t, func(w *world) {
		x, l := w.cur.Load(), w.dom.Bind()
		var sixteen [16]psref.Ref
		y := w.thing()
		for i := range sixteen {
			w.class.Acquire(l, &sixteen[i], &y.target)
		}
		w.Go("reader", func() {
			w.try(l, new(psref.Ref), x)
			for i := range sixteen {
				sixteen[i].Release(l)
			}
			l.Unbind()
		})
		w.thread("owner", func(l *lwp.LWP) { w.free(l, x) })
	})
}

// Two wait in one class; each is woken by its own holder, in either order.
func TestExplore_TwoDestroyers(t *testing.T) {
	explore(t, func(w *world) {
		x, y, l := w.cur.Load(), w.thing(), w.dom.Bind()
		var a, b psref.Ref
		w.class.Acquire(l, &a, &x.target)
		w.class.Acquire(l, &b, &y.target)
		w.Go("holder", func() {
			w.use(x)
			a.Release(l)
			w.use(y)
			b.Release(l)
			l.Unbind()
		})
		w.thread("owner of x", func(l *lwp.LWP) { w.free(l, x) })
		w.thread("owner of y", func(l *lwp.LWP) { w.free(l, y) })
	})
}

// Of two who destroy one target at once one does, and the other is told.
func TestExplore_OneOfTwoMayDestroy(t *testing.T) {
	explore(t, func(w *world) {
		x := w.cur.Load()
		var told sched.Int32
		for _, name := range []string{"owner 1", "owner 2"} {
			w.thread(name, func(l *lwp.LWP) {
				defer func() {
					if v := recover(); v != nil {
						require.IsType(w, new(witness.Violation), v)
						told.Add(1)
					}
				}()
				w.free(l, x)
			})
		}
		w.After(func() { w.Assert(told.Load() == 1, "%d were told", told.Load()) })
	})
}

// A Destroy that ends with its context counts nobody twice when it is called again.
func TestExplore_DestroyResumes(t *testing.T) {
	explore(t, func(w *world) {
		x := w.cur.Load()
		w.thread("reader", func(l *lwp.LWP) { w.try(l, new(psref.Ref), x) })
		w.thread("owner", func(l *lwp.LWP) {
			ctx, cancel := w.WithTimeout(w.Context(), 1)
			defer cancel()
			if x.target.Destroy(ctx, l) != nil {
				w.free(l, x)
				return
			}
			x.freed = true
		})
	})
}

func TestExplore_SoftintDestroyResumes(t *testing.T) {
	explore(t, func(w *world) {
		x := w.cur.Load()
		w.softint("softint", func(l *lwp.LWP) {
			var r psref.Ref
			if w.class.Acquire(l, &r, &x.target) {
				l.Checkpoint()
				w.use(x)
				r.Release(l)
			}
		})
		w.thread("owner", func(l *lwp.LWP) {
			ctx, cancel := w.WithTimeout(w.Context(), 1)
			defer cancel()
			if x.target.Destroy(ctx, l) != nil {
				w.free(l, x)
				return
			}
			x.freed = true
		})
	})
}

// Slots are recycled while a destroyer scans them: nobody is missed, and whoever has got
// a slot that held x is not waited for.
func TestExplore_RecycledSlotAgainstDestroy(t *testing.T) {
	explore(t, func(w *world) {
		x, y := w.cur.Load(), w.thing()
		var mu sched.Mutex
		var freed sched.Cond
		w.Go("reader, then a stranger", func() {
			l := w.dom.Bind()
			w.try(l, new(psref.Ref), x)
			l.Unbind()
			l = w.dom.Bind() // the same slot
			var r psref.Ref
			w.Assert(w.class.Acquire(l, &r, &y.target), "y is live")
			mu.Lock()
			for !x.freed {
				freed.Wait(&mu) // for ever, if the owner waits for us
			}
			mu.Unlock()
			r.Release(l)
			l.Unbind()
		})
		w.thread("owner", func(l *lwp.LWP) {
			require.NoError(w, x.target.Destroy(w.Context(), l))
			mu.Lock()
			x.freed = true
			freed.Broadcast()
			mu.Unlock()
		})
	})
}

// An LWP that did not exist when the destroyer took the list.
func TestExplore_NewLWPAgainstDestroy(t *testing.T) {
	explore(t, func(w *world) {
		x := w.cur.Load()
		for _, name := range []string{"newcomer 1", "newcomer 2"} {
			w.Go(name, func() {
				l := w.dom.Bind()
				w.try(l, new(psref.Ref), x)
				l.Unbind()
			})
		}
		w.thread("owner", func(l *lwp.LWP) { w.free(l, x) })
	})
}

// A softint that comes, holds and goes again.
func TestExplore_NewSoftintAgainstOwner(t *testing.T) {
	explore(t, func(w *world) {
		w.Go("softint", func() {
			l := w.dom.BindSoftint("newcomer")
			w.read(l)
			l.Unbind()
		})
		w.thread("owner", w.replace)
	})
}

// A worker that is offline reads as a thread, and is then a softint again.
func TestExplore_OfflineReaderAgainstOwner(t *testing.T) {
	explore(t, func(w *world) {
		w.softint("worker", func(l *lwp.LWP) {
			l.Offline()
			w.read(l)
			l.Online()
			w.read(l)
		})
		w.thread("owner", w.replace)
	})
}

func TestExplore_OfflineAgainstOwner(t *testing.T) {
	explore(t, func(w *world) {
		w.softint("softint", func(l *lwp.LWP) {
			w.read(l)
			l.Offline()
			l.Online()
			w.read(l)
		})
		w.thread("owner", w.replace)
	})
}

// A target that lives again while one who was refused still takes its mark back.
func TestExplore_InitAgainAgainstALateLoser(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("reader", func(l *lwp.LWP) { w.read(l); w.read(l) })
		w.thread("owner", func(l *lwp.LWP) {
			x := w.cur.Load()
			w.replace(l)
			x.freed = false
			w.class.Init(&x.target)
			w.cur.Store(x)
			w.replace(l)
		})
	})
}

// A worker between bursts destroys: it is offline, so two of them do not wait for each
// other.
func TestExplore_TwoWorkersDestroy(t *testing.T) {
	explore(t, func(w *world) {
		x, y := w.cur.Load(), w.thing()
		w.softint("worker 1", func(l *lwp.LWP) { l.Offline(); w.free(l, x); l.Online() })
		w.softint("worker 2", func(l *lwp.LWP) { l.Offline(); w.free(l, y); l.Online() })
	})
}

// The sleepable walk as Cursor's page has it, against an owner who takes the element the
// reader sleeps on away, and inserts it elsewhere once it is free: what stays on the list
// is not passed over.
func TestExplore_SleepableWalkAgainstAMove(t *testing.T) {
	type node struct {
		entry  pserialize.Entry[node]
		target psref.Target
		seen   int
	}
	explore(t, func(w *world) {
		ls := pserialize.NewList(w.psz, func(n *node) *pserialize.Entry[node] { return &n.entry })
		a, b, c := new(node), new(node), new(node)
		for _, n := range []*node{c, b, a} {
			w.class.Init(&n.target)
			ls.InsertHead(n)
		}
		w.thread("reader", func(l *lwp.LWP) {
			var ref psref.Ref
			cur := ls.Cursor()
			s := w.psz.ReadEnter(l)
			for n := cur.Next(s); n != nil; {
				n.seen++
				held := n == a && w.class.Acquire(l, &ref, &n.target)
				if held {
					s.Exit()
					sched.Point("sleep")
					s = w.psz.ReadEnter(l)
				}
				n = cur.Next(s)
				if held {
					ref.Release(l)
				}
			}
			s.Exit()
			w.Assert(b.seen > 0 && c.seen > 0, "the walk passed over an element: b seen %d times, c %d", b.seen, c.seen)
		})
		w.thread("owner", func(l *lwp.LWP) {
			ls.Remove(a)
			require.NoError(w, w.psz.Perform(w.Context(), l))
			require.NoError(w, a.target.Destroy(w.Context(), l))
			a.entry.Init()
			w.class.Init(&a.target)
			ls.InsertAfter(c, a)
		})
	})
}

// The owner is told ErrWouldSleep in a softint and has changed nothing.
func TestExplore_SoftintDestroyFailsAndHoldersGoOn(t *testing.T) {
	explore(t, func(w *world) {
		x := w.cur.Load()
		w.softint("softint", func(l *lwp.LWP) {
			require.ErrorIs(w, x.target.Destroy(context.Background(), l), lwp.ErrWouldSleep)
		})
		w.thread("reader", func(l *lwp.LWP) {
			var r psref.Ref
			w.Assert(w.class.Acquire(l, &r, &x.target), "refused, but nobody destroys")
			r.Release(l)
		})
	})
}

// Many are destroyed at once while one is released, one copied, and one looked for: each is
// dead only when nobody has it.
func TestExplore_CondemnAgainstHolders(t *testing.T) {
	explore(t, func(w *world) {
		x, y := w.cur.Load(), w.thing()
		holder, owner := w.dom.Bind(), w.dom.Bind()
		var r psref.Ref
		require.True(w, w.class.Acquire(holder, &r, &x.target))
		w.Go("holder", func() {
			var second psref.Ref
			r.Copy(holder, &second)
			r.Release(holder)
			w.use(x)
			second.Release(holder)
			w.try(holder, &r, y)
			holder.Unbind()
		})
		w.Go("owner", func() {
			w.cur.Store(nil)
			require.NoError(w, w.class.Condemn(w.Context(), owner, []*psref.Target{&x.target, &y.target}))
			for _, z := range []*thing{x, y} {
				for !z.target.Reap(time.Now()) {
					sched.Yield()
				}
				z.freed = true
			}
			owner.Unbind()
		})
	})
}

// Who finds a thing in a section acquires it without a look at it, and the owner, who has
// waited for the section, finds the reference.
func TestExplore_AcquireInAgainstCondemn(t *testing.T) {
	for _, softint := range []bool{false, true} {
		explore(t, func(w *world) {
			reader, owner := w.dom.Bind(), w.dom.Bind()
			if softint {
				reader.Unbind()
				reader = w.dom.BindSoftint("reader")
			}
			w.Go("reader", func() {
				var r psref.Ref
				s := w.psz.ReadEnter(reader)
				x := w.cur.Load()
				if x != nil {
					w.class.AcquireIn(s, &r, &x.target)
				}
				s.Exit()
				reader.Checkpoint()
				if x != nil {
					w.use(x)
					r.Release(reader)
				}
				reader.Checkpoint()
				reader.Unbind()
			})
			w.Go("owner", func() {
				x := w.cur.Load()
				w.cur.Store(nil)
				require.NoError(w, w.psz.Perform(w.Context(), owner))
				require.NoError(w, w.class.Condemn(w.Context(), owner, []*psref.Target{&x.target}))
				for !x.target.Reap(time.Now()) {
					sched.Yield()
				}
				x.freed = true
				owner.Unbind()
			})
		})
	}
}

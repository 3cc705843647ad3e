package pserialize_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/stacktest/sched"
	"github.com/softnet-go/softnet/witness"
)

// Every schedule of two or three actors with up to two preemptions. The nodes' names are
// plain memory on purpose: a build with the race detector also sees a missing ordering.

// world is one schedule's domain, with one node that readers find and a writer replaces.
// A name below zero is poison.
type world struct {
	*sched.S
	dom *lwp.Domain
	psz *pserialize.Serializer
	cur sched.Pointer[node]
}

func explore(t *testing.T, f func(w *world)) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		w := &world{S: s, dom: lwp.NewDomain()}
		w.psz = pserialize.New(w.dom)
		w.cur.Store(&node{name: 1})
		f(w)
	})
}

func (w *world) look(x *node) {
	sched.Point("look")
	w.Assert(x.name > 0, "a reader in a section sees what is dead")
}

func (w *world) read(l *lwp.LWP) {
	s := w.psz.ReadEnter(l)
	w.look(w.cur.Load())
	s.Exit()
}

func (w *world) replace(l *lwp.LWP) {
	old := w.cur.Swap(&node{name: 2})
	require.NoError(w, w.psz.Perform(w.Context(), l))
	old.name = -1
}

func (w *world) thread(name string, f func(l *lwp.LWP)) {
	l := w.dom.Bind()
	w.Go(name, func() { f(l); l.Unbind() })
}

func (w *world) softint(name string, f func(l *lwp.LWP)) {
	l := w.dom.BindSoftint(name)
	w.Go(name, func() { f(l); l.Checkpoint(); l.Unbind() })
}

func TestExplore_SectionAgainstPerform(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("reader", w.read)
		w.thread("writer", w.replace)
	})
}

func TestExplore_SoftintSectionAgainstPerform(t *testing.T) {
	explore(t, func(w *world) {
		w.softint("softint", w.read)
		w.thread("writer", w.replace)
	})
}

func TestExplore_BothKindsAgainstPerform(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("reader", w.read)
		w.softint("softint", w.read)
		w.thread("writer", w.replace)
	})
}

func TestExplore_NestedSectionsAgainstPerform(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("reader", func(l *lwp.LWP) {
			s := w.psz.ReadEnter(l)
			x := w.cur.Load()
			w.read(l)
			w.look(x)
			s.Exit()
		})
		w.thread("writer", w.replace)
	})
}

func TestExplore_TwoWriters(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("reader", func(l *lwp.LWP) { w.read(l); w.read(l) })
		w.thread("writer 1", w.replace)
		w.thread("writer 2", w.replace)
	})
}

func TestExplore_TwoWritersAndASoftint(t *testing.T) {
	explore(t, func(w *world) {
		w.softint("softint", func(l *lwp.LWP) { w.read(l); l.Checkpoint(); w.read(l) })
		w.thread("writer 1", w.replace)
		w.thread("writer 2", w.replace)
	})
}

// A softint unbinds, and another gets its LWP.
func TestExplore_RecycledSoftintAgainstPerform(t *testing.T) {
	explore(t, func(w *world) {
		l := w.dom.BindSoftint("before")
		w.Go("before", l.Unbind)
		w.Go("after", func() {
			l := w.dom.BindSoftint("after")
			w.read(l)
			l.Unbind()
		})
		w.thread("writer", w.replace)
	})
}

func TestExplore_OfflineAgainstPerform(t *testing.T) {
	explore(t, func(w *world) {
		w.softint("softint", func(l *lwp.LWP) {
			w.read(l)
			l.Offline()
			l.Online()
			w.read(l)
		})
		w.thread("writer", func(l *lwp.LWP) { w.replace(l); w.replace(l) })
	})
}

// A softint is heard at its checkpoints, also if it came online while it was asked: it need
// not go offline for the writer to go on.
func TestExplore_CheckpointsAnswerPerform(t *testing.T) {
	explore(t, func(w *world) {
		var done sched.Bool
		w.Go("softint", func() {
			l := w.dom.BindSoftint("softint")
			for !done.Load() {
				l.Checkpoint()
				sched.Yield()
			}
			l.Unbind()
		})
		w.thread("writer", func(l *lwp.LWP) { w.replace(l); done.Store(true) })
	})
}

// Readers that bind while the writer looks at the list of LWPs.
func TestExplore_NewReadersAgainstPerform(t *testing.T) {
	explore(t, func(w *world) {
		w.Go("newcomer", func() {
			l := w.dom.Bind()
			w.read(l)
			l.Unbind()
		})
		w.Go("new softint", func() {
			l := w.dom.BindSoftint("newcomer")
			w.read(l)
			l.Unbind()
		})
		w.thread("writer", w.replace)
	})
}

// A Perform that ends with its context concludes nothing, and leaves no trace that would
// keep another from concluding.
func TestExplore_PerformEndsWithItsContext(t *testing.T) {
	explore(t, func(w *world) {
		w.thread("reader", func(l *lwp.LWP) { w.read(l); w.read(l) })
		w.thread("writer", func(l *lwp.LWP) {
			old := w.cur.Swap(&node{name: 2})
			ctx, cancel := w.WithTimeout(w.Context(), 1)
			defer cancel()
			for w.psz.Perform(ctx, l) != nil {
				ctx = w.Context()
			}
			old.name = -1
		})
	})
}

// "Until a Perform that began after the removal has returned": one's own is enough, whatever
// others do meanwhile.
func TestExplore_InitAfterAPerform(t *testing.T) {
	explore(t, func(w *world) {
		for _, name := range []string{"writer 1", "writer 2"} {
			ls, a := newList(w.psz), new(node)
			ls.InsertHead(a)
			w.thread(name, func(l *lwp.LWP) {
				ls.Remove(a)
				require.NoError(w, w.psz.Perform(w.Context(), l))
				a.entry.Init()
			})
		}
	})
}

// Somebody else's may be enough, and Init knows when it is not.
func TestExplore_InitAfterSomebodyElsesPerform(t *testing.T) {
	explore(t, func(w *world) {
		ls, a, _, _ := w.list()
		w.thread("reader", func(l *lwp.LWP) {
			s := w.psz.ReadEnter(l)
			w.look(ls.First(s))
			s.Exit()
		})
		w.thread("writer", func(*lwp.LWP) {
			ls.Remove(a)
			defer func() {
				if v := recover(); v != nil {
					require.IsType(w, new(witness.Violation), v)
				}
			}()
			a.entry.Init()
			a.name = -1
		})
		w.thread("somebody else", func(l *lwp.LWP) { require.NoError(w, w.psz.Perform(w.Context(), l)) })
	})
}

func TestExplore_RemoveAgainstAWalk(t *testing.T) {
	explore(t, func(w *world) {
		ls, a, b, c := w.list()
		w.thread("reader", func(l *lwp.LWP) { w.walk(ls, l, a, c) })
		w.thread("writer", func(l *lwp.LWP) {
			ls.Remove(b)
			require.NoError(w, w.psz.Perform(w.Context(), l))
			b.name = -1
		})
	})
}

// pslist's rule: with a grace period in between, moving an element neither hides another
// from a reader nor shows it twice.
func TestExplore_MoveAgainstAWalk(t *testing.T) {
	explore(t, func(w *world) {
		ls, a, b, c := w.list()
		w.thread("reader", func(l *lwp.LWP) { w.walk(ls, l, b, c) })
		w.thread("writer", func(l *lwp.LWP) {
			ls.Remove(a)
			require.NoError(w, w.psz.Perform(w.Context(), l))
			a.entry.Init()
			ls.InsertAfter(c, a)
		})
	})
}

func TestExplore_InsertAgainstAWalk(t *testing.T) {
	explore(t, func(w *world) {
		ls, a, b, c := w.list()
		w.softint("softint", func(l *lwp.LWP) { w.walk(ls, l, a, b, c) })
		w.thread("writer", func(*lwp.LWP) {
			ls.InsertBefore(a, &node{name: 4})
			ls.InsertAfter(c, &node{name: 5})
		})
	})
}

// Only a removal sends a Cursor back.
func TestExplore_InsertAgainstACursor(t *testing.T) {
	explore(t, func(w *world) {
		ls, a, _, c := w.list()
		w.thread("reader", func(l *lwp.LWP) {
			cur := ls.Cursor()
			s := w.psz.ReadEnter(l)
			for x := cur.Next(s); x != nil; x = cur.Next(s) {
				w.look(x)
			}
			w.Assert(cur.Restarts() == 0, "nothing was removed")
			s.Exit()
		})
		w.thread("writer", func(*lwp.LWP) {
			ls.InsertBefore(a, &node{name: 4})
			ls.InsertAfter(c, &node{name: 5})
		})
	})
}

// The chained-removal hazard: a sleeps under a Cursor, a and then b are removed, and what
// nobody holds is poisoned a grace period later.
func TestExplore_ChainedRemovalsAgainstACursor(t *testing.T) {
	explore(t, func(w *world) {
		ls, a, b, c := w.list()
		w.thread("reader", func(l *lwp.LWP) {
			cur := ls.Cursor()
			s := w.psz.ReadEnter(l)
			x := cur.Next(s)
			if x == a { // a is held, as by psref; nothing else is
				s.Exit()
				sched.Point("sleep")
				s = w.psz.ReadEnter(l)
			}
			last := x
			for ; x != nil; x = cur.Next(s) {
				w.look(x)
				last = x
			}
			w.Assert(last == c, "the walk ended before the end")
			s.Exit()
		})
		w.thread("writer", func(l *lwp.LWP) {
			ls.Remove(a)
			ls.Remove(b)
			require.NoError(w, w.psz.Perform(w.Context(), l))
			b.name = -1
		})
	})
}

// list returns a list of three.
func (w *world) list() (ls *pserialize.List[node], a, b, c *node) {
	ls = newList(w.psz)
	a, b, c = &node{name: 1}, &node{name: 2}, &node{name: 3}
	ls.InsertHead(c)
	ls.InsertHead(b)
	ls.InsertHead(a)
	return ls, a, b, c
}

// walk checks that a reader sees each of want exactly once, in order, and nothing dead.
func (w *world) walk(ls *pserialize.List[node], l *lwp.LWP, want ...*node) {
	s := w.psz.ReadEnter(l)
	defer s.Exit()
	i := 0
	for x := range ls.All(s) {
		w.look(x)
		if i < len(want) && x == want[i] {
			i++
			continue
		}
		for _, y := range want {
			w.Assert(x != y, "the walk shows an element twice or out of order")
		}
	}
	if i != len(want) {
		panic(errors.New("the walk hides an element"))
	}
}

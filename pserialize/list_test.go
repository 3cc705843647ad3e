package pserialize_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
)

type node struct {
	entry pserialize.Entry[node]
	name  int
}

func newList(psz *pserialize.Serializer) *pserialize.List[node] {
	return pserialize.NewList(psz, func(n *node) *pserialize.Entry[node] { return &n.entry })
}

// walk returns the names a reader sees, and checks that the writer sees the same.
func walk(t require.TestingT, ls *pserialize.List[node], psz *pserialize.Serializer, l *lwp.LWP) (names []int) {
	s := psz.ReadEnter(l)
	defer s.Exit()
	for n := range ls.All(s) {
		names = append(names, n.name)
	}
	var writer []int
	for n := range ls.Elements() {
		writer = append(writer, n.name)
	}
	require.Equal(t, writer, names)
	require.Equal(t, len(names) == 0, ls.Empty())
	return names
}

// t_pslist.c, misc: 0 to 7 built with inserts at the head, before and after; 0 and 4
// removed, their forward links kept; initialised and inserted again.
func TestList_RemoveInitInsert(t *testing.T) {
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	l := dom.Bind()
	defer l.Unbind()
	ls := newList(psz)
	var n [8]node
	for i := range n {
		n[i].name = i
	}
	ls.InsertHead(&n[4])
	ls.InsertBefore(&n[4], &n[2])
	ls.InsertAfter(&n[4], &n[6])
	ls.InsertHead(&n[0])
	ls.InsertAfter(&n[0], &n[1])
	ls.InsertBefore(&n[4], &n[3])
	ls.InsertAfter(&n[6], &n[7])
	ls.InsertBefore(&n[6], &n[5])
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7}, walk(t, ls, psz, l))

	s := psz.ReadEnter(l)
	ls.Remove(&n[0])
	ls.Remove(&n[4])
	require.Equal(t, &n[1], ls.Next(s, &n[0]), "a reader who stands on a removed element walks on")
	require.Equal(t, &n[5], ls.Next(s, &n[4]))
	s.Exit()
	require.Equal(t, []int{1, 2, 3, 5, 6, 7}, walk(t, ls, psz, l))

	require.NoError(t, psz.Perform(context.Background(), l))
	n[0].entry.Init()
	n[4].entry.Init()
	n[4].entry.Init() // a fresh entry may be initialised
	ls.InsertHead(&n[0])
	ls.InsertAfter(&n[3], &n[4])
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7}, walk(t, ls, psz, l))
	for i := range n {
		require.True(t, n[i].entry.Linked())
		ls.Remove(&n[i])
		require.False(t, n[i].entry.Linked())
	}
	require.Empty(t, walk(t, ls, psz, l))
}

// specs: re-insertion needs a fresh entry and a grace period that has ended.
func TestList_Misuse(t *testing.T) {
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	l := dom.Bind()
	defer l.Unbind()
	ls, other := newList(psz), newList(psz)
	var a, b node
	ls.InsertHead(&a)
	says := func(rule string, f func()) {
		t.Helper()
		require.Equal(t, "pserialize: list: "+rule, caught(t, f).Rule)
	}
	says("inserted twice", func() { ls.InsertHead(&a) })
	says("inserted twice", func() { other.InsertHead(&a) })
	says("initialised while linked", a.entry.Init)
	says("not linked", func() { ls.Remove(&b) })
	says("not linked", func() { other.Remove(&a) })
	says("not linked", func() { ls.InsertAfter(&b, &a) })
	says("not linked", func() { ls.InsertBefore(&b, &a) })
	says("outside a section", func() { ls.First(pserialize.Section{}) })
	s := psz.ReadEnter(l)
	s.Exit()
	says("outside a section", func() { ls.Next(s, &a) })
	ls.Remove(&a)
	says("not fresh", func() { ls.InsertHead(&a) })
	says("not linked", func() { ls.Remove(&a) })
	says("no grace period", a.entry.Init)

	stranger := lwp.NewDomain().Bind()
	in := pserialize.New(stranger.Domain()).ReadEnter(stranger)
	says("outside a section", func() { ls.First(in) })
	in.Exit()
	stranger.Unbind()
}

// A Perform that began before the removal proves nothing, even if it ends after it.
func TestList_InitWantsAGracePeriodThatBeganAfterTheRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dom := lwp.NewDomain()
		psz := pserialize.New(dom)
		l := dom.Bind()
		defer l.Unbind()
		ls := newList(psz)
		var a node
		ls.InsertHead(&a)
		s := psz.ReadEnter(l)
		early := perform(t, dom, psz)
		synctest.Wait()
		ls.Remove(&a)
		s.Exit()
		<-early
		require.Equal(t, "pserialize: list: no grace period", caught(t, a.entry.Init).Rule)
		<-perform(t, dom, psz)
		a.entry.Init()
	})
}

func TestList_CheckedBuildsNoticeAReaderWhoIsTooLate(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("only checked builds look back: run with -tags invariants or -race")
	}
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	l, w := dom.BindSoftint("reader"), dom.Bind()
	ls := newList(psz)
	var a node
	ls.InsertHead(&a)
	s := psz.ReadEnter(l)
	x := ls.First(s)
	s.Exit()
	l.Offline() // the reader keeps the pointer and forgets the element
	ls.Remove(&a)
	require.NoError(t, psz.Perform(context.Background(), w))
	a.entry.Init()
	l.Online()
	s = psz.ReadEnter(l)
	require.Equal(t, "pserialize: list: reader too late", caught(t, func() { ls.Next(s, x) }).Rule)
	s.Exit()
}

// specs 3.3, the chained-removal hazard: a reader sleeps on a; a is removed, then b, which
// a's link still names, is removed and gone. The kernel's walk steps onto b.
func TestCursor_StartsAgainWhenWhatItStandsOnWasRemoved(t *testing.T) {
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	l, w := dom.Bind(), dom.Bind()
	defer l.Unbind()
	defer w.Unbind()
	ls := newList(psz)
	a, b, c := &node{name: 1}, &node{name: 2}, &node{name: 3}
	ls.InsertHead(c)
	ls.InsertHead(b)
	ls.InsertHead(a)

	cur := ls.Cursor()
	s := psz.ReadEnter(l)
	require.Equal(t, a, cur.Next(s))
	s.Exit() // asleep, with a reference to a
	ls.Remove(a)
	ls.Remove(b)
	require.NoError(t, psz.Perform(context.Background(), w))
	b.entry.Init() // nobody looks at b any more, and nobody holds it
	b.name = -1

	s = psz.ReadEnter(l)
	require.Equal(t, c, cur.Next(s), "not b, which a's link leads to")
	require.Equal(t, 1, cur.Restarts())
	require.Nil(t, cur.Next(s))
	s.Exit()
}

// List against a slice, with a reader who stays inside a section across every change and
// one who sleeps between elements.
func TestList_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dom := lwp.NewDomain()
		psz := pserialize.New(dom)
		l, w := dom.Bind(), dom.Bind()
		defer l.Unbind()
		defer w.Unbind()
		ls := newList(psz)
		var order []*node // what is linked
		var gone []*node  // removed, a grace period not asked for yet
		var free []*node  // removed, a grace period ago
		names := 0
		fresh := func() *node {
			if len(free) > 0 {
				n := free[0]
				free = free[1:]
				n.entry.Init()
				return n
			}
			names++
			return &node{name: names}
		}
		at := func(t *rapid.T) int {
			if len(order) == 0 {
				t.Skip("empty")
			}
			return rapid.IntRange(0, len(order)-1).Draw(t, "at")
		}
		cur := ls.Cursor()
		t.Repeat(map[string]func(*rapid.T){
			"head": func(*rapid.T) {
				n := fresh()
				ls.InsertHead(n)
				order = slices.Insert(order, 0, n)
			},
			"after": func(t *rapid.T) {
				i, n := at(t), fresh()
				ls.InsertAfter(order[i], n)
				order = slices.Insert(order, i+1, n)
			},
			"before": func(t *rapid.T) {
				i, n := at(t), fresh()
				ls.InsertBefore(order[i], n)
				order = slices.Insert(order, i, n)
			},
			"remove": func(t *rapid.T) {
				i := at(t)
				ls.Remove(order[i])
				gone = append(gone, order[i])
				order = slices.Delete(order, i, i+1)
			},
			"perform": func(t *rapid.T) {
				require.NoError(t, psz.Perform(context.Background(), w))
				free, gone = append(free, gone...), nil
				cur = ls.Cursor() // it holds nothing that would keep its element
			},
			"step": func(t *rapid.T) {
				s := psz.ReadEnter(l)
				defer s.Exit()
				if n := cur.Next(s); n != nil {
					require.Contains(t, order, n, "the cursor stands on linked elements only")
				}
			},
			"": func(t *rapid.T) {
				var want []int
				for _, n := range order {
					want = append(want, n.name)
				}
				require.Equal(t, want, walk(t, ls, psz, l))
			},
		})
	})
}

package pserialize

import (
	"fmt"
	"iter"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/witness"
)

// A List is a linked list that readers walk in read sections while a writer inserts and
// removes (pslist(9)). Writers keep each other out by a lock of their own. Each element
// has an [Entry] embedded for each list it can be on.
//
// A removed element keeps its forward link, so that a reader who stands on it walks on:
// that is why it may be inserted again only after a grace period and [Entry.Init].
//
// Make one with [NewList]; a List must not be copied.
type List[T any] struct {
	psz   *Serializer        // immutable
	entry func(*T) *Entry[T] // immutable
	head  hook.Pointer[T]
}

// An Entry is an element's place on one List. The zero Entry is fresh: on no list.
//
//	fresh ──Insert──▶ linked ──Remove──▶ removed
//	  ▲                                     │
//	  └──────Init, a grace period later─────┘
type Entry[T any] struct {
	next  hook.Pointer[T] // kept by Remove
	state hook.Uint32
	// The writer's own:
	prev    *T       // nil at the head
	list    *List[T] // while linked or removed
	removed uint64   // how many grace periods had begun when it was removed
}

const (
	fresh = iota
	linked
	removed
)

// NewList returns an empty list. The function returns the Entry of an element that
// belongs to this list, such as func(a *addr) *pserialize.Entry[addr] { return &a.entry }.
func NewList[T any](psz *Serializer, entry func(*T) *Entry[T]) *List[T] {
	return &List[T]{psz: psz, entry: entry}
}

// InsertHead makes x the first element (PSLIST_WRITER_INSERT_HEAD). Like the other
// inserts it publishes x: readers see what the caller stored in it before. It panics if
// x's Entry is not fresh.
func (ls *List[T]) InsertHead(x *T) { ls.insert(nil, x, ls.head.Load()) }

// InsertAfter inserts x behind at, which is on the list.
func (ls *List[T]) InsertAfter(at, x *T) {
	ls.insert(at, x, ls.mustBeLinked(at, "inserted after").next.Load())
}

// InsertBefore inserts x in front of at, which is on the list.
func (ls *List[T]) InsertBefore(at, x *T) {
	ls.insert(ls.mustBeLinked(at, "inserted before").prev, x, at)
}

func (ls *List[T]) insert(prev, x, next *T) {
	e := ls.entry(x)
	switch e.state.Load() {
	case linked:
		ls.misuse("list: inserted twice", "an element is inserted that is on the list already")
	case removed:
		ls.misuse("list: not fresh", "an element is inserted again that was removed and not initialised since: a reader who stands on it would be carried to its new place")
	}
	e.list, e.prev = ls, prev
	e.next.Store(next)
	e.state.Store(linked)
	if next != nil {
		ls.entry(next).prev = x
	}
	ls.after(prev).Store(x)
}

// Remove takes x off the list (PSLIST_WRITER_REMOVE). Readers may stand on it until a
// grace period has ended: then it may be destroyed, or initialised and inserted again.
func (ls *List[T]) Remove(x *T) {
	e := ls.mustBeLinked(x, "removed")
	next := e.next.Load()
	if next != nil {
		ls.entry(next).prev = e.prev
	}
	ls.after(e.prev).Store(next)
	e.state.Store(removed) // now nobody comes to x any more: see Cursor.Next
	e.removed = ls.psz.begun.Load()
}

// after returns the link that leads on from prev, or from the head.
func (ls *List[T]) after(prev *T) *hook.Pointer[T] {
	if prev == nil {
		return &ls.head
	}
	return &ls.entry(prev).next
}

// Init makes e fresh again after its element was removed (PSLIST_ENTRY_INIT). It panics
// while e is on a list, and until a Perform of the list's Serializer that began after
// the removal has returned.
func (e *Entry[T]) Init() {
	switch e.state.Load() {
	case fresh:
		return
	case linked:
		e.list.misuse("list: initialised while linked", "an element is initialised that is still on the list")
	}
	if e.list.psz.ended.Load() <= e.removed {
		e.list.misuse("list: no grace period", "a removed element is initialised before a grace period has ended: a reader may still stand on it")
	}
	e.list, e.prev = nil, nil
	e.next.Store(nil)
	e.state.Store(fresh)
}

// Linked reports whether e's element is on a list.
func (e *Entry[T]) Linked() bool { return e.state.Load() == linked }

// All yields the elements, for a reader inside section s. An element inserted or removed
// meanwhile may be seen or not; every other is seen once.
func (ls *List[T]) All(s Section) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for x := ls.First(s); x != nil; x = ls.Next(s, x) {
			if !yield(x) {
				return
			}
		}
	}
}

// First returns the first element or nil, for a reader inside section s.
func (ls *List[T]) First(s Section) *T {
	ls.mustBeIn(s)
	return ls.head.Load()
}

// Next returns the element behind x or nil, for a reader who came to x in this same
// section. A reader who has left the section that led to x uses a [Cursor].
func (ls *List[T]) Next(s Section, x *T) *T {
	ls.mustBeIn(s)
	e := ls.entry(x)
	next := e.next.Load()
	if invariants.Enabled && e.state.Load() == fresh {
		ls.misuse("list: reader too late", "a reader stands on an element that was initialised under it: no grace period passed")
	}
	return next
}

// Elements yields the elements, for the writer. It must not insert or remove meanwhile.
func (ls *List[T]) Elements() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for x := ls.head.Load(); x != nil; x = ls.entry(x).next.Load() {
			if !yield(x) {
				return
			}
		}
	}
}

// Empty reports whether the list has no element.
func (ls *List[T]) Empty() bool { return ls.head.Load() == nil }

// A Cursor walks a list for a reader who sleeps between elements: it leaves the section,
// keeps the element it stands on alive by a reference, and enters again to go on.
//
//	cur := list.Cursor()
//	s := psz.ReadEnter(l)
//	for a := cur.Next(s); a != nil; {
//		held := class.Acquire(l, &ref, &a.target) // or it is being destroyed: pass it by
//		if held {
//			s.Exit()
//			work(a) // may sleep
//			s = psz.ReadEnter(l)
//		}
//		a = cur.Next(s)
//		if held {
//			ref.Release(l) // only now: see below
//		}
//	}
//	s.Exit()
//
// The kernel's walk trusts the forward link of an element that was removed while the
// reader slept. That link may lead to another that was removed later and is gone: a
// Cursor starts again at the head instead, so elements may come twice. See Restarts.
//
// The kernel's walk also releases the element before it takes the step. Its grace period
// may have passed while the reader slept, so that nothing but the reference keeps it from
// being inserted at another place, where the walk would go on: step first.
type Cursor[T any] struct {
	list     *List[T]
	at       *T
	restarts int
}

// Cursor returns a cursor in front of the first element.
func (ls *List[T]) Cursor() Cursor[T] { return Cursor[T]{list: ls} }

// Next moves to the next element, or back to the first if the one it stood on has been
// removed, and returns it; nil is the end. The element it stood on must not have been
// destroyed since.
func (c *Cursor[T]) Next(s Section) *T {
	if c.at == nil {
		c.at = c.list.First(s)
		return c.at
	}
	// If at is not marked now, its removal has not ended, so that whatever its link
	// leads to is removed later than now: this section keeps it alive. If it is marked,
	// it is off the list, and starting again does not lead to it.
	if c.list.entry(c.at).state.Load() != linked {
		c.restarts++
		c.at = c.list.First(s)
		return c.at
	}
	c.at = c.list.Next(s, c.at)
	return c.at
}

// Restarts returns how often the walk had to start again at the head.
func (c *Cursor[T]) Restarts() int { return c.restarts }

func (ls *List[T]) mustBeLinked(x *T, doing string) *Entry[T] {
	e := ls.entry(x)
	if e.state.Load() != linked || e.list != ls {
		ls.misuse("list: not linked", "an element is "+doing+" that is not on the list")
	}
	return e
}

func (ls *List[T]) mustBeIn(s Section) {
	if !s.In() || s.l.Domain() != ls.psz.dom {
		ls.misuse("list: outside a section", "a reader walks the list outside a read section of its domain")
	}
}

//go:noinline
func (ls *List[T]) misuse(rule, text string) {
	panic(&witness.Violation{Rule: "pserialize: " + rule, Text: fmt.Sprintf("pserialize: list of %T: %s", *new(T), text)})
}

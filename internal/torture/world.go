package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/softnet-go/softnet/internal/cpu"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
)

// A world is one domain and the objects that go round in it.
type world struct {
	setting
	dom   *lwp.Domain
	psz   *pserialize.Serializer
	class *psref.Class

	all   []*object                // immutable: the stock at the beginning
	stock chan *object             // unused, the one that has waited longest first
	limbo chan *object             // have left, but their departure was given up on
	shelf []atomic.Pointer[object] // published, where readers find them

	edit sync.Mutex               // held by who changes the list
	list *pserialize.List[object] // published, in a setting with a list
	on   []*object                // what is on the list, the fixed ones first; guarded by edit

	net *network // of packets, in a setting with interfaces

	hands  chan *baton // LWPs on their way to another goroutine
	gate   gate
	books  *lwp.Local[book] // of the actors
	events tally            // of who conducts
}

// A setting is what a world is made of.
type setting struct {
	places int  // how many objects are published
	spare  int  // how many more there are
	fixed  int  // how many of them never leave; they are on the list
	listed bool // they are on a list and not on the shelf
	bare   bool // they are no targets: read sections alone protect them
	racy   bool // BUSTED: readers keep off plain memory, so the verdict is ours

	interfaces int  // how many there are at once, for packets to name; none makes no network
	keep       bool // BUSTED: handlers keep interfaces
	stash      bool // BUSTED: handlers keep packets where no departure looks
}

func newWorld(s setting) *world {
	n := s.places + s.spare
	dom := lwp.NewDomain()
	w := &world{
		setting: s,
		dom:     dom,
		psz:     pserialize.New(dom),
		class:   psref.NewClass(dom, "object"),
		stock:   make(chan *object, n),
		limbo:   make(chan *object, n),
		hands:   make(chan *baton),
		books:   lwp.NewLocal[book](dom),
	}
	w.list = pserialize.NewList(w.psz, func(o *object) *pserialize.Entry[object] { return &o.entry })
	for i := range n {
		o := &object{id: i + 1}
		w.all = append(w.all, o)
		w.stock <- o
	}
	if !s.listed {
		w.shelf = make([]atomic.Pointer[object], s.places)
		for i := range w.shelf {
			w.shelf[i].Store(w.mint())
		}
		if s.interfaces > 0 {
			w.net = newNetwork(dom, s)
		}
		return w
	}
	for i := range s.places {
		o := w.mint()
		if i < s.fixed {
			o.fixed = s.fixed - i // heads go in front: the numbers rise along the list
		}
		w.list.InsertHead(o)
		w.on = append(w.on, o)
	}
	return w
}

// mint makes the next generation of an object from the stock, nil if there is none.
// The caller has it to itself.
func (w *world) mint() *object {
	var o *object
	select {
	case o = <-w.stock:
	default:
		return nil
	}
	g := o.generation() + 1
	o.left = make(chan struct{})
	o.label = label{g, ^g}
	if !w.bare {
		w.class.Init(&o.target)
	}
	o.stamp.Store(g << events)
	return o
}

// free puts o, which nobody may look at any more, into the stock.
func (w *world) free(o *object) {
	o.label = label{}
	select {
	case w.stock <- o:
	default:
		convict("%v is freed although every object is free already", o)
	}
}

// published returns every object in its place.
func (w *world) published() (os []*object) {
	if w.listed {
		return slices.Collect(w.list.Elements())
	}
	for i := range w.shelf {
		if o := w.shelf[i].Load(); o != nil {
			os = append(os, o)
		}
	}
	return os
}

// audit checks, when nobody runs, that every object is in one place and that no LWP
// holds anything.
func (w *world) audit() {
	where := map[*object]string{}
	put := func(o *object, place string) {
		if p := where[o]; p != "" {
			convict("%v is %s and %s at once", o, p, place)
		}
		where[o] = place
	}
	for range len(w.stock) {
		o := <-w.stock
		w.stock <- o
		put(o, "free")
	}
	for _, o := range w.published() {
		put(o, "published")
		if g := o.ageInSection(o.generation()); g != current {
			convict("%v is in its place but %v", o, g)
		}
	}
	if len(where) != len(w.all) {
		convict("of %d objects only %d are left", len(w.all), len(where))
	}
	for _, o := range w.all {
		if n := o.holders.Load(); n != 0 {
			convict("%v has %d holders when nobody runs", o, n)
		}
	}
	if live, out := int(w.class.Stats().Live), len(w.all)-len(w.stock); !w.bare && live != out {
		convict("%d objects are published, and their class says that %d are live", out, live)
	}
	for i, c := range w.dom.Machine().All() {
		if err := idle(c); err != nil {
			convict("LWP %d is unbound and %v", i+1, err)
		}
	}
}

// idle checks that an unbound CPU publishes nothing.
func idle(c *cpu.CPU) error {
	if c.Section.Load() != 0 {
		return errors.New("in a read section")
	}
	if c.Quiet.Load() != 0 {
		return errors.New("online")
	}
	for ch := &c.Refs; ch != nil; ch = ch.Next() {
		for i := range ch.Slots {
			if id := ch.Slots[i].Load(); id != 0 {
				return fmt.Errorf("refers to target %d", id&^cpu.SlotWaited)
			}
		}
	}
	return nil
}

// close destroys what is published and closes the class, which panics unless every
// target has been destroyed.
func (w *world) close() {
	l := w.dom.Bind()
	defer l.Unbind()
	for _, o := range w.published() {
		if w.bare {
			continue // no target
		}
		if err := o.target.Destroy(context.Background(), l); err != nil {
			convict("the last Destroy of %v: %v", o, err)
		}
	}
	w.class.Close()
	if w.net != nil {
		w.net.close(l)
	}
}

// sum returns what all have counted, when nobody runs.
func (w *world) sum() (t tally) {
	for b := range w.books.All() {
		t.add(&b.tally)
	}
	t.add(&w.events)
	t.n[overlaps] = t.sections[leaving]
	ps, pr := w.psz.Stats(), w.class.Stats()
	t.n[graces], t.n[graceWaits] = ps.Performs, ps.Waited
	t.n[drains], t.n[wakeups] = pr.Destroyed, pr.Waited
	if n := w.net; n != nil {
		t.n[packets], t.n[purged], t.n[away] = n.handled.Load(), n.purged.Load(), n.away.Load()
	}
	if n := uint64(w.dom.Len()); t.n[binds] > n {
		t.n[recycled] = t.n[binds] - n
	}
	return t
}

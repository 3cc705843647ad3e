package main

import (
	"runtime"
	"slices"
	"time"

	"github.com/softnet-go/softnet/pserialize"
)

// What those do in a turn who walk the list, and who change it.

// walk goes along the list in one section. Whoever is on it all the time must be met
// once, in order.
func walk(a *actor) {
	s := a.psz.ReadEnter(a.l)
	met, steps := 0, 0
	for o := range a.list.All(s) {
		a.t.n[ops]++
		g := o.generation()
		a.meets(o, &met)
		a.dwell()
		a.seesInSection(o, g)
		if steps++; steps > 100*len(a.all) {
			convict("%v has made %d steps along a list of %d and is not at its end", a.l, steps, a.places)
		}
	}
	s.Exit()
	a.metAll(met)
	runtime.Gosched()
}

// enough restarts end a stroll that gets nowhere.
const enough = 100

// stroll goes along the list and sleeps between its elements, holding the one it stands
// on. It lets go of that when it has moved on: one that nobody holds may be initialised
// and come back elsewhere, and take the cursor along.
func stroll(a *actor) {
	a.stroll(func(cur *pserialize.Cursor[object], s pserialize.Section, h *holding) *object {
		o := cur.Next(s)
		a.letGo(h)
		return o
	})
}

// stroll goes along the list with next. Since the cursor last began at the head, whoever
// is on the list all the time must be met once, in order.
func (a *actor) stroll(next func(*pserialize.Cursor[object], pserialize.Section, *holding) *object) {
	var h holding
	met, began := 0, 0
	cur := a.list.Cursor()
	s := a.psz.ReadEnter(a.l)
	for {
		o := next(&cur, s, &h)
		if n := cur.Restarts(); n != began {
			a.t.n[restarts]++
			met, began = 0, n
		}
		if o == nil || began == enough {
			break
		}
		a.meets(o, &met)
		g := o.generation()
		ok := a.class.Acquire(a.l, &h.ref, &o.target)
		a.seesInSection(o, g)
		if !ok {
			a.t.n[refused]++
			continue
		}
		a.took(&h, o, g)
		s.Exit()
		a.dwell()
		if a.oneIn(16) {
			a.park(a.upTo(time.Millisecond), o.left)
			a.t.n[parks]++
		}
		s = a.psz.ReadEnter(a.l)
	}
	s.Exit()
	if began < enough {
		a.metAll(met)
	}
}

// meets checks that o, if it is always on the list, is the next of those.
func (a *actor) meets(o *object, met *int) {
	if o.fixed == 0 {
		return
	}
	if o.fixed != *met+1 {
		convict("%v comes from element %d of the list to element %d", a.l, *met, o.fixed)
	}
	*met++
}

func (a *actor) metAll(met int) {
	if met != a.fixed {
		convict("%v comes to the end of the list behind element %d of %d", a.l, met, a.fixed)
	}
}

// edit moves elements of the list, with a farewell between leaving and coming back.
func edit(goodbye farewell) func(*actor) {
	return func(a *actor) {
		if o := a.remove(); o != nil {
			a.left(o)
			goodbye(a, o)
			o.entry.Init()
			a.free(o)
		}
		if o := a.mint(); o != nil {
			a.insert(o)
		}
		if a.oneIn(8) {
			runtime.Gosched()
		}
	}
}

// remove takes some element that may leave off the list.
func (a *actor) remove() *object {
	w := a.world
	w.edit.Lock()
	defer w.edit.Unlock()
	i := w.fixed + a.rng.IntN(len(w.on)-w.fixed+1)
	if i == len(w.on) {
		return nil
	}
	o := w.on[i]
	w.on = slices.Delete(w.on, i, i+1)
	w.list.Remove(o)
	return o
}

// insert puts o somewhere on the list.
func (a *actor) insert(o *object) {
	w := a.world
	w.edit.Lock()
	defer w.edit.Unlock()
	switch i := a.rng.IntN(2*len(w.on) + 1); {
	case i == 2*len(w.on):
		w.list.InsertHead(o)
	case i%2 == 0:
		w.list.InsertAfter(w.on[i/2], o)
	default:
		w.list.InsertBefore(w.on[i/2], o)
	}
	w.on = append(w.on, o)
}

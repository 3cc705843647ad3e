package rtable

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/softnet-go/softnet/lwp"
)

// An Update is the right to change an entry, from [Entry.BeginUpdate] to [Update.Finish].
// It belongs to the LWP that began it.
type Update struct {
	e   *Entry // nil when it is over
	l   *lwp.LWP
	old Route
	new Route
}

// BeginUpdate makes e unavailable to lookups and waits until nobody but the caller looks at
// it (rt_update_prepare): until every counted and every passive reference has been given
// back, and whoever peeks has stopped. Then e may be changed, through the Update alone, and
// nobody sees it half changed.
//
// The caller has one counted reference to e, keeps it throughout, and holds e in no other
// way (that panics, or waits for ever). Several who want to update e queue, and lend their
// references meanwhile: they do not wait for each other. If e is deleted it is not updated:
// [ErrNotFound]. Further errors: ctx.Err(); [lwp.ErrWouldSleep], since a softint cannot
// wait. It panics in a read section. The caller must hold no lock that a holder of the
// entry, a section or a softint handler may take.
func (e *Entry) BeginUpdate(ctx context.Context, l *lwp.LWP) (*Update, error) {
	t := e.t
	switch {
	case l.InSoftint():
		return nil, fmt.Errorf("rtable: update of %v by %v: %w", e, l, lwp.ErrWouldSleep)
	case e.target.Held(l):
		panic(violation("update of a held entry", "%v updates the entry of %v, which it holds passively itself, and would wait for ever", l, e.dst()))
	case t.updates(l, e):
		panic(violation("update inside an update", "%v updates the entry of %v, which it is updating already", l, e.dst()))
	}
	// The turn comes before the flag: the flag would be cleared by whoever has the turn. And
	// the reference comes after it: whoever has the turn waits for all references.
	if err := t.takeTurn(ctx, e, l); err != nil {
		return nil, err
	}
	err := t.quiesce(ctx, e, l)
	if err == nil {
		rt := e.route()
		rt.Flags |= FlagUp
		return &Update{e: e, l: l, old: rt, new: rt}, nil
	}
	t.mu.Lock()
	t.own(e).Store(t.own(e).LoadOwn() &^ wordUpdating)
	t.mu.Unlock()
	t.endTurn(e)
	return nil, err
}

// takeTurn waits until it is l's turn. Meanwhile the turn keeps e, and not the caller's
// reference.
func (t *Table) takeTurn(ctx context.Context, e *Entry, l *lwp.LWP) error {
	w := &t.waits
	w.mu.Lock()
	defer w.mu.Unlock()
	tn := w.turns[e]
	if tn == nil {
		tn = &turn{}
		if w.turns == nil {
			w.turns = map[*Entry]*turn{}
		}
		w.turns[e] = tn
	}
	if tn.owner != nil {
		tn.queued++
		e.refs.Add(-1)
		w.news++
		w.cv.Broadcast() // who has the turn may have waited for that
		var err error
		for tn.owner != nil && err == nil {
			err = w.cv.WaitContext(ctx, &w.mu)
		}
		e.refs.Add(1)
		tn.queued--
		if err != nil {
			w.dropTurn(e, tn)
			return err
		}
	}
	tn.owner = l
	return nil
}

// dropTurn forgets a turn that nobody has or wants. mu is held.
func (w *waits) dropTurn(e *Entry, tn *turn) {
	if tn.owner == nil && tn.queued == 0 {
		delete(w.turns, e)
	}
	w.news++
	w.cv.Broadcast()
}

func (t *Table) endTurn(e *Entry) {
	w := &t.waits
	w.mu.Lock()
	tn := w.turns[e]
	tn.owner = nil
	if n := e.refs.Load(); n&refsWaited != 0 {
		e.refs.Add(-refsWaited) // only who has the turn looks at them
	}
	w.dropTurn(e, tn)
	w.mu.Unlock()
}

// quiesce flags e and waits until only the caller looks at it.
func (t *Table) quiesce(ctx context.Context, e *Entry, l *lwp.LWP) error {
	t.mu.Lock()
	word := t.own(e)
	if word.LoadOwn()&wordGone != 0 {
		t.mu.Unlock()
		return ErrNotFound
	}
	word.Store(word.LoadOwn() | wordUpdating)
	t.mu.Unlock()
	// Whoever has missed the flag looks at e in a section that has begun, or has a reference
	// by its end.
	if err := t.psz.Perform(ctx, l); err != nil {
		return err
	}
	if err := t.awaitRefs(ctx, e, 1); err != nil {
		return err
	}
	if err := e.target.Destroy(ctx, l); err != nil {
		e.target.Revive()
		return err
	}
	t.class.Init(&e.target)
	if t.word(e).Load()&wordGone != 0 {
		return ErrNotFound
	}
	return nil
}

// awaitRefs waits until e has no more counted references than so many.
func (t *Table) awaitRefs(ctx context.Context, e *Entry, most int32) error {
	w := &t.waits
	w.mu.Lock()
	defer w.mu.Unlock()
	for e.awaitUnref() > most {
		if err := w.cv.WaitContext(ctx, &w.mu); err != nil {
			return err
		}
	}
	return nil
}

// Route returns what the entry will say when the update is finished.
func (u *Update) Route() Route {
	u.mustLast("Route")
	return u.new
}

// Set makes the entry say what rt says, but for its destination, which must be the same.
// Flags that are the table's own to set are left as they are. Nobody sees it before Finish,
// and after an error nothing is different. Errors: [ErrInvalid], [ErrUnreachable].
func (u *Update) Set(rt Route) error {
	u.mustLast("Set")
	t := u.e.t
	if !rt.canonize() || rt.Dst != u.old.Dst {
		return fmt.Errorf("rtable: change %v to %v: %w", u.old, rt, ErrInvalid)
	}
	rt.Flags = rt.Flags&^FlagDone | u.old.Flags&FlagDone | FlagUp
	t.mu.RLock()
	defer t.mu.RUnlock()
	if err := t.resolve(&rt); err != nil {
		return fmt.Errorf("rtable: change %v to %v: %w", u.old, rt, err)
	}
	u.new = rt
	return nil
}

// Finish ends the update: lookups find the entry again, as it says now (rt_update_finish).
// The caller still has its reference. It waits for nobody but other writers.
func (u *Update) Finish() {
	u.mustLast("Finish")
	e, t := u.e, u.e.t
	u.e = nil
	t.mu.Lock()
	word := t.own(e).LoadOwn()
	gone := word & wordGone
	if u.new != u.old {
		t.fill(e, &u.new, gone)
		t.putHop(word)
		t.changes.Inc()
	} else {
		t.own(e).Store(t.own(e).LoadOwn() &^ wordUpdating)
	}
	if u.new != u.old && gone == 0 {
		t.emit(Msg{Type: MsgChange, Route: u.new, Old: u.old})
	}
	t.mu.Unlock()
	t.endTurn(e)
}

func (u *Update) mustLast(doing string) {
	if u.e == nil {
		panic(violation("update is over", "%s of an update that is finished", doing))
	}
}

// Change makes the route with rt's prefix say what rt says (RTM_CHANGE): the entry stays,
// with its timers and with the caches that have it, and packets miss it while it changes.
// [Table.Replace] changes a route without that. It waits for all holders of the entry, as
// [Entry.BeginUpdate] does. Errors: [ErrNotFound], [ErrInvalid], [ErrUnreachable], ctx.Err(),
// [lwp.ErrWouldSleep].
func (t *Table) Change(ctx context.Context, l *lwp.LWP, rt Route) error {
	return t.update(ctx, l, rt.Dst, func(u *Update) error { return u.Set(rt) })
}

// update calls f with an update of the route with just that prefix.
func (t *Table) update(ctx context.Context, l *lwp.LWP, dst netip.Prefix, f func(u *Update) error) error {
	if l.InSoftint() {
		return fmt.Errorf("rtable: update of %v by %v: %w", dst, l, lwp.ErrWouldSleep)
	}
	for {
		e, err := t.Find(ctx, l, dst)
		if err != nil {
			return err
		}
		u, err := e.BeginUpdate(ctx, l)
		if err == nil {
			err = f(u)
			u.Finish()
			e.Unref()
			return err
		}
		e.Unref()
		if err != ErrNotFound { // deleted meanwhile: perhaps another one has its place
			return err
		}
	}
}

package rtable

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
)

// A corpse is an entry that was deleted and is not freed yet.
type corpse struct {
	e         *Entry
	since     time.Time // when it was deleted
	unseen    bool      // a grace period has passed: nobody can find it any more
	condemned bool      // no new passive reference, and the holders are found
	reported  bool
}

// A worker is one run of what frees entries (rt_free and its workqueue), which stop makes
// give up. It runs only while there is something to free.
type worker struct{ stop context.CancelFunc }

// discard gives the worker entries that no lookup begun from now on finds.
func (t *Table) discard(cs []*corpse) {
	if len(cs) == 0 {
		return
	}
	w := &t.waits
	w.mu.Lock()
	w.trash = append(w.trash, cs...)
	w.news++
	w.cv.Broadcast()
	t.startLocked()
	w.mu.Unlock()
}

func corpses(es []*Entry) []*corpse {
	now := time.Now()
	all, cs := make([]corpse, len(es)), make([]*corpse, len(es))
	for i, e := range es {
		all[i] = corpse{e: e, since: now}
		cs[i] = &all[i]
	}
	return cs
}

// sweep has the worker wait for a grace period on behalf of the FIB.
func (t *Table) sweep() {
	w := &t.waits
	w.mu.Lock()
	w.dirty = true
	w.news++
	w.cv.Broadcast()
	t.startLocked()
	w.mu.Unlock()
}

// startLocked sees to it that a worker runs if there is work. waits.mu is held.
func (t *Table) startLocked() {
	w := &t.waits
	if w.worker != nil || len(w.trash) == 0 && !w.dirty {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	w.worker = &worker{stop}
	hook.Go("rt_free", func() { t.work(ctx) })
}

// work frees what is in the trash until there is none, or ctx ends. What somebody still
// holds does not keep the rest from being freed.
func (t *Table) work(ctx context.Context) {
	w := &t.waits
	var held []*corpse
	w.mu.Lock()
	for {
		seen := w.news
		held = append(held, w.trash...)
		w.trash = nil
		dirty := w.dirty
		w.dirty = false
		if len(held) == 0 && !dirty || ctx.Err() != nil {
			break
		}
		w.mu.Unlock()
		held = t.free(ctx, nil, held, dirty)
		w.mu.Lock()
		if len(held) > 0 && w.news == seen {
			t.sleepLocked(ctx, held)
		}
	}
	w.trash = append(held, w.trash...)
	w.worker.stop() // a context that is not ended is a leak
	w.worker = nil
	w.cv.Broadcast()
	w.mu.Unlock()
}

// sleepLocked waits until something has changed, or it is time to report who is still held.
// waits.mu is held.
func (t *Table) sleepLocked(ctx context.Context, held []*corpse) {
	w := &t.waits
	var next time.Time // of the report
	for _, c := range held {
		if at := c.since.Add(t.patience); !c.reported && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() || hook.Exploring() {
		_ = w.cv.WaitContext(ctx, &w.mu)
		return
	}
	patient, cancel := context.WithDeadline(ctx, next)
	defer cancel()
	if w.cv.WaitContext(patient, &w.mu) == nil || ctx.Err() != nil {
		return
	}
	w.mu.Unlock()
	for _, c := range held {
		if !c.reported && time.Since(c.since) >= t.patience {
			t.report(c)
		}
	}
	w.mu.Lock()
}

// report says that c is still held, and in checked builds by whom.
func (t *Table) report(c *corpse) {
	c.reported = true
	t.stuck.Inc()
	n := c.e.awaitUnref()
	var sites []invariants.Site
	if invariants.Enabled {
		w := &t.waits
		w.mu.Lock()
		sites = append(sites, w.sites[c.e]...)
		w.mu.Unlock()
		sites = append(sites, c.e.target.Holders()...)
	}
	args := []any{"dst", c.e.dst(), "waited", time.Since(c.since), "counted", n}
	for _, s := range sites {
		args = append(args, "acquired", s.String())
	}
	t.log.Warn("rtable: a deleted entry is still held", args...)
}

// free frees those entries that nobody looks at any more and returns the rest. It waits for
// readers, but for no holder. l may be nil; dirty is whether the FIB wants a grace period.
func (t *Table) free(ctx context.Context, l *lwp.LWP, cs []*corpse, dirty bool) (left []*corpse) {
	if l == nil {
		l = t.dom.Bind()
		defer l.Unbind()
	}
	if !t.grace(ctx, l, cs, dirty) || !t.condemn(ctx, l, cs) {
		return cs
	}
	var dead []*Entry
	for _, c := range cs {
		if t.bury(c) {
			dead = append(dead, c.e)
			if c.reported {
				t.stuck.Dec()
			}
		} else {
			left = append(left, c)
		}
	}
	if len(dead) == 0 {
		return left
	}
	t.mu.Lock()
	for _, e := range dead {
		t.give(e)
	}
	t.mu.Unlock()
	t.freed.Add(uint64(len(dead)))
	return left
}

// grace waits until whoever has found one of cs in the FIB has left the section in which to
// take a reference: one wait for all. What the FIB has replaced is used again then.
func (t *Table) grace(ctx context.Context, l *lwp.LWP, cs []*corpse, dirty bool) bool {
	for _, c := range cs {
		dirty = dirty || !c.unseen
	}
	if !dirty {
		return true
	}
	t.mu.Lock()
	dead := t.fib.Dead()
	t.mu.Unlock()
	err := t.psz.Perform(ctx, l)
	if !dead.Empty() {
		t.mu.Lock()
		if err == nil {
			t.fib.Free(dead)
		} else {
			t.fib.Undead(dead)
		}
		t.mu.Unlock()
	}
	if err != nil {
		return false
	}
	t.graces.Inc()
	for _, c := range cs {
		c.unseen = true
	}
	return true
}

// condemn refuses new references to those that nobody is updating, and finds the holders.
func (t *Table) condemn(ctx context.Context, l *lwp.LWP, cs []*corpse) bool {
	var ts []*psref.Target
	var which []*corpse
	w := &t.waits
	w.mu.Lock()
	for _, c := range cs {
		// Whoever begins to update it now sees that it is gone before it touches the target.
		if !c.condemned && w.turns[c.e] == nil {
			ts = append(ts, &c.e.target)
			which = append(which, c)
		}
	}
	w.mu.Unlock()
	if t.class.Condemn(ctx, l, ts) != nil {
		return false
	}
	for _, c := range which {
		c.condemned = true
	}
	return true
}

// bury reports whether nobody holds c any more, in either way: then it is dead.
func (t *Table) bury(c *corpse) bool {
	if !c.condemned {
		return false
	}
	w := &t.waits
	w.mu.Lock()
	defer w.mu.Unlock()
	// One who queues to update it has lent its reference to the turn.
	return c.e.awaitUnref() == 0 && w.turns[c.e] == nil && c.e.target.Reap(c.since)
}

// DeleteWait is [Table.Delete] that frees the entry itself, and returns when it has: when
// the last holder of either kind has let go. l must not hold the entry (that panics, or
// waits for ever). When ctx ends first it returns ctx.Err(): the route is deleted, and the
// table's worker frees the entry. Further errors: those of Delete, [lwp.ErrWouldSleep].
func (t *Table) DeleteWait(ctx context.Context, l *lwp.LWP, dst netip.Prefix) error {
	if l.InSoftint() {
		return fmt.Errorf("rtable: delete of %v by %v: %w", dst, l, lwp.ErrWouldSleep)
	}
	w := &t.waits
	cs, err := t.batch(func(b *Batch) error {
		if slot, ok := t.rib.Get(dst); ok && t.mem.LoadOwn().entry(slot).target.Held(l) {
			panic(violation("delete of a held entry", "%v deletes the entry of %v, which it holds itself, and would wait for ever", l, dst))
		}
		return b.Delete(dst)
	}, func([]*corpse) {
		w.mu.Lock()
		w.inPlace++
		w.mu.Unlock()
	})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(cs) > 0 && err == nil {
		seen := w.news
		w.mu.Unlock()
		cs = t.free(ctx, l, cs, false)
		w.mu.Lock()
		if len(cs) > 0 && w.news == seen && ctx.Err() == nil {
			t.sleepLocked(ctx, cs)
		}
		err = ctx.Err()
	}
	w.inPlace--
	w.trash = append(w.trash, cs...)
	w.cv.Broadcast()
	if len(cs) == 0 {
		return nil
	}
	t.startLocked()
	return err
}

// drain waits until there is no trash, or ctx has ended and no worker runs.
func (t *Table) drain(ctx context.Context) error {
	w := &t.waits
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		t.startLocked()
		running := w.worker
		if running == nil && w.inPlace == 0 {
			return nil
		}
		err := w.cv.WaitContext(ctx, &w.mu)
		if err == nil {
			continue
		}
		if running == nil {
			return err
		}
		running.stop()
		for w.worker == running {
			w.cv.Wait(&w.mu)
		}
		return err
	}
}

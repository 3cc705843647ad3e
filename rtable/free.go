package rtable

import (
	"context"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
)

// A freer is a table's worker and what it has to do (rt_free and its workqueue). It runs
// only while there is something to free, so a table that nobody changes is only memory.
type freer struct {
	dom *lwp.Domain // immutable

	mu     hook.Mutex // leaf
	trash  []*Entry   // out of every snapshot to come, oldest first; guarded by mu
	worker *worker    // nil while none runs; guarded by mu
	ended  hook.Cond  // a worker has ended; guarded by mu
}

// A worker is one run of it, which stop makes give up.
type worker struct{ stop context.CancelFunc }

// discard gives the worker entries that no lookup begun from now on finds, and starts it.
func (t *Table) discard(es []*Entry) {
	for _, e := range es {
		e.flags.Store(0)
	}
	t.deletes.Add(uint64(len(es)))
	f := &t.freer
	f.mu.Lock()
	f.trash = append(f.trash, es...)
	t.startLocked()
	f.mu.Unlock()
}

// startLocked sees to it that a worker runs if there is work. freer.mu is held.
func (t *Table) startLocked() {
	f := &t.freer
	if f.worker != nil || len(f.trash) == 0 {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	f.worker = &worker{stop}
	hook.Go("rt_free", func() { t.work(ctx) })
}

// work frees what is in the trash until there is none, or ctx ends.
func (t *Table) work(ctx context.Context) {
	f := &t.freer
	f.mu.Lock()
	for len(f.trash) > 0 && ctx.Err() == nil {
		es := f.trash
		f.trash = nil
		f.mu.Unlock()
		left := t.free(ctx, es)
		f.mu.Lock()
		f.trash = append(left, f.trash...)
	}
	f.worker.stop() // a context that is not ended is a leak
	f.worker = nil
	f.ended.Broadcast()
	f.mu.Unlock()
}

// free frees entries that are in no snapshot and returns those it had no time for.
func (t *Table) free(ctx context.Context, es []*Entry) (left []*Entry) {
	l := t.freer.dom.Bind()
	defer l.Unbind()
	// Whoever found one of them has left the section in which to take a reference: one
	// wait for all.
	if err := t.psz.Perform(ctx, l); err != nil {
		return es
	}
	t.graces.Inc()
	for i, e := range es {
		// Whoever took one has given it back.
		if err := e.target.Destroy(ctx, l); err != nil {
			return es[i:]
		}
		e.flags.Store(uint32(flagFreed))
		t.freed.Inc()
	}
	return nil
}

// drain waits until there is no trash, or ctx has ended and no worker runs.
func (t *Table) drain(ctx context.Context) error {
	f := &t.freer
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		t.startLocked()
		w := f.worker
		if w == nil {
			return nil
		}
		err := f.ended.WaitContext(ctx, &f.mu)
		if err == nil {
			continue
		}
		w.stop()
		for f.worker == w {
			f.ended.Wait(&f.mu)
		}
		return err
	}
}

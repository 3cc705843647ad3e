package rtable

import (
	"context"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
)

// waits is what whoever waits in a table waits for: turns to update, holders that let go,
// entries to be freed. It lies outside of the entries, because who wakes a waiter with the
// last reference to one must not touch it any more; and there is one for all, because
// waiting is rare.
type waits struct {
	mu   hook.Mutex // leaf
	cv   hook.Cond  // anything below has changed, or some entry's refs or target
	news uint64     // how often somebody has let go of what is waited for

	turns  map[*Entry]*turn // updates under way
	trash  []*corpse        // deleted, and not looked after by any worker yet
	dirty  bool             // the FIB has replaced so much that it wants a grace period
	worker *worker          // nil while none runs
	// inPlace is how many deletions wait on their own for what they deleted.
	inPlace int

	sites map[*Entry][]invariants.Site // checked builds: where references were taken
}

// A turn is who updates an entry, and how many want to. While there is one the entry is not
// freed.
type turn struct {
	owner  *lwp.LWP // nil between two
	queued int
}

// wake makes everybody look again.
func (t *Table) wake() {
	w := &t.waits
	w.mu.Lock()
	w.news++
	w.cv.Broadcast()
	w.mu.Unlock()
}

// await waits while e is being updated. Nothing keeps e from being freed meanwhile, but it
// is not looked at.
func (t *Table) await(ctx context.Context, e *Entry) error {
	w := &t.waits
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if tn := w.turns[e]; tn == nil || tn.owner == nil {
			return nil
		}
		if err := w.cv.WaitContext(ctx, &w.mu); err != nil {
			return err
		}
	}
}

// updates reports whether l is updating e.
func (t *Table) updates(l *lwp.LWP, e *Entry) bool {
	w := &t.waits
	w.mu.Lock()
	defer w.mu.Unlock()
	tn := w.turns[e]
	return tn != nil && tn.owner == l
}

// note and forget keep the sites of an entry's counted references. A reference may be given
// back by anybody: which of the sites it was cannot be known, so the last goes.
func (w *waits) note(e *Entry, at invariants.Site) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sites == nil {
		w.sites = map[*Entry][]invariants.Site{}
	}
	w.sites[e] = append(w.sites[e], at)
}

func (w *waits) forget(e *Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.sites[e]); n > 1 {
		w.sites[e] = w.sites[e][:n-1]
	} else {
		delete(w.sites, e)
	}
}

package twoupdaters

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
)

// entry is a route as far as changing it goes: who has a reference, and whose turn it is.
type entry struct {
	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, whenever what follows changes
	refs    int
	turn    string
}

func (e *entry) change(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	close(e.changed)
	e.changed = make(chan struct{})
}

// await waits until ready is true, which it calls with the lock held.
func (e *entry) await(ctx context.Context, ready func() bool) error {
	for {
		e.mu.Lock()
		ok, changed := ready(), e.changed
		e.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wrong does it as it was published: look the route up, which takes a reference; flag it; wait
// for the turn; wait until no reference is left but one's own.
func wrong(r *event.Recorder) (broken error) {
	e := &entry{changed: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // as long as anybody looks
	defer cancel()
	update := func(who string, after time.Duration) error {
		time.Sleep(after)
		e.change(func() { e.refs++ })
		r.Record(who, "look up", "10.0.0.0/8", "a reference")
		time.Sleep(2 * lesson.Step)
		r.Record(who, "flag", "10.0.0.0/8", "UPDATING")
		if err := e.await(ctx, func() bool { return e.turn == "" }); err != nil {
			r.Record(who, "give up", "", "it never was its turn")
			return err
		}
		e.change(func() { e.turn = who })
		r.Record(who, "take", "the turn", "")
		if err := e.await(ctx, func() bool { return e.refs <= 1 }); err != nil {
			time.Sleep(lesson.Step / 2)
			r.Record(who, "give up", "", fmt.Sprintf("%d references are left", e.refs))
			return err
		}
		return nil
	}
	errs := make([]error, 2)
	var wg sync.WaitGroup
	wg.Go(func() { errs[0] = update("first", 0) })
	wg.Go(func() { errs[1] = update("second", lesson.Step) })
	wg.Wait()
	if errs[0] != nil && errs[1] != nil {
		return errDeadlock
	}
	return nil
}

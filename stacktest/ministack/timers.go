package ministack

import (
	"container/heap"
	"context"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/mbuf"
)

// An alarm is when an entry is to be looked at, in the place it has in a heap. Each entry has one, so
// that no flood of words makes more of them.
type alarm struct {
	at    time.Time // zero if it is not set
	place int
}

// alarms is a heap of entries by their alarms.
type alarms []*entry

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].alarm.at.Before(a[j].alarm.at) }
func (a alarms) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].alarm.place, a[j].alarm.place = i, j
}

func (a *alarms) Push(x any) {
	e := x.(*entry)
	e.alarm.place = len(*a)
	*a = append(*a, e)
}

func (a *alarms) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	return e
}

// timers are the timers of all entries, and one thread that makes them go off.
type timers struct {
	mu      hook.Mutex // leaf; guards what follows, and the alarm of each entry
	cv      hook.Cond
	alarms  alarms // the next one first
	busy    int    // how many have packets in hand, of an entry that is gone
	running bool   // the thread
	closed  bool
}

// set sets the alarm of an entry, in place of what it was set to; zero is never.
func (t *timers) set(e *entry, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := !e.alarm.at.IsZero()
	switch {
	case t.closed, !was && at.IsZero():
	case at.IsZero():
		heap.Remove(&t.alarms, e.alarm.place)
		e.alarm.at = at
	case was:
		e.alarm.at = at
		heap.Fix(&t.alarms, e.alarm.place)
	default:
		e.alarm.at = at
		heap.Push(&t.alarms, e)
	}
	if len(t.alarms) > 0 && t.alarms[0] == e {
		t.cv.Broadcast()
	}
}

func (t *timers) start(work func()) {
	t.running = true
	hook.Go("neighbour timers", work)
}

// take takes the first alarm, if it is due at a time, and makes the caller busy.
func (t *timers) take(now time.Time) (e *entry, at time.Time, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || len(t.alarms) == 0 || t.alarms[0].alarm.at.After(now) {
		return nil, at, false
	}
	t.busy++
	e = heap.Pop(&t.alarms).(*entry)
	at, e.alarm.at = e.alarm.at, at
	return e, at, true
}

// begin makes the caller busy: who waits for an interface to be rid of its packets waits for it.
func (t *timers) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy++
}

func (t *timers) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy--
	t.cv.Broadcast()
}

// idle waits until there is a moment in which nobody is busy.
func (t *timers) idle(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.busy > 0 {
		if err := t.cv.WaitContext(ctx, &t.mu); err != nil {
			return err
		}
	}
	return nil
}

// await waits for the next alarm. It returns false when the timers are closed.
func (t *timers) await() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for !t.closed {
		ctx, cancel := context.Background(), func() {}
		if len(t.alarms) > 0 {
			at := t.alarms[0].alarm.at
			if !time.Now().Before(at) {
				return true
			}
			if !hook.Exploring() {
				ctx, cancel = context.WithDeadline(ctx, at)
			}
		}
		_ = t.cv.WaitContext(ctx, &t.mu)
		cancel()
	}
	t.running = false
	t.cv.Broadcast()
	return false
}

func (t *timers) close(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.cv.Broadcast()
	for t.running || t.busy > 0 {
		if err := t.cv.WaitContext(ctx, &t.mu); err != nil {
			return err
		}
	}
	return nil
}

func (n *neighbours) work() {
	for n.timers.await() {
		n.tick(time.Now())
	}
}

// tick makes every timer go off that is due at a time, and returns how many that were. It is a
// thread, which complains about packets that have waited in vain.
func (n *neighbours) tick(now time.Time) (fired int) {
	for {
		e, at, ok := n.timers.take(now)
		if !ok {
			return fired
		}
		fired++
		var failed mbuf.List
		n.expire(e, at, &failed)
		if failed.Len() > 0 {
			l := n.s.Dom.Bind()
			for m := failed.Pop(); m != nil; m = failed.Pop() {
				n.s.complain(l, m, noNeighbour, 0)
			}
			l.Unbind()
		}
		n.timers.done()
	}
}

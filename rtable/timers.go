package rtable

import (
	"context"
	"slices"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
)

// Timers calls a function for entries, a time after each was given to it (struct
// rttimer_queue). Its worker runs only while there are entries in it. Make one with
// [Table.NewTimers]; it must not be copied.
type Timers struct {
	t  *Table
	f  func(ctx context.Context, l *lwp.LWP, e *Entry)
	mu hook.Mutex // leaf, taken below t.mu
	cv hook.Cond  // anything below has changed

	timeout time.Duration
	queue   []timer // the oldest first; some have been taken back
	since   map[*Entry]time.Time
	running bool // whether the worker runs
	closed  bool
}

// A timer is an entry and when its time began. It is in force while since says the same.
type timer struct {
	e     *Entry
	start time.Time
}

// NewTimers returns an empty queue of timers (rt_timer_queue_create). f is called by a
// thread of the table's, with a counted reference to an entry, which it must not give back:
// that is done for it when it returns. f may sleep, and may change and delete the entry, but
// must not wait for it to be freed.
func (t *Table) NewTimers(timeout time.Duration, f func(ctx context.Context, l *lwp.LWP, e *Entry)) *Timers {
	q := &Timers{t: t, f: f, timeout: timeout, since: map[*Entry]time.Time{}}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timers = append(t.timers, q)
	return q
}

// Add has f called for e when the timeout has passed, counted from now, also if it was to
// be called before (rt_timer_add). The timer goes when the entry is deleted. The caller holds
// e in some way. Errors: [ErrNotFound] if e is not in the table any more; [ErrClosed].
func (q *Timers) Add(e *Entry) error {
	q.t.mu.RLock() // nobody deletes e meanwhile
	defer q.t.mu.RUnlock()
	if q.t.word(e).Load()&wordGone != 0 {
		return ErrNotFound
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	now := time.Now()
	q.since[e] = now
	q.queue = append(q.queue, timer{e, now})
	if !q.running {
		q.running = true
		hook.Go("rt_timer", q.work)
	}
	return nil
}

// SetTimeout sets the timeout, that of the entries which are in the queue too.
func (q *Timers) SetTimeout(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.timeout = d
	q.cv.Broadcast()
}

// Len returns how many entries are in the queue (rt_timer_count).
func (q *Timers) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.since)
}

// Close calls f now for every entry in the queue, and waits until the last call has
// returned (rt_timer_queue_destroy). ctx is what f gets; when it ends first Close returns
// ctx.Err(), and the calls that are left are made without it. It may be called again.
func (q *Timers) Close(ctx context.Context) error {
	q.t.mu.Lock()
	q.t.timers = slices.DeleteFunc(q.t.timers, func(o *Timers) bool { return o == q })
	q.t.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.cv.Broadcast()
	for q.running {
		if err := q.cv.WaitContext(ctx, &q.mu); err != nil {
			return err
		}
	}
	return nil
}

// work calls f for each entry whose time has come, until the queue is empty.
func (q *Timers) work() {
	for q.awaitDue() {
		e := q.take()
		if e == nil {
			continue // it has been deleted, or added again
		}
		l := q.t.dom.Bind()
		q.f(context.Background(), l, e)
		l.Unbind()
		e.Unref()
	}
}

// awaitDue waits until the time of the first entry has come. It returns false when the
// queue is empty: then the worker has ended.
func (q *Timers) awaitDue() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		for len(q.queue) > 0 && !q.since[q.queue[0].e].Equal(q.queue[0].start) {
			q.queue = q.queue[1:]
		}
		if len(q.queue) == 0 {
			q.queue = nil
			q.running = false
			q.cv.Broadcast()
			return false
		}
		if q.firstDue() {
			return true
		}
		ctx, cancel := context.WithDeadline(context.Background(), q.queue[0].start.Add(q.timeout))
		_ = q.cv.WaitContext(ctx, &q.mu)
		cancel()
	}
}

func (q *Timers) firstDue() bool {
	return q.closed || !time.Now().Before(q.queue[0].start.Add(q.timeout))
}

// take returns the entry whose time has come, with a reference.
func (q *Timers) take() *Entry {
	q.t.mu.RLock() // who deletes it has to wait until there is one
	defer q.t.mu.RUnlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.queue[0].e
	if !q.since[e].Equal(q.queue[0].start) || !q.firstDue() {
		return nil
	}
	q.queue = q.queue[1:]
	delete(q.since, e)
	q.t.ref(e, 0)
	return e
}

// drop takes the timer of e back: it is being deleted. t.mu is held for writing.
func (q *Timers) drop(e *Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.since[e]; ok {
		delete(q.since, e)
		q.cv.Broadcast() // the worker may have nothing to wait for any more
	}
}

package witness_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/stacktest/sched"
	"github.com/softnet-go/softnet/witness"
)

// Every schedule of two or three actors with up to two preemptions. That each of them
// ends is half of what is shown: no wakeup is lost.

// room is what a lock guards. Its word is plain memory on purpose: a build with the race
// detector also sees an ordering that is missing.
type room struct {
	*sched.S
	writers int
}

func (r *room) write() {
	r.Assert(r.writers == 0, "two have the lock")
	r.writers++
	sched.Point("write")
	r.writers--
	r.Assert(r.writers == 0, "two have had the lock")
}

// explore runs actors that lock and unlock, and shows that the lock is free in the end.
func explore(t *testing.T, actors func(r *room, m *witness.Mutex, rw *witness.RWMutex)) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		var m witness.Mutex
		var rw witness.RWMutex
		actors(&room{S: s}, &m, &rw)
		s.After(func() {
			s.Assert(m.TryLock(), "the mutex is not free")
			m.Unlock()
			s.Assert(rw.TryLock(), "the rwmutex is not free")
			rw.Unlock()
		})
	})
}

func TestExplore_Mutex(t *testing.T) {
	for n := 2; n <= 3; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			explore(t, func(r *room, m *witness.Mutex, _ *witness.RWMutex) {
				for i := range n {
					r.Go(fmt.Sprint("locker ", i), func() {
						for range 4 - n {
							m.Lock()
							r.write()
							m.Unlock()
						}
					})
				}
			})
		})
	}
}

// One gives up at any moment, also when the lock is already his.
func TestExplore_MutexGivingUp(t *testing.T) {
	explore(t, func(r *room, m *witness.Mutex, _ *witness.RWMutex) {
		ctx, cancel := r.WithCancel(r.Context())
		r.Go("impatient", func() {
			if m.LockContext(ctx) == nil {
				r.write()
				m.Unlock()
			}
		})
		r.Go("holder", func() {
			m.Lock()
			cancel()
			m.Unlock()
		})
		r.Go("patient", func() {
			m.Lock()
			r.write()
			m.Unlock()
		})
	})
}

func TestExplore_RWMutex(t *testing.T) {
	read := func(r *room, rw *witness.RWMutex) func() {
		return func() {
			rw.RLock()
			r.Assert(r.writers == 0, "a reader found a writer")
			sched.Point("read")
			r.Assert(r.writers == 0, "a reader met a writer")
			rw.RUnlock()
		}
	}
	write := func(r *room, rw *witness.RWMutex) func() {
		return func() {
			rw.Lock()
			r.write()
			rw.Unlock()
		}
	}
	for _, k := range []struct{ readers, writers int }{{2, 1}, {1, 2}, {0, 3}} {
		t.Run(fmt.Sprintf("%d readers %d writers", k.readers, k.writers), func(t *testing.T) {
			explore(t, func(r *room, _ *witness.Mutex, rw *witness.RWMutex) {
				for i := range k.readers {
					r.Go(fmt.Sprint("reader ", i), read(r, rw))
				}
				for i := range k.writers {
					r.Go(fmt.Sprint("writer ", i), write(r, rw))
				}
			})
		})
	}
}

// Readers that a writer kept out get in when it gives up.
func TestExplore_RWMutexWriterGivesUp(t *testing.T) {
	explore(t, func(r *room, _ *witness.Mutex, rw *witness.RWMutex) {
		ctx, cancel := r.WithCancel(r.Context())
		r.Go("writer", func() {
			if err := rw.LockContext(ctx); err == nil {
				r.write()
				rw.Unlock()
			} else {
				require.ErrorIs(r, err, context.Canceled)
			}
		})
		r.Go("first", func() {
			rw.RLock()
			sched.Point("read")
			cancel()
			rw.RUnlock()
		})
		r.Go("second", func() {
			rw.RLock()
			sched.Point("read")
			rw.RUnlock()
		})
	})
}

func TestExplore_RWMutexReaderGivesUp(t *testing.T) {
	explore(t, func(r *room, _ *witness.Mutex, rw *witness.RWMutex) {
		ctx, cancel := r.WithCancel(r.Context())
		r.Go("reader", func() {
			if rw.RLockContext(ctx) == nil {
				rw.RUnlock()
			}
		})
		r.Go("first", func() {
			rw.Lock()
			r.write()
			cancel()
			rw.Unlock()
		})
		r.Go("second", func() {
			rw.Lock()
			r.write()
			rw.Unlock()
		})
	})
}

// A reader that leaves while a writer waits finds that the writer has given up, and that
// another reader has come.
func TestExplore_RWMutexLeavesAWriterThatGaveUp(t *testing.T) {
	explore(t, func(r *room, _ *witness.Mutex, rw *witness.RWMutex) {
		var mu sched.Mutex
		var cv sched.Cond
		gaveUp, left := false, false
		happen := func(what *bool) {
			mu.Lock()
			*what = true
			cv.Broadcast()
			mu.Unlock()
		}
		wait := func(ctx context.Context, what *bool) {
			mu.Lock()
			for !*what && cv.WaitContext(ctx, &mu) == nil {
			}
			mu.Unlock()
		}
		soon, cancelSoon := r.WithTimeout(r.Context(), 1)
		later, cancelLater := r.WithTimeout(r.Context(), 2)
		r.Go("first", func() {
			rw.RLock()
			wait(soon, &left) // until all the others wait
			rw.RUnlock()
			happen(&left)
		})
		r.Go("writer", func() {
			if rw.LockContext(later) == nil {
				r.write()
				rw.Unlock()
			}
			happen(&gaveUp)
		})
		r.Go("second", func() {
			wait(r.Context(), &gaveUp)
			rw.RLock()
			wait(r.Context(), &left)
			rw.RUnlock()
		})
		r.After(func() { cancelSoon(); cancelLater() })
	})
}

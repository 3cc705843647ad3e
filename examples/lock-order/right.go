package lockorder

import (
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
)

// right has both take them in one order: the caches' first.
func right(r *event.Recorder) error {
	rtcacheLock, rtLock := &lock{name: "rtcache_lock"}, &lock{name: "rt_lock"}
	return both(r,
		func(a *actor) {
			a.lock(rtcacheLock)
			r.Record(a.name, "ask", "the cache", "a miss")
			a.lock(rtLock)
			r.Record(a.name, "ask", "the table", "")
			a.unlock(rtLock)
			a.unlock(rtcacheLock)
		},
		func(a *actor) { // it will want both, so it takes the outer one first
			// TASK: add a third lock, of the interfaces, between the two in the lookup and
			// outside of both here. Who reports it, this watch or package witness?
			a.lock(rtcacheLock)
			a.lock(rtLock)
			r.Record(a.name, "delete", "10.0.0.0/8", "")
			time.Sleep(lesson.Step)
			r.Record(a.name, "invalidate", "the caches", "")
			a.unlock(rtLock)
			a.unlock(rtcacheLock)
		})
}

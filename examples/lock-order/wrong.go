package lockorder

import (
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
)

// wrong has each path take the locks in the order in which it needs them.
func wrong(r *event.Recorder) error {
	rtcacheLock, rtLock := &lock{name: "rtcache_lock"}, &lock{name: "rt_lock"}
	return both(r,
		func(a *actor) { // a cache is asked, and then the table
			a.lock(rtcacheLock)
			r.Record(a.name, "ask", "the cache", "a miss")
			a.lock(rtLock)
			r.Record(a.name, "ask", "the table", "")
			a.unlock(rtLock)
			a.unlock(rtcacheLock)
		},
		func(a *actor) { // the table is changed, and then the caches told
			a.lock(rtLock)
			r.Record(a.name, "delete", "10.0.0.0/8", "")
			time.Sleep(lesson.Step)
			a.lock(rtcacheLock)
			r.Record(a.name, "invalidate", "the caches", "")
			a.unlock(rtcacheLock)
			a.unlock(rtLock)
		})
}

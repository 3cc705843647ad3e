package mbufleak

import (
	"fmt"

	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/mbuf"
)

// right has a queue that takes the packet, always.
func right(r *event.Recorder) error {
	pool := mbuf.NewPool(mbuf.PoolConfig{Limit: packets})
	place := mbuf.NewQueue("the queue")
	var queue mbuf.List
	enqueue := func(m *mbuf.Packet) error {
		if queue.Len() == room {
			m.Free(mbuf.NoBufs)
			return mbuf.ErrNoBufs
		}
		m.Keep(place) // TASK: free it once more after this. What is said, in a build with -tags invariants?
		queue.Push(m)
		return nil
	}
	handled := 0
	work := func() {
		for m := queue.Pop(); m != nil; m = queue.Pop() {
			m.Take(place, nil)
			m.Free(mbuf.Done)
			handled++
		}
	}

	for n := range flood {
		m := receive(r, pool, n)
		if m == nil {
			return errDeaf
		}
		if err := enqueue(m); err != nil {
			if n == room || n == flood-1 {
				r.Record("driver", "drop", fmt.Sprint("frame ", n), err.Error())
			}
			continue
		}
		r.Record("driver", "queue", fmt.Sprint("frame ", n), "")
	}
	work()
	st := pool.Stats()
	r.Record("worker", "handle", fmt.Sprint(handled, " packets"), "")
	r.Record("pool", "count", "packets", fmt.Sprintf("%d given out = %d done + %d no buffers + %d outstanding",
		st.Allocs, st.Frees[mbuf.Done], st.Frees[mbuf.NoBufs], st.Outstanding))
	if st.Outstanding != 0 || st.Allocs != st.Frees[mbuf.Done]+st.Frees[mbuf.NoBufs] {
		return errDeaf
	}
	return nil
}

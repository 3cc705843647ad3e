package mbufleak

import (
	"fmt"

	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/mbuf"
)

// wrong has a queue that leaves the packet to its caller when it is full.
func wrong(r *event.Recorder) error {
	pool := mbuf.NewPool(mbuf.PoolConfig{Limit: packets})
	var queue mbuf.List
	enqueue := func(m *mbuf.Packet) bool {
		if queue.Len() == room {
			return false // the caller still has it
		}
		queue.Push(m)
		return true
	}
	handled := 0
	work := func() {
		for m := queue.Pop(); m != nil; m = queue.Pop() {
			m.Free(mbuf.Done)
			handled++
		}
	}

	deaf := false
	for n := range flood {
		m := receive(r, pool, n)
		if m == nil {
			deaf = true
			break
		}
		if !enqueue(m) {
			r.Record("driver", "drop", fmt.Sprint("frame ", n), "the queue is full")
			continue // and the packet?
		}
		r.Record("driver", "queue", fmt.Sprint("frame ", n), "")
	}
	work()
	st := pool.Stats()
	r.Record("worker", "handle", fmt.Sprint(handled, " packets"), "")
	r.Record("pool", "count", "packets", fmt.Sprintf("%d given out, %d freed, %d outstanding, 0 in the queue", st.Allocs, handled, st.Outstanding))
	if deaf {
		return errDeaf
	}
	return nil
}

package altqasym

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
)

// A node is a packet in a queue. All words are atomic: what is wrong here is no data race.
type node struct {
	name string
	next atomic.Pointer[node]
}

// An ifqueue is a list with a tail and a length, and no lock: its callers have one.
type ifqueue struct {
	head, tail atomic.Pointer[node]
	len        atomic.Int32
}

// put appends a packet. It takes its time between finding the end and moving it.
func (q *ifqueue) put(n *node, r *event.Recorder, who string, takes time.Duration) {
	end := q.tail.Load()
	r.Record(who, "find the end", end.name, "")
	time.Sleep(takes)
	end.next.Store(n)
	q.tail.Store(n)
	q.len.Add(1)
	r.Record(who, "append", n.name, "after "+end.name)
}

// wrong guards the queue with the lock of who was there first.
func wrong(r *event.Recorder) error {
	var kernelLock sync.Mutex
	var q ifqueue
	first := &node{name: "X"}
	q.head.Store(first)
	q.tail.Store(first)
	q.len.Store(1)
	var wg sync.WaitGroup
	wg.Go(func() { // ip_output
		kernelLock.Lock()
		r.Record("IPv4", "lock", "KERNEL_LOCK", "")
		q.put(&node{name: "A"}, r, "IPv4", 2*lesson.Step)
		kernelLock.Unlock()
		r.Record("IPv4", "unlock", "KERNEL_LOCK", "")
	})
	wg.Go(func() { // ip6_output: nobody told it
		time.Sleep(lesson.Step)
		q.put(&node{name: "B"}, r, "IPv6", 3*lesson.Step)
	})
	wg.Wait()
	found := 0
	for n := q.head.Load(); n != nil; n = n.next.Load() {
		found++
	}
	r.Record("driver", "count", "queue", fmt.Sprintf("length %d, and %d packets in it", q.len.Load(), found))
	if int(q.len.Load()) != found {
		return errUnreachable
	}
	return nil
}

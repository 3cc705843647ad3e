package netisr

import (
	"github.com/softnet-go/softnet/internal/deferq"
	"github.com/softnet-go/softnet/mbuf"
)

// chunk is how many packets of a list are placed at once.
const chunk = 64

// QueueList is Queue for a burst of packets, and leaves the list empty. It takes a stream's lock
// once for many of them, which is why a driver should collect what has come. Each packet is
// accepted or refused as by Queue: QueueList returns how many were accepted, and the first error.
func (i *ISR) QueueList(p Proto, ms *mbuf.List) (accepted int, err error) {
	return i.QueueListSrc(p, 0, ms)
}

// QueueListSrc is QueueList with a number that stands for where the packets come from.
func (i *ISR) QueueListSrc(p Proto, source uint64, ms *mbuf.List) (accepted int, err error) {
	for ms.Len() > 0 {
		r, refused := i.reg(p, ms.At(0))
		if refused != nil {
			ms.Pop() // reg has freed it
			if err == nil {
				err = refused
			}
			continue
		}
		n, refused := r.queueChunk(source, ms)
		if accepted += n; err == nil {
			err = refused
		}
	}
	return accepted, err
}

// queueChunk queues the first packets of a list, each stream's together.
func (r *Reg) queueChunk(source uint64, ms *mbuf.List) (accepted int, err error) {
	var (
		at     [chunk]*mbuf.Packet // those that have a stream
		stream [chunk]int
		n      int
	)
	for k := min(chunk, ms.Len()); k > 0; k-- {
		if m, s := r.place(source, ms.Pop(), nowhere); m != nil {
			at[n], stream[n] = m, s
			n++
		} else if err == nil {
			err = ErrNoBufs
		}
	}
	for rest := at[:n]; len(rest) > 0; {
		// Those of the first one's stream go to the front, the others keep their order behind.
		var others [chunk]*mbuf.Packet
		same, s, m := 0, stream[0], 0
		for k, x := range rest {
			if stream[k] == s {
				rest[same] = x
				same++
			} else {
				others[m], stream[m] = x, stream[k]
				m++
			}
		}
		done, refused := r.put(s, rest[:same])
		if accepted += done; err == nil {
			err = refused
		}
		rest = rest[:copy(rest, others[:m])]
	}
	return accepted, err
}

// put queues packets in a stream, and frees those that it refuses.
func (r *Reg) put(stream int, ms []*mbuf.Packet) (accepted int, err error) {
	var whys [chunk]deferq.Refusal
	r.isr.engine.PutAll(stream, r.client, ms, r, whys[:len(ms)])
	for k, m := range ms {
		if why := whys[k]; why == deferq.Accepted {
			accepted++
		} else {
			m.Free(why.Reason())
			if err == nil {
				err = refusals[why]
			}
		}
	}
	return accepted, err
}

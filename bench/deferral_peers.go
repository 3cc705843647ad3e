package main

import (
	"sync"

	"github.com/panjf2000/ants/v2"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/qdisc/fifo"
	gvisor "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/softnet-go/softnet/mbuf"
)

// newChannel has a worker for each producer, which ranges over a channel.
func newChannel(f *ferry, _ int) carrier {
	var chans [pair]chan *mbuf.Packet
	var workers sync.WaitGroup
	for id := range f.count() {
		chans[id] = make(chan *mbuf.Packet, queueLen)
		workers.Go(func() {
			for m := range chans[id] {
				f.handle(m)
			}
		})
	}
	return carrier{func(id int, ms []*mbuf.Packet) {
		for _, m := range ms {
			chans[id] <- m
		}
	}, func() {
		for id := range f.count() {
			close(chans[id])
		}
		workers.Wait()
	}}
}

// newGoEach keeps no order.
func newGoEach(f *ferry, _ int) carrier {
	f.loose = true
	return carrier{func(_ int, ms []*mbuf.Packet) {
		for _, m := range ms {
			go m.Keep(f.back)
		}
	}, func() {}}
}

// newAnts keeps no order either.
func newAnts(f *ferry, _ int) carrier {
	f.loose = true
	p, err := ants.NewPoolWithFuncGeneric(1000, func(m *mbuf.Packet) { m.Keep(f.back) })
	must(err)
	return carrier{func(_ int, ms []*mbuf.Packet) {
		for _, m := range ms {
			must(p.Invoke(m))
		}
	}, p.Release}
}

// A lower is what gVisor's qdisc writes to: who handles our packet that goes with theirs.
type lower struct{ *ferry }

func (w lower) WritePackets(l gvisor.PacketBufferList) (int, tcpip.Error) {
	for _, p := range l.AsSlice() {
		w.handle(w.shores[p.Hash].window[p.GSOOptions.MSS])
	}
	return l.Len(), nil
}

// newQdisc has a queue for each producer, as ours have.
func newQdisc(f *ferry, _ int) carrier {
	q := fifo.New(lower{f}, f.count(), queueLen)
	var theirs [pair][]*gvisor.PacketBuffer
	for id := range f.count() {
		for i := range f.shores[id].window {
			p := gvisor.NewPacketBuffer(gvisor.PacketBufferOptions{Payload: buffer.MakeWithData(make([]byte, 64))})
			p.Hash, p.GSOOptions.MSS = uint32(id), uint16(i)
			theirs[id] = append(theirs[id], p)
		}
	}
	return carrier{func(id int, ms []*mbuf.Packet) {
		for i := range ms {
			if err := q.WritePacket(theirs[id][f.shores[id].next+i]); err != nil {
				panic(err)
			}
		}
	}, q.Close}
}

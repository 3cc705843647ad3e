package main

import "fmt"

// deferral is handing packets on: how many a worker is given, and how soon it has one.
//
// All carry the same packets and check, for each, that none of its flow was overtaken; only
// peers that do not keep the order are excused. A producer has a window of packets, and sends
// one again when it has been handled: to take it back costs all of them the same, a fetch of the
// packet from the other core.
//
// Do not run this group in the real-time class: those who wait give way and never sleep, and the
// Go runtime's own threads would find no core.
func deferral() []row {
	return append(handOvers(), wakeUps()...)
}

// A discipline is a way to hand packets to a worker: batches of up to some number by each of
// some producers.
type discipline struct {
	name string
	mk   func(f *ferry, batch int) carrier
}

var (
	isrQueue  = discipline{"", newISR}
	isrSingle = discipline{"one by one", newISRSingle}
	sendQueue = discipline{"", newSendQueue}
	channel   = discipline{"a channel of packets", newChannel}
	goEach    = discipline{"a goroutine a packet", newGoEach}
	antsPool  = discipline{"panjf2000/ants, 1000 workers", newAnts}
	qdisc     = discipline{"gVisor's fifo qdisc", newQdisc}
)

// by returns a probe of so many producers, each with a worker.
func (d discipline) by(producers, batch int) *probe {
	p := on(producers, d.name, nil)
	p.needs, p.busy = pair, producers
	p.start = func() load {
		f := newFerry(producers)
		c := d.mk(f, batch)
		f.push = c.push
		return load{body: func(id, n int) { f.send(id, n, batch) }, stop: func() { f.settle(); c.stop() }}
	}
	return p
}

func handOvers() (rows []row) {
	for _, many := range []struct {
		n    int
		name string
	}{{1, "one producer"}, {2, "two producers"}} {
		for _, b := range []struct {
			n      int
			faster float64
		}{{1, 1}, {8, 3.5}, {64, 6}} {
			ch := channel.by(many.n, b.n)
			name := func(what string) string { return fmt.Sprintf("%s, batch %d, %s", what, b.n, many.name) }
			peers := []line{faster(b.faster, ch), beside(qdisc.by(many.n, b.n))}
			if b.n == 1 {
				peers = append(peers, beside(goEach.by(many.n, 1)), beside(antsPool.by(many.n, 1)))
			} else {
				peers = append(peers, beside(isrSingle.by(many.n, b.n)))
			}
			rows = append(rows,
				row{name("netisr"), isrQueue.by(many.n, b.n), peers},
				row{name("SendQueue"), sendQueue.by(many.n, b.n), []line{beside(ch)}},
			)
		}
	}
	one := func() *probe { return allocations(isrQueue.by(1, 64)) }
	return append(rows, row{"netisr: allocations", one(), []line{nothing()}})
}

// roundTrip returns a probe of one packet to an idle worker, whose end the sender waits for.
func (d discipline) roundTrip() *probe {
	p := on(1, d.name, nil)
	p.needs, p.busy = pair, 1
	p.start = func() load {
		f := newFerry(1)
		c := d.mk(f, 1)
		f.push = c.push
		return load{body: func(_, n int) {
			for range n {
				f.await(f.cross())
			}
		}, stop: c.stop}
	}
	return p
}

func wakeUps() []row {
	ch := channel.roundTrip()
	peers := []line{beside(ch), beside(goEach.roundTrip()), beside(antsPool.roundTrip()), beside(qdisc.roundTrip())}
	return []row{
		{"netisr: one packet to an idle worker, and back", isrQueue.roundTrip(), peers},
		{"SendQueue: one packet to an idle worker, and back", sendQueue.roundTrip(), []line{beside(ch)}},
	}
}

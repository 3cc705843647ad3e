package mbuf

// A List is packets in order, in a ring (struct mbuf_list). It belongs to one goroutine at a
// time, or to whoever holds the lock that guards it, and allocates only when it grows. The
// zero List is empty. A list has no opinion on who owns what is in it.
type List struct {
	ring       []*Packet // its length is a power of two, or 0
	head, size int
}

// Len returns how many packets are in the list.
func (l *List) Len() int { return l.size }

// Push appends packets.
func (l *List) Push(ms ...*Packet) {
	for l.size+len(ms) > len(l.ring) {
		l.grow()
	}
	for _, m := range ms {
		l.ring[(l.head+l.size)&(len(l.ring)-1)] = m
		l.size++
	}
}

// Pop takes the first packet, or returns nil if there is none.
func (l *List) Pop() *Packet {
	if l.size == 0 {
		return nil
	}
	m := l.ring[l.head]
	l.ring[l.head] = nil
	l.head = (l.head + 1) & (len(l.ring) - 1)
	l.size--
	return m
}

// At returns the packet in place i, 0 being the first.
func (l *List) At(i int) *Packet {
	if uint(i) >= uint(l.size) {
		panic("mbuf: index out of range of a List")
	}
	return l.ring[(l.head+i)&(len(l.ring)-1)]
}

// Free ends all packets of the list, for one reason, and leaves it empty. It takes a pool's
// lock once for each run of packets of that pool.
func (l *List) Free(why Reason) {
	var run []*Packet
	for m := l.Pop(); m != nil; m = l.Pop() {
		m.release(why)
		if len(run) > 0 && run[0].pool != m.pool {
			run[0].pool.free(why, run...)
			run = run[:0]
		}
		run = append(run, m)
	}
	if len(run) > 0 {
		run[0].pool.free(why, run...)
	}
}

func (l *List) grow() {
	ring := make([]*Packet, max(8, 2*len(l.ring)))
	n := copy(ring, l.ring[l.head:])
	copy(ring[n:], l.ring[:l.head])
	l.ring, l.head = ring, 0
}

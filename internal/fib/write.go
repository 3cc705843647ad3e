package fib

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/softnet-go/softnet/internal/hook"
)

// A change is what becomes of the addresses of one prefix.
type change struct {
	octets  [16]byte
	bits    int
	becomes func(leaf uint32) uint32
}

// Insert gives p the value: each address in it that matched no longer prefix matches p now.
// The function returns the length of the prefix that has a value.
func (t *Table) Insert(p netip.Prefix, value uint32, length func(value uint32) int) {
	t.change(p, func(leaf uint32) uint32 {
		if leaf == 0 || length(leaf) <= p.Bits() {
			return value
		}
		return leaf
	})
}

// Replace gives each address in p that has the value old the value new: p has changed, or
// it is taken away, and new is what the next shorter prefix has.
func (t *Table) Replace(p netip.Prefix, old, new uint32) {
	t.change(p, func(leaf uint32) uint32 {
		if leaf == old {
			return new
		}
		return leaf
	})
}

// change publishes a change, root entry by root entry.
func (t *Table) change(p netip.Prefix, becomes func(uint32) uint32) {
	if t.cur.Load() == nil {
		t.cur.Store(&view{make([]hook.Uint32, 1<<rootBits), make([]uint32, 1<<10)})
	}
	c := &change{bits: p.Bits(), becomes: becomes}
	copy(c.octets[:], p.Addr().AsSlice())
	first, n := int(binary.BigEndian.Uint16(c.octets[:])), 1
	if c.bits < rootBits {
		n = 1 << (rootBits - c.bits)
	}
	for i := first; i < first+n; i++ {
		old := t.cur.Load().root[i].Load()
		if e := t.apply(old, rootBits/8, c); e != old {
			t.cur.Load().root[i].Store(e) // apply may have moved to a larger arena
		}
	}
}

// apply returns what entry e becomes, which the octets before d lead to. It leaves e's
// chunk as it is, for those who read it, and makes another if anything changes.
func (t *Table) apply(e uint32, d int, c *change) uint32 {
	first, n := 0, 256
	switch {
	case c.bits <= d*8 && e&kid == 0: // the leaf lies inside the prefix
		return c.becomes(e)
	case c.bits > d*8+8:
		first, n = int(c.octets[d]), 1
	case c.bits > d*8:
		first, n = int(c.octets[d]), 1<<(d*8+8-c.bits)
	}
	var all [256]uint32
	size := t.unpack(e, &all)
	changed := false
	for i := first; i < first+n; i++ {
		was := all[i]
		all[i] = t.apply(was, d+1, c)
		changed = changed || all[i] != was
	}
	if !changed {
		return e
	}
	if e&kid != 0 {
		t.dead = append(t.dead, span{e &^ kid, size})
	}
	return t.pack(&all)
}

// unpack spreads what entry e says of the next octet, and returns how many words e's chunk
// has.
func (t *Table) unpack(e uint32, all *[256]uint32) (size uint32) {
	if e&kid == 0 {
		for i := range all {
			all[i] = e
		}
		return 0
	}
	c := t.cur.Load().arena[e&^kid:]
	run := head - 1
	for i := range all {
		run += int(c[i>>5] >> (i & 31) & 1)
		all[i] = c[run]
	}
	return uint32(run) + 1
}

// pack returns an entry that says all: a leaf if they are all one, else a new chunk.
func (t *Table) pack(all *[256]uint32) uint32 {
	var c [head + 256]uint32
	runs := uint32(0)
	for i, e := range all {
		if i == 0 || e != all[i-1] {
			c[i>>5] |= 1 << (i & 31)
			c[head+runs] = e
			runs++
		}
		if word := i>>5 + 1; i&31 == 31 && word < 8 {
			c[8+word>>2] |= runs << (word & 3 * 8)
		}
	}
	if runs == 1 && all[0]&kid == 0 {
		return all[0]
	}
	return kid | t.put(c[:head+runs])
}

// put copies a chunk to where no reader looks, and returns the place.
func (t *Table) put(c []uint32) uint32 {
	v := t.cur.Load()
	if f := &t.free[len(c)]; len(*f) > 0 {
		place := (*f)[len(*f)-1]
		*f = (*f)[:len(*f)-1]
		t.idle -= len(c)
		copy(v.arena[place:], c)
		return place
	}
	if t.used+len(c) > len(v.arena) {
		larger := &view{make([]hook.Uint32, len(v.root)), make([]uint32, len(v.arena)+len(v.arena)/2+len(c))}
		for i := range v.root {
			larger.root[i].Store(v.root[i].Load())
		}
		copy(larger.arena, v.arena[:t.used])
		t.cur.Store(larger)
		v = larger
	}
	place := uint32(t.used)
	t.used += copy(v.arena[place:], c)
	return place
}

// Dead is a number of chunks that changes have replaced.
type Dead struct {
	spans []span
	arena int // which they lie in
}

// Dead returns the chunks replaced since it was last called. When a grace period that
// begins now has ended nobody reads them, and [Table.Free] takes them back.
func (t *Table) Dead() Dead {
	d := Dead{t.dead, t.arenas}
	t.dead = nil
	return d
}

// Empty reports whether there is nothing to free.
func (d Dead) Empty() bool { return len(d.spans) == 0 }

// Free takes chunks back that nobody reads any more, and moves everything to a denser
// arena when most of this one is free.
func (t *Table) Free(d Dead) {
	if d.arena != t.arenas {
		return // they went with their arena
	}
	for _, s := range d.spans {
		t.free[s.size] = append(t.free[s.size], s.place)
		t.idle += int(s.size)
	}
	if t.idle > 1<<12 && t.idle > t.used/2 {
		t.compact()
	}
}

// compact copies all that can be reached to an arena without gaps, and publishes that.
func (t *Table) compact() {
	v := t.cur.Load()
	dense := &view{make([]hook.Uint32, len(v.root)), make([]uint32, 0, t.used-t.idle+t.used/8)}
	var all [256]uint32
	var move func(e uint32) uint32
	move = func(e uint32) uint32 {
		if e&kid == 0 {
			return e
		}
		size := t.unpack(e, &all)
		place := uint32(len(dense.arena))
		dense.arena = append(dense.arena, v.arena[e&^kid:][:size]...)
		for i := place + head; i < place+size; i++ {
			dense.arena[i] = move(dense.arena[i])
		}
		return kid | place
	}
	for i := range v.root {
		dense.root[i].Store(move(v.root[i].Load()))
	}
	t.used, t.idle, t.dead = len(dense.arena), 0, nil
	t.free = [head + 256 + 1][]uint32{}
	t.arenas++
	dense.arena = dense.arena[:cap(dense.arena)]
	t.cur.Store(dense)
}

// Load fills a table that was empty with many prefixes at once; the value of each is what
// the function returns. No prefix may come twice.
func (t *Table) Load(ps []netip.Prefix, value func(i int) uint32) {
	items := make([]item, len(ps))
	for i, p := range ps {
		items[i] = item{bits: p.Bits(), value: value(i)}
		copy(items[i].octets[:], p.Addr().AsSlice())
	}
	slices.SortFunc(items, func(x, y item) int {
		return cmp.Or(cmp.Compare(binary.BigEndian.Uint64(x.octets[:]), binary.BigEndian.Uint64(y.octets[:])),
			cmp.Compare(binary.BigEndian.Uint64(x.octets[8:]), binary.BigEndian.Uint64(y.octets[8:])),
			cmp.Compare(x.bits, y.bits))
	})
	t.cur.Store(&view{make([]hook.Uint32, 1<<rootBits), make([]uint32, 1<<10+3*len(ps))})
	root := make([]uint32, 1<<rootBits)
	// An item comes after those that contain it, so it overwrites them.
	for _, it := range items {
		if it.bits <= rootBits {
			first := int(binary.BigEndian.Uint16(it.octets[:]))
			for i := range 1 << (rootBits - it.bits) {
				root[first+i] = it.value
			}
		}
	}
	for i := 0; i < len(items); {
		slot, j := binary.BigEndian.Uint16(items[i].octets[:]), i
		for j < len(items) && binary.BigEndian.Uint16(items[j].octets[:]) == slot {
			j++
		}
		root[slot] = t.build(items[i:j], rootBits/8, root[slot])
		i = j
	}
	v := t.cur.Load()
	for i, e := range root {
		if e != 0 {
			v.root[i].Store(e)
		}
	}
}

type item struct {
	octets [16]byte
	bits   int
	value  uint32
}

// build returns an entry for octet d of the items, which are sorted, over the value that
// shorter prefixes have left.
func (t *Table) build(items []item, d int, inherited uint32) uint32 {
	var all [256]uint32
	for i := range all {
		all[i] = inherited
	}
	deeper := false
	for _, it := range items { // shorter ones first where they overlap
		switch {
		case it.bits <= d*8:
		case it.bits > d*8+8:
			deeper = true
		default:
			first := int(it.octets[d])
			for i := range 1 << (d*8 + 8 - it.bits) {
				all[first+i] = it.value
			}
		}
	}
	for i := 0; deeper && i < len(items); {
		o, j := items[i].octets[d], i
		for j < len(items) && items[j].octets[d] == o {
			j++
		}
		all[o] = t.build(items[i:j], d+1, all[o])
		i = j
	}
	return t.pack(&all)
}

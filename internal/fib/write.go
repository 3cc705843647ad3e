package fib

import (
	"encoding/binary"
	"net/netip"
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

// change makes a change: in place if it concerns one entry of the root, and otherwise as a
// batch, so that no two addresses are answered before and after it at once.
func (t *Table) change(p netip.Prefix, becomes func(uint32) uint32) {
	c := &change{bits: p.Bits(), becomes: becomes}
	copy(c.octets[:], p.Addr().AsSlice())
	f, first := family(p), int(binary.BigEndian.Uint16(c.octets[:]))
	if c.bits >= rootBits {
		t.changeEntry(f, first, c)
		return
	}
	batch := t.next == nil
	if batch {
		t.Begin()
	}
	for i := range 1 << (rootBits - c.bits) {
		t.changeEntry(f, first+i, c)
	}
	if batch {
		t.Commit()
	}
}

func (t *Table) changeEntry(f, i int, c *change) {
	old := t.view().roots[f][i].LoadOwn()
	e := t.apply(old, rootBits/8, c)
	if e == old {
		return
	}
	if r := t.root(f); t.next != nil {
		r[i].StoreOwn(e)
	} else {
		r[i].Store(e)
	}
}

func family(p netip.Prefix) int {
	if p.Addr().Is4() {
		return four
	}
	return six
}

// view returns what the writer changes.
func (t *Table) view() *view {
	if t.next != nil {
		return t.next
	}
	v := t.cur.LoadOwn()
	if v == nil {
		v = &view{[2]*root{&none, &none}, make([]uint32, 1<<10)}
		t.cur.Store(v)
	}
	return v
}

// root returns the root of a family to store to. That of a batch is its own, and nobody's
// is none.
func (t *Table) root(f int) *root {
	v := t.view()
	was := t.cur.LoadOwn()
	switch r := v.roots[f]; {
	case v == was && r == &none:
		v = &view{was.roots, was.arena}
		v.roots[f] = new(root)
		t.cur.Store(v)
	case v != was && was != nil && r == was.roots[f]:
		v.roots[f] = t.clone(r)
	}
	return v.roots[f]
}

// clone returns a root that begins as r is.
func (t *Table) clone(r *root) *root {
	var c *root
	if n := len(t.spare); n > 0 {
		c = t.spare[n-1]
		t.spare = t.spare[:n-1]
	} else {
		c = new(root)
	}
	copy(c[:], r[:]) // only the writer stores to r, and nobody reads c yet
	return c
}

// Begin keeps the changes that follow from being seen until [Table.Commit].
func (t *Table) Begin() {
	v := t.view()
	t.next = &view{v.roots, v.arena}
}

// Commit lets every change since [Table.Begin] be seen at once.
func (t *Table) Commit() {
	was, now := t.cur.LoadOwn(), t.next
	t.next = nil
	for f, r := range was.roots {
		if r != now.roots[f] && r != &none {
			t.dead.roots = append(t.dead.roots, r)
		}
	}
	t.cur.Store(now)
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
		t.dead.spans = append(t.dead.spans, span{e &^ kid, size})
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
	c := t.view().arena[e&^kid:]
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
	n, leaf := encode(all, &c)
	if leaf {
		return all[0]
	}
	return kid | t.put(c[:n])
}

// encode makes c the chunk that says all, and returns how many words it has; leaf is whether
// none is needed.
func encode(all *[256]uint32, c *[head + 256]uint32) (n uint32, leaf bool) {
	runs, before := uint32(0), ^all[0]
	for w := range 8 {
		starts := uint32(0)
		for i, e := range all[w*32 : w*32+32] {
			if e != before {
				starts |= 1 << i
				c[head+runs] = e
				runs++
				before = e
			}
		}
		c[w] = starts
		if w < 7 {
			c[8+(w+1)>>2] |= runs << ((w + 1) & 3 * 8)
		}
	}
	return head + runs, runs == 1 && all[0]&kid == 0
}

// put copies a chunk to where no reader looks, and returns the place.
func (t *Table) put(c []uint32) uint32 {
	v := t.view()
	if f := &t.free[len(c)]; len(*f) > 0 {
		place := (*f)[len(*f)-1]
		*f = (*f)[:len(*f)-1]
		t.idle -= len(c)
		copy(v.arena[place:], c)
		return place
	}
	if t.used+len(c) > len(v.arena) {
		v = t.grow(len(c))
	}
	place := uint32(t.used)
	t.used += copy(v.arena[place:], c)
	return place
}

// grow gives the writer's view an arena with room for n words more. Who reads the old one
// must not meet entries that point beyond it, so the roots are new ones, too.
func (t *Table) grow(n int) *view {
	v := t.view()
	arena := make([]uint32, len(v.arena)+len(v.arena)/2+n)
	copy(arena, v.arena[:t.used])
	if v == t.next {
		v.arena = arena // nobody has seen the new entries of its roots
		return v
	}
	larger := &view{v.roots, arena}
	for f, r := range v.roots {
		if r != &none {
			larger.roots[f] = t.clone(r)
			t.dead.roots = append(t.dead.roots, r)
		}
	}
	t.cur.Store(larger)
	return larger
}

// Dead is what changes have replaced.
type Dead struct {
	spans []span
	arena int // which they lie in
	roots []*root
}

// Dead returns what was replaced since it was last called. When a grace period that begins
// now has ended nobody reads it, and [Table.Free] takes it back.
func (t *Table) Dead() Dead {
	d := t.dead
	d.arena = t.arenas
	t.dead = Dead{}
	return d
}

// Undead takes a Dead back whose grace period did not come to its end: it is part of the
// next.
func (t *Table) Undead(d Dead) {
	if d.arena == t.arenas {
		t.dead.spans = append(t.dead.spans, d.spans...)
	}
	t.dead.roots = append(t.dead.roots, d.roots...)
}

// Garbage returns how many chunks and roots the next Dead has.
func (t *Table) Garbage() int { return len(t.dead.spans) + len(t.dead.roots) }

// Empty reports whether there is nothing to free.
func (d Dead) Empty() bool { return len(d.spans)+len(d.roots) == 0 }

// spares is how many roots are kept for use again.
const spares = 4

// Free takes back what nobody reads any more, and moves everything to a denser arena when
// most of this one is free.
func (t *Table) Free(d Dead) {
	t.spare = append(t.spare, d.roots[:min(len(d.roots), spares-len(t.spare))]...)
	if d.arena != t.arenas {
		return // the chunks went with their arena
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
	v := t.cur.LoadOwn()
	dense := &view{[2]*root{&none, &none}, make([]uint32, 0, t.used-t.idle+t.used/8)}
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
	for f, r := range v.roots {
		if r == &none {
			continue
		}
		dense.roots[f] = new(root)
		for i := range r {
			if e := r[i].LoadOwn(); e != 0 {
				dense.roots[f][i].StoreOwn(move(e))
			}
		}
		t.dead.roots = append(t.dead.roots, r)
	}
	t.replaceArena(dense)
}

// replaceArena publishes a view whose arena has another one's place.
func (t *Table) replaceArena(v *view) {
	t.used, t.idle, t.dead.spans = len(v.arena), 0, nil
	t.free = [head + 256 + 1][]uint32{}
	t.arenas++
	v.arena = v.arena[:cap(v.arena)]
	t.cur.Store(v)
}

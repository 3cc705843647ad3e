package fib

import (
	"iter"
	"net/netip"
	"slices"
)

// Load makes the table what prefixes and their values say, all at once and whatever it was
// before. They come ordered by address and then by length, and no prefix comes twice.
func (t *Table) Load(ps iter.Seq2[netip.Prefix, uint32]) {
	var items [2][]item
	for p, value := range ps {
		f := family(p)
		items[f] = append(items[f], newItem(p, value))
	}
	b := builder{arena: make([]uint32, 0, 1<<10+3*(len(items[four])+2*len(items[six])))}
	v := &view{roots: [2]*root{&none, &none}}
	for f, items := range items {
		if len(items) > 0 {
			v.roots[f] = b.root(items)
		}
	}
	if was := t.cur.LoadOwn(); was != nil {
		for _, r := range was.roots {
			if r != &none {
				t.dead.roots = append(t.dead.roots, r)
			}
		}
	}
	v.arena = make([]uint32, len(b.arena), len(b.arena)+len(b.arena)/8+1<<10)
	copy(v.arena, b.arena)
	t.replaceArena(v)
}

// An item is a prefix and its value.
type item struct {
	hi, lo uint64 // the address, from the top
	bits   int32
	value  uint32
}

func newItem(p netip.Prefix, value uint32) item {
	it := item{bits: int32(p.Bits()), value: value}
	if a := p.Addr(); a.Is4() {
		it.hi = uint64(Word4(a)) << 32
	} else {
		it.hi, it.lo = Words6(a)
	}
	return it
}

// octet returns octet d of the address.
func (it *item) octet(d int) uint32 {
	if d < 8 {
		return uint32(it.hi>>(56-8*d)) & 255
	}
	return uint32(it.lo>>(120-8*d)) & 255
}

// A builder builds a table that nobody sees yet.
type builder struct{ arena []uint32 }

// root returns the root of items, which are sorted.
func (b *builder) root(items []item) *root {
	values := make([]uint32, 1<<rootBits)
	// An item comes after those that contain it, so it overwrites them.
	for _, it := range items {
		if it.bits <= rootBits {
			first := it.hi >> (64 - rootBits)
			for i := range uint64(1) << (rootBits - it.bits) {
				values[first+i] = it.value
			}
		}
	}
	for i := 0; i < len(items); {
		slot, j := items[i].hi>>(64-rootBits), i
		for j < len(items) && items[j].hi>>(64-rootBits) == slot {
			j++
		}
		values[slot] = b.build(items[i:j], rootBits/8, values[slot])
		i = j
	}
	r := new(root)
	for i, e := range values {
		if e != 0 {
			r[i].StoreOwn(e)
		}
	}
	return r
}

// build returns an entry for octet d of the items, which are sorted, over the value that
// shorter prefixes have left.
func (b *builder) build(items []item, d int, inherited uint32) uint32 {
	deep := int32(d * 8)
	if !slices.ContainsFunc(items, func(it item) bool { return it.bits > deep }) {
		return inherited // they have been counted in
	}
	var all [256]uint32
	for i := range all {
		all[i] = inherited
	}
	deeper := false
	for i := range items { // shorter ones first where they overlap
		switch it := &items[i]; {
		case it.bits <= deep:
		case it.bits > deep+8:
			deeper = true
		default:
			first := it.octet(d)
			for i := range uint32(1) << (deep + 8 - it.bits) {
				all[first+i] = it.value
			}
		}
	}
	for i := 0; deeper && i < len(items); {
		o, j := items[i].octet(d), i
		for j < len(items) && items[j].octet(d) == o {
			j++
		}
		all[o] = b.build(items[i:j], d+1, all[o])
		i = j
	}
	return b.pack(&all)
}

func (b *builder) pack(all *[256]uint32) uint32 {
	var c [head + 256]uint32
	n, leaf := encode(all, &c)
	if leaf {
		return all[0]
	}
	place := uint32(len(b.arena))
	b.arena = append(b.arena, c[:n]...)
	return kid | place
}

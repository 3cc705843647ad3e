package rtable

import (
	"net/netip"
	"unsafe"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
)

// What a lookup needs of an entry lies dense: a word for each. The entry itself is cold,
// and only who uses more of it brings it into a cache. Entries have numbers, slots, so that
// the FIB need not know pointers; they lie in slabs, so that a slot says where.

// A word says of an entry:
const (
	wordUpdating = 1 << 31 // an update is under way
	wordGone     = 1 << 30 // not in the table: it has been deleted, or is not added yet
	wordFreed    = 1 << 29 // nobody may look at it any more
	wordHop      = 1<<29 - 1
)

const (
	slabBits = 8
	slabSize = 1 << slabBits
)

type slab [slabSize]Entry

// memory is where lookups find entries. It is replaced when it grows; who still reads the
// old one sees words that have stopped changing, which is why those who change a word wait
// for a grace period.
type memory struct {
	words []hook.Uint32 // by slot
	slabs []*slab       // by slot >> slabBits
	hops  []*NextHop    // by what words say
}

// entry returns the entry in a slot, without a look at its slab: Go's way to index it begins
// with one, which is a cache miss to many a lookup.
func (m *memory) entry(slot uint32) *Entry {
	first := unsafe.Pointer(m.slabs[slot>>slabBits])
	return (*Entry)(unsafe.Add(first, uintptr(slot%slabSize)*unsafe.Sizeof(Entry{})))
}

// store is the writers' side: it gives out slots and next hops. Guarded by Table.mu.
type store struct {
	used  uint32   // slots given out so far; 0 is no slot
	free  []uint32 // given back, oldest first
	hops  map[NextHop]uint32
	uses  []uint32 // of a hop, by how many entries
	spare []uint32 // hops that none uses
	// memo is hops that were given out lately, by a hash: a full table has millions of
	// routes and few next hops, and need not ask the map each time.
	memo [64]uint32
}

// quarantine is how many slots rest before one is used again, so that who uses an entry
// after it was freed is likely to notice. In checked builds they rest for ever.
const quarantine = 256

// allocate returns an entry for a route, which nobody finds yet.
func (t *Table) allocate(rt *Route) *Entry {
	s := &t.store
	var slot uint32
	if len(s.free) > quarantine && !invariants.Enabled {
		slot = s.free[0]
		s.free = s.free[1:]
	} else {
		s.used++
		slot = s.used
	}
	m := t.mem.LoadOwn()
	if int(slot>>slabBits) >= len(m.slabs) {
		m = t.grow(m)
	}
	e := m.entry(slot)
	e.t, e.slot = t, slot
	e.addr, e.bits = rt.Dst.Addr(), uint8(rt.Dst.Bits())
	t.fill(e, rt, wordGone)
	return e
}

// grow makes room for the next slab of entries.
func (t *Table) grow(m *memory) *memory {
	n := *m
	n.slabs = append(m.slabs, new(slab)) // readers never look beyond the length they loaded
	if len(n.slabs) > len(m.words)>>slabBits {
		n.words = make([]hook.Uint32, (len(n.slabs)+len(n.slabs)/4)*slabSize)
		copy(n.words, m.words) // only writers store to them
	}
	t.mem.Store(&n)
	return &n
}

// fill makes e say what rt says, but for its destination, and its word what state says.
func (t *Table) fill(e *Entry, rt *Route, state uint32) {
	h := t.hop(rt.nextHop())
	e.hop, e.metrics = t.mem.LoadOwn().hops[h], nil
	if rt.Metrics != (Metrics{}) {
		m := rt.Metrics
		e.metrics = &m
	}
	t.own(e).Store(h | state)
}

// give takes the slot of an entry that nobody looks at any more, or ever has.
func (t *Table) give(e *Entry) {
	t.putHop(t.own(e).LoadOwn())
	t.own(e).Store(wordGone | wordFreed)
	t.store.free = append(t.store.free, e.slot)
}

func (t *Table) word(e *Entry) *hook.Uint32 { return &t.mem.Load().words[e.slot] }

// own is word for writers: mu is held.
func (t *Table) own(e *Entry) *hook.Uint32 { return &t.mem.LoadOwn().words[e.slot] }

// hop returns the number of a next hop, for one more entry.
func (t *Table) hop(nh NextHop) uint32 {
	s := &t.store
	hops := t.mem.LoadOwn().hops
	memo := &s.memo[nh.hash()%uint32(len(s.memo))]
	if h := *memo; h < uint32(len(hops)) && s.uses[h] > 0 && *hops[h] == nh {
		s.uses[h]++
		return h
	}
	h, known := s.hops[nh]
	if !known {
		h = t.newHop(nh)
	}
	s.uses[h]++
	*memo = h
	return h
}

// newHop returns a number for a next hop that has none.
func (t *Table) newHop(nh NextHop) (h uint32) {
	s := &t.store
	if n := len(s.spare); n > 0 {
		h = s.spare[n-1]
		s.spare = s.spare[:n-1]
		t.mem.LoadOwn().hops[h] = &nh // no word that anybody reads says h
	} else {
		m := *t.mem.LoadOwn()
		h = uint32(len(m.hops))
		m.hops = append(m.hops, &nh) // readers never look beyond the length they loaded
		t.mem.Store(&m)
		s.uses = append(s.uses, 0)
	}
	s.hops[nh] = h
	return h
}

// hash tells the next hops of one network apart as well as is needed.
func (nh *NextHop) hash() uint32 {
	gw := nh.Gateway.As16()
	return uint32(gw[15]) ^ uint32(gw[14])<<3 ^ nh.Out.Index
}

// putHop gives back the next hop that a word said. Nobody who has read the word still looks
// at it.
func (t *Table) putHop(word uint32) {
	s, h := &t.store, word&wordHop
	if s.uses[h]--; s.uses[h] == 0 {
		delete(s.hops, *t.mem.LoadOwn().hops[h])
		s.spare = append(s.spare, h)
	}
}

// dst returns the destination of an entry's slot.
func (t *Table) dst(slot uint32) netip.Prefix { return t.mem.LoadOwn().entry(slot).dst() }

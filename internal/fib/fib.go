package fib

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/softnet-go/softnet/internal/hook"
)

// MaxValue is the largest value an address can have.
const MaxValue = kid - 1

const (
	kid      = 1 << 31 // in an entry: what remains is the place of a chunk
	rootBits = 16
	head     = 10 // words of a chunk before its runs
)

// A Table maps the addresses of both families. The zero Table matches nothing. Lookups may
// run at any time, inside a read section that [Table.Free]'s grace periods wait for;
// everything else is the writer's, of whom there is one at a time.
type Table struct {
	cur hook.Pointer[view]

	// The writer's own:
	next   *view                    // what changes go to until Commit; nil: they are seen at once
	used   int                      // words of the arena that have been given out
	idle   int                      // of those, how many are free again
	free   [head + 256 + 1][]uint32 // places of free chunks, by size
	spare  []*root                  // that nobody reads any more
	dead   Dead                     // replaced since the last call of Dead
	arenas int                      // how often everything has moved to another arena
}

// A view is the roots and the arena their entries point into. They are replaced together.
type view struct {
	roots [2]*root // IPv4, IPv6
	arena []uint32
}

// A root has an entry for each value of an address's first bits.
type root [1 << rootBits]hook.Uint32

// none is the root of a family that no prefix was ever given for. Nobody writes to it.
var none root

const (
	four = iota
	six
)

type span struct{ place, size uint32 }

// Lookup4 returns the value of an IPv4 address in host order.
func (t *Table) Lookup4(a uint32) uint32 {
	v := t.cur.Load()
	if v == nil {
		return 0
	}
	e := v.roots[four][a>>16].Load()
	if e&kid != 0 {
		if e = step(v.arena, e, a>>8&255); e&kid != 0 {
			e = step(v.arena, e, a&255)
		}
	}
	return e
}

// Lookup6 returns the value of an IPv6 address, given as its upper and lower half.
func (t *Table) Lookup6(hi, lo uint64) uint32 {
	v := t.cur.Load()
	if v == nil {
		return 0
	}
	e := v.roots[six][hi>>48].Load()
	for w, level := hi<<16, 0; e&kid != 0; level++ {
		e = step(v.arena, e, uint32(w>>56))
		if w <<= 8; level == 5 {
			w = lo
		}
	}
	return e
}

// Lookup returns the value of an address.
func (t *Table) Lookup(a netip.Addr) uint32 {
	if a.Is4() {
		return t.Lookup4(Word4(a))
	}
	return t.Lookup6(Words6(a))
}

// Word4 returns an IPv4 address as Lookup4 wants it.
func Word4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// Words6 returns an IPv6 address as Lookup6 wants it.
func Words6(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// Burst is how many addresses are looked up at a time where there are many.
const Burst = 16

// Burst4 is Lookup4 for many, level by level, so that their cache misses overlap.
func (t *Table) Burst4(a *[Burst]uint32, out *[Burst]uint32) {
	v := t.cur.Load()
	if v == nil {
		*out = [Burst]uint32{}
		return
	}
	r := v.roots[four]
	for i, a := range a {
		out[i] = r[a>>16].Load()
	}
	for shift := 8; shift >= 0; shift -= 8 {
		for i, a := range a {
			if out[i]&kid != 0 {
				out[i] = step(v.arena, out[i], a>>shift&255)
			}
		}
	}
}

// Burst6 is Lookup6 for many.
func (t *Table) Burst6(a *[Burst][2]uint64, out *[Burst]uint32) {
	v := t.cur.Load()
	if v == nil {
		*out = [Burst]uint32{}
		return
	}
	r, more := v.roots[six], uint32(0)
	for i := range a {
		out[i] = r[a[i][0]>>48].Load()
		more |= out[i]
	}
	for octet := 2; more&kid != 0; octet++ {
		more = 0
		for i := range a {
			if out[i]&kid != 0 {
				out[i] = step(v.arena, out[i], uint32(a[i][octet>>3&1]>>(56-octet&7*8)&255))
				more |= out[i]
			}
		}
	}
}

// step returns what entry e, a chunk, says of the octet o.
func step(arena []uint32, e, o uint32) uint32 {
	hook.Pause() // the chunk must outlast whatever others do meanwhile
	c := arena[e&^kid:]
	before := c[8+o>>7] >> (o >> 5 & 3 * 8) & 255
	here := bits.OnesCount32(c[o>>5] << (31 - o&31)) // runs that began up to o, in its word
	return c[head-1+before+uint32(here)]
}

// Stats says how big the table is, in words of 4 bytes.
type Stats struct {
	Roots int // of the direct roots
	Used  int // of the arena, by chunks that can be reached or may still be read
	Arena int // of the arena, whatever is in it
	Moves int // how often everything has moved to a denser arena
}

// Stats returns the sizes. It is the writer's.
func (t *Table) Stats() Stats {
	v := t.cur.LoadOwn()
	if v == nil {
		return Stats{}
	}
	s := Stats{Used: t.used - t.idle, Arena: len(v.arena), Moves: t.arenas}
	for _, r := range v.roots {
		if r != &none {
			s.Roots += len(r)
		}
	}
	return s
}

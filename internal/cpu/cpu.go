package cpu

import (
	"math/bits"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
)

// Bits of Section and of a slot.
const (
	Inside        = 1 << 0  // Section: between the outermost enter and exit
	SectionWaited = 1 << 1  // Section: a waiter wants to hear of the exit
	SectionStep   = 1 << 2  // Section: what the sequence grows by
	SlotWaited    = 1 << 63 // slot: its release owes the target one decrement
)

// ChunkSlots is how many references a CPU holds before it needs another chunk.
const ChunkSlots = 8

// CPU is one LWP as the rooms above see it. A waiter may read Section, Quiet and the
// slots; everything else belongs to the owner.
type CPU struct {
	Section hook.Uint64
	Quiet   hook.Uint64
	Refs    Chunk // the first of a chain

	Depth   uint32 // of nested read sections
	Softint bool   // immutable while bound
	Seq     uint64 // of the last outermost section, in steps of SectionStep
	seen    uint64 // the last epoch answered, as Quiet says while online
	m       *Machine

	_ [hook.LineBytes]byte // the next CPU is another core's
}

// Chunk is a set of references. Chunks are added, never taken away.
type Chunk struct {
	Slots [ChunkSlots]hook.Uint64
	next  hook.Pointer[Chunk]

	used    uint32               // the owner's: a bit for each reference held
	counted uint32               // softint: those that owe their target one decrement
	lives   [ChunkSlots]*Life    // softint: what each refers to
	sites   *[ChunkSlots]Holding // checked builds: where each was taken
}

// Life is the part of a target that its holders and its destroyer share.
type Life struct {
	// Dying is set before a destroyer looks for holders; no holder begins after it
	// has seen it set.
	Dying hook.Uint32
	// Pending is how many holders the destroyer has found that have not let go, and
	// one for the destroyer itself while it still looks.
	Pending hook.Int32
}

// Holding is what a checked build remembers of a reference.
type Holding struct {
	What string
	Site invariants.Site
}

// Machine returns the machine c belongs to.
func (c *CPU) Machine() *Machine { return c.m }

// Take marks a free reference of c as used and returns its number.
func (c *CPU) Take() uint32 {
	if free := ^c.Refs.used & (1<<ChunkSlots - 1); free != 0 {
		i := uint32(bits.TrailingZeros32(free))
		c.Refs.used |= 1 << i
		return i
	}
	return c.takeMore()
}

//go:noinline
func (c *CPU) takeMore() uint32 {
	ch, base := &c.Refs, uint32(0)
	for {
		next := ch.next.Load()
		if next == nil {
			next = new(Chunk)
			ch.next.Store(next)
		}
		ch, base = next, base+ChunkSlots
		if free := ^ch.used & (1<<ChunkSlots - 1); free != 0 {
			i := uint32(bits.TrailingZeros32(free))
			ch.used |= 1 << i
			return base + i
		}
	}
}

// Give marks reference i as free again.
func (c *CPU) Give(i uint32) {
	ch, i := c.Chunk(i)
	ch.used &^= 1 << i
}

// Used reports whether reference i is in use.
func (c *CPU) Used(i uint32) bool {
	ch, i := c.Chunk(i)
	return ch.used>>i&1 != 0
}

// Chunk returns the chunk of reference i and the reference's place in it.
func (c *CPU) Chunk(i uint32) (*Chunk, uint32) {
	if i < ChunkSlots {
		return &c.Refs, i
	}
	return c.chunkMore(i)
}

//go:noinline
func (c *CPU) chunkMore(i uint32) (*Chunk, uint32) {
	ch := &c.Refs
	for ; i >= ChunkSlots; i -= ChunkSlots {
		ch = ch.next.Load()
	}
	return ch, i
}

// Next returns the chunk after ch, or nil.
func (ch *Chunk) Next() *Chunk { return ch.next.Load() }

// Hold records that the softint that owns ch refers to lf in place i.
func (ch *Chunk) Hold(i uint32, lf *Life) { ch.lives[i] = lf }

// Drop forgets place i of a softint and reports whether the target had counted it.
func (ch *Chunk) Drop(i uint32) (counted bool) {
	ch.lives[i] = nil
	counted = ch.counted>>i&1 != 0
	ch.counted &^= 1 << i
	return counted
}

// Counted reports whether the target has counted place i of a softint, and marks it so.
func (ch *Chunk) Counted(i uint32) bool { return ch.counted>>i&1 != 0 }

// Count counts place i into its target: whoever drops it owes one decrement.
func (ch *Chunk) Count(i uint32) {
	ch.lives[i].Pending.Add(1)
	ch.counted |= 1 << i
}

// Holds reports whether the softint that owns c refers to lf.
func (c *CPU) Holds(lf *Life) bool {
	for ch := &c.Refs; ch != nil; ch = ch.Next() {
		for _, x := range ch.lives {
			if x == lf {
				return true
			}
		}
	}
	return false
}

// Refers reports whether the thread that owns c refers to the target with that id.
func (c *CPU) Refers(id uint64) bool {
	for ch := &c.Refs; ch != nil; ch = ch.Next() {
		for i := range ch.Slots {
			if ch.Slots[i].Load()&^SlotWaited == id {
				return true
			}
		}
	}
	return false
}

// Held returns how many references the owner holds.
func (c *CPU) Held() int {
	n := 0
	for ch := &c.Refs; ch != nil; ch = ch.Next() {
		n += bits.OnesCount32(ch.used)
	}
	return n
}

// Idle reports whether the owner holds no reference and is in no read section.
func (c *CPU) Idle() bool {
	return c.Depth == 0 && c.Refs.used == 0 && (c.Refs.next.Load() == nil || c.Held() == 0)
}

// Remember notes in checked builds what reference i is and where it was taken, skip
// frames above the caller; Forget undoes it.
func (c *CPU) Remember(i uint32, what string, skip int) {
	ch, i := c.Chunk(i)
	if ch.sites == nil {
		ch.sites = new([ChunkSlots]Holding)
	}
	ch.sites[i] = Holding{what, invariants.Here(skip + 1)}
}

// Holdings lists what the owner holds, as far as the build remembers.
func (c *CPU) Holdings() (hs []Holding) {
	for ch := &c.Refs; ch != nil; ch = ch.Next() {
		for i := range uint32(ChunkSlots) {
			if ch.used>>i&1 == 0 {
				continue
			}
			h := Holding{What: "a reference"}
			if ch.sites != nil {
				h = ch.sites[i]
			}
			hs = append(hs, h)
		}
	}
	return hs
}

// EnterSection publishes that the thread that owns c is in a read section.
func (c *CPU) EnterSection() {
	c.Seq += SectionStep
	c.Section.Store(c.Seq | Inside)
}

// ExitSection publishes that it has left, and wakes whoever asked to be.
func (c *CPU) ExitSection() {
	if c.Section.Swap(0)&SectionWaited != 0 {
		c.m.Wake()
	}
}

// MarkWaited asks the owner of c to wake the waiters when it leaves the section that
// the word w says it is in. It returns false if it has left already.
func (c *CPU) MarkWaited(w uint64) bool {
	for {
		if w&SectionWaited != 0 || c.Section.CompareAndSwap(w, w|SectionWaited) {
			return true
		}
		v := c.Section.Load()
		if v&^SectionWaited != w&^SectionWaited {
			return false
		}
		w = v
	}
}

// Site returns what a checked build remembers of place i, or nil.
func (ch *Chunk) Site(i uint32) *Holding {
	if ch.sites == nil {
		return nil
	}
	return &ch.sites[i]
}

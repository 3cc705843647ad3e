package cpu

import (
	"math/bits"

	uatomic "go.uber.org/atomic"

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
const ChunkSlots = 16

// CPU is one LWP as the rooms above see it. A waiter may read Section, Quiet and the
// slots; everything else belongs to the owner.
type CPU struct {
	Section hook.Uint64
	Quiet   hook.Uint64
	Refs    Chunk // the first of a chain

	// Depth counts nested read sections, from 0 for a thread and from SoftintDepth for
	// a softint: it is 1 exactly when a section must be published.
	Depth uint32
	// Top says how a softint's references lie in Refs. While they are taken and given
	// in LIFO order and nobody counts them, they are a stack of Top-Base places. At
	// any other time, and for a thread, it is Spilled, and Refs.used tells.
	Top  uint64
	Base uint64 // immutable while bound: the LWP's number<<32 | 1

	Softint bool   // a softint that is online; offline it is as a thread
	seq     uint64 // of the last outermost section, in steps of SectionStep
	seen    uint64 // the last epoch answered, as Quiet says while online
	m       *Machine

	_ [hook.LineBytes]byte // the next CPU is another core's
}

// SoftintDepth is the Depth of a softint that is in no read section.
const SoftintDepth = 1 << 31

// Spilled is the Top of a CPU whose references are no stack.
const Spilled = ^uint64(0)

// Chunk is a set of references. Chunks are added, never taken away.
type Chunk struct {
	Slots [ChunkSlots]hook.Uint64
	next  hook.Pointer[Chunk]

	Lives   [ChunkSlots]*Life // softint: what each place refers to, if it is used
	used    uint32            // a bit for each place held, unless they are a stack
	counted uint32            // softint: those that owe their target one decrement
	// sites is what checked builds remember of each place: written by the owner, read by
	// whoever reports a leak.
	sites uatomic.Pointer[[ChunkSlots]uatomic.Pointer[Holding]]
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
	Of   uint64 // which target, by its id; 0 once it has been given back
	Site invariants.Site
}

// Start makes c ready for an owner, a thread: the LWP with that number.
func (c *CPU) Start(number uint32) {
	c.Base = uint64(number)<<32 | 1
	c.Softint, c.Depth, c.Top = false, 0, Spilled
}

// Outside reports whether the owner is in no read section.
func (c *CPU) Outside() bool { return c.Depth&^SoftintDepth == 0 }

// Spill turns a stack of references into a set: one is given out of order, or counted,
// or there are too many.
func (c *CPU) Spill() {
	if c.Top != Spilled {
		c.Refs.used = 1<<(c.Top-c.Base) - 1
		c.Top = Spilled
	}
}

// Machine returns the machine c belongs to.
func (c *CPU) Machine() *Machine { return c.m }

// Take marks a free place of c, which is spilled, as used and returns its number.
func (c *CPU) Take() uint32 {
	for ch, base := &c.Refs, uint32(0); ; base += ChunkSlots {
		if i := ch.take(); i < ChunkSlots {
			return base + i
		}
		next := ch.next.Load()
		if next == nil {
			next = new(Chunk)
			ch.next.Store(next)
		}
		ch = next
	}
}

func (ch *Chunk) take() uint32 {
	i := uint32(bits.TrailingZeros32(^ch.used))
	if i < ChunkSlots {
		ch.used |= 1 << i
	}
	return i
}

// TakeFirst is Take for the common case of a free place in the first chunk. It reports
// whether there is one.
func (c *CPU) TakeFirst() (i uint32, ok bool) {
	i = c.Refs.take()
	return i, i < ChunkSlots
}

// Give marks place i of c, which is spilled, as free again. A softint's places become a
// stack again when all are free.
func (c *CPU) Give(i uint32) {
	ch, i := c.Chunk(i)
	ch.used &^= 1 << i
	if c.Softint && ch.used == 0 && c.Held() == 0 {
		c.Top = c.Base
	}
}

// Used reports whether place i is in use.
func (c *CPU) Used(i uint32) bool {
	ch, i := c.Chunk(i)
	return c.usedIn(ch)>>i&1 != 0
}

// usedIn returns the used places of ch, whichever way they lie.
func (c *CPU) usedIn(ch *Chunk) uint32 {
	if c.Top != Spilled && ch == &c.Refs {
		return 1<<(c.Top-c.Base) - 1
	}
	return ch.used
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

// Drop empties place i of a softint and reports whether its target had counted it.
func (ch *Chunk) Drop(i uint32) (counted bool) {
	ch.Lives[i] = nil
	counted = ch.counted>>i&1 != 0
	ch.counted &^= 1 << i
	return counted
}

// Counted reports whether its target has counted place i of a softint.
func (ch *Chunk) Counted(i uint32) bool { return ch.counted>>i&1 != 0 }

// Count counts place i into its target: whoever drops it owes one decrement.
func (ch *Chunk) Count(i uint32) {
	ch.Lives[i].Pending.Add(1)
	ch.counted |= 1 << i
}

// countDying counts every reference to a dying target that is not counted yet.
func (c *CPU) countDying() {
	for ch := &c.Refs; ch != nil; ch = ch.Next() {
		for used := c.usedIn(ch) &^ ch.counted; used != 0; used &= used - 1 {
			i := uint32(bits.TrailingZeros32(used))
			if ch.Lives[i].Dying.Load() != 0 {
				c.Spill()
				ch.Count(i)
			}
		}
	}
}

// Holds reports whether the softint that owns c refers to lf.
func (c *CPU) Holds(lf *Life) bool {
	for ch := &c.Refs; ch != nil; ch = ch.Next() {
		for used := c.usedIn(ch); used != 0; used &= used - 1 {
			if ch.Lives[bits.TrailingZeros32(used)] == lf {
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
		n += bits.OnesCount32(c.usedIn(ch))
	}
	return n
}

// Idle reports whether the owner holds no reference and is in no read section.
func (c *CPU) Idle() bool {
	stackFree := c.Top == c.Base || c.Top == Spilled
	return c.Outside() && stackFree && c.Refs.used == 0 && (c.Refs.next.Load() == nil || c.Held() == 0)
}

// Remember notes in checked builds what reference i is and where it was taken, skip
// frames above the caller; Forget undoes it.
func (c *CPU) Remember(i uint32, what string, of uint64, skip int) {
	ch, i := c.Chunk(i)
	sites := ch.sites.Load()
	if sites == nil {
		sites = new([ChunkSlots]uatomic.Pointer[Holding])
		ch.sites.Store(sites)
	}
	sites[i].Store(&Holding{what, of, invariants.Here(skip + 1)})
}

// Forget notes in checked builds that reference i has been given back.
func (c *CPU) Forget(i uint32) {
	ch, i := c.Chunk(i)
	if h := ch.Site(i); h != nil {
		ch.sites.Load()[i].Store(&Holding{What: h.What, Site: h.Site})
	}
}

// Holdings lists what the owner holds, as far as the build remembers.
func (c *CPU) Holdings() (hs []Holding) {
	for ch := &c.Refs; ch != nil; ch = ch.Next() {
		for i := range uint32(ChunkSlots) {
			if c.usedIn(ch)>>i&1 == 0 {
				continue
			}
			h := Holding{What: "a reference"}
			if site := ch.Site(i); site != nil {
				h = *site
			}
			hs = append(hs, h)
		}
	}
	return hs
}

// EnterSection publishes that the thread that owns c is in a read section.
func (c *CPU) EnterSection() {
	c.seq += SectionStep
	c.Section.Store(c.seq | Inside)
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
	if sites := ch.sites.Load(); sites != nil {
		return sites[i].Load()
	}
	return nil
}

package lwp

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unsafe"

	"github.com/softnet-go/softnet/internal/cpu"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/witness"
)

// ErrWouldSleep is what a call that may wait returns to a softint that is online: a
// softint may not sleep, for everyone who waits for its checkpoint would sleep with it.
// Defer the work to a thread, or go offline first.
var ErrWouldSleep = errors.New("a softint may not sleep")

// An LWP stands for the goroutine that bound it, as curlwp does in the kernel: it is
// what read sections and passive references belong to. There are two kinds. A thread may
// sleep anywhere; a softint may not sleep, and instead passes a [LWP.Checkpoint] between
// any two handlers.
//
// One goroutine at a time owns an LWP, and only the owner calls its methods or passes it
// to anything. It may be handed to another goroutine in the way any plain memory may be.
// Make one with [Domain.Bind] or [Domain.BindSoftint]; an LWP must not be copied.
type LWP struct {
	// CPU is what the rooms of this module keep per LWP, in the open because they
	// inline what they do with it. Its type is internal: there is nothing here for others.
	CPU cpu.CPU

	dom    *Domain         // immutable
	slot   uint32          // its place in dom.lwps, plus one; immutable
	worker bool            // bound as a softint, online or not; the owner's
	name   string          // of a worker; the owner's
	books  *witness.Thread // checked builds: what the owner holds; the owner's
	locals []any           // by Local.index; the owner's
}

// Domain returns the domain l belongs to.
func (l *LWP) Domain() *Domain { return l.dom }

// InSoftint reports whether l is a softint that is online: whether it may not sleep
// (cpu_softintr_p).
func (l *LWP) InSoftint() bool { return l.CPU.Softint }

// Books returns the books that a checked build keeps on l's owner, and nil otherwise.
func (l *LWP) Books() *witness.Thread { return l.books }

// String returns "thread 3" or "softint 4 (netisr0)".
func (l *LWP) String() string {
	if l.worker {
		return fmt.Sprintf("softint %d (%s)", l.slot, l.name)
	}
	return fmt.Sprintf("thread %d", l.slot)
}

// Checkpoint says that l is between two handlers: it is in no read section, and it
// answers whoever waits for that. References may be held across a checkpoint. It never
// blocks, and costs a load while nobody waits. Threads need not call it.
func (l *LWP) Checkpoint() {
	if invariants.Enabled {
		l.mustBeOutside("pass a checkpoint")
	}
	if l.CPU.Asked() {
		l.answer()
	}
}

//go:noinline
func (l *LWP) answer() {
	if l.CPU.Softint {
		l.mustBeOutside("pass a checkpoint")
		l.CPU.Answer()
	}
}

// Offline says that softint l runs no handler until [LWP.Online]: nobody waits for its
// checkpoint, and it is as a thread, which may sleep and wait. It must be in no read
// section and hold no reference.
func (l *LWP) Offline() {
	if !l.CPU.Softint {
		l.misuse("is no online softint and cannot go offline")
	}
	if !l.CPU.Idle() {
		l.busy("go offline")
	}
	l.CPU.Offline()
	if witness.Enabled {
		l.dom.softints.Exit(l.books)
	}
}

// Online ends what Offline began. It never blocks. What l took as a thread it must have
// given back.
func (l *LWP) Online() {
	if !l.worker || l.CPU.Softint {
		l.misuse("is no offline softint and cannot come online")
	}
	if !l.CPU.Idle() {
		l.busy("come online")
	}
	if witness.Enabled {
		l.dom.softints.Enter(l.books)
	}
	l.CPU.Online()
}

// Unbind gives l back. It must hold no reference and be in no read section; l must not
// be used again (curlwp_bindx). It never blocks.
func (l *LWP) Unbind() {
	if l.CPU.Base == 0 {
		l.misuse("is unbound already")
	}
	if !l.CPU.Idle() {
		l.busy("unbind")
	}
	if l.CPU.Softint {
		l.Offline()
	}
	l.CPU.Base = 0
	if witness.Enabled {
		l.books = nil
	}
	l.dom.put(l)
}

func (l *LWP) mustBeOutside(doing string) {
	if !l.CPU.Outside() {
		l.misuse("may not " + doing + " inside a read section")
	}
}

//go:noinline
func (l *LWP) busy(doing string) {
	l.mustBeOutside(doing)
	v := &witness.Violation{Rule: "lwp: leak"}
	var held []string
	all := l.CPU.Holdings()
	for i, h := range all {
		if i == 10 {
			held = append(held, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		held = append(held, h.What)
		if invariants.Enabled {
			v.Sites = append(v.Sites, witness.Site{What: h.What + " acquired", Stack: h.Site.String()})
		}
	}
	v.Text = fmt.Sprintf("lwp: %v may not %s while it holds %s", l, doing, strings.Join(held, ", "))
	panic(v)
}

//go:noinline
func (l *LWP) misuse(text string) {
	panic(&witness.Violation{Rule: "lwp: misuse", Text: fmt.Sprintf("lwp: %v %s", l, text)})
}

// A Domain is the set of all LWPs of one network stack: whoever waits for "everyone"
// waits for these. The kernel has one; here each stack has its own, so that stacks in one
// program, and in one test, do not meet. Make one with [NewDomain]; it needs no closing,
// and must not be copied. Its methods are safe for concurrent use.
type Domain struct {
	m        cpu.Machine
	softints *witness.Level // immutable: what waiting for every softint means
	sections *witness.Level // immutable: the same of every read section
	log      *slog.Logger   // immutable

	lwps hook.Pointer[[]*LWP] // grows under mu; LWPs are never taken out
	// near holds one free LWP each (its slot), so that Bind and Unbind on different
	// cores touch different lines. A power of two of them.
	near []stripe

	ids    hook.Uint64 // the last id given to a target
	locals hook.Int32  // how many Locals there are

	mu  hook.Mutex // leaf
	far []uint32   // free LWPs that found no place near; guarded by mu
}

type stripe struct {
	slot hook.Uint32 // of a free LWP; 0 for none
	_    [hook.LineBytes - 4]byte
}

// An Option changes what NewDomain makes.
type Option func(*Domain)

// WithLogger sets where the domain reports what no caller can be told: in checked
// builds, a softint that stays away from its checkpoint. The default discards.
func WithLogger(log *slog.Logger) Option { return func(d *Domain) { d.log = log } }

// WithPatience sets after which wait a checked build reports the softint waited for.
// The default is one second.
func WithPatience(p time.Duration) Option { return func(d *Domain) { d.m.Patience = p } }

// stripes is how many free LWPs are kept near. More only cost memory: a goroutine that
// finds none takes the slower path.
const stripes = 16

// NewDomain returns a domain with no LWPs.
func NewDomain(opts ...Option) *Domain {
	d := &Domain{
		softints: witness.NewLevel("softint", witness.NoSleep),
		sections: witness.NewLevel("read section", witness.NoSleep|witness.NoLock),
		log:      slog.New(slog.DiscardHandler),
		near:     make([]stripe, stripes),
	}
	d.m.Patience = time.Second
	for _, o := range opts {
		o(d)
	}
	d.m.Init()
	d.m.Stalled = d.stalled
	return d
}

// Bind returns an LWP for the calling goroutine, a thread (curlwp_bind). Where the
// kernel saves a flag and restores it in LIFO order, here the LWP is the proof: whatever
// needs a bound caller asks for one. Bind never blocks, has no maximum, and allocates
// nothing while as many LWPs have been in use at once before.
func (d *Domain) Bind() *LWP {
	l := d.get()
	l.CPU.Start(l.slot)
	l.worker = false
	if witness.Enabled {
		l.books = witness.Self()
	}
	return l
}

// BindSoftint returns an LWP for a worker's loop: a softint, online. The name is for
// reports (softint_establish).
func (d *Domain) BindSoftint(name string) *LWP {
	l := d.Bind()
	l.worker, l.name = true, name
	l.Online()
	return l
}

// get returns a free LWP or a new one.
func (d *Domain) get() *LWP {
	if s := d.near[here()%stripes].slot.Swap(0); s != 0 {
		return (*d.lwps.Load())[s-1]
	}
	return d.getFar()
}

//go:noinline
func (d *Domain) getFar() *LWP {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.far); n > 0 {
		s := d.far[n-1]
		d.far = d.far[:n-1]
		return (*d.lwps.Load())[s-1]
	}
	for i := range d.near {
		if s := d.near[i].slot.Swap(0); s != 0 {
			return (*d.lwps.Load())[s-1]
		}
	}
	var all []*LWP
	if p := d.lwps.Load(); p != nil {
		all = *p
	}
	l := &LWP{dom: d, slot: uint32(len(all)) + 1}
	d.m.Add(&l.CPU)
	all = append(all, l) // readers never look beyond the length they loaded
	d.lwps.Store(&all)
	return l
}

// put takes a free LWP back. All its published words are zero.
func (d *Domain) put(l *LWP) {
	if d.near[here()%stripes].slot.CompareAndSwap(0, l.slot) {
		return
	}
	d.mu.Lock()
	d.far = append(d.far, l.slot)
	d.mu.Unlock()
}

// here hashes the address of the caller's stack: goroutines that run at the same time
// have different ones, which is all that spreading them needs.
func here() uint64 {
	if hook.Exploring() {
		return 0 // a schedule must be repeatable
	}
	var x byte
	return uint64(uintptr(unsafe.Pointer(&x))>>11) * 0x9e3779b97f4a7c15 >> 56
}

// Len returns how many LWPs the domain has made: the most that were in use at once.
func (d *Domain) Len() int {
	if p := d.lwps.Load(); p != nil {
		return len(*p)
	}
	return 0
}

// Machine returns what the rooms of this module wait with. Its type is internal: there
// is nothing here for others.
func (d *Domain) Machine() *cpu.Machine { return &d.m }

// NewID returns an id that the domain has not given before, never 0.
func (d *Domain) NewID() uint64 { return d.ids.Add(1) }

// SoftintLevel returns the level that stands for every softint of the domain in the lock
// order: whoever waits for all of them waits for it.
func (d *Domain) SoftintLevel() *witness.Level { return d.softints }

// SectionLevel returns the level that stands for every read section of the domain.
func (d *Domain) SectionLevel() *witness.Level { return d.sections }

func (d *Domain) stalled(what string, who *cpu.CPU) {
	for _, l := range *d.lwps.Load() {
		if &l.CPU == who {
			d.log.Warn("lwp: still waiting for "+what, "lwp", l.slot, "waited", d.m.Patience)
		}
	}
}

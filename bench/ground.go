package main

import (
	"context"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/puzpuzpuz/xsync/v4"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// What is measured is a method, of a stack here and of its peers in ground_peers.go: the
// compiler does not inline into a closure of a function that it has inlined itself, and
// would measure calls that users do not make.

// A thing is what readers look at: they find it behind a published pointer, perhaps refer
// to it, and read its field.
type thing struct {
	target psref.Target
	field  int
}

var published atomic.Pointer[thing]

func init() { published.Store(&thing{field: 1}) }

// A slot is a word, with its line and the next, that belongs to one goroutine of a probe.
type slot struct {
	v   atomic.Uint64
	sum int // what it found, so that the compiler must let it look
	_   [hook.LineBytes - 16]byte
}

// pair is how many goroutines a probe runs at most.
const pair = 2

var own [pair]slot

// exchange is X, the unit of the targets.
var exchange = on(1, "X", func() load { return load{body: swap} })

func swap(id, n int) {
	for range n {
		own[id].v.Swap(1)
	}
}

// A binding makes an LWP of some kind.
type binding func(*lwp.Domain) *lwp.LWP

func thread(d *lwp.Domain) *lwp.LWP  { return d.Bind() }
func softint(d *lwp.Domain) *lwp.LWP { return d.BindSoftint("bench") }

func offline(d *lwp.Domain) *lwp.LWP {
	l := softint(d)
	l.Offline()
	return l
}

// A stack has an LWP for each goroutine of a probe, and a thread who waits for them.
type stack struct {
	dom    *lwp.Domain
	psz    *pserialize.Serializer
	class  *psref.Class
	x      *thing
	local  *lwp.Local[int]
	ls     []*lwp.LWP
	waiter *lwp.LWP
}

func newStack(n int, bind binding) *stack {
	dom := lwp.NewDomain()
	st := &stack{
		dom:    dom,
		psz:    pserialize.New(dom),
		class:  psref.NewClass(dom, "thing"),
		x:      &thing{field: 1},
		local:  lwp.NewLocal[int](dom),
		waiter: dom.Bind(),
	}
	for range n {
		st.ls = append(st.ls, bind(dom))
	}
	return st
}

// live is newStack with a target to refer to.
func live(n int, bind binding) *stack {
	st := newStack(n, bind)
	st.class.Init(&st.x.target)
	return st
}

func (st *stack) section(id, n int) {
	psz, l, sum := st.psz, st.ls[id], 0
	for range n {
		s := psz.ReadEnter(l)
		sum += published.Load().field
		s.Exit()
	}
	own[id].sum = sum
}

func (st *stack) nested(id, n int) {
	psz, l, sum := st.psz, st.ls[id], 0
	outer := psz.ReadEnter(l)
	for range n {
		s := psz.ReadEnter(l)
		sum += published.Load().field
		s.Exit()
	}
	outer.Exit()
	own[id].sum = sum
}

// burstLen is how many packets share a section and a checkpoint.
const burstLen = 32

func (st *stack) burst(id, n int) {
	psz, l, sum := st.psz, st.ls[id], 0
	for i := 0; i < n; i += burstLen {
		l.Checkpoint()
		s := psz.ReadEnter(l)
		for range burstLen {
			sum += published.Load().field
		}
		s.Exit()
	}
	own[id].sum = sum
}

// refer acquires, looks and releases. All refer to the same thing.
func (st *stack) refer(id, n int) {
	var ref psref.Ref
	class, x, l, sum := st.class, st.x, st.ls[id], 0
	for range n {
		class.Acquire(l, &ref, &x.target)
		sum += x.field
		ref.Release(l)
	}
	own[id].sum = sum
}

func (st *stack) referAndCheck(id, n int) {
	var ref psref.Ref
	class, x, l, sum := st.class, st.x, st.ls[id], 0
	for range n {
		l.Checkpoint()
		class.Acquire(l, &ref, &x.target)
		sum += x.field
		ref.Release(l)
	}
	own[id].sum = sum
}

func (st *stack) perform(_, n int) {
	for range n {
		must(st.psz.Perform(context.Background(), st.waiter))
	}
}

// destroy destroys a target that it makes first.
func (st *stack) destroy(_, n int) {
	for range n {
		st.class.Init(&st.x.target)
		must(st.x.target.Destroy(context.Background(), st.waiter))
	}
}

func (st *stack) bind(_, n int) {
	for range n {
		st.dom.Bind().Unbind()
	}
}

func (st *stack) around(id, n int) {
	l := st.ls[id]
	for range n {
		l.Offline()
		l.Online()
	}
}

func (st *stack) count(id, n int) {
	l := st.ls[id]
	for range n {
		*st.local.Get(l)++
	}
}

// durable are the locks that may be held across a wait.
type durable struct {
	mu witness.Mutex
	rw witness.RWMutex
}

func (d *durable) lock(_, n int) {
	for range n {
		d.mu.Lock()
		d.mu.Unlock()
	}
}

func (d *durable) writeLock(_, n int) {
	for range n {
		d.rw.Lock()
		d.rw.Unlock()
	}
}

func (d *durable) readLock(id, n int) {
	sum := 0
	for range n {
		d.rw.RLock()
		sum += published.Load().field
		d.rw.RUnlock()
	}
	own[id].sum = sum
}

// check passes every softint's checkpoint in turn.
func (st *stack) check(stop *atomic.Bool) {
	for !stop.Load() {
		for _, l := range st.ls {
			l.Checkpoint()
		}
	}
}

// aWhile is how long the sections last that a writer finds on the other core.
const aWhile = 10 * time.Microsecond

func lookAWhile() {
	for start := time.Now(); time.Since(start) < aWhile; {
	}
}

func (st *stack) look(stop *atomic.Bool) {
	for !stop.Load() {
		s := st.psz.ReadEnter(st.ls[0])
		lookAWhile()
		s.Exit()
	}
}

// ground is who is running, when nobody looks any more, and how things are held.
func ground() []row {
	var rows []row
	for _, part := range []func() []row{sections, references, waits, bindings, locks, door, sizes} {
		rows = append(rows, part()...)
	}
	return rows
}

func sections() []row {
	read := func(bind binding) func() load {
		return func() load { return load{body: newStack(pair, bind).section} }
	}
	var (
		softint1 = on(1, "one core", read(softint))
		softint2 = on(2, "", read(softint))
		thread1  = on(1, "one core", read(thread))
		thread2  = on(2, "", read(thread))
		nested   = on(1, "", func() load { return load{body: newStack(pair, thread).nested} })
		burst    = on(1, "", func() load { return load{body: newStack(pair, softint).burst} })
		bare     = on(1, "a bare pointer load", func() load { return load{body: bareLoad} })
		rw       = on(2, "sync.RWMutex RLock+RUnlock", func() load { return load{body: newPeers().readLock} })
		rb       = on(2, "xsync.RBMutex RLock+RUnlock", func() load { return load{body: newPeers().biasedReadLock} })
	)
	return []row{
		{"read section, softint", softint1, []line{atMost(0.4, exchange)}},
		{"read section, softint, two cores", softint2, []line{atMost(1.1, softint1), beside(rw), beside(rb)}},
		{"read section, thread", thread1, []line{atMost(3, exchange)}},
		{"read section, thread, two cores", thread2, []line{atMost(1.1, thread1), beside(rw), beside(rb)}},
		{"read section, nested", nested, []line{atMost(0.3, exchange)}},
		{"a look in a burst of 32: one section, one checkpoint", burst, []line{atMost(1.5, bare)}},
		{"read section: allocations", allocations(softint1, thread1, nested, burst), []line{nothing()}},
	}
}

func references() []row {
	refer := func(bind binding) func() load {
		return func() load { return load{body: live(pair, bind).refer} }
	}
	var (
		softint1 = on(1, "one core", refer(softint))
		softint2 = on(2, "", refer(softint))
		checking = on(2, "", func() load { return load{body: live(pair, softint).referAndCheck} })
		thread1  = on(1, "one core", refer(thread))
		thread2  = on(2, "", refer(thread))
		counter  = on(2, "a shared counter", func() load { return load{body: newPeers().refCount} })
	)
	return []row{
		{"psref acquire+release, softint", softint1, []line{atMost(0.5, exchange)}},
		{"psref acquire+release, softint, two cores", softint2, []line{atMost(1.1, softint1), faster(20, counter)}},
		{"psref acquire+release+checkpoint, softint, two cores", checking, []line{faster(20, counter)}},
		{"psref acquire+release, thread", thread1, []line{atMost(3, exchange)}},
		{"psref acquire+release, thread, two cores", thread2, []line{atMost(1.1, thread1), faster(4, counter)}},
		{"psref: allocations", allocations(softint1, checking, thread1), []line{nothing()}},
	}
}

func waits() []row {
	perform := func(bind binding) func() load {
		return func() load { return load{body: newStack(64, bind).perform} }
	}
	destroy := func(lwps int) func() load {
		return func() load { return load{body: newStack(lwps-1, thread).destroy} }
	}
	scan := func(words int) *probe {
		return on(1, "reading a word of each", func() load { return load{body: newWords(words).scan} })
	}
	var (
		checking = against("", func() load {
			st := newStack(64, softint)
			return load{st.perform, st.check}
		})
		looking = against("", func() load {
			st := newStack(1, thread)
			return load{st.perform, st.look}
		})
		rw        = on(1, "sync.RWMutex Lock+Unlock", func() load { return load{body: newPeers().writeLock} })
		rwLooking = against("sync.RWMutex Lock+Unlock", func() load {
			p := newPeers()
			return load{p.writeLock, p.look}
		})
		rbLooking = against("xsync.RBMutex Lock+Unlock", func() load {
			p := newPeers()
			return load{p.biasedWriteLock, p.biasedLook}
		})
	)
	const micro = time.Microsecond
	return []row{
		{"Perform, 64 idle threads", on(1, "", perform(thread)), []line{under(micro), beside(rw)}},
		{"Perform, 64 softints offline", on(1, "", perform(offline)), []line{under(micro), beside(rw)}},
		{"Perform, 64 softints passing checkpoints", checking, []line{under(micro)}},
		{"Perform, 10 µs sections back to back on the other core", looking, []line{under(2*aWhile + 2*micro), beside(rwLooking), beside(rbLooking)}},
		{"Destroy, 64 LWPs, none holding", on(1, "", destroy(64)), []line{under(2 * micro), beside(scan(64))}},
		{"Destroy, 4096 LWPs, none holding", on(1, "", destroy(4096)), []line{under(100 * micro), beside(scan(4096))}},
	}
}

func bindings() []row {
	var (
		bind   = func() load { return load{body: newStack(0, nil).bind} }
		pool   = func() load { return load{body: newPeers().getPut} }
		bind1  = on(1, "", bind)
		around = on(1, "", func() load { return load{body: newStack(1, softint).around} })
		count  = on(1, "", func() load { return load{body: newStack(1, thread).count} })
	)
	return []row{
		{"Bind+Unbind", bind1, []line{atMost(1, on(1, "sync.Pool Get+Put", pool))}},
		{"Bind+Unbind, two cores", on(2, "", bind), []line{atMost(1, on(2, "sync.Pool Get+Put", pool))}},
		{"Offline+Online", around, []line{beside(exchange)}},
		{"Local.Get", count, []line{beside(exchange)}},
		{"lwp: allocations", allocations(bind1, around, count), []line{nothing()}},
	}
}

// locks holds those that may be held across a wait, in a build without their books.
func locks() []row {
	var (
		mutex    = on(1, "", func() load { return load{body: new(durable).lock} })
		rw       = on(1, "", func() load { return load{body: new(durable).writeLock} })
		read     = on(1, "", func() load { return load{body: new(durable).readLock} })
		read2    = on(2, "", func() load { return load{body: new(durable).readLock} })
		stdMutex = on(1, "sync.Mutex", func() load { return load{body: new(doors).lock} })
		stdRW    = on(1, "sync.RWMutex", func() load { return load{body: newPeers().writeLock} })
		stdRead  = on(1, "sync.RWMutex", func() load { return load{body: newPeers().readLock} })
		stdRead2 = on(2, "sync.RWMutex", func() load { return load{body: newPeers().readLock} })
	)
	return []row{
		{"witness.Mutex Lock+Unlock", mutex, []line{atMost(1.1, stdMutex)}},
		{"witness.RWMutex Lock+Unlock", rw, []line{beside(stdRW)}},
		{"witness.RWMutex RLock+RUnlock", read, []line{beside(stdRead)}},
		{"witness.RWMutex RLock+RUnlock, two cores", read2, []line{beside(stdRead2)}},
		{"witness: allocations", allocations(mutex, rw, read), []line{nothing()}},
	}
}

// door holds internal/hook, which every shared word goes through, against what is behind.
func door() []row {
	d := new(doors)
	type body = func(id, n int)
	through := func(name, peer string, ours, theirs body) row {
		pass := func(name string, f body) *probe { return on(1, name, func() load { return load{body: f} }) }
		return row{"hook." + name, pass("", ours), []line{atMost(1.05, pass(peer, theirs))}}
	}
	return []row{
		through("Uint64.Load", "sync/atomic", d.hookLoad, d.load),
		through("Uint64.Swap", "sync/atomic", d.hookSwap, d.swap),
		through("Uint64.CompareAndSwap", "sync/atomic", d.hookCompareAndSwap, d.compareAndSwap),
		through("Pointer.Load", "sync/atomic", d.hookLoadPointer, d.loadPointer),
		through("Pointer.Store", "sync/atomic", d.hookStorePointer, d.storePointer),
		through("Mutex.Lock+Unlock", "sync.Mutex", d.hookLock, d.lock),
	}
}

func sizes() []row {
	size := func(name string, n uintptr) *probe {
		return fixed(name, "B", func() float64 { return float64(n) })
	}
	return []row{
		{"size of a psref.Ref", size("", unsafe.Sizeof(psref.Ref{})), []line{noLargerThan(16)}},
		{"size of a psref.Target", size("", unsafe.Sizeof(psref.Target{})), []line{
			noLargerThan(16),
			beside(size("a shared counter", unsafe.Sizeof(atomic.Uint64{}))),
		}},
		{"size of an lwp.LWP", size("", unsafe.Sizeof(lwp.LWP{})), []line{
			beside(size("xsync.RToken", unsafe.Sizeof(xsync.RToken{}))),
		}},
	}
}

func must(err error) {
	if err != nil {
		panic(err) // a wait that nothing can end has ended
	}
}

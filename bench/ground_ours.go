package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// A thing is what readers look at: they find it behind a published pointer, perhaps refer
// to it, and read its field.
type thing struct {
	target psref.Target
	field  int
}

var published atomic.Pointer[thing]

func init() { published.Store(&thing{field: 1}) }

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
	guest
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

// check passes every softint's checkpoint once.
func (st *stack) check() {
	for _, l := range st.ls {
		l.Checkpoint()
	}
}

// performAgainst waits for sections that have begun.
func (st *stack) performAgainst(_, n int) {
	for range n {
		st.meet()
		must(st.psz.Perform(context.Background(), st.waiter))
	}
}

func (st *stack) look() {
	s := st.psz.ReadEnter(st.ls[0])
	st.stay()
	s.Exit()
}

// A guest stays inside something for a while, and a host who wants it out meets it there.
type guest struct{ inside atomic.Bool }

// aWhile is how long a guest stays.
const aWhile = 10 * time.Microsecond

func (g *guest) stay() {
	g.inside.Store(true)
	for start := time.Now(); time.Since(start) < aWhile; {
	}
	g.inside.Store(false)
}

func (g *guest) meet() {
	for !g.inside.Load() {
	}
}

func must(err error) {
	if err != nil {
		panic(err) // a wait that nothing can end has ended
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

package lwp

import (
	"iter"

	"github.com/softnet-go/softnet/internal/hook"
)

// A Local is one T for each LWP of a domain (percpu(9)): written by its owner without a
// thought for others, and visited by whoever wants them all. A T stays with its LWP when
// that is unbound and bound again, so sums over all of them lose nothing.
//
// The T's own fields must allow what is done with them: plain fields only if nobody but
// the owner looks while it runs. Make a Local with [NewLocal]; it must not be copied.
type Local[T any] struct {
	dom   *Domain
	index int // in LWP.locals

	mu  hook.Mutex         // leaf
	all hook.Pointer[[]*T] // grows under mu
}

// NewLocal returns a Local of the domain, with no T yet. A Local lives as long as its
// domain: it is meant for a few objects that live as long as the stack.
func NewLocal[T any](d *Domain) *Local[T] {
	return &Local[T]{dom: d, index: int(d.locals.Add(1)) - 1}
}

// Get returns l's T, a zero T the first time. It never blocks, and allocates only the
// first time.
func (x *Local[T]) Get(l *LWP) *T {
	if x.index < len(l.locals) {
		if p, _ := l.locals[x.index].(*T); p != nil {
			return p
		}
	}
	return x.add(l)
}

//go:noinline
func (x *Local[T]) add(l *LWP) *T {
	if l.dom != x.dom {
		l.misuse("belongs to another domain than the Local it was passed to")
	}
	for len(l.locals) <= x.index {
		l.locals = append(l.locals, nil)
	}
	p := new(T)
	l.locals[x.index] = p
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []*T
	if old := x.all.Load(); old != nil {
		all = *old
	}
	all = append(all, p) // readers never look beyond the length they loaded
	x.all.Store(&all)
	return p
}

// All yields every T there is when it is called, in the order of their first use.
func (x *Local[T]) All() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		all := x.all.Load()
		if all == nil {
			return
		}
		for _, p := range *all {
			if !yield(p) {
				return
			}
		}
	}
}

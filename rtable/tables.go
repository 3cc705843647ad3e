package rtable

import (
	"context"
	"errors"
	"fmt"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
)

// MaxFIB is the largest number a FIB can have.
const MaxFIB = 255

// Tables is the routing tables of a stack by number: FIBs, or routing domains. They know
// the same interfaces, and otherwise nothing of each other. Make one with [NewTables]; it
// must not be copied. Its methods are safe for concurrent use.
type Tables struct {
	dom  *lwp.Domain
	opts []Option
	all  [MaxFIB + 1]hook.Pointer[Table] // stored to under mu

	mu     hook.Mutex // leaf
	closed bool
}

// NewTables returns a set in which there is no table yet. The options are for each.
func NewTables(dom *lwp.Domain, opts ...Option) *Tables {
	return &Tables{dom: dom, opts: opts}
}

// Table returns the table with that number, which is made when it is first asked for. It
// panics if there is no such number: what came from outside is to be looked at first.
func (ts *Tables) Table(fib int) *Table {
	if fib < 0 || fib > MaxFIB {
		panic(violation("no such FIB", "FIB %d: they are numbered from 0 to %d", fib, MaxFIB))
	}
	if t := ts.all[fib].Load(); t != nil {
		return t
	}
	fresh := New(ts.dom, ts.opts...)
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t := ts.all[fib].LoadOwn(); t != nil {
		return t
	}
	fresh.closed = ts.closed // nobody else has it yet
	ts.all[fib].Store(fresh)
	return fresh
}

// each calls f with every table that has been made.
func (ts *Tables) each(f func(fib int, t *Table)) {
	for i := range ts.all {
		if t := ts.all[i].Load(); t != nil {
			f(i, t)
		}
	}
}

// Depart is [Table.Depart] of every table. It returns how many routes there were in all.
func (ts *Tables) Depart(out ifnet.ID) (n int, err error) {
	ts.each(func(fib int, t *Table) {
		gone, e := t.Depart(out)
		n += gone
		if e != nil {
			err = errors.Join(err, fmt.Errorf("FIB %d: %w", fib, e))
		}
	})
	return n, err
}

// Close is [Table.Close] of every table, and of those that are asked for later.
func (ts *Tables) Close(ctx context.Context) (err error) {
	ts.mu.Lock()
	ts.closed = true
	ts.mu.Unlock()
	ts.each(func(fib int, t *Table) {
		if e := t.Close(ctx); e != nil {
			err = errors.Join(err, fmt.Errorf("FIB %d: %w", fib, e))
		}
	})
	return err
}

package witness

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
)

// Mode is what a Checker does about what it finds (WITNESS's debug.witness.watch).
type Mode int32

// The modes, each doing more than the one before.
const (
	Off   Mode = iota // only remember who holds what, so that a later mode can begin at once
	Count             // check, count, and call OnViolation
	Print             // and log
	Panic             // and panic with the *Violation
)

func (m Mode) String() string {
	switch m {
	case Off:
		return "off"
	case Count:
		return "count"
	case Print:
		return "print"
	case Panic:
		return "panic"
	}
	return fmt.Sprintf("Mode(%d)", int32(m))
}

// Options say how a Checker reports.
type Options struct {
	Mode   Mode
	Logger *slog.Logger // for Print and Panic; nil writes to the standard error output
	// OnViolation, if set, is called once for each distinct violation, by the goroutine
	// that commits it, before anything else comes of it. It may be called by several
	// goroutines at once, and must not take a lock of the same Checker.
	OnViolation func(*Violation)
}

// A Checker knows classes of locks, levels, and in which order they were ever taken and
// waited for. One is enough for a program, and [Default] is there; tests that break rules
// on purpose make their own, with [NewChecker]. A Checker must not be copied. All methods
// are safe for concurrent use, and do nothing in unchecked builds.
type Checker struct {
	opts Options // immutable
	mode atomic.Int32

	edges    atomic.Uint64
	total    atomic.Uint64
	distinct atomic.Uint64

	// mu guards adding to the graph, and each node's told. It comes after a shelf's mutex.
	mu sync.Mutex
}

// NewChecker returns a Checker that knows nothing.
func NewChecker(o Options) *Checker {
	ck := &Checker{opts: o}
	ck.SetMode(o.Mode)
	return ck
}

var std = NewChecker(Options{Mode: Panic})

// Default returns the Checker of the package-level functions and of locks that were not
// given a class. It begins in mode Panic.
func Default() *Checker { return std }

// Mode returns the mode the checker is in.
func (ck *Checker) Mode() Mode { return Mode(ck.mode.Load()) }

// SetMode changes the mode, at any time. What happened while it was Off is not known.
func (ck *Checker) SetMode(m Mode) { ck.mode.Store(int32(m)) }

// Stats is a snapshot of a Checker's counters.
type Stats struct {
	Orders     uint64 // pairs known: one was taken or waited for under the other, or so declared
	Violations uint64 // found, repeated ones included
	Distinct   uint64 // of those: first of their rule and their pair of classes
}

// Stats returns the counters. It may be called at any time by anyone.
func (ck *Checker) Stats() Stats {
	return Stats{Orders: ck.edges.Load(), Violations: ck.total.Load(), Distinct: ck.distinct.Load()}
}

// fault is a violation that has been found and is not yet reported.
type fault struct {
	rule    string
	a, b    *node // rule, a and b are what makes it distinct; a's checker is told
	certain bool  // going on would hang the goroutine for ever
	build   func() *Violation
}

// raise reports faults. It panics if the mode, or that there is no way to go on, says so.
// The caller holds none of this package's mutexes.
func raise(faults ...fault) {
	var first *Violation
	for _, f := range faults {
		if v := f.a.ck.report(f); first == nil {
			first = v
		}
	}
	if first != nil {
		panic(first)
	}
}

// report counts a fault, tells of it if it is new, and returns what to panic with.
func (ck *Checker) report(f fault) *Violation {
	mode := ck.Mode()
	if mode == Off {
		return nil
	}
	ck.total.Add(1)
	ck.mu.Lock()
	news := f.a.tell(f.rule, f.b)
	ck.mu.Unlock()
	if !news && mode != Panic && !f.certain {
		return nil
	}
	v := f.build()
	if news {
		ck.distinct.Add(1)
		if tell := ck.opts.OnViolation; tell != nil {
			tell(v)
		}
		if mode >= Print {
			ck.print(v)
		}
	}
	if mode == Panic || f.certain {
		return v
	}
	return nil
}

func (ck *Checker) print(v *Violation) {
	switch {
	case ck.opts.Logger != nil:
		ck.opts.Logger.Error(v.Text, "rule", v.Rule, "sites", v.Sites)
	case ck.Mode() == Print: // the panic will print it
		fmt.Fprintln(os.Stderr, v.Error())
	}
}

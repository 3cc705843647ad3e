//go:build sched

package hook

import (
	"context"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Op names what a task is about to do, and for a word also which type the word has.
type Op uint16

// The operations that are choice points.
const (
	OpNone    Op = iota
	OpLoad       // of a word
	OpStore      // of a word
	OpSwap       // of a word
	OpAdd        // to a word
	OpCAS        // of a word
	OpLock       // of a Mutex, parked until it is free
	OpTryLock    // of a Mutex
	OpUnlock     // of a Mutex
	OpWait       // on a Cond: about to join its sleepers
	OpSleep      // on a Cond, parked until woken
	OpWake       // of the sleepers of a Cond
	OpSend       // on a channel, parked until there is room
	OpRecv       // from a channel, parked until there is something
	OpClose      // of a channel
	OpYield      // to all others: spinning, or dwelling
	OpUser       // a point the user named; the object is the *string
)

var opNames = [...]string{"none", "load", "store", "swap", "add", "cas", "lock", "trylock", "unlock",
	"wait", "sleep", "wake", "send", "recv", "close", "yield", "user"}

func (o Op) String() string {
	if o = o.Verb(); int(o) < len(opNames) {
		return opNames[o]
	}
	return "op?"
}

// The types of words, as part of an Op.
const (
	ofUint32 Op = (iota + 1) << 8
	ofUint64
	ofInt32
	ofInt64
	ofBool
	ofPointer
)

// Verb returns o without the type of its word.
func (o Op) Verb() Op { return o & 0xff }

// Value returns what the word obj, the object of an operation o, holds: a number, a bool
// or an unsafe.Pointer; nil if o is not on a word.
func (o Op) Value(obj unsafe.Pointer) any {
	switch o &^ 0xff {
	case ofUint32:
		return (*Uint32)(obj).v.Load()
	case ofUint64:
		return (*Uint64)(obj).v.Load()
	case ofInt32:
		return (*Int32)(obj).v.Load()
	case ofInt64:
		return (*Int64)(obj).v.Load()
	case ofBool:
		return (*Bool)(obj).v.Load()
	case ofPointer:
		return unsafe.Pointer((*Pointer[byte])(obj).v.Load()) // as all Pointers lie in memory
	}
	return nil
}

// Task is a goroutine whose every step a scheduler decides. A scheduler implements it
// and attaches it with [Attach]; at most one task of a scheduler runs at a time.
type Task interface {
	// Point returns when the task may do op on obj.
	Point(op Op, obj unsafe.Pointer)
	// Park returns nil once ready has been seen true and the task is chosen. With a
	// context that can end, the scheduler may choose to end the wait instead; Park
	// then returns why. The scheduler calls ready between steps, from any goroutine.
	Park(op Op, obj unsafe.Pointer, ctx context.Context, ready func() bool) error
	// Go starts f as a task of the same scheduler; a dead task starts nothing.
	Go(name string, f func())
	// Dead reports that the schedule is over and the task only unwinds: it must
	// neither block nor touch a lock that another dead task may hold.
	Dead() bool
}

// tasks maps the profile labels of a goroutine, which are a pointer that belongs to it
// alone, to its task. Goroutines without labels of ours are not in it. One that a task
// starts with a go statement inherits the pointer: a scheduler must tell it apart.
var (
	tasks    sync.Map // unsafe.Pointer -> Task
	attached atomic.Int64
)

// The runtime promises these two names and their types to packages outside of it
// (go.dev/issue/67401). The labels are the only word of a goroutine that Go code can read.
//
//go:linkname setLabels runtime/pprof.runtime_setProfLabel
func setLabels(p unsafe.Pointer)

//go:linkname getLabels runtime/pprof.runtime_getProfLabel
func getLabels() unsafe.Pointer

// labels has the shape of runtime/pprof's label set, and is always empty.
type labels struct {
	list [3]uintptr
	_    byte // an allocation of its own size class, never shared
}

// Attach makes the calling goroutine the task t until detach is called.
func Attach(t Task) (detach func()) {
	old, mine := getLabels(), unsafe.Pointer(new(labels))
	tasks.Store(mine, t)
	attached.Add(1)
	setLabels(mine)
	return func() {
		setLabels(old)
		tasks.Delete(mine)
		attached.Add(-1)
	}
}

// Self returns the task the calling goroutine is, or nil.
func Self() Task {
	if attached.Load() == 0 {
		return nil
	}
	p := getLabels()
	if p == nil {
		return nil
	}
	t, _ := tasks.Load(p)
	if t == nil {
		return nil
	}
	return t.(Task)
}

// Point is a choice point before op on obj.
func Point(op Op, obj unsafe.Pointer) {
	if t := Self(); t != nil {
		t.Point(op, obj)
	}
}

// Exploring reports whether the caller runs under a schedule explorer, where spinning
// for a change that another task must make is only a longer schedule.
func Exploring() bool { return Self() != nil }

// Go starts f in a goroutine, a task if the caller is one.
func Go(name string, f func()) {
	if t := Self(); t != nil {
		t.Go(name, f)
		return
	}
	go f()
}

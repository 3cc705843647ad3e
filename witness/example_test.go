package witness_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/softnet-go/softnet/witness"
)

// table is guarded by a lock of a class: all tables' locks have one place in the order.
type table struct {
	mu    witness.RWMutex
	hosts map[string]string // guarded by mu
}

var tableClass = witness.NewClass("table.mu")

func newTable() *table {
	t := &table{hosts: make(map[string]string)}
	t.mu.Init(tableClass)
	return t
}

func (t *table) add(name, addr string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addLocked(name, addr)
}

// addLocked wants t.mu held for writing.
func (t *table) addLocked(name, addr string) {
	t.mu.AssertWHeld()
	t.hosts[name] = addr
}

// A function that wants a lock held says so, in a sentence, to who forgot.
func Example() {
	t := newTable()
	t.add("em0", "10.0.0.1")

	defer func() {
		var v *witness.Violation
		if err, ok := recover().(error); ok && errors.As(err, &v) {
			fmt.Println(v.Text)
		}
	}()
	t.addLocked("em1", "10.0.0.2")
	// Output:
	// witness: table.mu must be held for writing here, and is not
}

// Whoever need not have the lock at any price waits for it with a context.
func ExampleMutex_LockContext() {
	var m witness.Mutex
	m.Lock()

	ctx, cancel := context.WithCancel(context.Background())
	gaveUp := make(chan error)
	go func() { gaveUp <- m.LockContext(ctx) }()
	cancel()
	fmt.Println(<-gaveUp)

	m.Unlock()
	fmt.Println(m.TryLock())
	// Output:
	// context canceled
	// true
}

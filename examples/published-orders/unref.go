package publishedorders

import (
	"errors"
	"fmt"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// An entry is deleted, and freed when the last reference is gone. Freeing it is made
// visible: the garbage collector would keep it whole for as long as anybody looks.
type entry struct {
	refs sched.Int32 // the references held
	life sched.Int32 // what it is: up, deleted, freed

	// What belongs to the table, and is there for good: the owner's lock, and a flag and a
	// condition besides those of the entry.
	table   monitor
	deleted sched.Bool
}

const (
	up      = iota // the flag RTF_UP is set
	deleted        // the owner has cleared it, and waits for the last reference
	freed
)

func newEntry(refs int32) *entry {
	e := new(entry)
	e.refs.Store(refs)
	return e
}

var errTouched = errors.New("TOUCH AFTER FREE: the last reference was gone already")

// touch is what every look at the entry's own memory is.
func (e *entry) touch(a *actor, verb, object string) (life int32, err error) {
	if life = e.life.Load(); life == freed {
		a.tell(verb, object, "FREED")
		return life, errTouched
	}
	a.tell(verb, object, "")
	return life, nil
}

func (e *entry) drop(a *actor) error {
	a.tell("drop", "", fmt.Sprintf("%d left", e.refs.Add(-1)))
	return nil
}

// wake wakes the owner by the entry's condition, if the entry's flag says that it waits.
func (e *entry) wake(a *actor) error {
	life, err := e.touch(a, "look at", "flag")
	if life == deleted {
		e.table.do(func() { _, err = e.touch(a, "wake", "the owner") })
	}
	return err
}

// dropAndWake is drop and wake, with the owner's lock held all the time.
func (e *entry) dropAndWake(a *actor) (err error) {
	e.table.do(func() {
		_ = e.drop(a)
		_, err = e.touch(a, "wake", "the owner")
	})
	return err
}

// wakeByTable is wake by the table's condition, as the table's flag says.
func (e *entry) wakeByTable(a *actor) error {
	if !e.deleted.Load() {
		a.tell("look at", "table's flag", "")
		return nil
	}
	e.table.do(func() { a.tell("wake", "the owner", "") })
	return nil
}

func (e *entry) delete(a *actor) error {
	e.life.Store(deleted)
	e.deleted.Store(true)
	a.tell("delete", "the entry", "")
	return nil
}

// drain waits until the last reference is gone.
func (e *entry) drain(a *actor) error {
	return e.table.when(a, func() bool { return e.refs.Load() == 0 }, "for references", func() {})
}

func (e *entry) free(a *actor) error {
	e.life.Store(freed)
	a.tell("free", "the entry", "")
	return nil
}

package publishedorders

import (
	"errors"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// A list has room for one target, which a reader finds in a read section, holds with a
// passive reference, and uses outside of the section.
type list struct {
	head sched.Pointer[target]

	monitor         // guards what follows
	reading bool    // the reader is in its section
	held    *target // what it holds

	found *target // the reader's own
}

// A target is what is destroyed. As with an entry, freeing it is made visible.
type target struct{ freed sched.Bool }

var errUsed = errors.New("USE AFTER FREE: a reader was still about to take a reference")

func newList() *list {
	l := new(list)
	l.head.Store(new(target))
	return l
}

// read is all a reader does.
func (l *list) read(a *actor) error {
	if err := a.does(l.enter, l.look); err != nil {
		return err
	}
	if l.found == nil {
		return a.does(l.leave)
	}
	return a.does(l.acquire, l.leave, l.use, l.release)
}

func (l *list) enter(a *actor) error {
	l.do(func() {
		l.reading = true
		a.tell("enter", "section", "")
	})
	return nil
}

func (l *list) look(a *actor) error {
	if l.found = l.head.Load(); l.found == nil {
		a.tell("find", "nothing", "")
		return nil
	}
	a.tell("find", "target", "")
	return nil
}

func (l *list) acquire(a *actor) error {
	l.do(func() { l.held = l.found })
	return l.touch(a, "hold")
}

func (l *list) leave(a *actor) error {
	l.do(func() {
		l.reading = false
		a.tell("leave", "section", "")
	})
	return nil
}

func (l *list) use(a *actor) error { return l.touch(a, "use") }

func (l *list) touch(a *actor, verb string) error {
	if l.found.freed.Load() {
		a.tell(verb, "target", "FREED")
		return errUsed
	}
	a.tell(verb, "target", "")
	return nil
}

func (l *list) release(a *actor) error {
	l.do(func() {
		l.held = nil
		a.tell("release", "target", "")
	})
	return nil
}

func (l *list) unlink(a *actor) error {
	l.head.Store(nil)
	a.tell("unlink", "target", "")
	return nil
}

// perform waits for a grace period. The reader enters a section only once, or it would
// have to wait for this section and not for the next one.
func (l *list) perform(a *actor) error {
	return l.when(a, func() bool { return !l.reading }, "for the section", func() {
		a.tell("see", "no section", "")
	})
}

// destroy waits until nobody holds the target, and frees it.
func (l *list) destroy(t *target) step {
	return func(a *actor) error {
		return l.when(a, func() bool { return l.held != t }, "for the holder", func() {
			t.freed.Store(true)
			a.tell("free", "target", "")
		})
	}
}

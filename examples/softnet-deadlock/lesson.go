package softnetdeadlock

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"sync"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "softnet-deadlock",
	Title:    "an interface is destroyed under the lock that its packets want",
	Breaks:   "the holder of the lock waits for every softint, and a softint waits for the lock",
	Fixes:    "the lock is dropped before the wait, which does not need it",
	Packages: []string{"pserialize", "psref", "lwp", "witness"},
	Wrong:    wrong,
	Right:    right,
}

var errDeadlock = errors.New("DEADLOCK: each has what the other waits for; given up after a second")

// An actor tells what it does, and keeps a note of what it has and what it waits for:
// when nobody moves any more, the notes are the cycle.
type actor struct {
	name string
	owes string // what others wait for it to do; immutable
	r    *event.Recorder

	mu    sync.Mutex
	has   string // guarded by mu
	wants string // guarded by mu
	in    string // the functions in which it wants that; guarded by mu
}

func (a *actor) does(verb, object string) { a.r.Record(a.name, verb, object, "") }

func (a *actor) waits(what string) {
	a.does("wait for", what)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wants, a.in = what, callers()
}

func (a *actor) gets(what string) {
	a.does("has", what)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.has, a.wants = what, ""
}

func (a *actor) drops(what string) {
	a.does("drop", what)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.has = ""
}

// report says what the actor is stuck with.
func (a *actor) report() {
	a.mu.Lock()
	defer a.mu.Unlock()
	has := a.owes
	if a.has != "" {
		has = "has " + a.has
	}
	a.r.Record("", a.name, has, fmt.Sprintf("waits for %s in %s", a.wants, a.in))
}

// callers returns the functions of this folder that the caller's caller is in, innermost
// first.
func callers() string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var names []string
	for {
		f, more := frames.Next()
		name, ours := strings.CutPrefix(path.Base(f.Function), "softnet-deadlock.(*stack).")
		if ours && !strings.Contains(name, ".func") {
			names = append(names, name)
		}
		if !more {
			return strings.Join(names, " < ")
		}
	}
}

package bulkdemotion

import (
	"errors"
	"fmt"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/pfsync"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "bulk-demotion",
	Title:    "a firewall comes back, asks for the states of the other, and half of the answer is lost",
	Breaks:   "it asks again and is done in the same step, as the published code is: it takes over without the states",
	Fixes:    "asking again is not an answer: it stays demoted until there has been one, and takes back what it took",
	Packages: []string{"pfsync", "carp"},
	Wrong:    wrong,
	Right:    right,
}

var (
	errCutOff = errors.New("CUT OFF: the firewall that has come back is master, and blocks conversations that it was not told of")
	errLedger = errors.New("LEDGER: the demotion is not what it was")
)

// A machine is the receiving end of a transfer.
type machine interface {
	Step(now time.Time, e pfsync.Event) pfsync.Answer
	Phase() pfsync.Phase
	At() time.Time
}

const (
	states = 5               // that ada has
	wait   = 4 * time.Second // for the end of a transfer
)

// A world is two firewalls in a time of their own: ada, which is master, and bob, which is better and has
// just been switched on.
type world struct {
	r       *event.Recorder
	now     time.Time
	bob     machine
	knows   [states]bool // bob
	demoted int
	cut     bool // the cable between the two
	master  string
	blocked bool
	asked   int
}

func newWorld(r *event.Recorder, m machine) *world {
	return &world{r: r, now: time.Unix(0, 0), bob: m, master: "ada"}
}

func (w *world) tell(who, what, detail string) {
	w.r.Record(who, fmt.Sprintf("%4.1fs %s", w.now.Sub(time.Unix(0, 0)).Seconds(), what), "", detail)
}

// step has bob take an event, and do what follows.
func (w *world) step(e pfsync.Event) {
	a := w.bob.Step(w.now, e)
	if a.Demote != 0 {
		w.demoted += a.Demote
		w.tell("bob", fmt.Sprintf("is demoted by %d", w.demoted), a.Why)
	}
	if a.Send {
		w.tell("bob", "asks for all states", w.bob.Phase().String())
		w.answer()
	}
	if w.demoted == 0 && w.master == "ada" && w.bob.Phase() == pfsync.PhaseDone {
		w.master = "bob"
		w.tell("bob", "is master", "being the better one")
		w.packets()
	}
}

// answer is ada's: a start, a state in each packet, an end. The first time the cable is pulled in the
// middle.
func (w *world) answer() {
	w.asked++
	w.say("BUS START", func() { w.step(pfsync.BulkStart) })
	for i := range states {
		if w.asked == 1 && i == 2 {
			w.cut = true
			w.tell("ada", "loses the cable", "")
		}
		w.say(fmt.Sprint("UPD ", i), func() { w.knows[i] = true; w.step(pfsync.BulkUpdate) })
	}
	w.say("BUS END", func() { w.step(pfsync.BulkEnd) })
	w.cut = false
}

func (w *world) say(what string, arrives func()) {
	if w.cut {
		return
	}
	w.tell("ada", what, "")
	arrives()
}

// packets come, of all conversations, to whoever is master.
func (w *world) packets() {
	for i, known := range w.knows {
		if !known {
			w.tell("bob", "blocks a packet", fmt.Sprint("of conversation ", i, ", which it does not know"))
			w.blocked = true
			return
		}
	}
	w.tell("bob", "passes packets", "of all conversations")
}

// story is bob's return.
func (w *world) story() error {
	w.step(pfsync.Up)
	w.step(pfsync.LinkUp)
	for n := 0; w.bob.Phase() != pfsync.PhaseDone && n < 100; n++ {
		w.now = w.bob.At()
		w.tell("bob", "has waited for long enough", w.bob.Phase().String())
		w.step(pfsync.Tick)
	}
	switch {
	case w.blocked:
		return errCutOff
	case w.demoted != 0:
		return errLedger
	}
	return nil
}

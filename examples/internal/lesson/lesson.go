package lesson

import (
	"fmt"
	"time"

	"github.com/softnet-go/softnet/internal/event"
)

// Step is the unit of time of all lessons: long enough that a busy machine does not
// reorder two steps, short enough that nobody waits.
const Step = 20 * time.Millisecond

// A Lesson is one wrong design and the right one beside it.
type Lesson struct {
	Name     string   // of its folder, and what run takes
	Title    string   // the situation, a clause
	Breaks   string   // what goes wrong in Wrong
	Fixes    string   // what puts it right
	Packages []string // the rooms it is about, by import path below the module

	// Wrong and Right tell r what happens and return the promise that was broken, nil if
	// none was. They make everything they use, end everything they start, and take less
	// than two seconds.
	Wrong, Right func(r *event.Recorder) error

	// Games, if there are any, let the learner be the scheduler.
	Games []Game
}

// Transcript runs one side of a lesson and returns its story, in lanes with the verdict
// below them, and what it returned.
func Transcript(side func(r *event.Recorder) error) (text string, broken error) {
	ring := event.NewRing(1024)
	broken = side(event.New(ring))
	if n := ring.Overwritten(); n > 0 {
		panic(fmt.Sprintf("lesson: a story of %d events more than anybody reads", n))
	}
	evs := ring.Events()
	for i := range evs {
		evs[i].At = evs[i].At.Round(time.Millisecond) // what real time adds says nothing
	}
	return transcript(evs, broken), broken
}

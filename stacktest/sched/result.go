package sched

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// A Result says what was explored.
type Result struct {
	Name         string
	Mode         Mode
	Bound        int           // on preemptions, in Exhaustive mode
	Schedules    int           // run, those of all bounds together
	PerBound     []int         // schedules run with at most 0, 1, ... preemptions, in Exhaustive mode
	ChoicePoints int           // places in all schedules where more than one actor could go on
	MaxDepth     int           // steps of the longest schedule
	MaxActors    int           // of one schedule, daemons among them
	Chance       float64       // in PCT mode: of one schedule to show a bug of the given depth, at least
	Duration     time.Duration // of it all
	Exhausted    bool          // every schedule within the bound was run
	Complete     bool          // every schedule was run: more preemptions would add none
	Failure      *Failure      // the first one found, nil if there is none
	Lanes        string        // the failing or replayed schedule, a column per actor
}

// String is one line for a log.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %d schedules", r.Mode, r.Schedules)
	if len(r.PerBound) > 1 {
		fmt.Fprintf(&b, " (by bound: %s)", strings.Trim(fmt.Sprint(r.PerBound), "[]"))
	}
	if r.Mode != Stress {
		fmt.Fprintf(&b, ", depth %d, %d actors, %d choice points", r.MaxDepth, r.MaxActors, r.ChoicePoints)
	}
	if r.Mode == PCT && r.Chance > 0 {
		fmt.Fprintf(&b, ", each finds a bug of this depth with probability 1/%.0f or more", 1/r.Chance)
	}
	switch {
	case r.Complete:
		b.WriteString(", all there are")
	case r.Exhausted:
		fmt.Fprintf(&b, ", all with at most %d preemptions", r.Bound)
	}
	fmt.Fprintf(&b, ", %v", r.Duration.Round(time.Millisecond/10))
	return b.String()
}

// row is a line of the table SOFTNET_SCHED_TABLE asks for.
type row struct {
	Name         string `json:"name"`
	Mode         string `json:"mode"`
	Bound        int    `json:"bound"`
	Schedules    int    `json:"schedules"`
	PerBound     []int  `json:"per_bound,omitempty"`
	ChoicePoints int    `json:"choice_points"`
	MaxDepth     int    `json:"max_depth"`
	Nanoseconds  int64  `json:"ns"`
	Exhausted    bool   `json:"exhausted"`
	Complete     bool   `json:"complete"`
	Failure      Kind   `json:"failure,omitempty"`
}

// appendTo writes r as one line at the end of the file, in one write: lines of tests that
// run at the same time stay whole.
func (r Result) appendTo(file string) error {
	line := row{r.Name, r.Mode.String(), r.Bound, r.Schedules, r.PerBound, r.ChoicePoints, r.MaxDepth,
		r.Duration.Nanoseconds(), r.Exhausted, r.Complete, ""}
	if r.Failure != nil {
		line.Failure = r.Failure.Kind
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(text, '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Kind is what sort of failure a schedule showed.
type Kind string

// The kinds of failure.
const (
	Assertion      Kind = "assertion"      // Assert, Failf or Errorf of S
	Panic          Kind = "panic"          // an actor panicked
	Exit           Kind = "exit"           // an actor left with runtime.Goexit, as t.FailNow does
	Deadlock       Kind = "deadlock"       // an actor waits and nobody can go on
	Livelock       Kind = "livelock"       // the schedule does not end within Options.Steps
	Leak           Kind = "leak"           // a goroutine of the code under test was left waiting
	Nondeterminism Kind = "nondeterminism" // equal schedules, different stories
)

// A Failure is what went wrong in one schedule. It is an error, whose text is the whole
// report, and unwraps to what an actor panicked with if that is an error too (such as a
// *witness.Violation).
type Failure struct {
	Kind        Kind
	Text        string // a sentence
	Detail      string // stacks, of the failing actor or of all that wait; may be empty
	Replay      string // the schedule, for Options.Replay; empty in Stress mode
	Preemptions int    // in that schedule; no schedule with fewer was seen to fail
	Switches    int    // from one actor to another
	Lanes       string // a column per actor, a row per step; empty in Stress mode
	cause       error
}

// Error returns the report.
func (f *Failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", f.Kind, f.Text)
	if f.Replay != "" {
		fmt.Fprintf(&b, "\n\nschedule %s: preemptions %d, switches %d", f.Replay, f.Preemptions, f.Switches)
	}
	if f.Lanes != "" {
		b.WriteString("\n\n" + strings.TrimSuffix(f.Lanes, "\n"))
	}
	if f.Detail != "" {
		b.WriteString("\n\n" + f.Detail)
	}
	return b.String()
}

// Unwrap returns the error an actor panicked with, if that is what happened.
func (f *Failure) Unwrap() error { return f.cause }

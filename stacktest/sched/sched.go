package sched

import (
	"os"
	"strings"
	"testing"
	"time"
)

// Mode is how schedules are chosen.
type Mode uint8

// The modes.
const (
	Exhaustive Mode = iota // every schedule with at most Options.Preemptions preemptions
	PCT                    // random priorities that change Options.Depth-1 times
	Walk                   // every choice at random
	Stress                 // real goroutines: what a build without the tag sched does instead
)

var modeNames = [...]string{"exhaustive", "pct", "walk", "stress"}

func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "mode?"
}

// Preemptions that are not a number of them.
const (
	NonPreemptive = -1      // switch actors only where one waits or ends
	Unlimited     = 1 << 30 // every schedule there is
)

// Options say which schedules to run. The zero Options explore exhaustively with up to
// two preemptions: most bugs in protocols of two or three actors need no more.
type Options struct {
	// Name is what the exploration is called in logs and tables. Explore takes the
	// test's name by default.
	Name string

	Mode Mode

	// Preemptions bounds how often a schedule takes the processor from an actor that
	// could go on; 0 stands for 2. Exhaustive explores the schedules without preemption
	// first, then those with one, and so on, so that the first failure it meets has the
	// fewest.
	Preemptions int

	// Depth is PCT's d: in how many places the order must be just so for the bug to
	// show. 0 stands for 3.
	Depth int

	// Seed starts the random numbers of PCT and Walk. Equal seeds choose equal schedules.
	Seed uint64

	// Schedules ends the exploration after so many. 0 stands for no limit in Exhaustive
	// mode and for 10,000 in the others.
	Schedules int

	// Budget ends the exploration after so much time. 0 stands for no limit.
	Budget time.Duration

	// Steps is how many operations a schedule may have before it counts as a livelock, and
	// a tenth of how many the scenario's own function and checks may have. 0 stands for
	// 10,000.
	Steps int

	// Replay is a schedule as a failure printed it. If set, it is the only one run.
	Replay string

	// Stress is how long a build without the tag sched tries its luck. 0 stands for
	// 20 ms.
	Stress time.Duration
}

func (o Options) withDefaults() Options {
	switch {
	case o.Preemptions == 0:
		o.Preemptions = 2
	case o.Preemptions < 0:
		o.Preemptions = 0
	}
	if o.Depth <= 0 {
		o.Depth = 3
	}
	if o.Schedules <= 0 && o.Mode != Exhaustive {
		o.Schedules = 10_000
	}
	if o.Steps <= 0 {
		o.Steps = 10_000
	}
	if o.Stress <= 0 {
		o.Stress = 20 * time.Millisecond
	}
	return o
}

// Explore runs the scenario f under every schedule o asks for, as a part of the test t. A
// failure fails t, with the schedule that shows it made as simple as possible, drawn, and
// in a form that can be run again; what was explored is logged otherwise.
//
// f is called once for each schedule and builds its world anew each time. It must behave
// the same whenever the schedule is the same.
//
// With go test -short, where o does not say how many, schedules have one preemption at most.
//
// The environment variable SOFTNET_REPLAY=NAME=SCHEDULE makes the exploration of that
// name run this one schedule; without NAME= every exploration does.
func Explore(t testing.TB, o Options, f func(s *S)) Result {
	t.Helper()
	if o.Name == "" {
		o.Name = t.Name()
	}
	if o.Preemptions == 0 && testing.Short() {
		o.Preemptions = 1
	}
	if o.Replay == "" {
		o.Replay = replayOf(o.Name, os.Getenv("SOFTNET_REPLAY"))
	}
	r := Run(o, f)
	if r.Failure != nil {
		t.Errorf("%v\n\nagain: SOFTNET_REPLAY='%s=%s' go test -tags sched", r.Failure, r.Name, r.Failure.Replay)
	} else if r.Lanes != "" {
		t.Logf("%v\n\n%s", r, r.Lanes)
	} else {
		t.Log(r)
	}
	return r
}

// Replay runs f under the one schedule a failure printed, as a part of the test t: a
// regression test. It fails t if the scenario fails, and also if the schedule does not
// fit the scenario any more. Without the tag sched it does what Explore does.
func Replay(t testing.TB, schedule string, f func(s *S)) Result {
	t.Helper()
	return Explore(t, Options{Replay: schedule}, f)
}

// Run is Explore without a test: whoever calls it looks at the Result. It is for lessons,
// and for tests that something fails.
//
// If the environment variable SOFTNET_SCHED_TABLE names a file, one line of JSON about
// each exploration that has a name is appended to it. Run panics if that cannot be done.
func Run(o Options, f func(s *S)) Result {
	start := time.Now()
	o = o.withDefaults()
	r := run(o, f)
	r.Name, r.Duration = o.Name, time.Since(start)
	if file := os.Getenv("SOFTNET_SCHED_TABLE"); file != "" && o.Name != "" {
		if err := r.appendTo(file); err != nil {
			panic("sched: " + err.Error())
		}
	}
	return r
}

// replayOf returns the schedule that env asks the exploration called name to replay.
func replayOf(name, env string) string {
	if i := strings.LastIndexByte(env, '='); i >= 0 {
		if env[:i] != name {
			return ""
		}
		return env[i+1:]
	}
	return env
}

//go:build sched

package sched

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/witness"
)

// An explorer runs schedules of one scenario, one after the other.
type explorer struct {
	o        Options
	scenario func(*S)
	start    time.Time
	res      Result
	idle     []*actor // coroutines without a part
	opts     []option // buffers schedules hand on
	path     []leg
	timed    bool // some schedule had a timeout

	vetting atomic.Bool            // look who performs each operation
	foreign atomic.Pointer[string] // a goroutine that was none of ours
	ran     atomic.Int64           // schedules, for the watchdog
}

// vetted is how many schedules are looked at with vetting: goroutines started behind the
// explorer's back are started in the first one as in all others.
const vetted = 8

// stuckAfter is how long a single schedule may take before the watchdog barks.
const stuckAfter = time.Minute

// run is Run without the table.
func run(o Options, f func(*S)) Result {
	if hook.Self() != nil {
		panic("sched: an exploration inside another")
	}
	x := &explorer{o: o, scenario: f, start: time.Now()}
	x.res.Mode = o.Mode
	defer x.close()
	defer x.watch(stuckAfter, func(text string) { panic(text) })()
	switch {
	case o.Replay != "":
		x.replay()
	case o.Mode == PCT || o.Mode == Walk:
		x.random()
	default:
		x.exhaust()
	}
	return x.res
}

// replay runs the one schedule that was asked for.
func (x *explorer) replay() {
	path, err := parsePath(x.o.Replay)
	if err != nil {
		x.res.Failure = &Failure{Kind: Nondeterminism, Text: err.Error(), Replay: x.o.Replay}
		return
	}
	how := &strict{path: path}
	s := x.run(how, newRecorder())
	x.res.Lanes = s.rec.lanes()
	if s.bad == nil && len(how.path) > 0 {
		s.bad = &Failure{Kind: Nondeterminism, Text: fmt.Sprintf("the schedule does not fit: all was over after %d steps, with %s to come",
			s.steps, formatPath(how.path))}
	}
	if s.bad != nil {
		x.res.Failure = s.report(x.o.Replay)
	}
}

// found makes the failure of s as simple as can be and puts it into the result. from is
// how many preemptions it is known to need.
func (x *explorer) found(s *schedule, from int) {
	bad := s.bad
	if bad.Kind == Nondeterminism {
		x.res.Failure = bad // no schedule can be trusted to show it again
		return
	}
	res := x.res // what comes now does not count
	path := x.shrink(s.copyPath(), bad.Kind, from)
	s = x.run(&strict{path: path}, newRecorder())
	x.res = res
	if s.bad == nil || s.bad.Kind != bad.Kind {
		seen := "nothing"
		if s.bad != nil {
			seen = string(s.bad.Kind) + ": " + s.bad.Text
		}
		s.bad = &Failure{Kind: Nondeterminism, Text: fmt.Sprintf("a schedule showed %s: %s\nand shows %s when it is run again", bad.Kind, bad.Text, seen)}
	}
	x.res.Lanes = s.rec.lanes()
	x.res.Failure = s.report(formatPath(path))
}

// report completes the failure of a recorded schedule.
func (s *schedule) report(replay string) *Failure {
	f := s.bad
	f.Replay, f.Preemptions, f.Switches, f.Lanes = replay, s.preemptions, s.switches, s.rec.lanes()
	return f
}

// run runs one schedule.
func (x *explorer) run(how chooser, rec *recorder) *schedule {
	x.vetting.Store(x.ran.Load() < vetted || rec != nil)
	s := &schedule{x: x, how: how, rec: rec, opts: x.opts[:0], path: x.path[:0]}
	s.clock = &actor{part: part{sch: s, id: 0, name: "clock", kind: timer}}
	s.main = x.actor()
	s.main.part = part{sch: s, id: -1, name: "scenario", kind: scenario, primed: true, f: s.play}
	s.drive()
	x.opts, x.path = s.opts, s.path
	if x.vetting.Load() {
		runtime.Gosched() // let strangers come forward
		if who := x.foreign.Load(); who != nil {
			s.bad = &Failure{Kind: Nondeterminism, Text: *who}
		}
	}
	x.ran.Add(1)
	x.res.Schedules++
	x.res.ChoicePoints += s.points
	x.res.MaxDepth = max(x.res.MaxDepth, s.steps)
	x.res.MaxActors = max(x.res.MaxActors, len(s.actors))
	return s
}

// spent reports whether the exploration must end though there is more to explore.
func (x *explorer) spent() bool {
	return x.o.Schedules > 0 && x.res.Schedules >= x.o.Schedules ||
		x.o.Budget > 0 && time.Since(x.start) >= x.o.Budget
}

// actor returns a coroutine that is free to play a part.
func (x *explorer) actor() *actor {
	n := len(x.idle)
	if n == 0 {
		return newActor(x)
	}
	a := x.idle[n-1]
	x.idle = x.idle[:n-1]
	a.dead.Store(false)
	return a
}

// recycle takes an actor back whose part is over.
func (x *explorer) recycle(a *actor) {
	// In checked builds witness knows what a goroutine holds, by its number. An actor holds
	// nothing at its end; the scenario may, for an actor to unlock.
	if a.left || witness.Enabled && a.kind == scenario {
		a.retire()
		return
	}
	a.part = part{}
	x.idle = append(x.idle, a)
}

// close ends all coroutines.
func (x *explorer) close() {
	for _, a := range x.idle {
		a.retire()
	}
	x.idle = nil
}

// stranger reports whether the calling goroutine is not the one it is taken for. One that
// an actor starts with a go statement inherits the actor's labels, by which it is taken
// for the actor; the explorer cannot schedule it, and gives up when this schedule is over.
func (x *explorer) stranger(a *actor, op hook.Op) bool {
	if !x.vetting.Load() || goid() == a.goid {
		return false
	}
	text := fmt.Sprintf("a goroutine that an actor started with a go statement came to %q: start it with sched.Go", op)
	x.foreign.CompareAndSwap(nil, &text)
	return true
}

// self returns the actor the calling goroutine is, or nil.
func (s *schedule) self() *actor {
	a, _ := hook.Self().(*actor)
	return a
}

// copyPath returns the schedule as it was run.
func (s *schedule) copyPath() []leg { return append([]leg(nil), s.path...) }

// watch starts a watchdog: an actor that blocks where the explorer does not see it blocks
// the whole exploration, and would only be noticed when the test's time is up. If no
// schedule ends between one look and the next, the dog barks once.
func (x *explorer) watch(every time.Duration, bark func(string)) (stop func()) {
	seen := int64(-1)
	var dog *time.Timer
	dog = time.AfterFunc(every, func() {
		if n := x.ran.Load(); n != seen {
			seen = n
			dog.Reset(every)
			return
		}
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		bark(fmt.Sprintf("sched: %s: no schedule has ended for %v: an actor blocks on something that is no choice point, or computes for ever\n\n%s",
			x.o.Name, every, stacks))
	})
	return func() { dog.Stop() }
}

func point(name string) { hook.Point(hook.OpUser, pointer(&name)) }

func yield() { hook.Point(hook.OpYield, nil) }

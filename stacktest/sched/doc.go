// Package sched runs a small concurrent scenario under every schedule there is, up to a
// bound, and shows the simplest one that breaks it.
//
//	                  runs                          finds                       misses
//	go test -race     the schedules that happen     races on plain memory       rare schedules
//	PCT, Walk         random schedules              most bugs, at known odds    what the odds miss
//	Exhaustive        every schedule within bound   every bug within the bound  bugs beyond it
//
// # Usage
//
// A scenario is a function. It builds its world, starts two or three actors, and says what
// must be true:
//
//	func TestLimiter(t *testing.T) {
//		sched.Explore(t, sched.Options{}, func(s *sched.S) {
//			l := newLimiter(1)
//			var taken sched.Int64
//			for _, who := range []string{"alice", "bob"} {
//				s.Go(who, func() {
//					if l.take() {
//						taken.Add(1)
//					}
//				})
//			}
//			s.After(func() { s.Assert(taken.Load() <= 1, "%d permits of 1", taken.Load()) })
//		})
//	}
//
// and is explored by
//
//	go test -tags sched
//
// If take looks and then acts, the failure says so:
//
//	assertion: 2 permits of 1
//
//	schedule ab3a2: preemptions 1, switches 2
//
//	#  alice                           bob
//	1  load l.left: 1, limiter.go:12
//	2                                  load l.left: 1, limiter.go:12
//	3                                  add l.left: 0, limiter.go:15
//	4                                  add taken: 1, limiter_test.go:16
//	5  add l.left: -1, limiter.go:15
//	6  add taken: 2, limiter_test.go:16
//
// That schedule is the simplest: none with fewer preemptions fails. The string ab3a2 runs
// it again, through [Replay], Options.Replay, or SOFTNET_REPLAY in the environment. In a
// lane each row is one operation: what it did to which object, what a word held after it,
// and where.
//
// Without the tag the same test runs the scenario on real goroutines again and again for a
// tenth of a second: it costs nothing to keep, and proves little.
//
// # What is explored
//
// Every operation on a type of this package is a choice point, and so is every one inside
// the packages of this module, which are built from the same types: witness locks, psref,
// pserialize, rtable, ... Between two choice points an actor runs alone. That is no loss as
// long as whatever actors share is reached through such operations: any real execution is
// then equal to one that switches at them only. Plain memory that a lock of this package
// guards is fine. Plain memory that nothing guards is a data race, and what go test -race
// is for, without the tag: under exploration actors take turns, and nothing races.
//
// All operations are sequentially consistent, as those of sync/atomic are.
//
// # What a scenario may not do
//
// Whenever the schedule is the same, the scenario must do the same: no package-level state
// that stays from run to run, no random numbers, no real time, no order of a map. What an
// actor shares with others it must not wait for outside of this package's types: a
// sync.Mutex held over a choice point or a Go channel blocks everything (a watchdog ends the
// test after a minute). Goroutines are started with S.Go, [Go], or by the packages of this
// module; those of a go statement cannot be scheduled. That, and a scenario that does not
// do the same again, is noticed in most cases and reported as Nondeterminism. Profiler
// labels belong to the explorer: it knows an actor's goroutine by them.
//
// A loop that waits by looking again must call [Yield]; else a schedule in which nobody
// else runs is a livelock, and reported as one.
//
// # Goroutines of the code under test
//
// A goroutine that the scenario or an actor starts through the packages of this module, or
// with [Go], takes part like an actor, but does not have to end for the scenario to be
// over. When all actors of S.Go have ended and nobody can go on, the checks of S.After run;
// there a Close can be called, and wait. What is left waiting after that is a Leak, unless
// S.Daemon allows it.
//
// # Time
//
// Contexts come from S.Context, S.WithCancel and S.WithTimeout, whose timeouts end when the
// explorer chooses. Contexts that package context derives from them follow. A wait with a
// deadline of package context itself may be ended by the explorer too, with
// context.DeadlineExceeded, but such a context's Err does not know of it.
//
// # How much
//
// With n actors of k operations there are (nk)!/(k!)^n schedules: 1680 for three of three,
// 756,756 for three of five. With a bound of two preemptions they grow with a small power of
// k instead, and most bugs need no more than two: a million schedules take some ten
// seconds. Keep a scenario to what the promise is about. For long ones there is
// PCT, which finds a bug that depends on the order of d events among k with a probability of
// at least 1/(n*k^(d-1)) each time.
//
// # Debugging
//
// go test -v logs how many schedules were run, and whether these were all. The variable
// SOFTNET_SCHED_TABLE=FILE collects that as lines of JSON. A failing [S] marks the place in
// the lanes; S.Logf writes into them, S.Name names objects.
package sched

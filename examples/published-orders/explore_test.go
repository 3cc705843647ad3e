//go:build sched

package publishedorders

import (
	"flag"
	"os"
	"regexp"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// explored is the scene as a scenario of the explorer.
func (sc scene) explored(r *event.Recorder) func(*sched.S) {
	return func(s *sched.S) {
		for _, p := range sc.cast() {
			s.Go(p.name, func() {
				err := p.plays(&actor{name: p.name, r: r, ctx: s.Context()})
				s.Assert(err == nil, "%v", err)
			})
		}
	}
}

// No wrong order breaks as long as nobody is preempted, each does in some schedule, and
// the simplest of these is the one that the lesson plays.
func TestExplore_WrongOrdersBreakInTheScheduleShown(t *testing.T) {
	broken := []struct {
		kind        sched.Kind
		err         error
		preemptions int
	}{
		{sched.Deadlock, errDeadlock, 1},
		{sched.Assertion, errTorn, 2},
		{sched.Assertion, errTouched, 1},
		{sched.Assertion, errUsed, 2},
	}
	require.Len(t, wrongOrders, len(broken))
	for i, want := range broken {
		sc := wrongOrders[i]
		t.Run(sc.name, func(t *testing.T) {
			r := sched.Run(sched.Options{Name: t.Name()}, sc.explored(nil))
			require.NotNil(t, r.Failure, r)
			t.Logf("%v\n\n%v", r, r.Failure)
			require.Equal(t, want.kind, r.Failure.Kind)
			require.Equal(t, want.preemptions, r.Failure.Preemptions)
			if want.kind == sched.Assertion {
				require.Equal(t, want.err.Error(), r.Failure.Text)
			}

			found := told(func(rec *event.Recorder) {
				sched.Run(sched.Options{Replay: r.Failure.Replay}, sc.explored(rec))
			})
			synctest.Test(t, func(t *testing.T) {
				shown := told(func(rec *event.Recorder) { require.ErrorIs(t, sc.play(rec), want.err) })
				require.Equal(t, found, shown, "the lesson plays another schedule than the explorer finds: change the script")
			})
		})
	}
}

// told returns what actors tell while f runs, without times.
func told(f func(r *event.Recorder)) (evs []string) {
	ring := event.NewRing(100)
	f(event.New(ring))
	for _, e := range ring.Events() {
		if e.Actor != "" {
			evs = append(evs, e.Actor+": "+e.String())
		}
	}
	return evs
}

var lanes = regexp.MustCompile("(?s)```lanes\n.*?```\n")

// The README shows the lanes of one failure as an explorer draws them.
func TestExplore_READMEShowsTheLanes(t *testing.T) {
	f := sched.Run(sched.Options{}, wrongOrders[2].explored(nil)).Failure
	require.NotNil(t, f)
	want := "```lanes\n" + f.Lanes + "```\n"
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	if flag.Lookup("update").Value.String() == "true" {
		readme = lanes.ReplaceAllLiteral(readme, []byte(want))
		require.NoError(t, os.WriteFile("README.md", readme, 0o644))
	}
	require.Equal(t, want, string(lanes.Find(readme)), "README.md is stale: go test -tags sched ./examples/published-orders -update")
}

func TestExplore_RightOrdersHoldInEverySchedule(t *testing.T) {
	for _, sc := range rightOrders {
		t.Run(sc.name, func(t *testing.T) {
			r := sched.Explore(t, sched.Options{Preemptions: 2}, sc.explored(nil))
			require.True(t, r.Exhausted)
		})
	}
}

// Of two who drop references only one has the last.
func TestExplore_RightOrdersHoldWithTwoReferences(t *testing.T) {
	for _, c := range []struct {
		name  string
		unref func(*entry) []step
	}{
		{"under the owner's lock", func(e *entry) []step { return []step{e.dropAndWake} }},
		{"by the table", func(e *entry) []step { return []step{e.drop, e.wakeByTable} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			two := scene{cast: func() []role {
				e := newEntry(2)
				drop := func(a *actor) error { return a.does(c.unref(e)...) }
				free := func(a *actor) error { return a.does(e.delete, e.drain, e.free) }
				return []role{{"first", drop}, {"second", drop}, {"owner", free}}
			}}
			r := sched.Explore(t, sched.Options{Preemptions: 2}, two.explored(nil))
			require.True(t, r.Exhausted)
		})
	}
}

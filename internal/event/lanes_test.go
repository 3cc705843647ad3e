package event_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/event"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "%s: see it, then accept it with -update", path)
}

// drawn returns the picture of evs, having numbered them.
func drawn(t *testing.T, evs ...event.Event) string {
	t.Helper()
	for i := range evs {
		evs[i].Seq = uint64(i + 1)
	}
	var b strings.Builder
	require.NoError(t, event.Lanes(&b, evs))
	return b.String()
}

const ms = time.Millisecond

func TestLanes_OneColumnPerActorInOrderOfFirstAppearance(t *testing.T) {
	golden(t, "lanes.txt", drawn(t,
		event.Event{At: 0, Actor: "reader", Verb: "acquire", Object: "10.0.0.0/8"},
		event.Event{At: 10 * ms, Actor: "writer", Verb: "unlink", Object: "10.0.0.0/8"},
		event.Event{At: 10 * ms, Actor: "writer", Verb: "wait", Object: "10.0.0.0/8", Detail: "held by reader"},
		event.Event{At: 20*ms + 123456, Actor: "reader", Verb: "release", Object: "10.0.0.0/8"},
		event.Event{At: 20*ms + 123999, Actor: "writer", Verb: "destroy", Object: "10.0.0.0/8"},
		event.Event{At: 1234567 * time.Microsecond, Verb: "the end", Detail: "nothing was freed under a reader"},
	))
}

// A schedule has steps but no clock.
func TestLanes_WithoutTimesNumbersTheEvents(t *testing.T) {
	var evs []event.Event
	for i := range 10 {
		evs = append(evs, event.Event{Actor: []string{"t1", "t2", "t3"}[i%3], Verb: "cas", Object: "head", Detail: []string{"won", "lost"}[i%2]})
	}
	golden(t, "steps.txt", drawn(t, evs...))
}

func TestLanes_WrapsLongCells(t *testing.T) {
	got := drawn(t,
		event.Event{Actor: "a", Verb: "short"},
		event.Event{Actor: "first", Verb: "a cell that says very much more than what fits into the width of a single column, and goes on about it"},
		event.Event{Actor: "second", Verb: "run", Object: "github.com/softnet-go/softnet/pserialize.(*Serializer).Perform", Detail: "this one has a word longer than the column"},
		event.Event{Actor: "third", Verb: "wait", Detail: "these lines are the writer's:\n\tperform.go:12\n\tdomain.go:40"},
		event.Event{Verb: "and this runs across all of the columns because it is nobody's", Detail: "so it has the width of the whole line to itself, which is where it is wrapped at last"},
	)
	golden(t, "wrap.txt", got)
	for line := range strings.Lines(got) {
		line = strings.TrimSuffix(line, "\n")
		require.LessOrEqual(t, utf8.RuneCountInString(line), 100, "%q is too wide", line)
		require.Equal(t, strings.TrimRight(line, " "), line, "space at the end of a line")
	}
}

func TestLanes_NoEventsIsOnlyAHeading(t *testing.T) {
	require.Equal(t, "#\n", drawn(t))
}

type brokenWriter struct{}

var errBroken = errors.New("broken pipe")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestLanes_ReturnsTheWritersError(t *testing.T) {
	require.ErrorIs(t, event.Lanes(brokenWriter{}, nil), errBroken)
}

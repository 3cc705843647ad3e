package event_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/event"
)

func story() []event.Event {
	ring := event.NewRing(16)
	r := event.NewSourced(ring, "picture_test.go")
	r.Record("reader", "hold", "em0", "")
	r.Record("writer", "wait", "em0", "for <whoever> & all")
	r.Record("reader", "release", "em0", "")
	r.Record("writer", "free", "em0", "")
	r.Record("", "the end", "", "")
	evs := ring.Events()
	for i := range evs {
		evs[i].At = 0
	}
	return evs
}

func TestKind_ByTheVerb(t *testing.T) {
	for verb, want := range map[string]event.Kind{
		"lock": event.Begin, "unlock": event.End, "wait for": event.Wait, "1.0s sends INS": event.Message, "0.0s BACKUP": event.Other,
		"grace period": event.Wait, "free": event.Gone, "": event.Other, "REPORT": event.Broken,
	} {
		require.Equal(t, want, event.Event{Verb: verb}.Kind(), verb)
	}
}

func TestRecorder_KnowsWhereItWasCalled(t *testing.T) {
	for _, e := range story() {
		require.Regexp(t, `^picture_test\.go:\d+$`, e.Source)
	}
	ring := event.NewRing(1)
	event.New(ring).Record("a", "b", "", "")
	require.Empty(t, ring.Events()[0].Source)
}

// A picture is well-formed whatever is said, the same for the same events, and shows each of them, with its
// sign, and a bar for as long as something is held.
func TestSVG_ShowsEachEvent(t *testing.T) {
	var a, b bytes.Buffer
	require.NoError(t, event.SVG(&a, `a "title" & more`, story()))
	require.NoError(t, event.SVG(&b, `a "title" & more`, story()))
	require.Equal(t, a.String(), b.String())
	for d := xml.NewDecoder(strings.NewReader(a.String())); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	svg := a.String()
	require.Equal(t, 5, strings.Count(svg, `<g class="e"`))
	require.Equal(t, 1, strings.Count(svg, `class="b"`))
	require.Contains(t, svg, `height="44"><title>reader holds em0`, "for two rows")
	require.Contains(t, svg, `class="begin" x="66" y="38">▼<`)
	require.Contains(t, svg, "for &lt;whoever&gt; &amp; all (picture_test.go:")
	require.NoError(t, event.SVG(io.Discard, "", nil))
}

func TestPerfetto_IsATrace(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, event.Perfetto(&b, story()))
	var trace struct {
		TraceEvents []struct {
			Name, Ph string
			TS, Dur  float64
			TID      int
			Args     map[string]string
		}
	}
	require.NoError(t, json.Unmarshal(b.Bytes(), &trace))
	count := map[string]int{}
	for _, e := range trace.TraceEvents {
		count[e.Ph]++
		require.Positive(t, e.TID)
		if e.Ph == "X" {
			require.Equal(t, "holds em0", e.Name)
			require.Equal(t, 2000.0, e.Dur)
		}
	}
	require.Equal(t, map[string]int{"M": 3, "i": 5, "X": 1}, count)
}

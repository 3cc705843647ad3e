package main

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var nan = math.NaN()

func TestSpread_NeedsThreeRounds(t *testing.T) {
	require.Nil(t, spreadOf([]float64{1, nan, 2, nan}), "two of four")
	require.Nil(t, spreadOf([]float64{nan}))
	require.Nil(t, spreadOf(nil))
	require.Equal(t, &spread{Median: 2, Low: 1, High: 4, Rounds: 3}, spreadOf([]float64{4, nan, 1, 2}))
	require.Equal(t, &spread{Median: 5, Low: 3, High: 7, Rounds: 9}, spreadOf([]float64{9, 1, 8, 2, 7, 3, 6, 4, 5}), "the middle half")
	require.Equal(t, &spread{Median: 2, Low: 1, High: 3, Rounds: 2}, spreadOf([]float64{1, 3}), "there were only two")
}

// A ratio is one of a round: a machine that slows down for both sides changes nothing.
func TestFigures_RatiosAreTakenRoundByRound(t *testing.T) {
	a, b := on(1, "a", nil), on(1, "b", nil)
	fs := figures{
		a: {1, 10, 100, nan},
		b: {2, 20, 200, 1},
	}
	r := row{"a", a, []line{atMost(0.5, b), faster(3, b), under(11 * time.Nanosecond), beside(b)}}
	got := fs.of(r, false)
	require.Equal(t, 10.0, got.Ours.Median)
	require.Equal(t, &spread{Median: 0.5, Low: 0.5, High: 0.5, Rounds: 3}, got.Lines[0].Ratio)
	var verdicts []verdict
	for _, l := range got.Lines {
		verdicts = append(verdicts, l.Verdict)
	}
	require.Equal(t, []verdict{ok, missed, ok, none}, verdicts)
	for i, l := range fs.of(r, true).Lines {
		require.Equal(t, []verdict{unmeasurable, unmeasurable, unmeasurable, none}[i], l.Verdict, "checks cost time")
	}
}

func TestReport_IsMetByVerdictsOnly(t *testing.T) {
	for v, met := range map[verdict]bool{ok: true, none: true, missed: false, unmeasurable: false} {
		rep := report{Rows: []result{{Lines: []lineResult{{Verdict: ok}, {Verdict: v}}}}}
		require.Equal(t, met, rep.met(), "%s", v)
	}
}

func TestReport_Text(t *testing.T) {
	steady := func(v float64) *spread { return &spread{v, v, v, 9} }
	rep := report{
		Machine: "plan9/mips, R4000", Cores: 2, Go: "go1.26", Commit: "abc1234", Rounds: 9,
		Date: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC),
		X:    steady(5.8),
		Rows: []result{
			{"read", "ns", steady(1.9), []lineResult{
				{"≤ 0.4 X", "X", steady(5.8), steady(0.33), ok, ratioAtMost},
				{Peer: "a lock", Figure: steady(79), Ratio: steady(0.02405)},
				{Peer: "a load", Figure: steady(0.25), Ratio: steady(7.6)},
			}},
			{"wait", "ns", &spread{1500, 1000, 2e6, 9}, []lineResult{{Target: "< 1 µs", Verdict: missed}}},
			{"a thing", "B", steady(16), []lineResult{{Target: "≤ 16 B", Verdict: ok}}},
			{"far", "ns", nil, []lineResult{{"≤ 2x", "near", nil, nil, unmeasurable, ratioAtMost}}},
		},
	}
	var out strings.Builder
	require.NoError(t, rep.writeText(&out))
	require.Equal(t, `machine  plan9/mips, R4000, 2 cores
go       go1.26
commit   abc1234
date     2026-11-21T03:00:00Z, 9 rounds
X        5.80 ns, one atomic exchange that nobody else wants

what     measured                      target   peer             ratio         verdict
read     1.90 ns                       ≤ 0.4 X  X 5.80 ns        0.330         ok
                                                a lock 79.0 ns   41.6x faster
                                                a load 0.250 ns  7.60x
wait     1.50 µs [1.00 µs .. 2.00 ms]  < 1 µs                                  MISSED
a thing  16 B                          ≤ 16 B                                  ok
far      ?                             ≤ 2x     near ?           ?             not measurable here
`, trimLines(out.String()))
}

// trimLines takes the blanks of empty cells off the ends of lines.
func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// bench runs the command and returns what it printed.
func bench(t *testing.T, wantStatus int, args ...string) (stdout, stderr string) {
	var out, errs bytes.Buffer
	require.Equal(t, wantStatus, run(args, &out, &errs), "%s", &errs)
	return out.String(), errs.String()
}

func TestRun_Lists(t *testing.T) {
	out, _ := bench(t, 0, "-list", "-only", "ground", "-run", "^psref acquire.*two cores$")
	require.Contains(t, out, "≥ 20x faster  a shared counter")
	require.NotContains(t, out, "Perform")
}

func TestRun_RefusesWhatMakesNoSense(t *testing.T) {
	for _, args := range [][]string{
		{"-only", "nothing"}, {"-run", "nothing at all"}, {"-run", "("}, {"-rounds", "-1"}, {"ground"}, {"-unknown"},
	} {
		_, errs := bench(t, 2, args...)
		require.NotEmpty(t, errs, "%q", args)
	}
	bench(t, 0, "-help")
}

func TestRun_MeasuresAndPrintsJSON(t *testing.T) {
	out, errs := bench(t, 0, "-json", "-quick", "-rounds", "1", "-run", `^size of a psref\.Ref$`)
	require.Empty(t, errs, "a file is not told of progress")
	var rep report
	require.NoError(t, json.Unmarshal([]byte(out), &rep))
	require.Equal(t, 1, rep.Rounds)
	require.Len(t, rep.Rows, 1)
	require.Equal(t, "B", rep.Rows[0].Unit)
	require.Positive(t, rep.Rows[0].Ours.Median)
}

func TestRun_ChecksOnDemandOnly(t *testing.T) {
	if c := checks(); c != "" {
		t.Skip("no verdicts in a build with ", c)
	}
	old := groups
	defer func() { groups = old }()
	eight := fixed("", "B", func() float64 { return 8 })
	groups = []group{{"sizes", func() []row {
		return []row{
			{"small", eight, []line{noLargerThan(8)}},
			{"large", eight, []line{noLargerThan(7)}},
		}
	}}}
	out, _ := bench(t, 0, "-quick", "-rounds", "1")
	require.Contains(t, out, "MISSED")
	bench(t, 0, "-quick", "-rounds", "1", "-check", "-run", "small")
	bench(t, 1, "-quick", "-rounds", "1", "-check")
}

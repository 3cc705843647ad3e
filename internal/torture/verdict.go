package main

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/witness"
)

// A verdict is how a scenario ended.
type verdict struct {
	scenario string
	seed     uint64
	procs    int
	took     time.Duration
	tally    tally
	charge   error    // what it is convicted of, or nil
	idle     []string // what has not happened often enough
}

// slower is by how much checked builds are excused: they remember a stack for each
// reference, and -race slows down everything.
const slower = 20

// idle lists what has not happened as often as it must in a run of that length.
func (s *scenario) idle(v *verdict, lasts time.Duration) (idle []string) {
	for c := range counters {
		rate, must := s.must[c]
		if invariants.Enabled || witness.Enabled {
			rate /= slower
		}
		if want := max(uint64(rate*lasts.Seconds()), 1); must && v.tally.n[c] < want {
			idle = append(idle, fmt.Sprintf("%v: %d and not %d", c, v.tally.n[c], want))
		}
	}
	return idle
}

func (v *verdict) good() bool { return v.charge == nil && len(v.idle) == 0 }

// convicts reports whether v convicts the BUSTED scenario s, and of what it does wrong.
func (v *verdict) convicts(s *scenario) bool {
	return !v.good() && regexp.MustCompile(s.charge).MatchString(v.why())
}

// String returns the verdict in rcutorture's words.
func (v *verdict) String() string {
	switch {
	case v.charge != nil:
		return "!!!"
	case len(v.idle) > 0:
		return "VACUOUS"
	}
	return "SUCCESS"
}

// why explains a verdict that is not good.
func (v *verdict) why() string {
	if v.charge != nil {
		return v.charge.Error()
	}
	return strings.Join(v.idle, ", ")
}

// line prints one line, and below it what is wrong. The two groups of four are the ages
// of what was looked at: published, leaving, gone, reused. The last two must be 0.
func line(out io.Writer, s *scenario, v *verdict) {
	t := &v.tally
	fmt.Fprintf(out, "%-10s %-7v %5.1fs %7s ops/s  sections %v  held %v  graces %d, %d waited  drains %d, %d woken ",
		v.scenario, v, v.took.Seconds(), short(float64(t.n[ops])/v.took.Seconds()), pipe(t.sections), pipe(t.held),
		t.n[graces], t.n[graceWaits], t.n[drains], t.n[wakeups])
	shown := []counter{ops, overlaps, graces, graceWaits, drains, wakeups}
	for c := range counters {
		if _, must := s.must[c]; must && !slices.Contains(shown, c) {
			fmt.Fprintf(out, " %v=%d", c, t.n[c])
		}
	}
	fmt.Fprintln(out)
	if !v.good() {
		fmt.Fprintf(out, "\t%s\n", strings.ReplaceAll(v.why(), "\n", "\n\t"))
	}
}

// sentence prints what has convicted a BUSTED scenario.
func sentence(out io.Writer, s *scenario, v *verdict) {
	how := "convicted"
	if !v.convicts(s) {
		how = "NOT CONVICTED"
	}
	why, _, _ := strings.Cut(v.why(), "\n")
	fmt.Fprintf(out, "%-27s %s after %.1f ms: %v %s\n", v.scenario, how, v.took.Seconds()*1000, v, why)
}

// record prints everything as one line of JSON.
func record(out io.Writer, _ *scenario, v *verdict) {
	counts := map[string]uint64{}
	for c := range counters {
		counts[c.String()] = v.tally.n[c]
	}
	err := json.NewEncoder(out).Encode(struct {
		Scenario string            `json:"scenario"`
		Verdict  string            `json:"verdict"`
		Why      string            `json:"why,omitempty"`
		Seconds  float64           `json:"seconds"`
		Seed     uint64            `json:"seed"`
		Procs    int               `json:"gomaxprocs"`
		Sections [ages]uint64      `json:"sections"`
		Held     [ages]uint64      `json:"held"`
		Counts   map[string]uint64 `json:"counts"`
	}{v.scenario, v.String(), v.why(), v.took.Seconds(), v.seed, v.procs, v.tally.sections, v.tally.held, counts})
	if err != nil {
		panic(err) // nothing in it can fail to encode
	}
}

func pipe(n [ages]uint64) string { return strings.Trim(fmt.Sprint(n), "[]") }

// short returns n as "950", "19.5k" or "7.2M".
func short(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1fM", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1fk", n/1e3)
	}
	return fmt.Sprintf("%.0f", n)
}

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"
)

// A report is a whole run.
type report struct {
	Machine string    `json:"machine"`
	Cores   int       `json:"cores"`
	Go      string    `json:"go"`
	Commit  string    `json:"commit"`
	Checks  string    `json:"checks,omitempty"` // what is built in that costs time
	Date    time.Time `json:"date"`
	Rounds  int       `json:"rounds"`
	Blind   bool      `json:"blind,omitempty"` // the system does not say who disturbed us
	X       *spread   `json:"x_ns"`
	Rows    []result  `json:"rows"`
}

// newReport returns a report of this machine and this build, without rows.
func newReport(e effort) *report {
	return &report{
		Machine: machine(),
		Cores:   runtime.GOMAXPROCS(0),
		Go:      runtime.Version(),
		Commit:  commit(),
		Checks:  checks(),
		Date:    time.Now().UTC().Truncate(time.Second),
		Rounds:  e.rounds,
		Blind:   !readUsage().known,
	}
}

func machine() string {
	name := runtime.GOOS + "/" + runtime.GOARCH
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return name + ", " + strings.TrimSpace(model)
		}
	}
	return name
}

func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// checks returns the build settings that put checks or choice points into the code.
func checks() string {
	var found []string
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if (s.Key == "-race" || s.Key == "-tags") && s.Value != "false" && s.Value != "" {
				found = append(found, s.Key+"="+s.Value)
			}
		}
	}
	return strings.Join(found, " ")
}

// met reports whether every target was met.
func (rep *report) met() bool {
	for _, r := range rep.Rows {
		for _, l := range r.Lines {
			if l.Verdict == missed || l.Verdict == unmeasurable {
				return false
			}
		}
	}
	return true
}

func (rep *report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(rep)
}

func (rep *report) writeText(w io.Writer) error {
	fmt.Fprintf(w, "machine  %s, %d cores\n", rep.Machine, rep.Cores)
	fmt.Fprintln(w, strings.TrimSpace("go       "+rep.Go+" "+rep.Checks))
	fmt.Fprintf(w, "commit   %s\n", rep.Commit)
	fmt.Fprintf(w, "date     %s, %d rounds\n", rep.Date.Format(time.RFC3339), rep.Rounds)
	fmt.Fprintf(w, "X        %s, one atomic exchange that nobody else wants\n", rep.X.text("ns"))
	if rep.Checks != "" {
		fmt.Fprintln(w, "This build has checks in it: no figure says anything about a target.")
	}
	if rep.Blind {
		fmt.Fprintln(w, "This system does not say who disturbed us: the figures are as good as it was quiet.")
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "what\tmeasured\ttarget\tpeer\tratio\tverdict")
	for _, r := range rep.Rows {
		what, ours := r.What, r.Ours.text(r.Unit)
		for _, l := range r.Lines {
			peer, ratio := l.Peer, ""
			if peer != "" {
				peer += " " + l.Figure.text(r.Unit)
				ratio = l.ratioText()
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", what, ours, l.Target, peer, ratio, l.Verdict)
			what, ours = "", "" // once is enough
		}
	}
	return tw.Flush()
}

// writeList writes what a run of the rows would measure.
func writeList(w io.Writer, rows []row) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "what\ttarget\tpeer")
	for _, r := range rows {
		what := r.what
		for _, l := range r.lines {
			peer := ""
			if l.peer != nil {
				peer = l.peer.name
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\n", what, cmp.Or(l.target, "-"), peer)
			what = ""
		}
	}
	return tw.Flush()
}

// text prints the median, and the middle half of the rounds where they disagree.
func (s *spread) text(unit string) string {
	switch {
	case s == nil:
		return "?"
	case unit != "ns":
		return fmt.Sprintf("%g %s", s.Median, unit)
	case s.High-s.Low <= 0.1*s.Median:
		return duration(s.Median)
	}
	return fmt.Sprintf("%s [%s .. %s]", duration(s.Median), duration(s.Low), duration(s.High))
}

// ratioText prints the ratio to the peer in the words of the target.
func (l lineResult) ratioText() string {
	switch {
	case l.Ratio == nil:
		return "?"
	case l.kind == ratioAtMost:
		return digits(l.Ratio.Median)
	case l.Ratio.Median < 1:
		return digits(1/l.Ratio.Median) + "x faster"
	}
	return digits(l.Ratio.Median) + "x"
}

// duration prints ns with three digits, in the unit that suits it.
func duration(ns float64) string {
	switch {
	case ns < 1e3:
		return digits(ns) + " ns"
	case ns < 1e6:
		return digits(ns/1e3) + " µs"
	}
	return digits(ns/1e6) + " ms"
}

// digits prints v with three digits, more if it has more before the point.
func digits(v float64) string {
	if v == 0 {
		return "0"
	}
	after := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	return fmt.Sprintf("%.*f", min(max(after, 0), 3), v)
}

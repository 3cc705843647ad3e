package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// An exploration is a line of the table that SOFTNET_SCHED_TABLE asks for, and what the
// line does not say.
type exploration struct {
	Package string `json:"-"`
	Actors  int    `json:"-"` // 0 if nobody has said

	Name         string
	Mode         string
	Bound        int
	Schedules    int
	ChoicePoints int   `json:"choice_points"`
	MaxDepth     int   `json:"max_depth"`
	Nanoseconds  int64 `json:"ns"`
	Exhausted    bool
	Complete     bool
	Failure      string
}

// explore runs the explorations of one package after the other: a line of the table does
// not say whose it is.
func explore(ctx context.Context, run runner) (o outcome, err error) {
	list, _, err := run(ctx, nil, "go", "list", "-tags", "sched", "-f", "{{.ImportPath}} {{.TestImports}} {{.XTestImports}}", "./...")
	if err != nil {
		return o, err
	}
	dir, err := os.MkdirTemp("", "verification")
	if err != nil {
		return o, err
	}
	defer os.RemoveAll(dir)
	var all []exploration
	for i, pkg := range explorers(list) {
		table := filepath.Join(dir, strconv.Itoa(i))
		log, _, err := run(ctx, []string{"SOFTNET_SCHED_TABLE=" + table}, "go", "test", "-tags", "sched", "-run", "Explore", "-count=1", "-v", pkg)
		if err != nil {
			return o, err
		}
		lines, err := os.ReadFile(table)
		if os.IsNotExist(err) {
			continue // it has tests with the explorer, but none of these
		} else if err != nil {
			return o, err
		}
		found, err := parseTable(lines, log)
		if err != nil {
			return o, fmt.Errorf("%s: %w", pkg, err)
		}
		for _, e := range found {
			e.Package = strings.TrimPrefix(pkg, module+"/")
			all = append(all, e)
		}
	}
	return report(all), nil
}

const module = "github.com/softnet-go/softnet"

// explorers returns the packages whose tests use the explorer, from a list of packages
// and what their tests import.
func explorers(list string) (pkgs []string) {
	for line := range strings.Lines(list) {
		if pkg, imports, _ := strings.Cut(line, " "); strings.Contains(imports, module+"/stacktest/sched") {
			pkgs = append(pkgs, pkg)
		}
	}
	return pkgs
}

// logged is what a test with -v says of an exploration.
var logged = regexp.MustCompile(`: (\d+) schedules.*, depth (\d+), (\d+) actors, (\d+) choice points`)

// parseTable reads the lines of a table, sorted by name. The number of actors is only in
// the log, in the line with the same figures.
func parseTable(lines []byte, log string) (es []exploration, err error) {
	type figures struct{ schedules, depth, points int }
	actors := map[figures]int{}
	for _, m := range logged.FindAllStringSubmatch(log, -1) {
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[i+1]) // digits
		}
		actors[figures{n[0], n[1], n[3]}] = n[2]
	}
	for line := range strings.Lines(string(lines)) {
		var e exploration
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, fmt.Errorf("%w in %s", err, line)
		}
		e.Actors = actors[figures{e.Schedules, e.MaxDepth, e.ChoicePoints}]
		es = append(es, e)
	}
	slices.SortStableFunc(es, func(a, b exploration) int { return cmp.Compare(a.Name, b.Name) })
	return es, nil
}

// verdict says in a word or two what came out.
func (e exploration) verdict() string {
	switch {
	case e.Failure != "":
		return "finds " + e.Failure
	case e.Complete:
		return "all there are"
	case e.Exhausted:
		return "all"
	}
	return "some"
}

// bound is how many preemptions a schedule had at most, or how schedules were chosen.
func (e exploration) bound() string {
	switch {
	case e.Mode != sched.Exhaustive.String():
		return e.Mode
	case e.Bound >= sched.Unlimited:
		return "none"
	}
	return strconv.Itoa(e.Bound)
}

// report makes a table of explorations.
func report(es []exploration) (o outcome) {
	var b strings.Builder
	b.WriteString("| package | scenario | actors | bound | schedules | depth | ms | |\n|---|---|--:|--:|--:|--:|--:|---|\n")
	verdicts := map[string]int{}
	schedules, finds, ns := 0, 0, int64(0)
	for _, e := range es {
		actors := ""
		if e.Actors > 0 {
			actors = strconv.Itoa(e.Actors)
		}
		name := strings.ReplaceAll(strings.TrimPrefix(e.Name, "TestExplore_"), "|", `\|`)
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %d | %.1f | %s |\n", e.Package, strings.ReplaceAll(name, "_", " "),
			actors, e.bound(), e.Schedules, e.MaxDepth, float64(e.Nanoseconds)/1e6, e.verdict())
		schedules += e.Schedules
		ns += e.Nanoseconds
		verdicts[e.verdict()]++
		if e.Failure != "" {
			finds++
		}
	}
	o.summary = fmt.Sprintf("%d scenarios, %d schedules in %.0f s: %d explored up to their bound, %d to the end, %d find what is seeded, %d are samples",
		len(es), schedules, float64(ns)/1e9, verdicts["all"], verdicts["all there are"], finds, verdicts["some"])
	o.body = b.String()
	return o
}

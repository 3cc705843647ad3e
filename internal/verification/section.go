package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// A section is a part of the page.
type section struct {
	name    string // on the command line
	title   string
	command string // for the reader
	about   string // what it shows
	run     func(context.Context, runner) (outcome, error)
}

// An outcome is what a section has to say.
type outcome struct {
	summary string // a clause
	body    string // Markdown
}

// errSkipped reports that what a section needs is not on this machine.
var errSkipped = errors.New("skipped")

var sections = []section{
	{
		name: "explore", title: "Every schedule",
		command: "go test -tags sched -run Explore ./...",
		about: `The schedule explorer (stacktest/sched) runs the code itself, small scenarios under every
schedule with so many preemptions at most. *All* are all schedules within the bound, *all
there are* those of any number of preemptions. *Finds* is a bug seeded in the scenario, or in a
toy, that must be found: the test fails if it is not. Depth is the steps of the longest schedule.`,
		run: explore,
	},
	{
		name: "models", title: "Models",
		command: "go run ./internal/modelcheck -md",
		about: `The protocols in Promela (models), every state looked at by spin: right, and each with the
bugs seeded that must be found. The rows that take minutes and gigabytes are in
[models/README.md](../models/README.md).`,
		run: models,
	},
	{
		name: "mutants", title: "Mutants",
		command: "go run ./internal/mutants -md",
		about: `The code broken in known ways, one at a time; some deterministic test must notice each. A
change that breaks no promise is listed apart, with the reason.`,
		run: mutants,
	},
	{
		name: "torture", title: "Torture",
		command: "go run ./internal/torture -all -for 2s",
		about: `Everything against everything on real cores, in the manner of rcutorture. How to read a
verdict is in the package comment of internal/torture. BUSTED scenarios use the library
wrongly and must be convicted.`,
		run: torture,
	},
	{
		name: "litmus", title: "Litmus",
		command: "go test -v -run Litmus ./internal/litmus",
		about: `What the proofs rest on: that shared words are sequentially consistent. Outcomes of the
classical shapes on real cores, what each thread loaded, and how often that was seen. The
forbidden one is not among them: the test fails if it is.`,
		run: litmus,
	},
}

// text runs the section and returns it as it stands on the page.
func (s section) text(ctx context.Context, run runner) (string, error) {
	now, err := stamp(ctx, run, time.Now())
	if err != nil {
		return "", err
	}
	o, err := s.run(ctx, run)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("**%s**\n\n%s\n\n    %s\n\n%s\n\n%s", o.summary, s.about, s.command, now, o.body), nil
}

func models(ctx context.Context, run runner) (o outcome, err error) {
	out, said, err := run(ctx, nil, "go", "run", "./internal/modelcheck", "-md")
	if err != nil && strings.Contains(said, "exit status 3") {
		return o, fmt.Errorf("%w: spin or a C compiler is missing", errSkipped)
	}
	return outcome{lastOf(said, "modelcheck: "), out}, err
}

func mutants(ctx context.Context, run runner) (outcome, error) {
	out, said, err := run(ctx, nil, "go", "run", "./internal/mutants", "-md")
	return outcome{lastOf(said, "mutants: "), out}, err
}

// lastOf returns what follows prefix in the last line that begins with it.
func lastOf(text, prefix string) (last string) {
	for line := range strings.Lines(text) {
		if s, ok := strings.CutPrefix(line, prefix); ok {
			last = strings.TrimSpace(s)
		}
	}
	return last
}

var (
	succeeded = regexp.MustCompile(`(?m)^\S+ +SUCCESS `)
	convicted = regexp.MustCompile(`(?m)^BUSTED .* convicted `)
)

func torture(ctx context.Context, run runner) (o outcome, err error) {
	out, _, err := run(ctx, nil, "go", "run", "./internal/torture", "-all", "-for", "2s")
	if err != nil {
		return o, err
	}
	o.summary = fmt.Sprintf("%d scenarios succeed, %d BUSTED ones are convicted",
		len(succeeded.FindAllString(out, -1)), len(convicted.FindAllString(out, -1)))
	o.body = "```text\n" + out + "```\n"
	return o, nil
}

// counted is a line of the litmus test: a shape, how often it was run, what came out.
var (
	shape   = regexp.MustCompile(`=== RUN +TestLitmus_\w+/(\S+)`)
	counted = regexp.MustCompile(`: (\d+) runs: map\[(.*)\]`)
)

func litmus(ctx context.Context, run runner) (o outcome, err error) {
	out, _, err := run(ctx, nil, "go", "test", "-count=1", "-v", "-run", "Litmus", "./internal/litmus")
	if err != nil {
		return o, err
	}
	var b strings.Builder
	b.WriteString("| shape | runs | outcomes |\n|---|---|---|\n")
	name, shapes := "", 0
	for line := range strings.Lines(out) {
		if m := shape.FindStringSubmatch(line); m != nil {
			name = strings.ReplaceAll(m[1], "_", " ")
		} else if m := counted.FindStringSubmatch(line); m != nil {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", name, m[1], strings.ReplaceAll(m[2], " ", " &nbsp; "))
			shapes++
		}
	}
	if shapes == 0 {
		return o, fmt.Errorf("the test has counted nothing:\n%s", out)
	}
	return outcome{fmt.Sprintf("%d shapes, no forbidden outcome", shapes), b.String()}, nil
}

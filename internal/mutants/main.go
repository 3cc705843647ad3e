package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"time"
)

// Exit statuses.
const (
	asExpected = iota
	different
	misused
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(check(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// check is main, with its surroundings passed in.
func check(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", "internal/mutants/testdata", "the `directory` of the mutants")
	run := flags.String("run", "", "only those whose name matches the `regexp`")
	set := flags.String("set", "ci", "ci, or all: equivalent mutants against all tests of their rooms")
	list := flags.Bool("list", false, "print what there is, and run nothing")
	md := flags.Bool("md", false, "print the tables in Markdown")
	var r runner
	flags.IntVar(&r.workers, "j", runtime.GOMAXPROCS(0), "how many to try at once")
	flags.DurationVar(&r.timeout, "timeout", time.Minute, "how long the tests of one may run")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return asExpected
		}
		return misused
	}
	say := func(format string, args ...any) { fmt.Fprintf(stderr, "mutants: "+format+"\n", args...) }
	if r.workers < 1 || *set != "ci" && *set != "all" || flags.NArg() > 0 {
		say("-j is at least 1, -set is ci or all, and there are no other arguments")
		return misused
	}
	ms, err := choose(*dir, *run, *set == "all")
	if err != nil {
		say("%v", err)
		return misused
	}
	p := printer{out: stdout, md: *md}
	if *list {
		p.list(ms)
		return asExpected
	}

	start := time.Now()
	sound := true
	err = r.tryAll(ctx, unbroken(ms), func(m mutant, v verdict) {
		if v.Kind != lived {
			sound = false
			say("the unbroken code fails %v\n%s: %s", m.Tests[0], v.Test, v.Why)
		}
	})
	if err != nil {
		say("%v", err)
		return different
	}
	if !sound {
		return misused
	}
	say("the unbroken code passes, %v", round(time.Since(start)))

	var sum tally
	p.head()
	err = r.tryAll(ctx, ms, func(m mutant, v verdict) {
		p.row(m, v)
		sum.count(m, v)
	})
	if err != nil {
		say("%v", err)
		return different
	}
	p.foot()
	say("%d mutants: %v; %d not as expected, %v", len(ms), &sum, sum.different, round(time.Since(start)))
	if sum.different > 0 {
		return different
	}
	return asExpected
}

// choose returns the mutants to try. With thorough the equivalent ones meet every test.
func choose(dir, pattern string, thorough bool) (ms []mutant, err error) {
	names, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	ms, err = load(dir, names)
	for _, m := range ms {
		for i := range m.Tests {
			if thorough && m.Equivalent != "" {
				m.Tests[i].Names = nil
			}
		}
	}
	return ms, err
}

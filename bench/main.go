package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the command with its arguments, and returns the exit status: 2 for a command
// that makes no sense, 1 for a check that failed.
func run(args []string, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	fl := flag.NewFlagSet("bench", flag.ContinueOnError)
	fl.SetOutput(stderr)
	var (
		only   = fl.String("only", "", "only the rows of this `group`")
		match  = fl.String("run", "", "only the rows whose name matches this `regexp`")
		rounds = fl.Int("rounds", 0, "how often to go over all rows (default 24, or 2 with -quick)")
		asJSON = fl.Bool("json", false, "print JSON")
		list   = fl.Bool("list", false, "print the rows with their targets and peers, and run nothing")
		glance = fl.Bool("quick", false, "take little time; the figures are rough")
		check  = fl.Bool("check", false, "exit with status 1 unless every target was met")
	)
	if err := fl.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if fl.NArg() > 0 || *rounds < 0 {
		return fail(errors.New("takes flags only, and a number of rounds that is not negative"))
	}
	re, err := regexp.Compile(*match)
	if err != nil {
		return fail(err)
	}
	rows, err := choose(*only, re)
	if err != nil {
		return fail(err)
	}
	if *list {
		if err := writeList(stdout, rows); err != nil {
			return fail(err)
		}
		return 0
	}
	e := thorough
	if *glance {
		e = quick
	}
	if *rounds > 0 {
		e.rounds = *rounds
	}

	rep := newReport(e)
	fs := take(rows, e, progressTo(stderr, e.rounds))
	rep.X = spreadOf(fs[exchange])
	for _, r := range rows {
		rep.Rows = append(rep.Rows, fs.of(r, rep.Checks != ""))
	}
	write := rep.writeText
	if *asJSON {
		write = rep.writeJSON
	}
	if err := write(stdout); err != nil {
		return fail(err)
	}
	if *check && !rep.met() {
		return 1
	}
	return 0
}

// progressTo tells a terminal, and nothing else, how far the run is.
func progressTo(w io.Writer, rounds int) func(round int) {
	f, ok := w.(*os.File)
	if !ok {
		return func(int) {}
	}
	if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return func(int) {}
	}
	start := time.Now()
	return func(round int) {
		fmt.Fprintf(f, "\rround %d of %d, %.0f s ", round+1, rounds, time.Since(start).Seconds())
		if round+1 == rounds {
			fmt.Fprintln(f)
		}
	}
}

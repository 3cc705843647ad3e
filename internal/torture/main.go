package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"time"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/witness"
)

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

// command runs what args ask for and returns the exit status.
func command(args []string, out, errs io.Writer) int {
	fs := flag.NewFlagSet("torture", flag.ContinueOnError)
	fs.SetOutput(errs)
	all := fs.Bool("all", false, "run every scenario, then every BUSTED one")
	run := fs.String("run", "", "run the scenarios whose name matches this `regexp`")
	bust := fs.String("busted", "", "run this BUSTED scenario, or all of them: they must be convicted")
	list := fs.Bool("list", false, "list the scenarios and do nothing")
	lasts := fs.Duration("for", 10*time.Second, "how long each scenario runs")
	seed := fs.Uint64("seed", 0, "what the actors do at random; 0 takes a new one")
	procs := fs.Int("gomaxprocs", 0, "run on so many processors; 0 leaves it alone")
	asJSON := fs.Bool("json", false, "print a line of JSON for each scenario")
	if fs.Parse(args) != nil {
		return 2
	}
	which, err := regexp.Compile(*run)
	if err != nil {
		fmt.Fprintln(errs, "torture: -run:", err)
		return 2
	}
	if *list {
		catalogue(out)
		return 0
	}
	if *all {
		*bust = "all"
	}
	chosen := choose(scenarios, func(name string) bool { return *all || *run != "" && which.MatchString(name) })
	wrong := choose(busted, func(name string) bool { return *bust == "all" || *bust == name })
	if len(chosen)+len(wrong) == 0 {
		fmt.Fprintln(errs, "torture: nothing to run: ask for -all, or choose with -run and -busted from")
		catalogue(errs)
		return 2
	}
	if *procs > 0 {
		runtime.GOMAXPROCS(*procs)
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	show, showWrong := record, record
	if !*asJSON {
		show, showWrong = line, sentence
		fmt.Fprintln(out, "torture:", build(*seed))
	}

	status := 0
	p := plan{lasts: *lasts, overtime: max(*lasts, 5*time.Second), leg: time.Second, patience: 30 * time.Second, seed: *seed}
	for _, s := range chosen {
		v := s.run(p)
		show(out, s, v)
		if !v.good() {
			status = 1
		}
	}
	p = plan{lasts: 4 * time.Second, leg: 250 * time.Millisecond, patience: 2 * time.Second, seed: *seed}
	for _, s := range wrong {
		v := s.run(p)
		v.scenario = "BUSTED " + v.scenario
		showWrong(out, s, v)
		if !v.convicts(s) {
			status = 1
		}
	}
	return status
}

func choose(from []scenario, ask func(name string) bool) (chosen []*scenario) {
	for i := range from {
		if ask(from[i].name) {
			chosen = append(chosen, &from[i])
		}
	}
	return chosen
}

// build says what this build is and what is needed to repeat the run.
func build(seed uint64) string {
	s := fmt.Sprintf("%s %s/%s, GOMAXPROCS %d, -seed %d", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), seed)
	if invariants.Enabled {
		s += ", invariants"
	}
	if witness.Enabled {
		s += ", witness"
	}
	return s
}

func catalogue(out io.Writer) {
	for _, s := range scenarios {
		fmt.Fprintf(out, "%-20s %s\n", s.name, s.about)
	}
	fmt.Fprintln(out, "\nBUSTED:")
	for _, s := range busted {
		fmt.Fprintf(out, "%-20s %s\n", s.name, s.about)
	}
}

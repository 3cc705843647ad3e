package lesson

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// Exit codes of Main, beside what a Program returns.
const (
	ExitOK    = 0
	ExitWrong = 1 // a right design broke or a wrong one held
	ExitUsage = 2
)

// A Gallery is all there is to run, in the order to read it in.
type Gallery struct {
	Lessons  []Lesson
	Programs []Program
}

const usage = `usage: go run ./examples                   list what there is
       go run ./examples run LESSON        run the wrong design, then the right one
       go run ./examples run LESSON wrong  run one of the two: wrong or right
       go run ./examples run PROGRAM       run a program; -h after its name lists its flags
       go run ./examples run all           run every lesson, and say at the end whether all was as it should be
       go run ./examples render -o DIR     write the gallery as pages: both designs of a lesson, step by step
       go run ./examples play LESSON       be the scheduler of its designs, and try to break them
       go run ./examples serve             write it somewhere, and serve it to this machine
`

// Main is the command: it does what args say and returns the exit code.
func (g Gallery) Main(args []string, stdout, stderr io.Writer) int {
	command := "list"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "list":
		if len(args) == 0 {
			g.list(stdout)
			return ExitOK
		}
	case "run":
		if len(args) > 0 {
			return g.run(args[0], args[1:], stdout, stderr)
		}
		fmt.Fprintln(stderr, "run what?")
	case "play":
		return g.playCommand(args, os.Stdin, stdout, stderr)
	case "render":
		return g.renderCommand(args, stdout, stderr)
	case "serve":
		return g.serveCommand(args, stdout, stderr)
	case "-h", "-help", "--help", "help":
		fmt.Fprint(stdout, usage)
		return ExitOK
	default:
		fmt.Fprintf(stderr, "no such command: %s\n", command)
		if _, known := g.find(command); known {
			fmt.Fprintf(stderr, "did you mean: go run ./examples run %s\n", command)
			return ExitUsage
		}
	}
	fmt.Fprint(stderr, usage)
	return ExitUsage
}

func (g Gallery) list(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "Lessons, each a design that breaks and one that holds:\n\n")
	for _, l := range g.Lessons {
		fmt.Fprintf(tw, "  %s\t%s\n", l.Name, l.Title)
	}
	if len(g.Programs) > 0 {
		fmt.Fprint(tw, "\nPrograms:\n\n")
		for _, p := range g.Programs {
			fmt.Fprintf(tw, "  %s\t%s\n", p.Name, p.Title)
		}
	}
	fmt.Fprint(tw, "\nRun one with: go run ./examples run NAME\n")
	tw.Flush()
}

func (g Gallery) run(name string, args []string, stdout, stderr io.Writer) int {
	if name == "all" && len(args) == 0 {
		return g.all(stdout, stderr)
	}
	start, known := g.find(name)
	if !known {
		fmt.Fprintf(stderr, "nothing here is called %q", name)
		if near := nearest(name, g.names()); near != "" {
			fmt.Fprintf(stderr, "; did you mean %s?", near)
		}
		fmt.Fprint(stderr, "\ngo run ./examples lists what there is\n")
		return ExitUsage
	}
	return start(args, stdout, stderr)
}

// find returns how to run what is called name.
func (g Gallery) find(name string) (start func(args []string, stdout, stderr io.Writer) int, known bool) {
	for _, l := range g.Lessons {
		if l.Name == name {
			return l.show, true
		}
	}
	for _, p := range g.Programs {
		if p.Name == name {
			return p.interruptible, true
		}
	}
	return nil, false
}

func (g Gallery) names() (names []string) {
	for _, l := range g.Lessons {
		names = append(names, l.Name)
	}
	for _, p := range g.Programs {
		names = append(names, p.Name)
	}
	return names
}

// show runs the sides of l that args name, both if none.
func (l Lesson) show(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet(l.Name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintf(stderr, "%s: %s\n\nusage: go run ./examples run %[1]s [wrong|right]\n\nBreaks: %s.\nFixes: %s.\nRead: examples/%[1]s/README.md\n",
			l.Name, l.Title, l.Breaks, l.Fixes)
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return ExitOK
	} else if err != nil {
		return ExitUsage
	}
	only := flags.Arg(0)
	if flags.NArg() > 1 || only != "" && only != "wrong" && only != "right" {
		fmt.Fprintf(stderr, "%s has two sides, wrong and right, and not %q\n", l.Name, strings.Join(flags.Args(), " "))
		return ExitUsage
	}

	fmt.Fprintf(stdout, "%s: %s\n", l.Name, l.Title)
	code := ExitOK
	if only != "right" {
		text, broken := Transcript(l.Wrong)
		fmt.Fprintf(stdout, "\nWRONG: %s\n\n%s", l.Breaks, text)
		if broken == nil {
			code = ExitWrong
		}
	}
	if only != "wrong" {
		text, broken := Transcript(l.Right)
		fmt.Fprintf(stdout, "\nRIGHT: %s\n\n%s", l.Fixes, text)
		if broken != nil {
			code = ExitWrong
		}
	}
	if code != ExitOK {
		fmt.Fprintln(stderr, "that is not what this lesson shows: was the machine stopped meanwhile, or the lesson changed?")
	}
	return code
}

// Markdown returns the gallery as README.md shows it: a table of lessons, a list of programs.
func (g Gallery) Markdown() string {
	var b strings.Builder
	b.WriteString("| lesson | what breaks | what fixes it | package |\n|---|---|---|---|\n")
	for _, l := range g.Lessons {
		fmt.Fprintf(&b, "| [%s](%[1]s/) | %s | %s | %s |\n", l.Name, l.Breaks, l.Fixes, strings.Join(l.Packages, ", "))
	}
	if len(g.Programs) > 0 {
		b.WriteString("\nPrograms, which take flags (`-h` lists them):\n\n")
		for _, p := range g.Programs {
			fmt.Fprintf(&b, "- [%s](%[1]s/) %s\n", p.Name, p.Title)
		}
	}
	return b.String()
}

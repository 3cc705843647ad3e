package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Exit statuses.
const (
	written = iota
	failed
	misused
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(verify(ctx, os.Args[1:], command, os.Stderr))
}

// A runner runs a command with more in its environment, and returns what it printed. Its
// error says which command failed, and ends with what that one said.
type runner func(ctx context.Context, env []string, args ...string) (stdout, stderr string, err error)

func command(ctx context.Context, env []string, args ...string) (string, string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, tail(stdout.String()+stderr.String(), 60))
	}
	return stdout.String(), stderr.String(), err
}

// tail returns the last n lines of text.
func tail(text string, n int) string {
	lines := strings.SplitAfter(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// verify is main, with its surroundings passed in.
func verify(ctx context.Context, args []string, run runner, stderr io.Writer) int {
	flags := flag.NewFlagSet("verification", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "refresh these `sections` and keep the others: "+strings.Join(names(), ","))
	page := flags.String("o", "docs/verification.md", "the `file` to write")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return written
		}
		return misused
	}
	chosen, err := choose(*only)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("what is %q?", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(stderr, "verification:", err)
		return misused
	}

	status := written
	for _, s := range chosen {
		start := time.Now()
		fmt.Fprintf(stderr, "verification: %s...\n", s.name)
		text, err := s.text(ctx, run)
		if err == nil {
			err = refresh(*page, s.name, text)
		}
		switch {
		case errors.Is(err, errSkipped):
			fmt.Fprintf(stderr, "verification: %s: %v\n", s.name, err)
		case err != nil:
			fmt.Fprintf(stderr, "verification: %s: %v\nverification: the page keeps what it had\n", s.name, err)
			status = failed
		default:
			fmt.Fprintf(stderr, "verification: %s: %s, %v\n", s.name, summaryOf(text), time.Since(start).Round(time.Second))
		}
	}
	return status
}

func names() (all []string) {
	for _, s := range sections {
		all = append(all, s.name)
	}
	return all
}

// choose returns the sections to refresh, all if only is empty.
func choose(only string) (chosen []section, err error) {
	if only == "" {
		return sections, nil
	}
	wanted := strings.Split(only, ",")
	for _, w := range wanted {
		if !slices.Contains(names(), w) {
			return nil, fmt.Errorf("%q is none of %s", w, strings.Join(names(), ", "))
		}
	}
	for _, s := range sections {
		if slices.Contains(wanted, s.name) {
			chosen = append(chosen, s)
		}
	}
	return chosen, nil
}

// refresh puts text in the place of a section of the page, which need not exist.
func refresh(page, name, text string) error {
	old, err := os.ReadFile(page)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(page, []byte(render(string(old), name, text)), 0o644)
}

// stamp says when, where and of what a section speaks.
func stamp(ctx context.Context, run runner, now time.Time) (string, error) {
	head, _, err := run(ctx, nil, "git", "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "", err
	}
	changes, _, err := run(ctx, nil, "git", "status", "--porcelain", "--untracked-files=no", "--", "*.go", "*.pml", "*.txt", "*.mutant", "go.*")
	if err != nil {
		return "", err
	}
	commit := "commit " + strings.TrimSpace(head)
	if changes != "" {
		commit += " and changes not committed"
	}
	return fmt.Sprintf("%s, %s, %s/%s, %d cores, %s.", now.UTC().Format("2 January 2006 15:04 MST"),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), commit), nil
}

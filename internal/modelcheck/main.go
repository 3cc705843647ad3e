package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Exit statuses.
const (
	asExpected = iota
	different
	misused
	toolless
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(check(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// check is main, with its surroundings passed in.
func check(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("modelcheck", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: modelcheck [flags] [model] [switch...]")
		flags.PrintDefaults()
	}
	dir := flags.String("dir", "models", "the `directory` of the models")
	least := flags.Bool("quick", false, "leave out what is not over in seconds")
	most := flags.Bool("long", false, "leave out nothing, not even what takes minutes and gigabytes")
	md := flags.Bool("md", false, "print the table in Markdown")
	trace := flags.Bool("trace", false, "print the steps that lead to what was found")
	workers := flags.Int("j", runtime.GOMAXPROCS(0), "how many searches to run at once")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return asExpected
		}
		return misused
	}

	upTo := slow
	if *least {
		upTo = quick
	}
	if *most {
		upTo = long
	}
	rows, err := selectRows(*dir, upTo, flags.Args())
	if err == nil && *workers < 1 {
		err = errors.New("-j needs at least one search at once")
	}
	if err != nil {
		fmt.Fprintln(stderr, "modelcheck:", err)
		return misused
	}
	t, err := findTools()
	if err != nil {
		fmt.Fprintln(stderr, "modelcheck:", err)
		return toolless
	}

	p := printer{out: stdout, md: *md, trace: *trace}
	p.head()
	start := time.Now()
	failed := 0
	err = searchAll(ctx, t, *dir, rows, *workers, *trace, func(r row, res result) {
		p.row(r, res)
		if !res.satisfies(r.Want) {
			failed++
			fmt.Fprintf(stderr, "modelcheck: %s: want %s, got %s\n", r, r.Want, res.found(r.Want))
		}
	})
	if err != nil {
		fmt.Fprintln(stderr, "modelcheck:", err)
		return different
	}
	fmt.Fprintf(stderr, "modelcheck: %d rows, %d not as expected, %v\n", len(rows), failed, time.Since(start).Round(time.Second))
	if failed > 0 {
		return different
	}
	return asExpected
}

// selectRows reads the table and leaves out what was not asked for.
func selectRows(dir string, upTo effort, words []string) (rows []row, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "rows.txt"))
	if err != nil {
		return nil, err
	}
	all, err := parseRows(string(text))
	if err != nil {
		return nil, fmt.Errorf("rows.txt: %w", err)
	}
	for _, r := range all {
		if r.Effort <= upTo && r.matches(words) {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("no row is about %q", strings.Join(words, " "))
	}
	return rows, nil
}

// searchAll runs the rows, some at once, and reports each in the order of the table.
func searchAll(ctx context.Context, t tools, dir string, rows []row, workers int, trace bool, report func(row, result)) error {
	type answer struct {
		result
		err error
	}
	var wg sync.WaitGroup
	defer wg.Wait() // a search takes its directory away
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := make(chan int)
	wg.Go(func() {
		defer close(next)
		for i := range rows {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	})
	answers := make([]chan answer, len(rows))
	for i := range answers {
		answers[i] = make(chan answer, 1)
	}
	for range workers {
		wg.Go(func() {
			for i := range next {
				res, err := t.search(ctx, dir, rows[i], trace)
				answers[i] <- answer{res, err}
			}
		})
	}
	for i, r := range rows {
		select {
		case a := <-answers[i]:
			if a.err != nil {
				return a.err
			}
			report(r, a.result)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

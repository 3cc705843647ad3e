package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// A runner tries mutants.
type runner struct {
	workers int           // how many at once
	timeout time.Duration // for the tests of one; nothing is meant to take that long
}

// tryAll tries the mutants, some at once, and reports on each in the order given. The
// error says that ctx ended.
func (r runner) tryAll(ctx context.Context, ms []mutant, report func(mutant, verdict)) error {
	g, ctx := errgroup.WithContext(ctx)
	verdicts := make([]chan verdict, len(ms))
	for i := range verdicts {
		verdicts[i] = make(chan verdict, 1)
	}
	var next atomic.Int64
	for range r.workers {
		g.Go(func() error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(ms) {
					return nil
				}
				verdicts[i] <- r.try(ctx, ms[i])
			}
			return ctx.Err()
		})
	}
	for i, m := range ms {
		select {
		case v := <-verdicts[i]:
			report(m, v)
		case <-ctx.Done():
			return g.Wait()
		}
	}
	return g.Wait()
}

// try runs m's tests until one fails.
func (r runner) try(ctx context.Context, m mutant) (v verdict) {
	start := time.Now()
	for _, t := range m.Tests {
		if v = r.run(ctx, t, m.overlay); v.Kind != lived {
			break
		}
	}
	v.Took = time.Since(start)
	return v
}

// run runs tests over the code with the overlay laid on it.
func (r runner) run(ctx context.Context, t tests, overlay map[string]string) verdict {
	tmp, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return verdict{Kind: broken, Why: err.Error()}
	}
	defer os.RemoveAll(tmp)
	binary := filepath.Join(tmp, "test.exe")
	args := []string{"-test.failfast", "-test.timeout=" + r.timeout.String()}
	err = t.build(ctx, binary, overlay)
	if err == nil {
		args, err = t.args(args)
	}
	if err != nil {
		return verdict{Kind: broken, Why: err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout+10*time.Second) // it stops by itself
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Env = filepath.FromSlash(t.Dir), environ()
	out, err := output(cmd)
	return judge(t, out, err)
}

// args adds to the arguments of the test binary which tests to run.
func (t tests) args(args []string) ([]string, error) {
	if len(t.Names) > 0 {
		args = append(args, "-test.run=^("+strings.Join(t.Names, "|")+")$")
	}
	text, err := t.source()
	if strings.Contains(text, `"pgregory.net/rapid"`) { // the same actions each time
		args = append(args, "-rapid.seed=1", "-rapid.nofailfile")
	}
	return args, err
}

// build makes the test binary. What it needs for that it leaves beside it.
func (t tests) build(ctx context.Context, binary string, overlay map[string]string) error {
	tmp := filepath.Dir(binary)
	replace := map[string]string{}
	for file, text := range overlay {
		path, err := filepath.Abs(filepath.FromSlash(file))
		if err != nil {
			return err
		}
		replace[path] = filepath.Join(tmp, fmt.Sprint(len(replace), ".go"))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			return err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	list := filepath.Join(tmp, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		return err
	}
	// Building is most of the work. What is built runs once, for a second at most.
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "-overlay", list, "-tags", t.Tags, "-vet=off", "-ldflags=-s -w", "./"+t.Dir)
	cmd.Env = append(environ(), "GOGC=off")
	out, err := output(cmd)
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.Join(strings.Fields(out), " "))
	}
	return nil
}

// environ is the environment of all commands: this module without a workspace, and nothing
// of what somebody explores by hand.
func environ() []string {
	return append(os.Environ(), "GOWORK=off", "SOFTNET_REPLAY=", "SOFTNET_SCHED_TABLE=")
}

// output returns what a command printed, on both of its streams.
func output(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	return out.String(), err
}

// unbroken returns the tests that the mutants name, those of a build together.
func unbroken(ms []mutant) (all []mutant) {
	for _, m := range ms {
		for _, t := range m.Tests {
			i := slices.IndexFunc(all, func(u mutant) bool { return u.Tests[0].Tags == t.Tags && u.Tests[0].Dir == t.Dir })
			if i < 0 {
				t.Names = slices.Clone(t.Names)
				all = append(all, mutant{Tests: []tests{t}})
				continue
			}
			names := &all[i].Tests[0].Names
			if len(*names) == 0 || len(t.Names) == 0 {
				*names = nil
				continue
			}
			*names = append(*names, t.Names...)
			slices.Sort(*names)
			*names = slices.Compact(*names)
		}
	}
	return all
}

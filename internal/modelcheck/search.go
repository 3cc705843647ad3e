package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// errNoTools says that the machine cannot run models.
var errNoTools = errors.New("cannot check models")

// tools are the programs a search needs.
type tools struct{ spin, cc string }

// findTools looks in PATH, and for the compiler in $CC first.
func findTools() (t tools, err error) {
	if t.spin, err = exec.LookPath("spin"); err != nil {
		return t, fmt.Errorf("%w: spin is not in PATH (spinroot.com; Debian, Ubuntu: the package spin)", errNoTools)
	}
	for _, cc := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		if cc == "" {
			continue
		}
		if t.cc, err = exec.LookPath(cc); err == nil {
			return t, nil
		}
	}
	return t, fmt.Errorf("%w: none of $CC, cc, gcc, clang is a C compiler in PATH", errNoTools)
}

const (
	memoryMB = 12_000
	patience = 30 * time.Minute // for one search
)

// limits returns how a search is compiled and run: a quick one is over before an
// optimizer, deep stacks and large tables are worth their time.
func (e effort) limits() (compiler string, search []string) {
	switch e {
	case quick:
		return "-O0", []string{"-m1000000", "-w20"}
	case slow:
		return "-O2", []string{"-m10000000", "-w26"}
	}
	return "-O2", []string{"-m100000000", "-w27"}
}

// search runs row r over the models in dir; with trace it also returns the steps to what
// it found. An error means that there is no result: the model is not understood, or ctx
// ended.
func (t tools) search(ctx context.Context, dir string, r row, trace bool) (res result, err error) {
	tmp, err := os.MkdirTemp("", "modelcheck")
	if err != nil {
		return res, err
	}
	defer os.RemoveAll(tmp)
	tmp = filepath.Join(tmp, "models")
	if err := os.CopyFS(tmp, os.DirFS(dir)); err != nil {
		return res, err
	}

	optimize, limits := r.Effort.limits()
	if err := t.compile(ctx, tmp, r, optimize); err != nil {
		return res, fmt.Errorf("%s: %w", r, err)
	}
	pan := filepath.Join(tmp, "pan")
	deadline, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	start := time.Now()
	report, err := run(deadline, tmp, pan, limits...)
	took := time.Since(start)
	if ctx.Err() != nil {
		return res, ctx.Err()
	}
	res = judge(report)
	res.Took = took
	switch {
	case deadline.Err() != nil:
		res.verdict = verdict{incomplete, fmt.Sprintf("not over after %v", patience)}
	case err != nil && res.Kind == ok:
		res.verdict = verdict{incomplete, "pan: " + err.Error()}
	case res.Kind == deadlock, trace && res.Kind == assertion:
		if res.Steps, err = run(ctx, tmp, pan, "-r"); err != nil {
			return res, fmt.Errorf("%s: replay: %w\n%s", r, err, res.Steps)
		}
		res.Stuck = stuckIn(res.Steps)
	}
	return res, nil
}

// compile makes the program that searches row r's model, pan.
func (t tools) compile(ctx context.Context, dir string, r row, optimize string) error {
	args := []string{"-a"}
	for _, s := range r.Switches {
		args = append(args, "-D"+s)
	}
	if out, err := run(ctx, dir, t.spin, append(args, r.Model+".pml")...); err != nil {
		return fmt.Errorf("spin: %w\n%s", err, out)
	}
	args = []string{optimize, "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", fmt.Sprintf("-DMEMLIM=%d", memoryMB), "-o", "pan", "pan.c"}
	if out, err := run(ctx, dir, t.cc, args...); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(t.cc), err, out)
	}
	return nil
}

// run returns what a command printed, on both of its streams.
func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	return out.String(), err
}

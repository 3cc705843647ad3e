package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// machine is a runner for which the longest key that a command begins with says what the
// command does.
type machine map[string]func(env []string) (stdout, stderr string, err error)

func (m machine) run(_ context.Context, env []string, args ...string) (string, string, error) {
	command, best := strings.Join(args, " "), ""
	for key := range m {
		if strings.HasPrefix(command, key) && len(key) > len(best) {
			best = key
		}
	}
	if best == "" {
		return "", "", errors.New("nobody expected " + command)
	}
	return m[best](env)
}

func says(stdout, stderr string) func([]string) (string, string, error) {
	return func([]string) (string, string, error) { return stdout, stderr, nil }
}

func fails(stderr string) func([]string) (string, string, error) {
	return func([]string) (string, string, error) { return "half a table\n", stderr, errors.New(stderr) }
}

const spinless = "modelcheck: spin is missing\nexit status 3\n"

func sound() machine {
	return machine{
		"git rev-parse": says("0123456789ab\n", ""),
		"git status":    says("", ""),
		"go list":       says(module+"/psref [testing "+module+"/stacktest/sched] []\n"+module+"/mbuf [testing] []\n", ""),
		"go test -tags sched": func(env []string) (string, string, error) {
			file, _ := strings.CutPrefix(env[0], "SOFTNET_SCHED_TABLE=")
			return logOfTwo, "", os.WriteFile(file, []byte(tableOfTwo), 0o644)
		},
		"go run ./internal/modelcheck": says("| a model |\n", "modelcheck: 1 rows, 0 not as expected, 2s\n"),
		"go run ./internal/mutants":    says("| a mutant |\n", "mutants: the unbroken code passes, 1s\nmutants: 3 mutants: 3 killed, 0 lived\n"),
		"go run ./internal/torture":    says("torture: go\nmixed   SUCCESS   2.0s  7 ops\nlist    SUCCESS   2.0s  7 ops\nBUSTED leak   convicted after 1 ms: !!!\n", ""),
		"go test -count=1 -v":          says("=== RUN   TestLitmus_Seen/store_buffering\n    l_test.go:1: 2000 runs: map[0,1:1500 1,1:500]\n", ""),
	}
}

const logOfTwo = `=== RUN   TestExplore_B
    explore_test.go:9: exhaustive: 756 schedules (by bound: 2 55 699), depth 75, 2 actors, 20561 choice points, all with at most 2 preemptions, 15.5ms
`

const tableOfTwo = `{"name":"TestExplore_B","mode":"exhaustive","bound":2,"schedules":756,"per_bound":[2,55,699],"choice_points":20561,"max_depth":75,"ns":1500000000,"exhausted":true,"complete":false}
{"name":"TestExplore_A/by|hand","mode":"exhaustive","bound":2,"schedules":3,"choice_points":2,"max_depth":7,"ns":10000000,"exhausted":false,"complete":false,"failure":"deadlock"}
`

// verified runs the command and returns its exit status, the page, and what it said.
func verified(t *testing.T, m machine, page string, args ...string) (status int, text, said string) {
	var stderr strings.Builder
	status = verify(t.Context(), append(args, "-o", page), m.run, &stderr)
	b, err := os.ReadFile(page)
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(t, err)
	}
	return status, string(b), stderr.String()
}

func TestVerify_WritesEverySection(t *testing.T) {
	status, page, said := verified(t, sound(), filepath.Join(t.TempDir(), "page.md"))
	require.Equal(t, written, status, said)
	for _, line := range []string{
		"- [Every schedule](#every-schedule): 2 scenarios, 759 schedules in 2 s: 1 explored up to their bound, 0 to the end, 1 find what is seeded, 0 are samples\n",
		"- [Models](#models): 1 rows, 0 not as expected, 2s\n",
		"- [Mutants](#mutants): 3 mutants: 3 killed, 0 lived\n",
		"- [Torture](#torture): 2 scenarios succeed, 1 BUSTED ones are convicted\n",
		"- [Litmus](#litmus): 1 shapes, no forbidden outcome\n",
		"| psref | A/by\\|hand |  | 2 | 3 | 7 | 10.0 | finds deadlock |\n| psref | B | 2 | 2 | 756 | 75 | 1500.0 | all |\n",
		"| a model |\n", "| a mutant |\n", "mixed   SUCCESS", "| store buffering | 2000 | 0,1:1500 &nbsp; 1,1:500 |\n",
	} {
		require.Contains(t, page, line)
	}
	require.Equal(t, len(sections), strings.Count(page, "commit 0123456789ab.\n"))
	require.NotContains(t, page, "not run yet")
}

func TestVerify_OnlyRefreshesInPlace(t *testing.T) {
	m, file := sound(), filepath.Join(t.TempDir(), "page.md")
	_, before, _ := verified(t, m, file)

	m["go run ./internal/mutants"] = says("| another mutant |\n", "mutants: 4 mutants: 4 killed, 0 lived\n")
	m["go run ./internal/torture"] = fails("nobody asked for it")
	m["git rev-parse"] = says("ba9876543210\n", "")
	m["git status"] = says(" M lwp/lwp.go\n", "")
	status, after, said := verified(t, m, file, "-only", "mutants")
	require.Equal(t, written, status, said)

	stamps := regexp.MustCompile(`(?m)^\d+ .*, commit .*$`)
	was, is := stamps.FindAllString(before, -1), stamps.FindAllString(after, -1)
	require.Len(t, is, len(was))
	for i, s := range sections {
		if s.name == "mutants" {
			require.Contains(t, is[i], "commit ba9876543210 and changes not committed.")
		} else {
			require.Equal(t, was[i], is[i])
		}
	}
	before = strings.NewReplacer("3 mutants: 3 killed", "4 mutants: 4 killed", "| a mutant |", "| another mutant |").Replace(before)
	require.Equal(t, stamps.ReplaceAllString(before, ""), stamps.ReplaceAllString(after, ""))
}

func TestVerify_OnlyOnAPageThatIsNotThere(t *testing.T) {
	_, page, _ := verified(t, sound(), filepath.Join(t.TempDir(), "page.md"), "-only", "litmus,models")
	require.Equal(t, len(sections)-2, strings.Count(page, ": not run yet\n"))
	require.Contains(t, page, "| a model |")
	require.Contains(t, page, "store buffering")
}

// What was not as it should be is not written down as if it were.
func TestVerify_KeepsWhatItHadWhenSomethingFails(t *testing.T) {
	m, file := sound(), filepath.Join(t.TempDir(), "page.md")
	_, before, _ := verified(t, m, file)
	for section, command := range map[string]string{
		"explore": "go test -tags sched", "models": "go run ./internal/modelcheck", "mutants": "go run ./internal/mutants",
		"torture": "go run ./internal/torture", "litmus": "go test -count=1 -v",
	} {
		m := sound()
		m[command] = fails("it is broken")
		status, after, said := verified(t, m, file, "-only", section)
		require.Equal(t, failed, status, section)
		require.Equal(t, before, after, section)
		require.Contains(t, said, "it is broken")
	}
}

func TestVerify_LitmusThatCountedNothingIsAFailure(t *testing.T) {
	m := sound()
	m["go test -count=1 -v"] = says("--- SKIP: TestLitmus_Seen\nPASS\n", "")
	status, _, said := verified(t, m, filepath.Join(t.TempDir(), "page.md"), "-only", "litmus")
	require.Equal(t, failed, status)
	require.Contains(t, said, "has counted nothing")
}

func TestVerify_SkipsModelsWithoutSpin(t *testing.T) {
	m, file := sound(), filepath.Join(t.TempDir(), "page.md")
	m["go run ./internal/modelcheck"] = fails(spinless)
	status, page, said := verified(t, m, file, "-only", "models")
	require.Equal(t, written, status)
	require.Contains(t, said, "spin or a C compiler is missing")
	require.NotContains(t, page, "half a table")
}

func TestVerify_RefusesWhatItDoesNotKnow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	for _, args := range [][]string{{"-only", "explore,all"}, {"-only", ","}, {"-x"}, {"models"}} {
		status, page, said := verified(t, sound(), file, args...)
		require.Equal(t, misused, status, args)
		require.Empty(t, page)
		require.NotEmpty(t, said)
	}
}

func TestParseTable_RefusesWhatIsNoTable(t *testing.T) {
	_, err := parseTable([]byte("{\"name\":\n"), "")
	require.Error(t, err)
}

func TestExploration_SaysWhatCameOut(t *testing.T) {
	for _, c := range []struct {
		e              exploration
		bound, verdict string
	}{
		{exploration{Mode: "exhaustive", Bound: 2, Exhausted: true}, "2", "all"},
		{exploration{Mode: "exhaustive", Bound: 1 << 30, Exhausted: true, Complete: true}, "none", "all there are"},
		{exploration{Mode: "pct"}, "pct", "some"},
		{exploration{Mode: "walk", Failure: "leak"}, "walk", "finds leak"},
	} {
		require.Equal(t, c.bound, c.e.bound())
		require.Equal(t, c.verdict, c.e.verdict())
	}
}

// The page of this repository has its sections where a refresh will find them.
func TestPage_IsOneThatCanBeRefreshed(t *testing.T) {
	b, err := os.ReadFile("../../docs/verification.md")
	require.NoError(t, err)
	page := string(b)
	for _, s := range sections {
		require.Contains(t, page, opening(s.name))
		require.Contains(t, page, closing(s.name))
	}
	first := sections[0].name
	require.Equal(t, page, render(page, first, kept(page, first)), "the frame of the page is not what this package writes: refresh a section")
}

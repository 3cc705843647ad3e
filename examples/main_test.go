package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/examples/internal/lesson"
)

var update = flag.Bool("update", false, "rewrite what READMEs show: the gallery and the transcripts")

const (
	tableBegin = "<!-- gallery: written by go test ./examples -update -->\n"
	tableEnd   = "<!-- end of gallery -->\n"
)

func TestREADME_ShowsTheGallery(t *testing.T) {
	b, err := os.ReadFile("README.md")
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(b), tableBegin)
	require.True(t, found, "README.md has no line %q", tableBegin)
	table, after, found := strings.Cut(rest, tableEnd)
	require.True(t, found, "README.md has no line %q", tableEnd)
	if *update {
		table = gallery.Markdown()
		require.NoError(t, os.WriteFile("README.md", []byte(before+tableBegin+table+tableEnd+after), 0o644))
	}
	require.Equal(t, gallery.Markdown(), table, "README.md is stale: go test ./examples -update")
}

// Every name is a folder, so that whoever has run a lesson knows where to read on, and
// every folder that exports a Lesson or Program is on the list.
func TestGallery_IsEveryFolder(t *testing.T) {
	var names []string
	for _, l := range gallery.Lessons {
		names = append(names, l.Name)
		for _, f := range []string{"README.md", "wrong.go", "right.go", "testdata/wrong.txt", "testdata/right.txt"} {
			b, err := os.ReadFile(filepath.Join(l.Name, f))
			require.NoError(t, err)
			require.Less(t, strings.Count(string(b), "\n"), 150, "%s/%s: nobody reads that in one go", l.Name, f)
		}
	}
	for _, p := range gallery.Programs {
		names = append(names, p.Name)
	}
	files, err := filepath.Glob("*/*.go")
	require.NoError(t, err)
	exports := regexp.MustCompile(`(?m)^var (Lesson|Program) = lesson\.`)
	for _, f := range files {
		src, err := os.ReadFile(f)
		require.NoError(t, err)
		if exports.Match(src) {
			require.Contains(t, names, filepath.Dir(f), "its line in gallery.go is missing")
		}
	}
	for _, name := range names {
		require.DirExists(t, name)
	}
	slices.Sort(names)
	require.Len(t, slices.Compact(names), len(gallery.Lessons)+len(gallery.Programs), "a name is used twice")
}

var picture = regexp.MustCompile("(?s)```text\n.*?```\n")

// What the README of a lesson shows is what the lesson prints: two pictures, wrong first.
func TestLessonREADME_ShowsTheTranscripts(t *testing.T) {
	for _, l := range gallery.Lessons {
		path := filepath.Join(l.Name, "README.md")
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		readme := string(b)
		require.Contains(t, strings.Split(readme, "\n"), "    go run ./examples run "+l.Name)

		sides := []string{"wrong", "right"}
		require.Len(t, picture.FindAllString(readme, -1), len(sides), "%s: a picture for each side", path)
		fresh := picture.ReplaceAllStringFunc(readme, func(string) string {
			text, err := os.ReadFile(filepath.Join(l.Name, "testdata", sides[0]+".txt"))
			require.NoError(t, err)
			sides = sides[1:]
			return "```text\n" + string(text) + "```\n"
		})
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(fresh), 0o644))
			continue
		}
		require.Equal(t, fresh, readme, "%s is stale: go test ./examples -update", path)
	}
}

var (
	title    = regexp.MustCompile(`\A# ([a-z-]+): [^\n]+\n`)
	question = regexp.MustCompile(`\*\*[^*]+\?\*\*`)
)

// The README of a lesson asks before it shows, then says what to notice and where a kernel
// does it, and ends with a dare; what the learner is to change is marked in the code.
func TestLessonREADME_HasEveryPart(t *testing.T) {
	for _, l := range gallery.Lessons {
		b, err := os.ReadFile(filepath.Join(l.Name, "README.md"))
		require.NoError(t, err)
		readme := string(b)

		m := title.FindStringSubmatch(readme)
		require.NotNil(t, m, "%s: a title with the name and what it is about", l.Name)
		require.Equal(t, l.Name, m[1])
		at := []int{len(m[0])}
		asks := question.FindStringIndex(readme)
		require.NotNil(t, asks, "%s: a question, in bold", l.Name)
		at = append(at, asks[0])
		for _, part := range []string{
			"\n    go run ./examples run " + l.Name + "\n", "\n[wrong.go](wrong.go)", "\n```text\n", "[right.go](right.go)",
			"\n## What to notice\n", "\n## Where the kernel does it\n", "\n## Dare\n",
		} {
			require.Contains(t, readme, part, "%s", l.Name)
			at = append(at, strings.Index(readme, part))
		}
		require.IsNonDecreasing(t, at, "%s: its parts are in another order", l.Name)
		_, dare, _ := strings.Cut(readme, "\n## Dare\n")
		require.NotEmpty(t, strings.TrimSpace(dare), "%s: dares nobody", l.Name)

		tasks := 0
		for _, f := range []string{"wrong.go", "right.go", "lesson.go"} {
			src, err := os.ReadFile(filepath.Join(l.Name, f))
			require.NoError(t, err)
			tasks += strings.Count(string(src), "TASK")
		}
		require.Positive(t, tasks, "%s: nothing for the learner to do", l.Name)
	}
}

// A lesson under the command is a screen or two and says what it promised.
func TestRun_EveryLessonInVirtualTime(t *testing.T) {
	for _, l := range gallery.Lessons {
		synctest.Test(t, func(t *testing.T) {
			var stdout, stderr strings.Builder
			require.Equal(t, lesson.ExitOK, gallery.Main([]string{"run", l.Name}, &stdout, &stderr), stderr.String())
			require.Contains(t, stdout.String(), "\nBROKEN: ")
			require.Contains(t, stdout.String(), "\nHELD\n")
			require.Empty(t, stderr.String())
		})
	}
}

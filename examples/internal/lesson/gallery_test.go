package lesson_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
)

func breaks(r *event.Recorder) error {
	r.Record("reader", "fall", "", "")
	return errors.New("it fell")
}

func holds(r *event.Recorder) error {
	r.Record("reader", "stand", "", "")
	return nil
}

func room() lesson.Gallery {
	echo := func(_ context.Context, args []string, stdout, stderr io.Writer) int {
		fmt.Fprintln(stdout, strings.Join(args, "+"))
		return 7
	}
	return lesson.Gallery{
		Lessons: []lesson.Lesson{
			{Name: "psref-hold", Title: "a title", Breaks: "this", Fixes: "that", Packages: []string{"psref", "lwp"}, Wrong: breaks, Right: holds},
			{Name: "softnet-deadlock", Title: "two things swapped", Breaks: "x", Fixes: "y", Wrong: holds, Right: breaks},
		},
		Programs: []lesson.Program{{Name: "forward", Title: "echoes", Run: echo}},
	}
}

// command runs args and returns all it did.
func command(args ...string) (code int, stdout, stderr string) {
	var out, err strings.Builder
	code = room().Main(args, &out, &err)
	return code, out.String(), err.String()
}

func TestMain_ListsWithoutArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"list"}} {
		code, out, err := command(args...)
		require.Equal(t, lesson.ExitOK, code)
		require.Empty(t, err)
		require.Contains(t, out, "  psref-hold        a title\n")
		require.Contains(t, out, "  forward  echoes\n")
	}
}

func TestMain_HelpGoesToStdout(t *testing.T) {
	code, out, err := command("-h")
	require.Equal(t, lesson.ExitOK, code)
	require.Contains(t, out, "usage: ")
	require.Empty(t, err)
}

func TestMain_RefusesWhatItDoesNotUnderstand(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"list", "all"}, "usage: "},
		{[]string{"run"}, "run what?"},
		{[]string{"play"}, "play what?"},
		{[]string{"psref-hold"}, "did you mean: go run ./examples run psref-hold"},
		{[]string{"run", "psref-hold", "left"}, `has two sides, wrong and right, and not "left"`},
		{[]string{"run", "psref-hold", "wrong", "right"}, "has two sides"},
		{[]string{"run", "psref-hold", "-x"}, "flag provided but not defined"},
		{[]string{"run", "pserf-hold"}, "did you mean psref-hold?"},
		{[]string{"run", "deadlock"}, "did you mean softnet-deadlock?"},
		{[]string{"run", "Forwrad"}, "did you mean forward?"},
	} {
		code, out, err := command(c.args...)
		require.Equal(t, lesson.ExitUsage, code, c.args)
		require.Empty(t, out, c.args)
		require.Contains(t, err, c.says)
	}
}

func TestMain_SuggestsNothingForWhatIsNearNothing(t *testing.T) {
	for _, name := range []string{"", "xyzzy", "q"} {
		code, _, err := command("run", name)
		require.Equal(t, lesson.ExitUsage, code)
		require.Contains(t, err, "nothing here is called")
		require.NotContains(t, err, "did you mean")
	}
}

func TestRun_ShowsWrongThenRight(t *testing.T) {
	code, out, err := command("run", "psref-hold")
	require.Equal(t, lesson.ExitOK, code)
	require.Empty(t, err)
	require.Equal(t, `psref-hold: a title

WRONG: this

#  reader
1  fall

BROKEN: it fell

RIGHT: that

#  reader
1  stand

HELD
`, out)
}

func TestRun_ShowsOneSideIfAsked(t *testing.T) {
	_, out, _ := command("run", "psref-hold", "right")
	require.Contains(t, out, "stand")
	require.NotContains(t, out, "fall")
	_, out, _ = command("run", "psref-hold", "wrong")
	require.NotContains(t, out, "stand")
	require.Contains(t, out, "fall")
}

func TestRun_SaysSoWhenALessonDoesNotShowWhatItShould(t *testing.T) {
	for _, side := range []string{"wrong", "right"} {
		code, _, err := command("run", "softnet-deadlock", side)
		require.Equal(t, lesson.ExitWrong, code)
		require.Contains(t, err, "not what this lesson shows")
	}
}

func TestRun_LessonHelp(t *testing.T) {
	code, _, err := command("run", "psref-hold", "-h")
	require.Equal(t, lesson.ExitOK, code)
	require.Contains(t, err, "usage: go run ./examples run psref-hold [wrong|right]")
	require.Contains(t, err, "examples/psref-hold/README.md")
}

func TestRun_ProgramGetsItsFlagsAndItsExitCodeCounts(t *testing.T) {
	code, out, _ := command("run", "forward", "-n", "3")
	require.Equal(t, 7, code)
	require.Equal(t, "-n+3\n", out)
}

func TestRun_CtrlCEndsTheContextOfAProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot interrupt itself there")
	}
	g := lesson.Gallery{Programs: []lesson.Program{{Name: "wait", Run: func(ctx context.Context, _ []string, _, _ io.Writer) int {
		self, err := os.FindProcess(os.Getpid())
		require.NoError(t, err)
		require.NoError(t, self.Signal(os.Interrupt))
		<-ctx.Done()
		return 130
	}}}}
	require.Equal(t, 130, g.Main([]string{"run", "wait"}, io.Discard, io.Discard))
}

func TestTranscript_RefusesALessonTooLongToRead(t *testing.T) {
	require.Panics(t, func() {
		lesson.Transcript(func(r *event.Recorder) error {
			for range 2000 {
				r.Record("reader", "talk", "", "")
			}
			return nil
		})
	})
}

func TestMarkdown_IsATableAndAList(t *testing.T) {
	require.Contains(t, room().Markdown(), "| [psref-hold](psref-hold/) | this | that | psref, lwp |\n")
	require.Contains(t, room().Markdown(), "- [forward](forward/) echoes\n")
}

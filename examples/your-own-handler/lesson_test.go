package yourownhandler

import (
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/examples/internal/lesson/lessontest"
	"github.com/softnet-go/softnet/stacktest"
	"github.com/softnet-go/softnet/wqinput"
)

func TestLesson_WrongBreaksEveryTimeAndRightNever(t *testing.T) {
	lessontest.Check(t, Lesson)
}

// attack is the whole test of a handler.
func attack(t *testing.T, handler func(*ponger) wqinput.Handler) {
	stacktest.Handler(t, stacktest.Config{
		Packets: rapid.Just([]byte("ping")),
		New: func(s *stacktest.Stack) stacktest.Subject {
			p := &ponger{dom: s.Dom, ifs: s.Ifs, due: map[*time.Timer]bool{}}
			return stacktest.Subject{Name: "pong", Input: handler(p), Close: p.close}
		},
	})
}

func TestRight_HoldsUnderAttack(t *testing.T) { attack(t, right) }

const trial = "YOUR_OWN_HANDLER"

// TestWrong is run by TestWrong_IsConvicted, in a process of its own, because it fails.
func TestWrong(t *testing.T) {
	if os.Getenv(trial) == "" {
		t.Skip("for TestWrong_IsConvicted")
	}
	attack(t, wrong)
}

var lanes = regexp.MustCompile("(?s)```lanes\n.*?```\n")

// The README shows what the test says of the wrong one.
func TestWrong_IsConvicted(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, "-test.run=^TestWrong$", "-rapid.nofailfile", "-rapid.seed=1", "-rapid.shrinktime=20s")
	cmd.Env = append(os.Environ(), trial+"=1")
	out, err := cmd.CombinedOutput()
	require.Error(t, err, "not convicted:\n%s", out)
	_, text, ok := strings.Cut(string(out), "what happened at last\n")
	require.True(t, ok, "%s", out)
	text, verdict, ok := strings.Cut(text, "attack.go")
	require.True(t, ok, "%s", out)
	_, verdict, _ = strings.Cut(verdict, ": ")
	verdict, _, _ = strings.Cut(verdict, "FAIL")
	want := "```lanes\n" + plain(verdict) + "\n" + plain(text) + "```\n"
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	if flag.Lookup("update").Value.String() == "true" {
		readme = lanes.ReplaceAllLiteral(readme, []byte(want))
		require.NoError(t, os.WriteFile("README.md", readme, 0o644))
	}
	require.Equal(t, want, string(lanes.Find(readme)), "README.md is stale: go test ./examples/your-own-handler -update")
}

// plain takes off what package testing puts in front of lines.
func plain(s string) (text string) {
	for line := range strings.Lines(s) {
		if line = strings.TrimPrefix(strings.TrimRight(line, " \n"), "        "); line != "" {
			text += line + "\n"
		}
	}
	return text
}

// Package lessontest is the test every lesson has to pass.
package lessontest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
)

var update = flag.Bool("update", false, "rewrite the golden transcripts")

// Repeats is how often each side of a lesson is run.
const Repeats = 120

// Check runs both sides of l, each in Repeats bubbles, and wants every time: Wrong
// broken and Right not, in less than two seconds of virtual time, the transcript equal to
// testdata/wrong.txt and testdata/right.txt to the byte, and no goroutine left behind.
func Check(t *testing.T, l lesson.Lesson) {
	t.Run("wrong", func(t *testing.T) { check(t, "wrong", l.Wrong, true) })
	t.Run("right", func(t *testing.T) { check(t, "right", l.Right, false) })
}

func check(t *testing.T, name string, side func(*event.Recorder) error, breaks bool) {
	path := filepath.Join("testdata", name+".txt")
	want := read(t, path)
	for i := range Repeats {
		var text string
		var broken error
		var took time.Duration
		synctest.Test(t, func(*testing.T) {
			start := time.Now()
			text, broken = lesson.Transcript(side)
			took = time.Since(start)
		})
		if i == 0 && *update {
			write(t, path, text)
			want = text
		}
		if (broken != nil) != breaks {
			t.Fatalf("run %d of %s: broken = %v\n%s", i, name, broken, text)
		}
		if took >= 2*time.Second {
			t.Fatalf("%s takes %v, which is more than anybody waits", name, took)
		}
		if text != want {
			t.Fatalf("run %d of %s is another story than %s (accept it with -update):\n%s\nwant:\n%s", i, name, path, text, want)
		}
	}
}

func read(t *testing.T, path string) string {
	b, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, text string) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

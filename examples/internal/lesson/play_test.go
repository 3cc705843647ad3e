package lesson

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/event"
)

func TestPlay_TheLearnerIsTheScheduler(t *testing.T) {
	breaks := Game{Name: "a design", Par: 2, Play: func(r *event.Recorder, ask func([]string) string) error {
		for range 2 {
			who := ask([]string{"first", "second"})
			if who == "" {
				return nil
			}
			r.Record(who, "does", "something", "")
		}
		return errors.New("it broke")
	}}
	holds := Game{Name: "another", Play: func(_ *event.Recorder, ask func([]string) string) error { ask([]string{"first"}); return nil }}
	g := Gallery{Lessons: []Lesson{{Name: "none"}, {Name: "some", Games: []Game{breaks, holds}}}}
	played := func(in string, args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := g.playCommand(args, strings.NewReader(in), &out, &errs)
		return code, out.String(), errs.String()
	}
	code, out, _ := played("x\n1\nwho\ns\nf\n2\nf\n1\nq\nq\n", "some")
	require.Zero(t, code)
	for _, want := range []string{
		"1  a design (par 2 steps)", "2  another (nobody has broken it, and every schedule has been tried)",
		"step 1, who goes on: first, second?", "    second   does something\n", "BROKEN in 2 steps, par 2: it broke", "It HELD", "given up",
	} {
		require.Contains(t, out, want)
	}
	code, _, _ = played("1\n", "some") // and then nobody says anything
	require.Zero(t, code)
	for _, args := range [][]string{{}, {"none"}, {"nothing"}, {"some", "more"}} {
		code, out, errs := played("", args...)
		require.Equal(t, ExitUsage, code)
		require.Empty(t, out)
		require.Contains(t, errs, "play some")
	}
}

package lesson

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/softnet-go/softnet/internal/event"
)

// A Game is a design, wrong or right, of which the learner is the scheduler: at each step they say who
// goes on.
type Game struct {
	Name string
	// Par is in how many steps it breaks, by the simplest schedule that there is; 0 for a design that
	// no schedule breaks.
	Par int
	// Play plays it. Before each step it asks who goes on, of those who can; an answer that is
	// none of them ends the game. It returns the promise that was broken, or nil.
	Play func(r *event.Recorder, ask func(who []string) string) error
}

// playCommand lets the learner be the scheduler of a lesson's designs.
func (g Gallery) playCommand(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var games []Game
	var names []string
	for _, l := range g.Lessons {
		if len(l.Games) == 0 {
			continue
		}
		names = append(names, l.Name)
		if len(args) > 0 && args[0] == l.Name {
			games = l.Games
		}
	}
	if len(args) != 1 || games == nil {
		fmt.Fprintf(stderr, "play what? go run ./examples play %s\n", strings.Join(names, " | "))
		return ExitUsage
	}
	in := bufio.NewScanner(stdin)
	fmt.Fprintln(stdout, "You are the scheduler. Break a design: say, step by step, who goes on.")
	for {
		fmt.Fprintln(stdout)
		for i, x := range games {
			par := "nobody has broken it, and every schedule has been tried"
			if x.Par > 0 {
				par = fmt.Sprintf("par %d steps", x.Par)
			}
			fmt.Fprintf(stdout, "  %d  %s (%s)\n", i+1, x.Name, par)
		}
		fmt.Fprint(stdout, "\nWhich one? A number, or q to go: ")
		if !in.Scan() || strings.HasPrefix(strings.TrimSpace(in.Text()), "q") {
			fmt.Fprintln(stdout)
			return ExitOK
		}
		if n, err := strconv.Atoi(strings.TrimSpace(in.Text())); err == nil && n >= 1 && n <= len(games) {
			games[n-1].play(in, stdout)
		}
	}
}

// play plays one game.
func (x Game) play(in *bufio.Scanner, out io.Writer) {
	ring := event.NewRing(1024)
	shown, steps, over := 0, 0, false
	show := func() {
		evs := ring.Events()
		for _, e := range evs[shown:] {
			if e.Actor != "" {
				fmt.Fprintf(out, "    %-8s %s\n", e.Actor, e)
			}
		}
		shown = len(evs)
	}
	broken := x.Play(event.New(ring), func(who []string) string {
		show()
		for {
			fmt.Fprintf(out, "  step %d, who goes on: %s? ", steps+1, strings.Join(who, ", "))
			if !in.Scan() {
				over = true
				return ""
			}
			answer := strings.TrimSpace(in.Text())
			if answer == "q" {
				over = true
				return ""
			}
			for _, w := range who {
				if answer != "" && strings.HasPrefix(w, answer) {
					steps++
					return w
				}
			}
		}
	})
	show()
	switch {
	case over:
		fmt.Fprintln(out, "\n  given up")
	case broken == nil:
		fmt.Fprintln(out, "\n  It HELD: everybody is done.")
	case x.Par > 0:
		fmt.Fprintf(out, "\n  BROKEN in %d steps, par %d: %v\n", steps, x.Par, broken)
	default:
		fmt.Fprintf(out, "\n  BROKEN in %d steps, and nobody should be able to: %v\n", steps, broken)
	}
}

package lesson

import (
	"context"
	"io"
	"os"
	"os/signal"
)

// A Program is something to run by name that is no lesson.
type Program struct {
	Name  string // of its folder, and what run takes
	Title string // what it does, a clause that goes on after the name

	// Run does it and returns the exit code: 0 for success, 2 for arguments it does not
	// understand. It parses args itself, with -h; without any it must work. It returns
	// soon after ctx has ended, which is what Ctrl-C does to it; a second one kills.
	Run func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

// interruptible runs p with Ctrl-C ending its context.
func (p Program) interruptible(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // the next Ctrl-C does what it always does
	return p.Run(ctx, args, stdout, stderr)
}

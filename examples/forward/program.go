package forward

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/softnet-go/softnet/examples/internal/lesson"
)

// Program is this folder on the list of the gallery.
var Program = lesson.Program{
	Name:  "forward",
	Title: "forwards packets through the whole Internet table while it changes",
	Run:   run,
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return lesson.ExitOK
	case err != nil:
		return lesson.ExitUsage
	}
	return c.run(ctx, stdout, stderr)
}

// run does it and returns the exit code.
func (c config) run(ctx context.Context, stdout, stderr io.Writer) int {
	ps, err := c.prefixes()
	if err != nil {
		fmt.Fprintf(stderr, "forward: %v\n", err)
		return lesson.ExitUsage
	}
	rep, err := forward(ctx, c, ps, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "forward: %v\n", err)
		return lesson.ExitWrong
	}
	if c.json {
		err = rep.json(stdout)
	} else {
		rep.text(stdout)
	}
	if err != nil || !rep.ok() {
		return lesson.ExitWrong
	}
	return lesson.ExitOK
}

package lesson

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"
)

// all runs every lesson.
func (g Gallery) all(stdout, stderr io.Writer) int {
	code := ExitOK
	for _, l := range g.Lessons {
		if c := l.show(nil, stdout, stderr); c != ExitOK {
			code = c
		}
		fmt.Fprintln(stdout)
	}
	if code == ExitOK {
		fmt.Fprintf(stdout, "%d lessons: every wrong design broke, and every right one held\n", len(g.Lessons))
	}
	return code
}

func (g Gallery) renderCommand(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("render", flag.ContinueOnError)
	fs.SetOutput(stderr)
	dir := fs.String("o", "", "the `directory` to write into")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return ExitOK
	} else if err != nil {
		return ExitUsage
	}
	if *dir == "" || fs.NArg() > 0 {
		fmt.Fprintln(stderr, "render where? go run ./examples render -o DIR")
		return ExitUsage
	}
	if err := g.Render(*dir); err != nil {
		fmt.Fprintln(stderr, "render:", err)
		return ExitWrong
	}
	fmt.Fprintf(stdout, "%s/index.html\n", *dir)
	return ExitOK
}

func (g Gallery) serveCommand(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(stderr)
	port := fs.Int("port", 8000, "the port, on the loopback interface")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return ExitOK
	} else if err != nil || fs.NArg() > 0 {
		return ExitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := g.Serve(ctx, fmt.Sprintf("127.0.0.1:%d", *port), stdout); err != nil {
		fmt.Fprintln(stderr, "serve:", err)
		return ExitWrong
	}
	return ExitOK
}

// Serve renders the gallery into a directory of its own and serves it at an address until ctx ends. It
// says on out where.
func (g Gallery) Serve(ctx context.Context, addr string, out io.Writer) error {
	dir, err := os.MkdirTemp("", "gallery")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := g.Render(dir); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "http://%s/\n", ln.Addr())
	srv := &http.Server{Handler: http.FileServer(http.Dir(dir)), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return srv.Close()
	}
}

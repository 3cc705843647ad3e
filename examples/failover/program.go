package failover

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
)

// Program is this folder on the list of the gallery.
var Program = lesson.Program{
	Name:  "failover",
	Title: "kills one of two firewalls under two thousand conversations, and has it come back",
	Run:   run,
}

// The scenes of the play, one after the other.
const (
	alone    = 3 * time.Second // the firewalls find out who is master, and that there are no states
	before   = 3 * time.Second // conversations begin, and go on
	without  = 3 * time.Second // one firewall is dead
	back     = 5 * time.Second // it has come back: it asks, is told, takes over
	lastWave = time.Second     // some conversations begin so shortly before the kill
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c := config{every: 500 * time.Millisecond, again: 300 * time.Millisecond, ramp: time.Second, seed: 1, streams: 2, bulkEvery: 2 * time.Millisecond}
	fs := flag.NewFlagSet("failover", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&c.flows, "flows", 2000, "how many conversations")
	fs.StringVar(&c.pcap, "pcap", "", "write what each interface sees into this `directory`")
	asJSON := fs.Bool("json", false, "print the report as JSON")
	html := fs.String("html", "", "write the report as a page into this `file`, too")
	noPFSync := fs.Bool("no-pfsync", false, "the firewalls do not tell each other of states")
	noDefer := fs.Bool("no-defer", false, "first packets do not wait until the other firewall knows the state")
	noDemote := fs.Bool("no-demote", false, "who has come back takes over before it knows the states")
	noPreempt := fs.Bool("no-preempt", false, "who has come back does not take over")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return lesson.ExitOK
	} else if err != nil || fs.NArg() > 0 || c.flows < 1 || c.flows > 60_000 {
		return lesson.ExitUsage
	}
	c.pfsync, c.deferring, c.demote, c.preempt = !*noPFSync, !*noDefer && !*noPFSync, !*noDemote, !*noPreempt
	if c.pcap != "" {
		if err := os.MkdirAll(c.pcap, 0o755); err != nil {
			fmt.Fprintln(stderr, "failover:", err)
			return lesson.ExitUsage
		}
	}
	rep, err := play(ctx, c, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "failover:", err)
		return lesson.ExitWrong
	}
	if *asJSON {
		err = rep.json(stdout)
	} else {
		err = rep.text(stdout)
	}
	if *html != "" && err == nil {
		err = rep.page(*html)
	}
	if err != nil {
		fmt.Fprintln(stderr, "failover:", err)
		return lesson.ExitWrong
	}
	if rep.Lost > 0 || rep.Wrong > 0 {
		return lesson.ExitWrong
	}
	return lesson.ExitOK
}

// play is the story.
func play(ctx context.Context, c config, progress io.Writer) (rep *report, err error) {
	w, err := newWorld(c)
	if err != nil {
		return nil, err
	}
	defer func() {
		if rep == nil {
			err = errors.Join(err, w.close(context.WithoutCancel(ctx)))
		}
	}()
	for i := range w.walls {
		if err := w.switchOn(ctx, i); err != nil {
			return nil, err
		}
	}
	line := func() {
		fmt.Fprintf(progress, "%5.1fs  master %s%s\n", time.Since(w.start).Seconds(), w.master(), w.known())
	}
	if err := w.run(ctx, alone, line); err != nil {
		return nil, err
	}
	late := c.flows / 10
	w.converse(c.flows-late, c.ramp)
	if err := w.run(ctx, before-lastWave, line); err != nil {
		return nil, err
	}
	w.converse(late, lastWave)
	if err := w.run(ctx, lastWave, line); err != nil {
		return nil, err
	}
	killed, victim := time.Now(), w.masterOr(0)
	if err := w.switchOff(ctx, victim); err != nil {
		return nil, err
	}
	if err := w.run(ctx, without, line); err != nil {
		return nil, err
	}
	returned := time.Now()
	if err := w.switchOn(ctx, victim); err != nil {
		return nil, err
	}
	if err := w.run(ctx, back, line); err != nil {
		return nil, err
	}
	if err := w.settle(ctx); err != nil {
		return nil, err
	}
	rep = w.report(killed, returned)
	return rep, errors.Join(w.close(ctx), w.conserve(rep))
}

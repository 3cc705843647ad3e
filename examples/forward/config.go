package forward

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/softnet-go/softnet/internal/internet"
)

// What -unsafe can leave out.
const (
	skipPerform = "skip-perform"
	skipPsref   = "skip-psref"
)

// A config is what the flags say.
type config struct {
	duration time.Duration
	workers  int
	churn    float64 // route changes a second
	frames   float64 // a second, that go the whole way
	seed     uint64
	json     bool
	unsafe   string // "", skipPerform or skipPsref
	routes   string // a file; "" for the table that is built in

	untilCaught bool // whether to end with the first violation; for tests
}

func parse(args []string, stderr io.Writer) (c config, err error) {
	flags := flag.NewFlagSet("forward", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: go run ./examples run forward [flags]\n\nForwards packets through the whole Internet table while it changes; exit status 1\nmeans that a promise was broken.\n\n")
		flags.PrintDefaults()
	}
	var seconds float64
	flags.Float64Var(&seconds, "seconds", 5, "forward for so many `seconds`")
	flags.IntVar(&c.workers, "workers", max(2, runtime.GOMAXPROCS(0)), "`number` of workers: every second one a softint, the others threads")
	flags.Float64Var(&c.churn, "churn", 2000, "route changes a second; 0 leaves everything as it is")
	flags.Float64Var(&c.frames, "frames", 100000, "frames a second that go the whole way, from interface to interface; 0 for none")
	flags.Uint64Var(&c.seed, "seed", 1, "where the random numbers start: destinations, and what changes")
	flags.BoolVar(&c.json, "json", false, "report in JSON")
	flags.StringVar(&c.unsafe, "unsafe", "", "leave a safeguard out and be caught: skip-perform `or` skip-psref")
	flags.StringVar(&c.routes, "routes", "", "a `file` of prefixes, one a line, plain or gzipped, instead of the built-in table")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	c.duration = time.Duration(seconds * float64(time.Second))
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("what is %q? forward takes flags only", flags.Arg(0))
	case !(seconds > 0 && seconds <= 86400):
		err = fmt.Errorf("-seconds %v: more than 0, and no more than a day", seconds)
	case c.workers < 1 || c.workers > 1024:
		err = fmt.Errorf("-workers %d: 1 to 1024", c.workers)
	case !(c.churn >= 0 && c.churn <= 1e6):
		err = fmt.Errorf("-churn %v: 0 to 1,000,000 changes a second", c.churn)
	case !(c.frames >= 0 && c.frames <= 1e7):
		err = fmt.Errorf("-frames %v: 0 to 10,000,000 a second", c.frames)
	case c.unsafe != "" && c.unsafe != skipPerform && c.unsafe != skipPsref:
		err = fmt.Errorf("-unsafe %s: it is either %s or %s", c.unsafe, skipPerform, skipPsref)
	case c.unsafe != "" && c.churn == 0:
		err = fmt.Errorf("-unsafe %s: nothing goes wrong while nothing changes: -churn must not be 0", c.unsafe)
	}
	if err != nil {
		fmt.Fprintf(stderr, "forward: %v\n(-h lists the flags)\n", err)
	}
	return c, err
}

// random returns the random numbers of one of those who need some.
func (c config) random(who uint64) *rand.Rand { return rand.New(rand.NewPCG(c.seed, who)) }

// prefixes returns what to load.
func (c config) prefixes() ([]netip.Prefix, error) {
	if c.routes == "" {
		return internet.Prefixes(), nil
	}
	b, err := os.ReadFile(c.routes)
	if err != nil {
		return nil, err
	}
	var r io.Reader = bytes.NewReader(b)
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		if r, err = gzip.NewReader(r); err != nil {
			return nil, fmt.Errorf("%s: %w", c.routes, err)
		}
	}
	ps, err := read(r)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", c.routes, err)
	}
	return ps, nil
}

// read reads prefixes, one a line. A duplicate counts once; what follows a # is a remark.
func read(r io.Reader) (ps []netip.Prefix, err error) {
	seen := map[netip.Prefix]bool{}
	lines := bufio.NewScanner(r)
	n := 0
	for lines.Scan() {
		n++
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		if p = p.Masked(); !seen[p] {
			seen[p] = true
			ps = append(ps, p)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%d: %w", n+1, err)
	}
	if len(ps) == 0 {
		return nil, fmt.Errorf("%d: not one prefix", n)
	}
	return ps, nil
}

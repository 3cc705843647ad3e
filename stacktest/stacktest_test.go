package stacktest_test

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/stacktest"
	"github.com/softnet-go/softnet/witness"
	"github.com/softnet-go/softnet/wqinput"
)

// subject makes a Config of a handler that runs in a thread.
func subject(f func(s *stacktest.Stack) wqinput.Handler) stacktest.Config {
	return stacktest.Config{New: func(s *stacktest.Stack) stacktest.Subject {
		return stacktest.Subject{Name: "subject", Input: f(s)}
	}}
}

// keepsMany is subject for a handler that may keep what it likes, in what order it likes.
func keepsMany(f func(s *stacktest.Stack) wqinput.Handler) stacktest.Config {
	c := subject(f)
	c.MaxHeld, c.Unordered = 10_000, true
	return c
}

// A crime is a handler that is wrong in one way.
type crime struct {
	config  stacktest.Config
	charge  string // what it has to be convicted of
	checked bool   // only checked builds can tell
	// try is what convicts it; stacktest.Handler if nil.
	try func(*testing.T, stacktest.Config)
}

func always(h wqinput.Handler) func(*stacktest.Stack) wqinput.Handler {
	return func(*stacktest.Stack) wqinput.Handler { return h }
}

var inputCrimes = map[string]crime{
	"forgets its packet": {
		config: subject(always(func(context.Context, *wqinput.Input) {})),
		charge: "returns and forgets its packet",
	},
	"frees twice": {
		config: subject(always(func(_ context.Context, in *wqinput.Input) {
			in.Packet.Free(mbuf.Done)
			in.Packet.Free(mbuf.Done)
		})),
		charge: "panics: mbuf: a packet is freed \\(done\\) after it was freed",
	},
	"keeps the interface": {
		config: subject(func(*stacktest.Stack) wqinput.Handler {
			var mu sync.Mutex
			var kept *ifnet.Interface
			return func(_ context.Context, in *wqinput.Input) {
				mu.Lock()
				if kept == nil {
					kept = in.In
				}
				out := kept
				mu.Unlock()
				if in.Packet.Flags == 0 && in.Packet.Len() > 0 {
					_ = out.Transmit(in.LWP, in.Packet)
					return
				}
				in.Packet.Free(mbuf.Done)
			}
		}),
		charge: "uses interface \\d+\\.\\d+ after its Detach has returned",
	},
	"holds a route": {
		config: subject(func(s *stacktest.Stack) wqinput.Handler {
			_ = s.Routes.Add(rtable.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Out: ifnet.ID{Index: 1, Gen: 1}})
			var refs [64]psref.Ref
			var mu sync.Mutex
			n := 0
			return func(_ context.Context, in *wqinput.Input) {
				mu.Lock()
				defer mu.Unlock()
				if n < len(refs) {
					if _, err := s.Routes.Get(in.LWP, &refs[n], netip.MustParseAddr("10.0.0.1")); err == nil {
						n++
					}
				}
				in.Packet.Free(mbuf.Done)
			}
		}),
		charge: "returns and holds",
	},
	"sleeps in a softint": {
		config: stacktest.Config{New: func(*stacktest.Stack) stacktest.Subject {
			return stacktest.Subject{Name: "subject", Softint: func(_ *netisr.Ctx, m *mbuf.Packet) {
				time.Sleep(time.Millisecond)
				m.Free(mbuf.Done)
			}}
		}},
		charge: "sleeps in a softint",
	},
	"takes locks in the wrong order": {
		config: subject(func(*stacktest.Stack) wqinput.Handler {
			var a, b witness.Mutex
			a.Init(witness.NewClass("a"))
			b.Init(witness.NewClass("b"))
			return func(_ context.Context, in *wqinput.Input) {
				first, second := &a, &b
				if in.Packet.Len() == 0 { // which is seldom
					first, second = &b, &a
				}
				first.Lock()
				defer first.Unlock()
				second.Lock()
				second.Unlock()
				in.Packet.Free(mbuf.Done)
			}
		}),
		charge:  "panics: witness: .*b.*a",
		checked: true,
	},
	"sends while holding its lock": {
		config: subject(func(*stacktest.Stack) wqinput.Handler {
			var mu witness.Mutex
			mu.Init(witness.NewClass("softc"))
			return func(_ context.Context, in *wqinput.Input) {
				if in.Packet.Flags&mbuf.Broadcast != 0 {
					in.Packet.Free(mbuf.Done)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				_ = in.In.Transmit(in.LWP, in.Packet)
			}
		}),
		charge:  "panics: witness: .*softc.*sending a packet|panics: witness: .*sending a packet.*softc",
		checked: true,
	},
	"loses order": {
		config: reliably(8, true),
		charge: "ends packets of a flow out of order",
	},
	"keeps without a bound": {
		config: reliably(1000, false),
		charge: "keeps packets without a bound",
	},
	"ignores its context": {
		config: subject(always(func(_ context.Context, in *wqinput.Input) {
			time.Sleep(time.Hour)
			in.Packet.Free(mbuf.Done)
		})),
		charge: "does not end when its context ends|holds interface \\S+ for ever: its Detach does not end",
	},
	"races with departure": {
		config: keepsMany(func(*stacktest.Stack) wqinput.Handler {
			place := mbuf.NewQueue("a timer")
			return func(_ context.Context, in *wqinput.Input) {
				m := in.Packet
				m.Keep(place)
				time.AfterFunc(time.Second, func() {
					m.Take(place, nil)
					m.Free(mbuf.Done)
				})
			}
		}),
		charge: "has a packet of interface \\S+ after its Detach has returned",
	},
	"writes what it shares": {
		config: subject(always(func(_ context.Context, in *wqinput.Input) {
			if b := in.Packet.Bytes(); len(b) > 8 {
				b[8]-- // its time to live, and everybody's
			}
			in.Packet.Free(mbuf.Done)
		})),
		charge: "writes to bytes that it shares",
	},
	"holds the packet's route": {
		config: subject(func(s *stacktest.Stack) wqinput.Handler {
			return func(ctx context.Context, in *wqinput.Input) {
				defer in.Packet.Free(mbuf.Done)
				if b, ok := in.Packet.Pullup(20); ok && b[0]>>4 == 4 {
					_, _ = s.Routes.Lookup(ctx, in.LWP, netip.AddrFrom4([4]byte(b[16:20])))
				}
			}
		}),
		charge: "holds a route when everything has ended|holds a route for ever: it cannot be changed",
	},
	"goes on after Close": {
		config: stacktest.Config{New: func(s *stacktest.Stack) stacktest.Subject {
			var timer *time.Timer
			timer = time.AfterFunc(time.Minute, func() { hello(s); timer.Reset(time.Minute) })
			return stacktest.Subject{Name: "subject", Input: func(_ context.Context, in *wqinput.Input) { in.Packet.Free(mbuf.Done) },
				Close: func(context.Context) error { return nil }} // the timer goes on
		}},
		charge: "sends when everything is closed",
	},
	"leaves a goroutine": {
		config: stacktest.Config{New: func(*stacktest.Stack) stacktest.Subject {
			work := make(chan int, 100)
			go func() {
				for range work {
				}
			}()
			return stacktest.Subject{Name: "subject", Input: func(_ context.Context, in *wqinput.Input) { work <- 1; in.Packet.Free(mbuf.Done) }}
		}},
		charge: "leaves a goroutine behind",
	},
	"answers a broadcast": {
		config: subject(always(func(_ context.Context, in *wqinput.Input) { _ = in.In.Transmit(in.LWP, in.Packet) })),
		charge: "answers a broadcast",
	},
}

// hello sends a packet of its own by em0, if it is there.
func hello(s *stacktest.Stack) {
	id, ok := s.Ifs.ByName("em0")
	if !ok {
		return
	}
	l := s.Dom.Bind()
	defer l.Unbind()
	var ref psref.Ref
	if ifp, ok := s.Ifs.Get(l, &ref, id); ok {
		defer ref.Release(l)
		if m, err := s.Pool.Alloc(28); err == nil {
			_ = ifp.Transmit(l, m)
		}
	}
}

const crimeVar = "STACKTEST_CRIME"

func allCrimes() map[string]crime {
	all := maps.Clone(inputCrimes)
	maps.Copy(all, sendCrimes)
	maps.Copy(all, storyCrimes)
	maps.Copy(all, modelCrimes)
	return all
}

// TestCrime is run by TestCrimes, in a process of its own, because it fails.
func TestCrime(t *testing.T) {
	c, ok := allCrimes()[os.Getenv(crimeVar)]
	switch {
	case !ok:
		t.Skip("for TestCrimes")
	case c.try != nil:
		c.try(t, c.config)
	default:
		stacktest.Handler(t, c.config)
	}
}

// Each handler that is wrong on purpose is convicted of what it does, in a story of a few steps.
func TestCrimes_OfInputAreConvictedByName(t *testing.T)   { convict(t, inputCrimes) }
func TestCrimes_OfSendersAreConvictedByName(t *testing.T) { convict(t, sendCrimes) }
func TestCrimes_OfStoriesAreConvictedByName(t *testing.T) { convict(t, storyCrimes) }
func TestCrimes_AgainstModelsAreConvicted(t *testing.T)   { convict(t, modelCrimes) }

func convict(t *testing.T, crimes map[string]crime) {
	exe, err := os.Executable()
	require.NoError(t, err)
	for name, c := range crimes {
		t.Run(name, func(t *testing.T) {
			if c.checked && !witness.Enabled {
				t.Skip("only builds with -tags witness, or -race, can tell")
			}
			if witness.Enabled { // which is slow, so how long a trial and its story are is of no interest
				t.Parallel()
			}
			verdict, steps, took := tried(t, exe, name, c, "1s")
			t.Logf("%v, %d steps: %s", took.Round(time.Millisecond), steps, strings.SplitN(verdict, "\n", 2)[0])
			if witness.Enabled {
				return
			}
			if steps > 6 { // the machine is too slow to shorten it in a second
				verdict, steps, _ = tried(t, exe, name, c, "20s")
			}
			require.LessOrEqual(t, steps, 6, "%s", verdict)
		})
	}
}

// tried runs a crime's trial in a process of its own, and returns the verdict and how long that took,
// and how many steps the story has. It is to be over in two seconds on a machine of its own.
func tried(t *testing.T, exe, name string, c crime, shrink string) (verdict string, steps int, took time.Duration) {
	cmd := exec.Command(exe, "-test.run=^TestCrime$", "-rapid.nofailfile", "-rapid.seed=1", "-rapid.shrinktime="+shrink)
	cmd.Env = append(os.Environ(), crimeVar+"="+name)
	cmd.Dir = t.TempDir()
	start := time.Now()
	out, err := cmd.CombinedOutput()
	require.Error(t, err, "not convicted:\n%s", out)
	took = time.Since(start)
	require.Contains(t, string(out), "stacktest: handler subject")
	verdict = string(out)[strings.LastIndex(string(out), "stacktest: handler subject"):]
	require.Regexp(t, regexp.MustCompile("^stacktest: handler subject ("+c.charge+")"), verdict, "%s", out)
	return verdict, len(regexp.MustCompile(`(?m)^ +(\d+)  `).FindAllString(verdict, -1)), took
}

// echo answers what is sent to it, and nobody else.
func echo(_ context.Context, in *wqinput.Input) {
	m := in.Packet
	b, ok := m.Pullup(20)
	switch {
	case !ok || m.Flags&mbuf.Broadcast != 0:
		m.Free(mbuf.Malformed)
		return
	case b[0]>>4 != 4:
		m.Free(mbuf.NoProto)
		return
	}
	w := m.Writable()
	var src [4]byte
	copy(src[:], w[12:16])
	copy(w[12:16], w[16:20])
	copy(w[16:20], src[:])
	_ = in.In.Transmit(in.LWP, m)
}

// redirect changes routes, and waits for who uses them.
func redirect(s *stacktest.Stack) wqinput.Handler {
	return func(ctx context.Context, in *wqinput.Input) {
		defer in.Packet.Free(mbuf.Done)
		if b, ok := in.Packet.Pullup(20); ok && b[0]>>4 == 4 {
			_ = s.Routes.Redirect(ctx, in.LWP, rtable.Redirect{
				Dst: netip.AddrFrom4([4]byte(b[16:20])), Gateway: netip.AddrFrom4([4]byte(b[12:16])), From: netip.AddrFrom4([4]byte(b[12:16])),
			})
		}
	}
}

// A reliable is a toy protocol: it keeps a few packets until they are acknowledged, one a second, and
// lets go of those of a departing interface. It frees under its lock, so that order is kept.
type reliable struct {
	limit       int  // how many it keeps
	newestFirst bool // which is wrong
	place       *mbuf.Owner
	live        func(ifnet.ID) bool
	mu          sync.Mutex // guards what follows
	kept        []*mbuf.Packet
	timer       *time.Timer
	done        bool
}

func reliably(limit int, newestFirst bool) stacktest.Config {
	return stacktest.Config{New: func(s *stacktest.Stack) stacktest.Subject {
		return newReliable(s, &reliable{limit: limit, newestFirst: newestFirst})
	}}
}

func newReliable(s *stacktest.Stack, r *reliable) stacktest.Subject {
	r.place, r.live = mbuf.NewQueue("unacknowledged"), s.Ifs.Live
	remove := s.Ifs.AddDrainer(r)
	return stacktest.Subject{Name: "subject", Input: r.input, Close: func(context.Context) error {
		remove()
		r.free(func(*mbuf.Packet) bool { return true })
		r.mu.Lock()
		defer r.mu.Unlock()
		r.done = true
		if r.timer != nil {
			r.timer.Stop()
		}
		return nil
	}}
}

func (r *reliable) input(_ context.Context, in *wqinput.Input) {
	m := in.Packet
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done || !r.live(m.In) {
		m.Free(mbuf.IfDeparted)
		return
	}
	m.Keep(r.place)
	r.kept = append(r.kept, m)
	switch {
	case len(r.kept) > r.limit:
		r.endLocked(0, mbuf.Full)
	case len(r.kept) == 1:
		r.timer = time.AfterFunc(time.Second, r.acknowledge)
	}
}

// acknowledge ends the packet that has waited longest.
func (r *reliable) acknowledge() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.newestFirst && len(r.kept) > 0 {
		r.endLocked(len(r.kept)-1, mbuf.Done)
	} else if len(r.kept) > 0 {
		r.endLocked(0, mbuf.Done)
	}
	if len(r.kept) > 0 && !r.done {
		r.timer.Reset(time.Second)
	}
}

func (r *reliable) endLocked(i int, why mbuf.Reason) {
	m := r.kept[i]
	r.kept = append(r.kept[:i:i], r.kept[i+1:]...)
	m.Take(r.place, nil)
	m.Free(why)
}

func (r *reliable) free(match func(*mbuf.Packet) bool) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := 0; i < len(r.kept); {
		if match(r.kept[i]) {
			r.endLocked(i, mbuf.IfDeparted)
			n++
		} else {
			i++
		}
	}
	return n
}

func (r *reliable) Name() string                                      { return "reliable" }
func (r *reliable) Barrier(context.Context, *lwp.LWP, ifnet.ID) error { return nil }
func (r *reliable) Down(ifnet.ID) int                                 { return 0 }
func (r *reliable) Purge(id ifnet.ID) int {
	return r.free(func(m *mbuf.Packet) bool { return m.In == id })
}

func TestHandler_HasNothingAgainstARightOne(t *testing.T) {
	for name, c := range map[string]stacktest.Config{
		"echo":     subject(always(echo)),
		"redirect": subject(redirect),
		"reliable": reliably(8, false),
		"softint": {New: func(*stacktest.Stack) stacktest.Subject {
			return stacktest.Subject{Name: "softint", Softint: func(_ *netisr.Ctx, m *mbuf.Packet) { m.Free(mbuf.Done) }}
		}},
	} {
		t.Run(name, func(t *testing.T) { stacktest.Handler(t, c) })
	}
}

// The example's test is run, and is what it says: at most thirty lines.
func TestExample_IsATestOfThirtyLines(t *testing.T) {
	testPong(t)
	src, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(src), "func testPong")
	require.True(t, ok)
	test, _, ok := strings.Cut(after, "func Example")
	require.True(t, ok)
	lines := 0
	for line := range strings.Lines(test) {
		if strings.TrimSpace(line) != "" {
			lines++
		}
	}
	require.LessOrEqual(t, lines, 30)
}

func FuzzEcho(f *testing.F) {
	f.Fuzz(stacktest.Fuzz(subject(always(echo))))
}

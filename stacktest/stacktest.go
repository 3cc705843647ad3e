package stacktest

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/wqinput"
)

// Config says what to attack, and how.
type Config struct {
	// New makes the handler, on a stack of its own, for each case.
	New func(s *Stack) Subject
	// Packets are what it is sent, beside what is made of them by changing and cutting. The
	// default is [IPPackets].
	Packets *rapid.Generator[[]byte]

	MaxHeld   int  // how many packets it may keep beyond its return; 64 if 0, none if negative
	Unordered bool // packets of a flow need not end in order
	Chatty    bool // it may answer a broadcast
}

// A Subject is a handler under attack: one of Input and Softint.
type Subject struct {
	Name    string
	Input   wqinput.Handler                     // runs in a thread
	Softint func(c *netisr.Ctx, m *mbuf.Packet) // runs in a softint
	Close   func(ctx context.Context) error     // ends what the handler has started; nil if nothing
	Check   func() error                        // what else has to be true after every step; nil if nothing
}

// A Stack is what a handler has around it.
type Stack struct {
	Dom    *lwp.Domain
	Ifs    *ifnet.Table
	Pool   *mbuf.Pool
	Routes *rtable.Table
	Send   *netisr.SendQueue // to send by, with no lock held
}

// Handler attacks a handler with random cases, of which rapid's flags say how many, and fails t with
// the shortest story that breaks a promise.
func Handler(t *testing.T, c Config) {
	t.Helper()
	rapid.Check(t, c.property)
}

// Fuzz returns the attack as a fuzz target, for testing.F.Fuzz.
func Fuzz(c Config) func(*testing.T, []byte) { return rapid.MakeFuzz(c.property) }

func (c Config) property(t *rapid.T) {
	rapid.SyncTest(t, func(t *rapid.T) {
		a := newAttack(t, c)
		t.Repeat(a.actions())
		a.finish(t)
	})
}

const interfaces = 3

// An attack is one case.
type attack struct {
	c   Config
	st  *Stack
	sub Subject
	l   *lwp.LWP

	wq     *wqinput.Queue
	isr    *netisr.ISR
	ports  [interfaces]port
	gone   []departed
	story  []string
	closed bool

	mu      sync.Mutex // guards what follows
	broken  string     // the first promise that was
	packets []*record
	ends    map[flow]int // the number of the last packet of it that ended
	current *record      // what is being handled
	over    bool         // Close has returned
}

// A port is where one interface follows another.
type port struct {
	ifp *ifnet.Interface // nil if none is there
	n   int
}

// departed is an interface that has gone, and what it had counted then.
type departed struct {
	ifp   *ifnet.Interface
	stats ifnet.Stats
}

// A flow is packets whose order counts: those of one number that came by one interface.
type flow struct {
	in ifnet.ID
	id uint32
}

// A record is what is known of a packet.
type record struct {
	n         int
	flow      flow
	broadcast bool
	handled   bool // its handler was called
	returned  bool // and has returned
	ended     bool
}

func newAttack(t *rapid.T, c Config) *attack {
	switch {
	case c.MaxHeld == 0:
		c.MaxHeld = 64
	case c.MaxHeld < 0:
		c.MaxHeld = 0
	}
	if c.Packets == nil {
		c.Packets = IPPackets()
	}
	a := &attack{c: c, ends: map[flow]int{}}
	dom := lwp.NewDomain()
	pool := mbuf.NewPool(mbuf.PoolConfig{Name: "stacktest", Debug: true})
	ifs := ifnet.NewTable(dom, ifnet.WithPool(pool))
	a.st = &Stack{Dom: dom, Ifs: ifs, Pool: pool, Routes: rtable.New(dom),
		Send: netisr.NewSendQueue(netisr.SendConfig{Ifs: ifs, Streams: 1, Recovered: a.panicked})}
	a.l = dom.Bind()
	a.sub = c.New(a.st)
	switch {
	case a.sub.Input != nil && a.sub.Softint == nil:
		a.wq = wqinput.New(ifs, a.sub.Name, a.input, wqinput.WithStreams(2), wqinput.WithLimit(queueLimit), wqinput.WithRecover(a.panicked))
	case a.sub.Softint != nil && a.sub.Input == nil:
		a.isr = netisr.New(netisr.Config{Ifs: ifs, Streams: 2, Recovered: a.panicked})
		if _, err := a.isr.Register(netisr.Handler{Name: "subject", Proto: 1, Policy: netisr.PolicyFlow, QLimit: queueLimit, Handle: a.softint}); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("stacktest: subject %q has to have either Input or Softint", a.sub.Name)
	}
	for i := range a.ports {
		a.attach(i)
	}
	return a
}

// queueLimit is how many packets wait for the handler in a stream.
const queueLimit = 16

// breaks writes down which promise was broken, if it is the first.
func (a *attack) breaks(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.breaksLocked(format, args...)
}

func (a *attack) breaksLocked(format string, args ...any) {
	if a.broken == "" {
		a.broken = fmt.Sprintf(format, args...)
	}
}

func (a *attack) panicked(v any) {
	text := fmt.Sprint(v)
	if e, ok := v.(error); ok {
		text, _, _ = strings.Cut(e.Error(), "\n")
	} else {
		text += "\n" + string(debug.Stack())
	}
	a.breaks("panics: %s", text)
}

// step tells what is done next.
func (a *attack) step(format string, args ...any) {
	a.story = append(a.story, fmt.Sprintf(format, args...))
}

// judge fails the case if a promise was broken, with the story of how.
func (a *attack) judge(t *rapid.T) {
	synctest.Wait()
	a.looksBack()
	if a.sub.Check != nil {
		if err := a.sub.Check(); err != nil {
			a.breaks("%v", err)
		}
	}
	a.mu.Lock()
	broken := a.broken
	a.mu.Unlock()
	if broken == "" {
		return
	}
	a.abandon()
	var b strings.Builder
	fmt.Fprintf(&b, "stacktest: handler %s %s\n", a.sub.Name, broken)
	for i, s := range a.story {
		fmt.Fprintf(&b, "  %d  %s\n", i+1, s)
	}
	t.Fatalf("%s", b.String())
}

// abandon ends what it can, so that the failure is told and not that something is still running.
func (a *attack) abandon() {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	l := a.st.Dom.Bind()
	if a.wq != nil {
		_ = a.wq.Close(ended)
	}
	if a.isr != nil {
		_ = a.isr.Close(ended, l)
	}
	_ = a.st.Send.Close(ended, l)
	if a.sub.Close != nil {
		func() {
			defer func() { _ = recover() }() // it is wrong anyway
			_ = a.sub.Close(ended)
		}()
	}
	_ = a.st.Routes.Close(ended)
	elapse(patience) // virtual: for those who sleep
	func() {
		defer func() { _ = recover() }()
		_ = a.st.Routes.Close(ended)
	}()
}

// patience is longer than anything a handler does.
const patience = 2 * time.Hour

// finish closes everything, and finds nothing left.
func (a *attack) finish(t *rapid.T) {
	if !a.closed {
		a.close(t)
	}
	a.judge(t)
	if a.sub.Close != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := a.sub.Close(ctx); err != nil {
			a.breaks("does not close: %v", err)
		}
		cancel()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := a.st.Send.Close(ctx, a.l); err != nil {
		a.breaks("left something that is not sent: %v", err)
	}
	for i := range a.ports {
		a.detach(i)
	}
	if err := a.st.Routes.Close(ctx); err != nil {
		a.breaks("holds a route when everything has ended")
	}
	a.judge(t)
	var left leaks
	a.st.Pool.CheckLeaks(&left)
	if len(left) > 0 {
		a.breaks("leaks a packet: %s", strings.Join(left, "; "))
	}
	a.judge(t)
}

type leaks []string

func (*leaks) Helper() {}
func (l *leaks) Errorf(f string, args ...any) {
	text, _, _ := strings.Cut(fmt.Sprintf(f, args...), "\n")
	*l = append(*l, text)
}

// close ends the queue before the handler.
func (a *attack) close(t *rapid.T) {
	a.step("close, and wait for a second at most")
	a.closed = true
	once := func(d time.Duration) error {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		if a.wq != nil {
			return a.wq.Close(ctx)
		}
		return a.isr.Close(ctx, a.l)
	}
	if once(time.Second) != nil && once(time.Minute) != nil {
		a.breaks("does not end when its context ends")
	}
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
}

package stacktest

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/wqinput"
)

const (
	interfaces = 3
	// queueLimit is how many packets wait for the handler in a stream.
	queueLimit = 16
	// patience is longer than anything a handler does.
	patience = 2 * time.Hour
)

// somewhere is where packets to addresses that Addr generates mostly go: there is a route at first. A
// default route would take thirty times as long to add.
var somewhere = netip.MustParsePrefix("192.0.0.0/16")

// A world is where an attack takes place: virtual time, or one schedule of many.
type world interface {
	settle()              // returns when nobody runs
	elapse(time.Duration) // lets time go by
	now() time.Time
	until(time.Duration) (context.Context, context.CancelFunc)
}

// inBubble is virtual time.
type inBubble struct{}

// odd is added to times, so that what a handler waits for and what is done to it never come at one
// instant: the same case would not always be the same.
const odd = 137 * time.Nanosecond

func (inBubble) settle()        { synctest.Wait() }
func (inBubble) now() time.Time { return time.Now() }
func (inBubble) elapse(d time.Duration) {
	<-time.After(d + odd)
	synctest.Wait()
}
func (inBubble) until(d time.Duration) (context.Context, context.CancelFunc) {
	if d > 0 {
		d += odd
	}
	return context.WithTimeout(context.Background(), d)
}

// A reporter is the part of a *rapid.T that an attack needs.
type reporter interface {
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// An attack is one case.
type attack struct {
	world
	c     Config
	v     Variant
	st    *Stack
	sub   Subject
	model Model
	l     *lwp.LWP

	wq     *wqinput.Queue
	isr    *netisr.ISR
	ports  [interfaces]port
	gone   []departed
	steps  []string
	sent   [][]byte // the last few
	shared []lent
	closed bool
	buried bool // nothing of it is left
	lanes
	// onBreach, if not nil, is told of the first breach.
	onBreach func(promise, detail string)

	telling sync.Mutex // guards the model: it is told one thing at a time

	mu       sync.Mutex // guards what follows
	promise  string     // the first that was broken, in words that the same case always gives
	detail   string     // and what else is known of it
	packets  []*record
	done     map[flow]int         // the number of the last packet of it that was done with
	handling map[*lwp.LWP]*record // what each is about
	wired    map[flow][]int       // which packets of it were sent on, in order
	own      []string             // what was sent, and nobody knows in answer to what
	left     int                  // handlers that returned and forgot their packet
	over     bool                 // the queue's Close has returned
	silent   bool                 // nothing may be sent any more
	slow     time.Duration        // how long a packet waits, with its interface held, for its handler
	shut     bool                 // no handler may begin
	gates    []gate               // who waits for that
}

// A lent is a clone of a packet that was sent, whose bytes nobody may write to.
type lent struct {
	clone *mbuf.Packet
	bytes []byte
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

// portName returns what an interface is called when it is attached.
func portName(i int) string { return fmt.Sprintf("em%d", i) }

// A flow is packets whose order counts: those of one number that came by one interface, or are to
// leave by it.
type flow struct {
	by ifnet.ID
	id uint32
}

// A record is what is known of a packet.
type record struct {
	n         int
	port      string
	flow      flow
	broadcast bool
	given     bool // its handler is to answer for it, if that is not an Output that was called
	returned  bool // its handler has
	ended     bool
	story     []string // what became of it: for SameStory
}

func newAttack(t reporter, c Config, v Variant, w world) *attack {
	switch {
	case c.MaxHeld == 0:
		c.MaxHeld = 64
	case c.MaxHeld < 0:
		c.MaxHeld = 0
	}
	if c.Packets == nil {
		c.Packets = IPPackets()
	}
	v = v.filled(c)
	a := &attack{world: w, c: c, v: v, done: map[flow]int{}, wired: map[flow][]int{}, handling: map[*lwp.LWP]*record{}}
	a.init()
	dom := lwp.NewDomain()
	pool := mbuf.NewPool(mbuf.PoolConfig{Name: "stacktest", Debug: true})
	ifs := ifnet.NewTable(dom, ifnet.WithPool(pool))
	routes := rtable.New(dom)
	a.st = &Stack{Dom: dom, Ifs: ifs, Pool: pool, Routes: routes, look: v.Lookup.on(dom, routes),
		Send: netisr.NewSendQueue(netisr.SendConfig{Ifs: ifs, Streams: 1, Manual: v.manual, Recovered: a.panicked, Watch: a.watchSend})}
	ifs.OnEvent(func(ev ifnet.Event) {
		if ev.Kind == ifnet.Departed {
			_, _ = routes.Depart(ev.ID)
		}
	})
	a.l = dom.Bind()
	a.sub = v.New(a.st)
	if c.Model != nil {
		a.model = c.Model(a.st)
	}
	kinds := 0
	if a.sub.Input != nil {
		kinds++
		opts := []wqinput.Option{wqinput.WithStreams(v.Streams), wqinput.WithLimit(v.limit), wqinput.WithRecover(a.panicked)}
		if v.manual {
			opts = append(opts, wqinput.WithManual())
		}
		a.wq = wqinput.New(ifs, a.sub.Name, a.input, opts...)
	}
	if a.sub.Softint != nil {
		kinds++
		a.isr = netisr.New(netisr.Config{Ifs: ifs, Streams: v.Streams, Mode: v.Mode, Manual: v.manual, Recovered: a.panicked})
		if _, err := a.isr.Register(netisr.Handler{Name: "subject", Proto: 1, Policy: netisr.PolicyFlow, QLimit: v.limit, Handle: a.softint}); err != nil {
			t.Fatalf("stacktest: %v", err)
		}
	}
	if a.sub.Output != nil {
		kinds++
	}
	if kinds != 1 {
		t.Fatalf("stacktest: subject %q has to have one of Input, Softint and Output", a.sub.Name)
	}
	for i := range a.ports {
		a.attach(i)
	}
	_ = a.st.Routes.Add(rtable.Route{Dst: somewhere, Out: a.ports[0].ifp.ID()}) // unless the handler has
	return a
}

// breaks writes down which promise was broken, if it is the first. The promise is a sentence that the
// same case always gives: cases are shortened by it. What depends on luck belongs in the detail.
func (a *attack) breaks(promise, detail string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.breaksLocked(promise, detail, args...)
}

func (a *attack) breaksLocked(promise, detail string, args ...any) {
	if a.promise != "" {
		return
	}
	a.promise, a.detail = promise, fmt.Sprintf(detail, args...)
	a.end("handler "+a.sub.Name+" "+promise, a.detail)
	if a.onBreach != nil {
		a.onBreach(promise, a.detail)
	}
}

func (a *attack) panicked(v any) {
	text, detail := fmt.Sprint(v), string(debug.Stack())
	if e, ok := v.(error); ok {
		text = e.Error()
	}
	text, more, _ := strings.Cut(text, "\n")
	a.breaks("panics: "+text, "%s", strings.TrimSpace(more+"\n"+detail))
}

// guarded calls what may panic in the caller.
func (a *attack) guarded(f func()) {
	defer func() {
		if r := recover(); r != nil {
			a.panicked(r)
		}
	}()
	f()
}

// send gives a packet to the handler: one that a port has received, or is to send.
func (a *attack) send(i int, m *mbuf.Packet, broadcast bool, id uint32) {
	ifp := a.ports[i].ifp
	a.label(i, m, broadcast, id)
	a.submit(a.l, m, ifp)
}

// label makes m a packet of a port, and knows it from now on.
func (a *attack) label(i int, m *mbuf.Packet, broadcast bool, id uint32) {
	m.In, m.Out, m.FlowID, m.Hash = a.ports[i].ifp.ID(), ifnet.ID{}, id, mbuf.HashOpaque
	m.Flags = 0
	if broadcast {
		m.Flags |= mbuf.Broadcast
	}
	a.mu.Lock()
	r := &record{n: len(a.packets) + 1, port: portName(i), flow: flow{m.In, id}, broadcast: broadcast && a.sub.Output == nil}
	a.packets = append(a.packets, r)
	a.mu.Unlock()
	way := "by"
	if a.sub.Output != nil {
		way = "for"
	}
	a.record("network", "packet", fmt.Sprint(r.n), fmt.Sprintf("%d bytes, flow %d, %s %s", m.Len(), id, way, r.port))
	a.tag(m, r)
}

// submit gives the handler a packet that has a label.
func (a *attack) submit(l *lwp.LWP, m *mbuf.Packet, ifp *ifnet.Interface) {
	switch {
	case a.wq != nil:
		_ = a.wq.Input(m, 0, 1)
	case a.isr != nil:
		a.guarded(func() { _ = a.isr.Dispatch(l, 1, m) })
	case a.closed:
		m.Free(mbuf.Shutdown)
	default:
		m.In = ifnet.ID{}
		a.guarded(func() { a.output(l, m, ifp) })
	}
}

func (a *attack) attach(i int) {
	p := &a.ports[i]
	p.n++
	ifp, err := a.st.Ifs.Attach(ifnet.Spec{Name: portName(i), Driver: &wire{a: a, port: portName(i)}, Link: ifnet.Raw, Up: true,
		MAC: ifnet.MAC{2, 5: byte(i)}, Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i) + 1}), 24)}})
	if err != nil {
		a.breaks("keeps an interface from being attached again", "%v", err)
		return
	}
	p.ifp = ifp
}

func (a *attack) detach(i int) { a.detachBy(a.l, i) }

func (a *attack) detachBy(l *lwp.LWP, i int) {
	p := &a.ports[i]
	if p.ifp == nil {
		return
	}
	ifp := p.ifp
	p.ifp = nil
	ctx, cancel := a.until(time.Hour)
	defer cancel()
	if err := a.st.Ifs.Detach(ctx, l, ifp.ID()); err != nil {
		a.breaks(fmt.Sprintf("holds interface %v for ever: its Detach does not end", ifp.ID()), "%v", err)
		return
	}
	a.record("network", "gone", portName(i), "")
	a.departedWith(ifp.ID())
	a.gone = append(a.gone, departed{ifp, ifp.Stats()})
}

// judge fails the case if a promise was broken, with the story of how.
func (a *attack) judge(t reporter) {
	a.settle()
	a.looksBack()
	a.mu.Lock()
	promise := a.promise
	a.mu.Unlock()
	if promise == "" {
		return
	}
	if a.onBreach != nil {
		t.Fatalf("%s", promise) // and draws for itself
		return
	}
	a.abandon()
	t.Logf("stacktest: what happened at last\n\n%s", a.draw())
	t.Fatalf("%s", a.verdict(promise))
}

// unwound is deferred: whoever draws has to be ready for rapid to end the case there, with a panic.
func (a *attack) unwound() {
	if !a.buried {
		a.abandon()
	}
}

// abandon ends what it can, so that the failure is told and not that something is still running.
func (a *attack) abandon() {
	a.buried = true
	a.openGates()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	l := a.st.Dom.Bind()
	if a.wq != nil {
		_ = a.wq.Close(ended)
	}
	if a.isr != nil {
		_ = a.isr.Close(ended, l)
	}
	a.guarded(func() { _ = a.st.Send.Close(ended, l) }) // it is wrong anyway
	if a.sub.Close != nil {
		a.guarded(func() { _ = a.sub.Close(ended) })
	}
	_ = a.st.Routes.Close(ended)
	a.elapse(patience) // for those who sleep
	a.guarded(func() { _ = a.st.Routes.Close(ended) })
}

// finish closes everything, and finds nothing left.
func (a *attack) finish(t reporter) {
	if !a.closed {
		a.close(time.Second)
	}
	a.judge(t)
	a.guarded(a.closeSubject)
	ctx, cancel := a.until(time.Minute)
	defer cancel()
	a.guarded(func() {
		if err := a.st.Send.Close(ctx, a.l); err != nil {
			a.breaks("left something that is not sent", "%v", err)
		}
	})
	a.mu.Lock()
	a.silent = true
	a.mu.Unlock()
	a.record("", "everything is closed", "", "")
	a.elapse(patience) // for timers that were not stopped
	for i := range a.ports {
		a.guarded(func() { a.detach(i) })
	}
	ctx, cancel = a.until(time.Minute)
	defer cancel()
	if err := a.st.Routes.Close(ctx); err != nil {
		a.breaks("holds a route when everything has ended", "%v", err)
	}
	a.judge(t)
	var left leaks
	a.st.Pool.CheckLeaks(&left)
	if len(left) > 0 {
		a.breaks("leaks a packet", "%s", strings.Join(left, "; "))
	}
	a.judge(t)
	a.buried = true
}

// goroutines returns a verdict if something still waits when everything has ended, and else "".
func (a *attack) goroutines(t reporter) string {
	stacks := bubble()
	if len(stacks) == 0 {
		return ""
	}
	const promise = "leaves a goroutine behind"
	a.breaks(promise, "%s", stacks[0])
	t.Logf("stacktest: what happened at last\n\n%s", a.draw())
	return a.verdict(promise)
}

// bubble returns the stacks of the goroutines of this bubble, but for the caller's, and those that
// package synctest has. It understands what the runtime prints, and finds none where it does not.
func bubble() (stacks []string) {
	buf := make([]byte, 1<<15)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	all := strings.Split(string(buf[:n]), "\n\n")
	head, _, _ := strings.Cut(all[0], "\n")
	_, mine, ok := strings.Cut(head, "synctest bubble ")
	if !ok {
		return nil
	}
	for _, s := range all[1:] {
		head, _, _ := strings.Cut(s, "\n")
		if _, b, _ := strings.Cut(head, "synctest bubble "); b == mine && !strings.Contains(s, "synctest.Run") && !strings.Contains(s, "synctest.testingSynctestTest(") {
			stacks = append(stacks, s)
		}
	}
	return stacks
}

type leaks []string

func (*leaks) Helper() {}
func (l *leaks) Errorf(f string, args ...any) {
	text, _, _ := strings.Cut(fmt.Sprintf(f, args...), "\n")
	*l = append(*l, text)
}

// close ends the queue before the handler.
func (a *attack) close(limit time.Duration) {
	a.closed = true
	a.closeBy(a.l, limit)
}

func (a *attack) closeBy(l *lwp.LWP, limit time.Duration) {
	once := func(d time.Duration) error {
		ctx, cancel := a.until(d)
		defer cancel()
		switch {
		case a.wq != nil:
			return a.wq.Close(ctx)
		case a.isr != nil:
			return a.isr.Close(ctx, l)
		}
		return nil
	}
	if once(limit) != nil && once(time.Minute) != nil {
		a.breaks("does not end when its context ends", "")
	}
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
}

// closeSubject has the handler end, which may take a minute.
func (a *attack) closeSubject() {
	if a.sub.Close == nil {
		return
	}
	ctx, cancel := a.until(time.Minute)
	defer cancel()
	if err := a.sub.Close(ctx); err != nil {
		a.breaks("does not close: "+err.Error(), "")
	}
}

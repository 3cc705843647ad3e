package yourownhandler

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/wqinput"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "your-own-handler",
	Title:    "a protocol of your own answers each ping, a moment later",
	Breaks:   "it keeps the interface by which the ping came, which has gone when the answer is due",
	Fixes:    "it keeps the interface's ID and asks for it again; a property test knew the case",
	Packages: []string{"stacktest", "wqinput", "ifnet"},
	Wrong:    func(r *event.Recorder) error { return story(r, wrong) },
	Right:    func(r *event.Recorder) error { return story(r, right) },
}

var errGone = errors.New("AN INTERFACE IS USED THAT HAS GONE: its Detach has returned")

// moment is how long an answer takes.
const moment = 3 * lesson.Step

// A ponger is what both handlers are made of: what answers, later, until it is closed.
type ponger struct {
	dom *lwp.Domain
	ifs *ifnet.Table
	r   *event.Recorder // nil under attack

	departed, broken atomic.Bool // in the story: em0 has, and was used

	mu     sync.Mutex // guards what follows
	due    map[*time.Timer]bool
	closed bool
	busy   sync.WaitGroup
}

// later has f called in a moment, if fewer than 16 wait for theirs.
func (p *ponger) later(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.due) >= 16 {
		return
	}
	p.busy.Add(1)
	var t *time.Timer
	t = time.AfterFunc(moment, func() {
		defer p.busy.Done()
		p.mu.Lock()
		delete(p.due, t)
		p.mu.Unlock()
		f()
	})
	p.due[t] = true
}

// close ends what waits, and waits for what runs.
func (p *ponger) close(context.Context) error {
	p.mu.Lock()
	p.closed = true
	for t := range p.due {
		if t.Stop() {
			p.busy.Done()
		}
	}
	clear(p.due)
	p.mu.Unlock()
	p.busy.Wait()
	return nil
}

// asked reports whether a packet is a ping that has an answer.
func asked(m *mbuf.Packet) bool {
	return m.Flags&mbuf.Broadcast == 0 && string(m.Bytes()) == "ping"
}

// pong sends the answer.
func (p *ponger) pong(l *lwp.LWP, ifp *ifnet.Interface) {
	m, err := p.ifs.Pool().From([]byte("pong"))
	if err != nil {
		return
	}
	detail := "by " + ifp.Name()
	if p.departed.Load() {
		p.broken.Store(true)
		detail += ", WHICH HAS GONE"
	}
	p.r.Record("timer", "send", "pong", detail)
	_ = ifp.Transmit(l, m)
}

// story is the one that the test finds: a ping, and the interface leaves.
func story(r *event.Recorder, handler func(*ponger) wqinput.Handler) error {
	ctx := context.Background()
	dom := lwp.NewDomain()
	ifs := ifnet.NewTable(dom)
	em0, err := ifs.Attach(ifnet.Spec{Name: "em0", Driver: ifnet.NewLAN(ifnet.LANConfig{}).NewPort(), Link: ifnet.Raw, Up: true})
	if err != nil {
		return err
	}
	id := em0.ID()
	p := &ponger{dom: dom, ifs: ifs, r: r, due: map[*time.Timer]bool{}}
	q := wqinput.New(ifs, "pong", handler(p), wqinput.WithStreams(1))
	m, err := ifs.Pool().From([]byte("ping"))
	if err != nil {
		return err
	}
	m.In = id
	if err := q.Input(m, 0, 253); err != nil {
		return err
	}
	time.Sleep(lesson.Step)
	l := dom.Bind()
	defer l.Unbind()
	if err := ifs.Detach(ctx, l, id); err != nil {
		return err
	}
	p.departed.Store(true)
	r.Record("owner", "detach", "em0", "it has gone")
	time.Sleep(moment)
	if err := errors.Join(q.Close(ctx), p.close(ctx)); err != nil {
		return err
	}
	if p.broken.Load() {
		return errGone
	}
	return nil
}

package pfsyncslices

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "pfsync-slices",
	Title:    "two slices tell another firewall of states, and a conversation is short",
	Breaks:   "each CPU tells by way of its own slice: the end of a conversation overtakes its beginning, and leaves a ghost",
	Fixes:    "the hash of the flow says which slice, whoever has the packet: all that is said of a state is said in order",
	Packages: []string{"pfsync", "pfsync/pf", "mbuf"},
	Wrong:    wrong,
	Right:    right,
}

var errGhost = errors.New("GHOST: the other firewall knows a conversation that has ended, and would let its packets in")

// flush is how long a slice collects what it has to say, from the first word on.
const flush = time.Second

// A world is two firewalls in a time of their own: this one, which has two slices, and the peer.
type world struct {
	r      *event.Recorder
	now    time.Duration
	slices [2]slice
	hasher mbuf.Hasher
	peer   *pf.Table
	l      *lwp.LWP
	// pick says which slice tells of a state.
	pick func(w *world, cpu int, st *wire.State) int
}

// A slice is what is to be said, and when. It has a lock and a worker of its own, so the two do not
// wait for each other.
type slice struct {
	queue []message
	at    time.Duration
}

type message struct {
	action wire.Action
	st     *wire.State
}

func newWorld(r *event.Recorder, pick func(*world, int, *wire.State) int) *world {
	dom := lwp.NewDomain()
	return &world{r: r, hasher: mbuf.NewHasher(1), peer: pf.New(dom, pf.Config{Manual: true, Limit: 16}), l: dom.Bind(), pick: pick}
}

func (w *world) tell(who, what, detail string) {
	w.r.Record(who, fmt.Sprintf("%3.1fs %s", w.now.Seconds(), what), "", detail)
}

// conversation returns the state of one, of which the name is for the story.
func conversation(id uint64, port uint16) *wire.State {
	k := pf.KeyOf(pf.Out, pf.UDP, netip.AddrPortFrom(netip.MustParseAddr("10.20.0.1"), port), netip.MustParseAddrPort("10.30.0.1:53"))
	wk := wire.Key{Addr: k.Addr, Port: k.Port, AF: k.AF}
	return &wire.State{
		ID: wire.ID{ID: id, Creator: 1}, IfName: wire.NameOf("all"), Wire: wk, Stack: wk, AF: k.AF, Proto: k.Proto,
		Direction: wire.Out, Timeout: uint8(pf.UDPSingle),
	}
}

func flow(st *wire.State) mbuf.Flow {
	k := pf.Key{Addr: st.Wire.Addr, Port: st.Wire.Port, AF: st.AF, Proto: st.Proto}
	return k.Flow()
}

// say has a CPU say something of a state. What has not been said yet need not be taken back.
func (w *world) say(cpu int, what string, m message) {
	i := w.pick(w, cpu, m.st)
	s := &w.slices[i]
	w.tell(fmt.Sprint("cpu", cpu), what, fmt.Sprintf("%v into slice %d", m.action, i))
	for n, old := range s.queue {
		if old.st == m.st && old.action == wire.INS && m.action == wire.DELC {
			s.queue = slices.Delete(s.queue, n, n+1)
			w.tell(fmt.Sprint("slice", i), "takes the INS back", "nobody has heard of it")
			return
		}
	}
	if len(s.queue) == 0 {
		s.at = w.now + flush
	}
	s.queue = append(s.queue, m)
}

// until lets time pass, and slices say what they have to.
func (w *world) until(t time.Duration) {
	for {
		first := -1
		for i, s := range w.slices {
			if len(s.queue) > 0 && s.at <= t && (first < 0 || s.at < w.slices[first].at) {
				first = i
			}
		}
		if first < 0 {
			w.now = t
			return
		}
		s := &w.slices[first]
		w.now = s.at
		queue := s.queue
		s.queue = nil
		for _, m := range queue {
			w.tell(fmt.Sprint("slice", first), "sends "+m.action.String(), "")
			w.hear(m)
		}
	}
}

// hear is the peer's.
func (w *world) hear(m message) {
	st := w.peer.ByID(m.st.ID)
	switch {
	case m.action == wire.INS:
		_, _ = w.peer.Import(w.l, m.st)
		w.tell("peer", "inserts", m.st.ID.String()[:16])
	case st == nil || st.Timeout() == pf.Unlinked:
		w.tell("peer", "knows no such state", m.st.ID.String()[:16])
	default:
		w.peer.RemoveSilently(w.l, st)
		w.tell("peer", "removes", m.st.ID.String()[:16])
	}
}

// story is a conversation that goes on, and one that ends as soon as it has begun; packets of both come
// to both CPUs.
func (w *world) story() error {
	defer w.l.Unbind()
	goesOn, short := conversation(1, 1024), conversation(2, 1027)
	w.say(1, "a conversation begins", message{wire.INS, goesOn})
	w.until(300 * time.Millisecond)
	w.say(0, "another begins", message{wire.INS, short})
	w.until(600 * time.Millisecond)
	w.say(1, "and ends", message{wire.DELC, short})
	w.until(3 * time.Second)
	if st := w.peer.ByID(short.ID); st != nil && st.Timeout() != pf.Unlinked {
		return errGhost
	}
	if w.peer.ByID(goesOn.ID) == nil {
		return errors.New("the conversation that goes on was not told of")
	}
	return nil
}

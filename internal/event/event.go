package event

import (
	"strings"
	"sync/atomic"
	"time"
)

// An Event is one thing that happened: at At, Actor did Verb to Object. Events are plain
// values, compared with == and fit for encoding/json.
type Event struct {
	At     time.Duration // since the Recorder was made; 0 throughout where time has no part
	Seq    uint64        // 1 for the Recorder's first event; the order to show events in
	Actor  string        // whose column it belongs in; empty for what concerns everybody
	Object string        // what was acted upon, may be empty
	Verb   string        // what was done: "acquire"; may be a clause of its own
	Detail string        // why, or what was seen, may be empty
}

// String returns what e says without when and who: "acquire 10.0.0.0/8: already gone".
func (e Event) String() string {
	s := e.Verb
	if e.Object != "" {
		s = strings.TrimSpace(s + " " + e.Object)
	}
	switch {
	case e.Detail == "":
		return s
	case s == "":
		return e.Detail
	}
	return s + ": " + e.Detail
}

// A Sink is where a Recorder's events go. Emit is called by whoever recorded the event,
// at once for several callers, and must neither block nor record events itself.
type Sink interface{ Emit(Event) }

// A Recorder stamps events with time and order and hands them to its sink. A nil
// *Recorder records nothing. Its methods are safe for concurrent use and never block.
type Recorder struct {
	sink  Sink          // immutable
	start time.Time     // immutable
	seq   atomic.Uint64 // of the last event
}

// New returns a Recorder into sink whose time is 0 now.
func New(sink Sink) *Recorder { return &Recorder{sink: sink, start: time.Now()} }

// Record records that actor does verb to object. Object and detail may be empty.
func (r *Recorder) Record(actor, verb, object, detail string) {
	if r != nil {
		r.record(actor, verb, object, detail)
	}
}

func (r *Recorder) record(actor, verb, object, detail string) {
	r.sink.Emit(Event{
		At:     time.Since(r.start),
		Seq:    r.seq.Add(1),
		Actor:  actor,
		Object: object,
		Verb:   verb,
		Detail: detail,
	})
}

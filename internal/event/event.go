package event

import (
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
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
	Source string        // where it was recorded, "wrong.go:12"; empty unless the Recorder was asked
}

// A Kind is what a picture makes of an event.
type Kind uint8

// The kinds.
const (
	Other   Kind = iota
	Begin        // something is held from now on: a lock, a reference, a turn; Object says what
	End          // and not any more
	Wait         // the actor waits
	Message      // something goes from one to another
	Gone         // something ends for good
	Broken       // what must not happen
)

var kindNames = [...]string{"", "begin", "end", "wait", "message", "gone", "broken"}

// String returns the kind's name.
func (k Kind) String() string { return kindNames[k] }

// verbs are what those who record call it.
var verbs = map[string]Kind{
	"lock": Begin, "has": Begin, "hold": Begin, "acquire": Begin, "take": Begin, "stand on": Begin, "flag": Begin,
	"unlock": End, "drop": End, "release": End, "finish": End, "give up": End, "give back": End,
	"wait": Wait, "sleep": Wait, "wait for": Wait, "grace period": Wait,
	"send": Message, "receive": Message, "dispatch": Message, "queue": Message, "announce": Message, "sends": Message,
	"free": Gone, "destroy": Gone, "depart": Gone, "delete": Gone, "unlink": Gone, "detach": Gone, "remove": Gone, "removes": Gone,
	"REPORT": Broken,
}

// Kind returns what a picture makes of an event, by its verb: which may be a clause of its own, with a
// time in front.
func (e Event) Kind() Kind {
	if k, ok := verbs[e.Verb]; ok {
		return k
	}
	words := strings.Fields(e.Verb)
	if len(words) > 0 && strings.HasSuffix(words[0], "s") && words[0][0] >= '0' && words[0][0] <= '9' {
		words = words[1:]
	}
	for n := min(2, len(words)); n > 0; n-- {
		if k, ok := verbs[strings.Join(words[:n], " ")]; ok {
			return k
		}
	}
	return Other
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

	sources []string // immutable; files whose lines are looked for
}

// New returns a Recorder into sink whose time is 0 now.
func New(sink Sink) *Recorder { return &Recorder{sink: sink, start: time.Now()} }

// NewSourced is New for who wants to know where each event was recorded: in which line of one of some
// files, by their last names, and if that is none of them of whatever called Record.
func NewSourced(sink Sink, files ...string) *Recorder {
	return &Recorder{sink: sink, start: time.Now(), sources: files}
}

// Record records that actor does verb to object. Object and detail may be empty.
func (r *Recorder) Record(actor, verb, object, detail string) {
	if r != nil {
		r.record(actor, verb, object, detail)
	}
}

func (r *Recorder) record(actor, verb, object, detail string) {
	source := ""
	if r.sources != nil {
		source = r.source()
	}
	r.sink.Emit(Event{
		At:     time.Since(r.start),
		Seq:    r.seq.Add(1),
		Actor:  actor,
		Object: object,
		Verb:   verb,
		Detail: detail,
		Source: source,
	})
}

// source returns the line from which Record was called, or rather the one of a file that is looked for.
func (r *Recorder) source() string {
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs[:])])
	first := ""
	for {
		f, more := frames.Next()
		at := filepath.Base(f.File) + ":" + strconv.Itoa(f.Line)
		if first == "" {
			first = at
		}
		if slices.Contains(r.sources, filepath.Base(f.File)) {
			return at
		}
		if !more {
			return first
		}
	}
}

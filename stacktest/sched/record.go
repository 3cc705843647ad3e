//go:build sched

package sched

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/internal/hook"
)

// A recorder writes down one schedule for people: what each step did to which object, and
// where in the source.
type recorder struct {
	events   []event.Event
	pending  map[*actor]int            // its last event, when the value is not known yet
	names    map[unsafe.Pointer]string // of objects
	named    map[string]int            // how many objects bear a name
	values   map[unsafe.Pointer]string // what pointers in words are called
	lettered int                       // how many of them by a letter
	holders  map[unsafe.Pointer]string // of locks: who took it and where
	source   source
}

func newRecorder() *recorder {
	return &recorder{
		pending: map[*actor]int{},
		names:   map[unsafe.Pointer]string{},
		named:   map[string]int{},
		values:  map[unsafe.Pointer]string{},
		holders: map[unsafe.Pointer]string{},
		source:  source{},
	}
}

// capture keeps the caller's stack as what the actor is doing.
func (s *schedule) capture(a *actor, skip int) {
	if s.rec != nil {
		var pcs [64]uintptr
		a.stack = slices.Clone(pcs[:runtime.Callers(skip, pcs[:])])
	}
}

func (s *schedule) name(obj any, name string) {
	if s.rec != nil {
		s.rec.call(pointer(obj), name)
		s.rec.values[pointer(obj)] = "&" + s.rec.names[pointer(obj)]
	}
}

func (s *schedule) logf(format string, args []any) {
	if a := s.self(); s.rec != nil && a != nil {
		s.settle(a)
		s.rec.note(s, a, fmt.Sprintf(format, args...), "")
	}
}

func (s *schedule) settle(a *actor) {
	if s.rec != nil {
		s.rec.settle(a)
	}
}

func (s *schedule) show(o option) {
	if s.rec != nil {
		s.rec.step(s, o)
	}
}

// step records that o is taken.
func (r *recorder) step(s *schedule, o option) {
	a := o.who
	if a == s.clock {
		return // fire says more
	}
	at := r.site(a.stack)
	verb, obj := a.op.Verb(), r.object(a, at)
	switch {
	case o.end:
		r.add(s, a, "waits no longer for", obj, whyEnded(a.ctx).Error())
		return
	case verb == hook.OpUser:
		r.add(s, a, *(*string)(a.obj), "", at.String())
		return
	case verb == hook.OpSleep:
		r.add(s, a, "wakes on", obj, "")
		return
	case verb == hook.OpLock:
		r.holders[a.obj] = a.name + " since " + at.String()
	case verb == hook.OpUnlock:
		delete(r.holders, a.obj)
	}
	r.pending[a] = len(r.events)
	r.add(s, a, verb.String(), obj, at.String())
}

// settle adds to the actor's last event what its word holds now. Nobody else has run since.
func (r *recorder) settle(a *actor) {
	i, ok := r.pending[a]
	if !ok {
		return
	}
	delete(r.pending, a)
	e := &r.events[i]
	switch v := a.op.Value(a.obj).(type) {
	case nil:
	case unsafe.Pointer:
		e.Detail = r.pointer(v) + ", " + e.Detail
	default:
		e.Detail = fmt.Sprintf("%v, %s", v, e.Detail)
	}
}

// note records something that is not a step.
func (r *recorder) note(s *schedule, a *actor, verb, detail string) { r.add(s, a, verb, "", detail) }

func (r *recorder) add(s *schedule, a *actor, verb, object, detail string) {
	r.events = append(r.events, event.Event{
		At: s.now, Seq: uint64(len(r.events) + 1), Actor: a.name, Verb: verb, Object: object, Detail: detail,
	})
}

// lanes draws what was recorded. Of a very long schedule the middle is left out.
func (r *recorder) lanes() string {
	const head, tail = 20, 40
	evs := r.events
	if cut := len(evs) - head - tail; cut > 0 {
		evs = slices.Concat(evs[:head], []event.Event{{At: evs[head].At, Seq: evs[head].Seq, Verb: fmt.Sprintf("(%d steps not shown)", cut)}}, evs[head+cut:])
	}
	var b strings.Builder
	_ = event.Lanes(&b, evs) // a Builder takes everything
	return b.String()
}

// waits says what a parked actor waits for.
func (r *recorder) waits(s *schedule, a *actor) string {
	at := r.site(a.stack)
	switch verb, obj := a.op.Verb(), r.object(a, at); verb {
	case hook.OpLock:
		text := "waits for lock " + obj
		if by := r.holders[a.obj]; by != "" {
			text += ", held by " + by
		}
		return text
	case hook.OpSleep:
		return "sleeps on " + obj
	default:
		return "waits to " + verb.String() + " " + obj
	}
}

// call gives an object a name, with a number if another one has it.
func (r *recorder) call(obj unsafe.Pointer, name string) {
	r.named[name]++
	if n := r.named[name]; n > 1 {
		name += "#" + strconv.Itoa(n)
	}
	r.names[obj] = name
}

// object names the object of a's operation.
func (r *recorder) object(a *actor, at site) string {
	if a.obj == nil || a.op.Verb() == hook.OpUser {
		return ""
	}
	if _, ok := r.names[a.obj]; !ok {
		name := r.source.receiver(a.op, at)
		if name == "" {
			name = class(a.op)
		}
		r.call(a.obj, name)
	}
	return r.names[a.obj]
}

// class is what an object is called of which nothing is known but an operation.
func class(op hook.Op) string {
	switch op.Verb() {
	case hook.OpLock, hook.OpTryLock, hook.OpUnlock:
		return "lock"
	case hook.OpWait, hook.OpSleep, hook.OpWake:
		return "cond"
	case hook.OpSend, hook.OpRecv, hook.OpClose:
		return "chan"
	}
	return "word"
}

// pointer names what a word points to: by the name the scenario gave it, or &A, &B and so
// on. Not by that of an object: a struct begins where its first field does.
func (r *recorder) pointer(p unsafe.Pointer) string {
	if p == nil {
		return "nil"
	}
	if _, ok := r.values[p]; !ok {
		name := "&" + string(rune('A'+r.lettered%26))
		if n := r.lettered / 26; n > 0 {
			name += strconv.Itoa(n)
		}
		r.lettered++
		r.values[p] = name
	}
	return r.values[p]
}

// stack prints the frames of code under test, innermost first.
func (r *recorder) stack(pcs []uintptr) string {
	var b strings.Builder
	for _, f := range frames(pcs) {
		fmt.Fprintf(&b, "\t%s\n\t\t%s:%d\n", f.Function, f.File, f.Line)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// A site is a place in the source.
type site struct {
	file string
	line int
}

func (s site) String() string {
	if s.file == "" {
		return "?"
	}
	return s.file[strings.LastIndexByte(s.file, '/')+1:] + ":" + strconv.Itoa(s.line)
}

// site returns the innermost place that is not ours.
func (r *recorder) site(pcs []uintptr) site {
	if fs := frames(pcs); len(fs) > 0 {
		return site{fs[0].File, fs[0].Line}
	}
	return site{}
}

var (
	hookPackage  = reflect.TypeFor[hook.Mutex]().PkgPath() + "."
	schedPackage = reflect.TypeFor[schedule]().PkgPath() + "."
)

// frames returns the frames of a stack without those of the explorer and of the runtime.
func frames(pcs []uintptr) (fs []runtime.Frame) {
	for it := runtime.CallersFrames(pcs); ; {
		f, more := it.Next()
		ours := strings.HasPrefix(f.Function, hookPackage) ||
			strings.HasPrefix(f.Function, schedPackage) && !strings.HasSuffix(f.File, "_test.go") ||
			strings.HasPrefix(f.Function, "runtime.") || strings.HasPrefix(f.Function, "iter.")
		if f.Function != "" && !ours {
			fs = append(fs, f)
		}
		if !more {
			return fs
		}
	}
}

// pointer returns the address a pointer holds.
func pointer(p any) unsafe.Pointer { return reflect.ValueOf(p).UnsafePointer() }

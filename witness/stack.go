package witness

import (
	"fmt"
	"path"
	"reflect"
	"runtime"
	"strings"
)

// stack is where something was done: the innermost frames. The zero stack is unknown.
type stack struct{ pcs [allFrames]uintptr }

// How many frames are kept. Leaves and levels are taken much more often than locks, and
// let go a few lines later.
const (
	allFrames = 20
	fewFrames = 4
)

// capture sets s to the caller's stack, of at most max frames, without the skip
// innermost: 0 begins with the caller of capture.
func (s *stack) capture(skip, max int) { runtime.Callers(skip+2, s.pcs[:max]) }

// capture returns the caller's stack without the skip innermost frames.
func capture(skip int) *stack {
	s := new(stack)
	s.capture(skip+1, allFrames)
	return s
}

// frames calls yield for each frame, innermost first, without this package's own.
func (s *stack) frames(yield func(runtime.Frame) bool) {
	n := 0
	for n < len(s.pcs) && s.pcs[n] != 0 {
		n++
	}
	if n == 0 {
		return
	}
	inner := true // still among our own
	for frames := runtime.CallersFrames(s.pcs[:n]); ; {
		f, more := frames.Next()
		inner = inner && ours(f)
		if !inner && f.Function != "runtime.goexit" && !yield(f) || !more {
			return
		}
	}
}

var (
	pkgPath  = reflect.TypeFor[Checker]().PkgPath() + "."
	hookPath = path.Dir(path.Clean(pkgPath)) + "/internal/hook."
)

// ours reports whether a frame is of the machinery rather than of who uses it.
func ours(f runtime.Frame) bool {
	return (strings.HasPrefix(f.Function, pkgPath) || strings.HasPrefix(f.Function, hookPath)) &&
		!strings.HasSuffix(f.File, "_test.go")
}

// String prints one frame a line, innermost first.
func (s *stack) String() string {
	var b strings.Builder
	for f := range s.frames {
		fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// function returns the innermost function, as "rtable.(*Table).Add".
func (s *stack) function() string {
	for f := range s.frames {
		return path.Base(f.Function)
	}
	return "an unknown function"
}

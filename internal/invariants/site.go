package invariants

import (
	"fmt"
	"runtime"
	"strings"
)

// Site is where something was taken: the innermost frames of a call stack.
// The zero Site is unknown.
type Site struct{ pcs [12]uintptr }

// Here returns the caller's site, leaving out skip frames above the caller.
// In unchecked builds it returns the zero Site and costs nothing.
func Here(skip int) (s Site) {
	if Enabled {
		runtime.Callers(skip+2, s.pcs[:])
	}
	return s
}

// String prints one frame a line, innermost first, and for the zero Site how to get one.
func (s Site) String() string {
	if s.pcs[0] == 0 {
		return "(build with -tags invariants to see where)"
	}
	n := 0
	for n < len(s.pcs) && s.pcs[n] != 0 {
		n++
	}
	var b strings.Builder
	for frames := runtime.CallersFrames(s.pcs[:n]); ; {
		f, more := frames.Next()
		if f.Function != "runtime.goexit" {
			fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			break
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

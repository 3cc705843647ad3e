package main

import (
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// kind is how the tests of a mutant ended.
type kind string

const (
	killed kind = "killed" // a test failed
	lived  kind = "lived"  // all passed
	hung   kind = "hung"   // until the timeout: nothing may be concluded
	broken kind = "broken" // it does not compile, or its tests do not run
)

// A verdict is what became of a mutant.
type verdict struct {
	Kind kind
	Test string // the first that failed
	Why  string // what it said, in a line
	Took time.Duration
}

// satisfies reports whether v is what should become of m.
func (v verdict) satisfies(m mutant) bool {
	if m.Equivalent != "" {
		return v.Kind == lived
	}
	return v.Kind == killed
}

var (
	failRE  = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	panicRE = regexp.MustCompile(`(?m)^(?:panic|fatal error): (.*?)(?: \[recovered.*)?$`)
	saidRE  = regexp.MustCompile(`(?m)^\s+\w+\.go:\d+: (\S.*)$`)
	// testify begins a line of its report with a label. What it expected stands below.
	errorRE    = regexp.MustCompile(`(?m)^\s+Error:\s+(.*?):?\s*$(?:\n\s+(expected): (.*)\n\s+(actual)\s*: (.*))?`)
	messagesRE = regexp.MustCompile(`(?m)^\s+Messages:\s+(.*?)\s*$`)
)

// judge reads what a test binary printed and how it ended.
func judge(t tests, out string, err error) verdict {
	var exit *exec.ExitError
	switch {
	case err == nil && strings.Contains(out, "no tests to run"):
		return verdict{Kind: broken, Why: "none of its tests is in this build"}
	case err == nil:
		return verdict{Kind: lived}
	case !errors.As(err, &exit) || !exit.Exited():
		return verdict{Kind: hung, Why: err.Error()}
	case strings.Contains(out, "panic: test timed out"):
		return verdict{Kind: hung, Test: t.failed(out), Why: "ran into the timeout"}
	}
	return verdict{Kind: killed, Test: t.failed(out), Why: why(out)}
}

// failed returns the innermost test that failed first. A panic of some goroutine does not
// say of which test it is, but the stacks do.
func (t tests) failed(out string) string {
	name := ""
	for _, m := range failRE.FindAllStringSubmatch(out, -1) {
		if name == "" || strings.HasPrefix(m[1], name+"/") {
			name = m[1]
		}
	}
	if name == "" {
		i := slices.IndexFunc(t.Names, func(n string) bool { return len(t.Names) == 1 || strings.Contains(out, "."+n) })
		if i >= 0 {
			name = t.Names[i]
		}
	}
	return name
}

// why returns what the failing test said, in a line of some length at most.
func why(out string) string {
	w := []rune(said(out))
	if len(w) > 150 {
		w = append(w[:149], '…')
	}
	return string(w)
}

func said(out string) string {
	if e := errorRE.FindStringSubmatch(out); e != nil {
		text := strings.TrimSpace(strings.Join(e[1:], " "))
		if m := messagesRE.FindStringSubmatch(out); m != nil {
			text += ": " + m[1]
		}
		return text
	}
	for _, re := range []*regexp.Regexp{saidRE, panicRE} {
		if m := re.FindStringSubmatch(out); m != nil {
			return m[1]
		}
	}
	text, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return text
}

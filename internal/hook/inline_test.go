//go:build !race && !witness && !invariants && !sched

package hook_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/softnet-go/softnet/"

// inlined is what must cost no call: the door itself, and the paths through it that every
// packet takes. A Pointer[] is any instance of the generic type, so it is looked for in a
// package that has some.
var inlined = map[string][]string{
	"internal/hook": {
		"(*Uint32).Load", "(*Uint32).Store", "(*Uint32).Swap", "(*Uint32).Add", "(*Uint32).CompareAndSwap",
		"(*Uint64).Load", "(*Uint64).Store", "(*Uint64).Swap", "(*Uint64).Add", "(*Uint64).CompareAndSwap",
		"(*Int32).Load", "(*Int32).Store", "(*Int32).Swap", "(*Int32).Add", "(*Int32).CompareAndSwap",
		"(*Int64).Load", "(*Int64).Store", "(*Int64).Swap", "(*Int64).Add", "(*Int64).CompareAndSwap",
		"(*Bool).Load", "(*Bool).Store", "(*Bool).Swap", "(*Bool).CompareAndSwap",
		"(*Mutex).Lock", "(*Mutex).TryLock", "(*Mutex).Unlock",
		"Exploring",
	},
	"internal/cpu": {
		"hook.(*Pointer[]).Load", "hook.(*Pointer[]).Store", "hook.(*Pointer[]).Swap", "hook.(*Pointer[]).CompareAndSwap",
		"(*CPU).TakeFirst", "(*CPU).EnterSection", "(*CPU).ExitSection", "(*CPU).Asked",
	},
	"lwp":        {"(*LWP).Checkpoint", "(*LWP).InSoftint"},
	"pserialize": {"(*Serializer).ReadEnter", "Section.Exit"},
	"psref":      {"(*Ref).Release", "(*Ref).Held", "(*Target).Dying"},
	"witness": {
		"(*Mutex).Lock", "(*Mutex).Unlock", "(*RWMutex).Lock", "(*RWMutex).Unlock",
		"(*Level).Enter", "(*Level).Exit",
	},
}

// R10: in an ordinary build a shared word costs what it costs in sync/atomic, and the fast
// paths of the rooms above are part of their callers.
func TestFastPaths_AreInlined(t *testing.T) {
	told := compile(t)
	for pkg, names := range inlined {
		for _, name := range names {
			if err := told[module+pkg].mustInline(name); err != nil {
				t.Errorf("%s: %v", pkg, err)
			}
		}
	}
}

func TestFastPaths_WhatIsNotInlinedIsReported(t *testing.T) {
	hook := compile(t)[module+"internal/hook"]
	for name, want := range map[string]string{
		"(*Cond).wait":    "cannot be inlined: function too complex",
		"(*Uint64).Lose":  "is not there",
		"(*Uint64).Store": "<nil>",
	} {
		if got := fmt.Sprint(hook.mustInline(name)); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// diagnostics is what the compiler says of one package with -m=2.
type diagnostics string

// compile asks the compiler about every package of inlined.
func compile(t *testing.T) map[string]diagnostics {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command to ask: ", err)
	}
	args := []string{"build", "-gcflags=-m=2"}
	for pkg := range inlined {
		args = append(args, module+pkg)
	}
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	told := make(map[string]diagnostics)
	for _, part := range strings.Split("\n"+string(out), "\n# ") {
		pkg, text, _ := strings.Cut(part, "\n")
		told[pkg] += diagnostics(text)
	}
	return told
}

// mustInline returns an error unless the compiler can inline the function.
func (d diagnostics) mustInline(name string) error {
	exactly := strings.ReplaceAll(regexp.QuoteMeta(name), `\[\]`, `\[.*\]`)
	if regexp.MustCompile(`: can inline ` + exactly + ` with cost `).MatchString(string(d)) {
		return nil
	}
	if why := regexp.MustCompile(`: cannot inline ` + exactly + `: (.*)`).FindStringSubmatch(string(d)); why != nil {
		return fmt.Errorf("%s cannot be inlined: %s", name, why[1])
	}
	return fmt.Errorf("%s is not there, or the compiler does not say", name)
}

package main

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The reports of testing, testify, a panic and a bubble that is stuck, as they are printed.
func TestJudge(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a program that fails")
	}
	failed := exec.Command("false").Run()
	require.Error(t, failed)
	for _, c := range []struct {
		name, out string
		want      verdict
	}{
		{"testing", `--- FAIL: TestB (0.00s)
    --- FAIL: TestB/thread (0.00s)
        b_test.go:7: used after it was freed

            schedule ab3
--- FAIL: TestA (0.00s)
FAIL
`, verdict{Kind: killed, Test: "TestB/thread", Why: "used after it was freed"}},
		{"testify", `--- FAIL: TestA (0.00s)
    a_test.go:7: 
        	Error Trace:	/a_test.go:7
        	Error:      	Not equal: 
        	            	expected: 1
        	            	actual  : 2
        	Test:       	TestA
        	Messages:   	one holder is left
`, verdict{Kind: killed, Test: "TestA", Why: "Not equal expected 1 actual 2: one holder is left"}},
		{"a bubble", `--- FAIL: TestA (0.00s)
panic: deadlock: all goroutines in bubble are blocked [recovered, repanicked]

goroutine 7 [running]:
`, verdict{Kind: killed, Test: "TestA", Why: "deadlock: all goroutines in bubble are blocked"}},
		{"another goroutine", `panic: misuse

goroutine 9 [running]:
example.org/m.run()
created by example.org/m.TestB.func1 in goroutine 7
`, verdict{Kind: killed, Test: "TestB", Why: "misuse"}},
		{"something else", "exploded\nbadly\n", verdict{Kind: killed, Why: "exploded"}},
		{"a long story", "panic: " + strings.Repeat("on and ", 100), verdict{Kind: killed, Why: strings.Repeat("on and ", 21) + "on…"}},
		{"the timeout", "panic: test timed out after 1m0s\nrunning tests:\n\tTestB (1m0s)\n\nm.TestB(0x1)\n",
			verdict{Kind: hung, Test: "TestB", Why: "ran into the timeout"}},
	} {
		require.Equal(t, c.want, judge(tests{Names: []string{"TestA", "TestB"}}, c.out, failed), c.name)
	}
	require.Equal(t, lived, judge(tests{}, "PASS\n", nil).Kind)
	require.Equal(t, broken, judge(tests{}, "testing: warning: no tests to run\nPASS\n", nil).Kind)
}

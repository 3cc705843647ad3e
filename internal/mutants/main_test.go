package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// module is a module with a test, and mutants of it. It stands for this one.
var module = map[string]string{
	"go.mod": "module example.org/m\n\ngo 1.25\n",
	"m/m.go": `package m

func Max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
`,
	"m/m_test.go": `package m

import "testing"

func TestMax(t *testing.T) {
	if Max(1, 2) != 2 || Max(2, 1) != 2 {
		t.Fatal("2 is larger")
	}
}

func TestWrong(t *testing.T) { t.Fatal("no matter what") }
`,
	"good/smaller.mutant":  change("Max is Min", "TestMax", "a < b"),
	"good/equal.mutant":    change("Max of equals is the first\n\nequivalent: they are equal", "TestMax", "a >= b"),
	"bad/lived.mutant":     change("Max of equals is the first", "TestMax", "a >= b"),
	"bad/noticed.mutant":   change("Max is Min\n\nequivalent: it is not", "TestMax", "a < b"),
	"bad/compile.mutant":   change("Max does not compile", "TestMax", "a > c"),
	"bad/hung.mutant":      change("Max never returns", "TestMax", "func() bool { for { } }()"),
	"unsound/wrong.mutant": change("Max is Min", "TestWrong", "a < b"),
}

func change(reason, test, condition string) string {
	return reason + "\n\ngo test -run " + test + " ./m\n\n@@ m/m.go\n-\tif a > b {\n+\tif " + condition + " {\n"
}

// try runs the tool over the module.
func try(t *testing.T, args ...string) (status int, stdout, stderr string) {
	var out, err strings.Builder
	status = check(t.Context(), args, &out, &err)
	return status, out.String(), err.String()
}

func TestCheck_AllAsExpected(t *testing.T) {
	write(t, module)
	status, out, err := try(t, "-dir", "good")
	require.Equal(t, asExpected, status, err)
	require.Regexp(t, `^lived  +\d+\.\ds  equal: Max of equals is the first
 +equivalent: they are equal
killed +\d+\.\ds  smaller: Max is Min
 +TestMax: 2 is larger
$`, out)
	require.Contains(t, err, "2 mutants: 1 killed, 1 lived; 0 not as expected")

	status, out, err = try(t, "-dir", "good", "-md")
	require.Equal(t, asExpected, status, err)
	require.Equal(t, `| mutant | what is broken | killed by | which says |
|---|---|---|---|
| smaller | Max is Min | `+"`TestMax`"+` | 2 is larger |

| equivalent | the change | why it breaks nothing |
|---|---|---|
| equal | Max of equals is the first | they are equal |
`, out)

	status, out, _ = try(t, "-dir", "good", "-list", "-run", "equ")
	require.Equal(t, asExpected, status)
	require.Equal(t, "equal: Max of equals is the first (equivalent)\n", out)
}

// Exit status 1: one that should be killed lives, one that should live is killed, and those
// of which nothing is known.
func TestCheck_NotAsExpected(t *testing.T) {
	write(t, module)
	status, out, err := try(t, "-dir", "bad", "-timeout", "1s")
	require.Equal(t, different, status, err)
	require.Regexp(t, `(?m)^BROKEN .* compile: .*\n.*undefined: c$`, out)
	require.Regexp(t, `(?m)^HUNG .* hung: .*\n.*TestMax: ran into the timeout$`, out)
	require.Regexp(t, `(?m)^LIVED .* lived: `, out)
	require.Regexp(t, `(?m)^KILLED .* noticed: .*\n.*TestMax: 2 is larger$`, out)
	require.Contains(t, err, "4 mutants: 1 killed, 1 lived, 1 hung, 1 broken; 4 not as expected")
}

// A test that fails anyhow kills no mutant. In the set all the equivalent ones meet every
// test, and here that is one of them.
func TestCheck_TheUnbrokenCodeMustPass(t *testing.T) {
	write(t, module)
	for _, args := range [][]string{{"-dir", "unsound"}, {"-dir", "good", "-set", "all"}} {
		status, out, err := try(t, args...)
		require.Equal(t, misused, status)
		require.Empty(t, out)
		require.Contains(t, err, "the unbroken code fails go test")
		require.Contains(t, err, "TestWrong: no matter what")
	}
}

func TestCheck_Misuse(t *testing.T) {
	write(t, module)
	for _, c := range []struct{ args, says string }{
		{"-dir nowhere", "nowhere"},
		{"-dir good -run worse", `no mutant in good has a name that matches "worse"`},
		{"-dir good -run (", "missing closing )"},
		{"-dir good -set some", "-set is ci or all"},
		{"-dir good -j 0", "-j is at least 1"},
		{"-dir good equal", "there are no other arguments"},
		{"-frob", "flag provided but not defined"},
	} {
		status, _, err := try(t, strings.Fields(c.args)...)
		require.Equal(t, misused, status, c.args)
		require.Contains(t, err, c.says)
	}
	status, _, err := try(t, "-h")
	require.Equal(t, asExpected, status)
	require.Contains(t, err, "-run regexp")
}

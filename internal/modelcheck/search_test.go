package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func needTools(t *testing.T) {
	if _, err := findTools(); err != nil {
		t.Skip(err)
	}
}

// checked runs the command and returns what it printed.
func checked(t *testing.T, status int, args ...string) (stdout, stderr string) {
	var out, errs bytes.Buffer
	require.Equal(t, status, check(t.Context(), args, &out, &errs), "%s%s", &out, &errs)
	return out.String(), errs.String()
}

// rt_unref is right in two ways and wrong in one.
func TestCheck_RunsTheQuickRowsOfAModel(t *testing.T) {
	needTools(t)
	out, errs := checked(t, asExpected, "-dir", models, "-quick", "rt_unref")
	require.Regexp(t, `(?m)^rt_unref +assertion !\(gone\) +\d+ +\d+ +\d`, out)
	require.Regexp(t, `(?m)^rt_unref +UNREF_LOCKED +ok +\d+ +\d+ +\d`, out)
	require.Regexp(t, `(?m)^rt_unref +COND_OUTSIDE +ok +\d+ +\d+ +\d`, out)
	require.Contains(t, errs, "3 rows, 0 not as expected")
}

func TestCheck_PrintsTheStepsToADeadlock(t *testing.T) {
	needTools(t)
	out, _ := checked(t, asExpected, "-dir", models, "-trace", "netisr_depart", "DEPART_INSIDE")
	require.Contains(t, out, "deadlock worker at cv")
	require.Contains(t, out, "[leaving = 1]")
	require.Contains(t, out, "(invalid end state)")
}

func TestCheck_FailsWhenARowIsNotAsExpected(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(models)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rows.txt"), []byte(`
quick  rt_unref       -              ok                        not so
quick  rt_unref       UNREF_LOCKED   assertion !(gone)         nor this
quick  netisr_depart  DEPART_INSIDE  deadlock departer at cv   nor this: there is no departer
quick  rt_unref       COND_OUTSIDE   ok                        but this
`), 0o666))
	out, errs := checked(t, different, "-dir", dir, "-md")
	require.Contains(t, out, "| rt_unref |  | UNEXPECTED assertion !(gone) | 34 | 38 |")
	require.Equal(t, 3, strings.Count(out, "UNEXPECTED"))
	require.Contains(t, errs, "rt_unref UNREF_LOCKED: want assertion !(gone), got ok")
	require.Contains(t, errs, "4 rows, 3 not as expected")
}

func TestCheck_SaysWhatSpinDoesNotUnderstand(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "wrong.pml"), []byte("init { nonsense }"), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rows.txt"), []byte("quick  wrong  -  ok  note"), 0o666))
	_, errs := checked(t, different, "-dir", dir)
	require.Contains(t, errs, "wrong: spin:")
	require.Contains(t, errs, "Error")
}

func TestCheck_WithoutToolsSaysSoAndHasItsOwnStatus(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	out, errs := checked(t, toolless, "-dir", models)
	require.Empty(t, out)
	require.Contains(t, errs, "cannot check models: spin is not in PATH")
	_, err := findTools()
	require.True(t, errors.Is(err, errNoTools))
}

func TestCheck_RefusesWhatItCannotMakeSenseOf(t *testing.T) {
	for _, args := range [][]string{
		{"-dir", models, "no_such_model"},
		{"-dir", t.TempDir()},
		{"-dir", models, "-j", "0"},
		{"-no-such-flag"},
	} {
		_, errs := checked(t, misused, args...)
		require.NotEmpty(t, errs)
	}
}

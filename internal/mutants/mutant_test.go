package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The code moves on, and mutants go with it: each still applies, and the tests it names
// are there.
func TestTestdata_Applies(t *testing.T) {
	t.Chdir("../..")
	ms, err := load("internal/mutants/testdata", regexp.MustCompile(""))
	require.NoError(t, err)
	require.NotEmpty(t, ms)
}

func TestParse(t *testing.T) {
	m, err := parse("room/name", `Something is broken

This line is for the reader.

go test -run TestA ./room
go test -tags sched,witness -run 'TestExplore_B|TestC' ./internal/room

equivalent: nobody
minds.

@@ room/file.go
 	before()
-	old()

 	after()

@@ room/other.go
-	old()
+	new()
`)
	require.NoError(t, err)
	require.Equal(t, mutant{
		Name:       "room/name",
		Reason:     "Something is broken",
		Equivalent: "nobody minds.",
		Tests:      []tests{{"", []string{"TestA"}, "room"}, {"sched,witness", []string{"TestExplore_B", "TestC"}, "internal/room"}},
		hunks: []hunk{
			{"room/file.go", "\tbefore()\n\told()\n\n\tafter()\n", "\tbefore()\n\n\tafter()\n"},
			{"room/other.go", "\told()\n", "\tnew()\n"},
		},
	}, m)
	require.Equal(t, "go test -tags sched,witness -run 'TestExplore_B|TestC' ./internal/room", m.Tests[1].String(), "as it was typed")
}

func TestParse_SaysWhatIsWrong(t *testing.T) {
	const (
		head  = "broken\n\n"
		tests = "go test -run TestA ./room\n"
		patch = "\n@@ a.go\n-old\n+new\n"
	)
	for _, c := range []struct{ text, says string }{
		{"", "the first line says what is broken"},
		{patch, "the first line says what is broken"},
		{"broken\n" + tests + patch, "and an empty one follows"},
		{head + patch, "names no tests"},
		{head + tests, "changes nothing"},
		{head + tests + "\n@@ a.go\n old\n", "@@ a.go: changes nothing"},
		{head + tests + "\n@@ a.go\n-old\n+old\n", "@@ a.go: changes nothing"},
		{head + tests + "\n@@ a.go\n+new\n", "@@ a.go: says nothing of what is there before"},
		{head + tests + "\n@@ a.go\n\told\n", `@@ a.go: "\told" begins with none of blank, - and +`},
		{head + "go test ./room\n" + patch, `"go test ./room" is not of the form`},
		{head + tests + "go test ./room\n" + patch, `"go test ./room" is not of the form`},
		{head + "go test -race -run TestA ./room\n" + patch, "is not of the form"},
		{head + "go test -run TestA|TestB ./room\n" + patch, "is not of the form"},
		{head + "go test -run Bench ./room\n" + patch, `"Bench" is no name of a test`},
		{head + "go test -run TestExplore_A ./room\n" + patch, "without -tags sched TestExplore_A depends on luck"},
	} {
		_, err := parse("name", c.text)
		require.ErrorContains(t, err, c.says, "%q", c.text)
	}
}

// write makes a directory of files the working directory.
func write(t *testing.T, files map[string]string) {
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	}
	t.Chdir(dir)
}

func TestApply(t *testing.T) {
	write(t, map[string]string{"a.go": "one\ntwo\nthree\n\ttwo\nthree"})
	m := mutant{hunks: []hunk{{"a.go", "one\ntwo\n", "1\n"}, {"a.go", "\ttwo\n", "\t2\n"}}}
	require.NoError(t, m.apply())
	require.Equal(t, map[string]string{"a.go": "1\nthree\n\t2\nthree"}, m.overlay)
	text, err := os.ReadFile("a.go")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "one\n"), "the file itself stays as it is")
}

// A mutant that the code has moved away from kills nothing and proves nothing.
func TestLoad_WhatDoesNotApplyIsAnError(t *testing.T) {
	mutant := func(test, patch string) string {
		return "broken\n\ngo test -run " + test + " ./a\n\n@@ a/a.go\n" + patch
	}
	write(t, map[string]string{
		"a/a.go":           "one\ntwo\ntwo\n",
		"a/a_test.go":      "package a\n\nfunc TestA(t *testing.T) {}\n",
		"m/moved.mutant":   mutant("TestA", "-three\n"),
		"m/part.mutant":    mutant("TestA", "-on\n"),
		"m/twice.mutant":   mutant("TestA", "-two\n"),
		"m/no-test.mutant": mutant("TestB", "-one\n"),
		"m/no-file.mutant": strings.Replace(mutant("TestA", "-one\n"), "a/a.go", "a/b.go", 1),
		"m/good.mutant":    mutant("TestA", "-one\n+1\n"),
		"m/README":         "is no mutant",
	})
	ms, err := load("m", regexp.MustCompile(""))
	require.Len(t, ms, 6)
	for _, says := range []string{
		"moved: does not apply: a/a.go has no lines\nthree\n",
		"part: does not apply: a/a.go has no lines\non\n",
		"twice: is ambiguous: a/a.go has 2 times the lines\ntwo\n",
		"no-test: there is no test TestB in ./a",
		"no-file: open a",
	} {
		require.ErrorContains(t, err, says)
	}
	require.NotContains(t, err.Error(), "good")

	ms, err = load("m", regexp.MustCompile("good"))
	require.NoError(t, err, "only what is asked for")
	require.Equal(t, "1\ntwo\ntwo\n", ms[0].overlay["a/a.go"])
	_, err = load("m", regexp.MustCompile("better"))
	require.ErrorContains(t, err, `no mutant in m has a name that matches "better"`)
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A mutant is one way to break the code.
type mutant struct {
	Name       string // its file's, without the suffix: psref/acquire-looks-once
	Reason     string // what is broken, in a line
	Equivalent string // why nothing is, if that is so
	Tests      []tests
	hunks      []hunk
	overlay    map[string]string // by path, the changed files
}

// tests are some tests of one package, as in go test -tags TAGS -run 'NAME|NAME' ./DIR.
type tests struct {
	Tags  string
	Names []string // none for all
	Dir   string
}

// hunk is a place in a file that a mutant changes.
type hunk struct {
	file          string
	before, after string
}

// suffix is what the files of mutants end in.
const suffix = ".mutant"

// load reads the mutants below dir whose names match, in the order of their names, and
// applies each to the tree below the working directory. The error is about all that are
// wrong.
func load(dir string, names *regexp.Regexp) (ms []mutant, err error) {
	var errs []error
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != suffix {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		name := strings.TrimSuffix(filepath.ToSlash(rel), suffix)
		if err != nil || !names.MatchString(name) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		m, err := parse(name, string(text))
		if err == nil {
			err = m.apply()
		}
		for _, t := range m.Tests {
			err = errors.Join(err, t.exist())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.Name, err))
		}
		ms = append(ms, m)
		return nil
	})
	if err == nil && len(ms) == 0 {
		err = fmt.Errorf("no mutant in %s has a name that matches %q", dir, names)
	}
	return ms, errors.Join(append(errs, err)...)
}

var (
	goTestRE = regexp.MustCompile(`^go test(?: -tags ([\w,]+))? -run (\w+|'[\w|]+') \./([\w/]+)$`)
	testRE   = regexp.MustCompile(`^Test[A-Z0-9_]\w*$`)
)

// parse reads a mutant, as the package comment describes it.
func parse(name, text string) (m mutant, err error) {
	m.Name = name
	header, patch, _ := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n@@ ")
	reason, paragraphs, _ := strings.Cut(header, "\n\n")
	if m.Reason = reason; reason == "" || strings.Contains(reason, "\n") {
		return m, errors.New("the first line says what is broken, and an empty one follows")
	}
	for p := range strings.SplitSeq(paragraphs, "\n\n") {
		if argument, ok := strings.CutPrefix(p, "equivalent: "); ok {
			m.Equivalent = strings.Join(strings.Fields(argument), " ")
		}
		if !strings.HasPrefix(p, "go test") {
			continue
		}
		for line := range strings.Lines(p) {
			t, err := parseTests(strings.TrimSpace(line))
			if err != nil {
				return m, err
			}
			m.Tests = append(m.Tests, t)
		}
	}
	if len(m.Tests) == 0 {
		return m, errors.New("names no tests: go test -run NAME ./DIR")
	}
	if patch == "" {
		return m, errors.New("changes nothing: @@ FILE, and lines that begin with a blank, - or +")
	}
	for p := range strings.SplitSeq(patch, "\n@@ ") {
		h, err := parseHunk(p)
		if err != nil {
			return m, fmt.Errorf("@@ %s: %w", h.file, err)
		}
		m.hunks = append(m.hunks, h)
	}
	return m, nil
}

func parseTests(line string) (t tests, err error) {
	f := goTestRE.FindStringSubmatch(line)
	if f == nil {
		return t, fmt.Errorf("%q is not of the form go test [-tags TAGS] -run 'NAME|NAME' ./DIR", line)
	}
	t = tests{f[1], strings.Split(strings.Trim(f[2], "'"), "|"), f[3]}
	for _, n := range t.Names {
		if !testRE.MatchString(n) {
			return t, fmt.Errorf("%q is no name of a test", n)
		}
		if strings.HasPrefix(n, "TestExplore") && !slices.Contains(strings.Split(t.Tags, ","), "sched") {
			return t, fmt.Errorf("without -tags sched %s depends on luck", n)
		}
	}
	return t, nil
}

func (t tests) String() string {
	s := "go test"
	if t.Tags != "" {
		s += " -tags " + t.Tags
	}
	if len(t.Names) > 0 {
		s += " -run '" + strings.Join(t.Names, "|") + "'"
	}
	return s + " ./" + t.Dir
}

// source returns the text of the package's tests.
func (t tests) source() (string, error) {
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(t.Dir), "*_test.go"))
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		all.Write(text)
	}
	return all.String(), nil
}

// exist returns an error if the tests are not in the files of their package.
func (t tests) exist() error {
	text, err := t.source()
	if err != nil {
		return err
	}
	for _, n := range t.Names {
		if !strings.Contains(text, "\nfunc "+n+"(") {
			return fmt.Errorf("there is no test %s in ./%s", n, t.Dir)
		}
	}
	return nil
}

// parseHunk reads a file's name and the lines of a diff. Empty lines at the end separate it
// from what follows; any other stands for an empty line of the file, since editors take a
// blank at the end of a line away.
func parseHunk(text string) (h hunk, err error) {
	h.file, text, _ = strings.Cut(strings.TrimRight(text, "\n"), "\n")
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			line = " "
		}
		switch line[0] {
		case ' ':
			h.before += line[1:] + "\n"
			h.after += line[1:] + "\n"
		case '-':
			h.before += line[1:] + "\n"
		case '+':
			h.after += line[1:] + "\n"
		default:
			return h, fmt.Errorf("%q begins with none of blank, - and +", line)
		}
	}
	switch {
	case h.before == h.after:
		return h, errors.New("changes nothing")
	case strings.TrimSpace(h.before) == "":
		return h, errors.New("says nothing of what is there before")
	}
	return h, nil
}

// apply makes m's overlay of the files as they are.
func (m *mutant) apply() error {
	m.overlay = make(map[string]string)
	for _, h := range m.hunks {
		text, ok := m.overlay[h.file]
		if !ok {
			b, err := os.ReadFile(filepath.FromSlash(h.file))
			if err != nil {
				return err
			}
			text = strings.ReplaceAll(string(b), "\r\n", "\n")
		}
		switch at := places(text, h.before); len(at) {
		case 0:
			return fmt.Errorf("does not apply: %s has no lines\n%s", h.file, h.before)
		case 1:
			m.overlay[h.file] = text[:at[0]] + h.after + text[at[0]+len(h.before):]
		default:
			return fmt.Errorf("is ambiguous: %s has %d times the lines\n%s", h.file, len(at), h.before)
		}
	}
	return nil
}

// places returns where in text the lines are.
func places(text, lines string) (at []int) {
	for i := 0; ; {
		if strings.HasPrefix(text[i:], lines) {
			at = append(at, i)
		}
		n := strings.IndexByte(text[i:], '\n')
		if n < 0 {
			return at
		}
		i += n + 1
	}
}

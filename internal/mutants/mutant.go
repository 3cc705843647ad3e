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
	var about []string // the lines of the argument, while we are in it
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		wrong := func(format string, args ...any) (mutant, error) {
			return m, fmt.Errorf("line %d: %w", i+1, fmt.Errorf(format, args...))
		}
		file, isHunk := strings.CutPrefix(line, "@@ ")
		argument, isArgument := strings.CutPrefix(line, "equivalent: ")
		switch {
		case i == 0:
			if m.Reason = line; line == "" || isHunk {
				return wrong("does not say what is broken")
			}
		case isHunk:
			m.hunks = append(m.hunks, hunk{file: file})
		case len(m.hunks) > 0:
			if err := m.hunks[len(m.hunks)-1].add(line); err != nil {
				return wrong("%w", err)
			}
		case strings.HasPrefix(line, "go test"):
			t, err := parseTests(line)
			if err != nil {
				return wrong("%w", err)
			}
			m.Tests = append(m.Tests, t)
		case isArgument:
			about = []string{argument}
		case line == "":
			m.Equivalent += strings.Join(about, " ")
			about = nil
		case about != nil:
			about = append(about, line)
		}
	}
	m.Equivalent += strings.Join(about, " ")
	if len(m.Tests) == 0 {
		return m, errors.New("names no tests: go test -run NAME ./DIR")
	}
	if len(m.hunks) == 0 {
		return m, errors.New("changes nothing: @@ FILE, and lines that begin with a blank, - or +")
	}
	for i := range m.hunks {
		if err := m.hunks[i].check(); err != nil {
			return m, fmt.Errorf("@@ %s: %w", m.hunks[i].file, err)
		}
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

// add adds a line of a diff. An empty one stands for an empty line of the file, as
// editors take a blank at the end of a line away.
func (h *hunk) add(line string) error {
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
		return errors.New("begins with none of blank, - and +")
	}
	return nil
}

// check looks at a hunk that is complete. Empty lines at its end only separate it from
// the next.
func (h *hunk) check() error {
	for strings.HasSuffix(h.before, "\n\n") && strings.HasSuffix(h.after, "\n\n") {
		h.before, h.after = h.before[:len(h.before)-1], h.after[:len(h.after)-1]
	}
	if h.before == h.after {
		return errors.New("changes nothing")
	}
	if strings.TrimSpace(h.before) == "" {
		return errors.New("says nothing of what is there before")
	}
	return nil
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
		// Only whole lines: the newline before the first belongs to the match.
		switch n := strings.Count("\n"+text, "\n"+h.before); n {
		case 1:
			m.overlay[h.file] = strings.Replace("\n"+text, "\n"+h.before, "\n"+h.after, 1)[1:]
		case 0:
			return fmt.Errorf("does not apply: %s has no lines\n%s", h.file, h.before)
		default:
			return fmt.Errorf("is ambiguous: %s has %d times the lines\n%s", h.file, n, h.before)
		}
	}
	return nil
}

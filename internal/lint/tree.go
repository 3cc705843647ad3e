package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A Tree is the files of a repository, Go files parsed.
type Tree struct {
	fset  *token.FileSet
	files []*file
}

// A file is one file of a Tree.
type file struct {
	path string // slash-separated, relative to the root
	src  []byte
	ast  *ast.File // nil unless a Go file that parses
	err  error     // why a Go file does not parse
}

// A Finding is one place where a rule was not kept.
type Finding struct {
	Path string
	Line int // 0 for the file, or the directory, as a whole
	Text string
}

func (f Finding) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s", f.Path, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Text)
}

// Read reads the tree in fsys. It leaves out version control's own files and what
// .gitignore names: what builds and failing tests leave behind.
func Read(fsys fs.FS) (*Tree, error) {
	t := &Tree{fset: token.NewFileSet()}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == ".git" || name == "dist" || strings.HasSuffix(name, "testdata/rapid") {
				return fs.SkipDir
			}
			return nil
		}
		switch path.Ext(name) {
		case ".test", ".prof", ".out":
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		t.add(name, src)
		return nil
	})
	return t, err
}

func (t *Tree) add(name string, src []byte) {
	f := &file{path: name, src: src}
	if path.Ext(name) == ".go" && !strings.Contains("/"+name, "/testdata/") {
		f.ast, f.err = parser.ParseFile(t.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if f.err != nil {
			f.ast = nil
		}
	}
	t.files = append(t.files, f)
}

// dir returns the file's directory, "." for the root.
func (f *file) dir() string { return path.Dir(f.path) }

func (f *file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// isBinary reports whether f is not text, by git's own test.
func (f *file) isBinary() bool { return bytes.IndexByte(f.src[:min(len(f.src), 8000)], 0) >= 0 }

// goFiles returns the Go files of the root module that parse.
func (t *Tree) goFiles() []*file {
	var nested []string
	for _, f := range t.files {
		if path.Base(f.path) == "go.mod" && f.dir() != "." {
			nested = append(nested, f.dir()+"/")
		}
	}
	var files []*file
	for _, f := range t.files {
		in := func(dir string) bool { return strings.HasPrefix(f.path, dir) }
		if f.ast != nil && !slices.ContainsFunc(nested, in) {
			files = append(files, f)
		}
	}
	return files
}

// packages returns the files of the root module by directory.
func (t *Tree) packages() map[string][]*file {
	m := make(map[string][]*file)
	for _, f := range t.goFiles() {
		m[f.dir()] = append(m[f.dir()], f)
	}
	return m
}

// at makes a finding at a node of a parsed file.
func (t *Tree) at(n ast.Node, format string, args ...any) Finding {
	p := t.fset.Position(n.Pos())
	return Finding{p.Filename, p.Line, fmt.Sprintf(format, args...)}
}

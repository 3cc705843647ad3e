package lint

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the findings recorded in testdata")

// TestTree is the repository's own examination: no check finds anything in it.
func TestTree(t *testing.T) {
	tree, err := Read(os.DirFS("../.."))
	require.NoError(t, err)
	require.NotEmpty(t, tree.goFiles())
	for _, c := range Checks {
		t.Run(c.Name, func(t *testing.T) {
			for _, f := range c.Run(tree) {
				t.Error(f)
			}
		})
	}
}

// TestCheck_FindsWhatIsSeeded: each check has a small tree that breaks its rule in every
// way the check knows, with things beside that look alike and are allowed. It finds the
// former and not the latter.
func TestCheck_FindsWhatIsSeeded(t *testing.T) {
	for _, c := range Checks {
		t.Run(c.Name, func(t *testing.T) {
			name := filepath.Join("testdata", c.Name+".txt")
			a, err := readArchive(name)
			require.NoError(t, err)
			tree, err := Read(a.files)
			require.NoError(t, err)
			var got strings.Builder
			for _, f := range c.Run(tree) {
				got.WriteString(f.String() + "\n")
			}
			if *update {
				require.NoError(t, a.rewrite(name, got.String()))
				return
			}
			require.NotEmpty(t, a.want, "an archive that breaks no rule proves nothing")
			require.Equal(t, a.want, got.String())
		})
	}
}

// TestFloors_NameEachRoomOnce: a room on two floors would have the lower one's rules only.
func TestFloors_NameEachRoomOnce(t *testing.T) {
	seen := make(map[string]bool)
	for _, rooms := range floors {
		for _, r := range rooms {
			require.False(t, seen[r], "%s is on two floors", r)
			_, ok := aside(r)
			require.False(t, ok, "%s is in the house and beside it", r)
			seen[r] = true
		}
	}
}

// TestRead_LeavesOutWhatGitIgnores: what .gitignore names is not part of the tree.
func TestRead_LeavesOutWhatGitIgnores(t *testing.T) {
	tree, err := Read(fstest.MapFS{
		".git/config": {}, "dist/x.go": {}, "a/a.test": {}, "cpu.prof": {}, "a/testdata/rapid/TestA/1.fail": {},
		"a/a.go":              {Data: []byte("package a\n")},
		"a/testdata/bad.go":   {Data: []byte("not go")},
		"nested/go.mod":       {},
		"nested/b/b.go":       {Data: []byte("package b\n")},
		".ci/run":             {},
		"testdata/routes.bin": {Data: []byte{0}},
	})
	require.NoError(t, err)
	var paths, goPaths []string
	for _, f := range tree.files {
		paths = append(paths, f.path)
	}
	for _, f := range tree.goFiles() {
		goPaths = append(goPaths, f.path)
	}
	require.ElementsMatch(t, []string{".ci/run", "a/a.go", "a/testdata/bad.go", "nested/go.mod", "nested/b/b.go", "testdata/routes.bin"}, paths)
	require.Equal(t, []string{"a/a.go"}, goPaths)
}

// An archive is a tree in one text file: lines "-- name --" begin a file, what stands
// before the first says what the tree is for, and the file "want" lists the findings.
// The mark · is taken out on reading: it splits words this repository may not say.
type archive struct {
	head  string // up to and without the want file
	want  string
	files fstest.MapFS
}

func readArchive(name string) (*archive, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	head, want, _ := strings.Cut(string(b), "-- want --\n")
	a := &archive{head: head, want: strings.ReplaceAll(want, "·", ""), files: fstest.MapFS{}}
	var f *fstest.MapFile
	for line := range strings.Lines(head) {
		if name, ok := strings.CutPrefix(line, "-- "); ok {
			f = new(fstest.MapFile)
			a.files[strings.TrimSuffix(name, " --\n")] = f
		} else if f != nil {
			f.Data = append(f.Data, strings.ReplaceAll(line, "·", "")...)
		}
	}
	return a, nil
}

func (a *archive) rewrite(name, got string) error {
	for _, b := range bans { // keep our own rule: split what may not be said
		got = b.re.ReplaceAllStringFunc(got, func(m string) string { return m[:2] + "·" + m[2:] })
	}
	return os.WriteFile(name, []byte(a.head+"-- want --\n"+got), 0o644)
}

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// packages are where the steps of each library file are found in the code.
var packages = map[string][]string{
	"hook.pml":       {"internal/hook"},
	"cpu.pml":        {"internal/cpu", "lwp"},
	"lwp.pml":        {"lwp"},
	"pserialize.pml": {"pserialize"},
	"psref.pml":      {"psref"},
}

// partsOfDrain have no name in the code: they are loops of Target.drain, and of the seed
// that puts another in its place.
var partsOfDrain = []string{"look", "awaitHolders", "waitEmpty"}

var (
	inlineRE = regexp.MustCompile(`(?m)^inline (\w+)`)
	funcRE   = regexp.MustCompile(`(?m)^func (?:\([^)]*\) )?(\w+)`)
)

// A model speaks of the code only while its steps bear the names of the code. A softint's
// half of a function that has two has Soft before its name.
func TestModels_StepsBearTheNamesOfTheCode(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(models, "lib", "*.pml"))
	require.NoError(t, err)
	require.Len(t, files, len(packages))
	for _, f := range files {
		code := map[string]bool{}
		for _, name := range partsOfDrain {
			code[name] = true
		}
		for _, dir := range packages[filepath.Base(f)] {
			sources, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
			require.NoError(t, err)
			for _, src := range sources {
				for _, name := range matches(t, funcRE, src) {
					code[name] = true
				}
			}
		}
		for _, name := range matches(t, inlineRE, f) {
			require.True(t, code[strings.TrimPrefix(name, "Soft")], "%s: no function %s in %v", f, name, packages[filepath.Base(f)])
		}
	}
}

// matches returns what re captures in a file.
func matches(t *testing.T, re *regexp.Regexp, file string) (names []string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, m := range re.FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	return names
}

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const models = "../../models"

func TestParseRows(t *testing.T) {
	rows, err := parseRows(`
# a comment, and an empty line

quick  copy  -                  ok                         one holder
slow   copy  NHOLDER=3 SOFTINT	deadlock owner at inside   no  note of two blanks
`)
	require.ErrorContains(t, err, "row 5: has 6 columns")
	require.Nil(t, rows)

	rows, err = parseRows(`
quick  copy  -                   ok                        one holder
slow   copy  NHOLDER=3 SOFTINT	 deadlock owner at inside  waits for itself
quick  copy  COPY_BLIND          assertion !(dead[1])      missed
`)
	require.NoError(t, err)
	require.Equal(t, []row{
		{Effort: quick, Model: "copy", Want: verdict{ok, ""}, Note: "one holder"},
		{Effort: slow, Model: "copy", Switches: []string{"NHOLDER=3", "SOFTINT"}, Want: verdict{deadlock, "owner at inside"}, Note: "waits for itself"},
		{Effort: quick, Model: "copy", Switches: []string{"COPY_BLIND"}, Want: verdict{assertion, "!(dead[1])"}, Note: "missed"},
	}, rows)
}

func TestParseRows_RefusesWhatMakesNoSense(t *testing.T) {
	for line, why := range map[string]string{
		"quick  copy  -  ok":                                             "4 columns",
		"often  copy  -  ok  note":                                       "none of quick, slow, long",
		"quick  ../x  -  ok  note":                                       "no name of a model",
		"quick  copy  -o  ok  note":                                      "no switch",
		"quick  copy  N=2;x  ok  note":                                   "no switch",
		"quick  copy  -  fine  note":                                     "none of ok, assertion, deadlock",
		"quick  copy  -  ok really  note":                                "needs no reason",
		"quick  copy  -  assertion  note":                                "needs the expression",
		"quick  copy  -  assertion (a==b)  note":                         "needs the expression",
		"quick  copy  -  assertion a == b  note":                         "needs the expression",
		"quick  copy  -  deadlock  note":                                 "PROCESS at WORD",
		"quick  copy  -  deadlock reader  note":                          "PROCESS at WORD",
		"quick  copy  -  incomplete  note":                               "none of ok, assertion, deadlock",
		"quick  copy  A  ok  note\nquick  copy  A  ok  note":             "copy A is in row 1 already",
		"quick  copy  A  ok  note\n\n# c\nslow  copy  A  deadlock  note": "row 4",
	} {
		_, err := parseRows(line)
		require.ErrorContains(t, err, why, line)
	}
}

func TestRow_IsSelectedByItsModelAndSwitches(t *testing.T) {
	r := row{Model: "copy", Switches: []string{"SOFTINT", "NHOLDER=2"}}
	for _, words := range [][]string{nil, {"copy"}, {"SOFTINT"}, {"copy", "NHOLDER=2"}} {
		require.True(t, r.matches(words), words)
	}
	for _, words := range [][]string{{"cop"}, {"copy", "NHOLDER"}, {"lifecycle"}, {"copy", "COPY_BLIND"}} {
		require.False(t, r.matches(words), words)
	}
}

var (
	includeRE = regexp.MustCompile(`(?m)^#include "(.*)"`)
	testedRE  = regexp.MustCompile(`(?m)^#if.*`)
	macroRE   = regexp.MustCompile(`\b[A-Z][A-Z0-9_]+\b`)
	defineRE  = regexp.MustCompile(`(?m)^#define \w+`)
)

// source returns the text of a model and of all it includes.
func source(t *testing.T, name string) string {
	text, err := os.ReadFile(filepath.Join(models, name))
	require.NoError(t, err)
	all := string(text)
	for _, m := range includeRE.FindAllStringSubmatch(all, -1) {
		all += source(t, m[1])
	}
	return all
}

// names returns the macros in those lines of text.
func names(text string, lines *regexp.Regexp) map[string]bool {
	all := map[string]bool{}
	for _, line := range lines.FindAllString(text, -1) {
		for _, m := range macroRE.FindAllString(line, -1) {
			all[m] = true
		}
	}
	return all
}

// A misspelt switch would make a seeded bug vanish, and a row that expects ok be about
// nothing.
func TestRows_EverySwitchIsOneThatItsModelLooksAt(t *testing.T) {
	for _, r := range tableRows(t) {
		looked := names(source(t, r.Model+".pml"), testedRE)
		for _, s := range r.Switches {
			name, _, _ := strings.Cut(s, "=")
			require.True(t, looked[name], "%s: it does not look at %s", r, name)
		}
	}
}

func TestRows_EveryModelIsRightAndEverySeedIsUsed(t *testing.T) {
	right, seeded, used := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, r := range tableRows(t) {
		if r.Want.Kind == ok {
			right[r.Model]++
		} else {
			seeded[r.Model]++
		}
		for _, s := range r.Switches {
			used[s] = true
		}
	}
	files, err := filepath.Glob(filepath.Join(models, "*.pml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all string
	for _, f := range files {
		name := filepath.Base(f)
		model := strings.TrimSuffix(name, ".pml")
		require.NotZero(t, right[model], "%s is never right", model)
		require.NotZero(t, seeded[model], "%s has no seeded bug", model)
		all += source(t, name)
	}
	defined := names(all, defineRE) // by a model for the files it includes, or by default
	for seed := range names(all, testedRE) {
		require.True(t, used[seed] || defined[seed], "no row sets %s", seed)
	}
}

func tableRows(t *testing.T) []row {
	rows, err := selectRows(models, long, nil)
	require.NoError(t, err)
	return rows
}

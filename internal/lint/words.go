package lint

import (
	"bytes"
	"fmt"
	"go/format"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A ban is something no file of the repository says. The patterns are put together from
// pieces so that this file keeps its own rule.
type ban struct {
	re   *regexp.Regexp
	why  string
	keep []string // matches that are something else
}

var bans = []ban{
	{
		re:  regexp.MustCompile(`(?:^|[^\w.-])/(?:` + `work|root|home/\w+|Users/\w+)\b|\.\./` + `shared\b|/tmp/` + `br` + `ief`),
		why: "a path of somebody's machine",
	},
	{
		re:   regexp.MustCompile(`(?:go\.dev/)?\b(?:is` + `sues?|hel` + `pers?|br` + `ief)\b`),
		why:  "how the work was done, where the project speaks of what it is",
		keep: []string{"go.dev/is" + "sue"}, // a citation
	},
	{
		re:  regexp.MustCompile(`\b(?:pro` + `xy\.golang\.org|go` + `proxy\.\w+|registry\.` + `npm\w+)`),
		why: "a package host",
	},
	{
		re:   regexp.MustCompile(`\b(?:TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b(?:\.smpnet)?|\b(?:un|not |not yet )imple` + `mented\b`),
		why:  "a mark of unfinished work: finish it, or write down in the docs what is left open",
		keep: []string{"TO" + "DO.smpnet"}, // NetBSD's list of what is not yet MP-safe
	},
}

// words: the repository speaks of the project alone, and of nothing unfinished.
func words(t *Tree) (found []Finding) {
	for _, f := range t.files {
		if f.isBinary() || path.Base(f.path) == "go.sum" || path.Base(f.path) == "go.work.sum" {
			continue
		}
		n := 0
		for line := range bytes.Lines(f.src) {
			n++
			for _, b := range bans {
				for _, m := range b.re.FindAllString(string(line), -1) {
					if !slices.Contains(b.keep, m) {
						found = append(found, Finding{f.path, n, fmt.Sprintf("says %q: %s", strings.TrimSpace(m), b.why)})
					}
				}
			}
		}
	}
	return found
}

// gofmt: every Go file outside testdata is as gofmt writes it, in nested modules too.
func gofmt(t *Tree) (found []Finding) {
	for _, f := range t.files {
		if f.err != nil {
			found = append(found, Finding{f.path, 0, f.err.Error()})
		}
		if f.ast == nil {
			continue
		}
		if want, err := format.Source(f.src); err != nil || !bytes.Equal(want, f.src) {
			found = append(found, Finding{f.path, 0, "is not as gofmt writes it"})
		}
	}
	return found
}

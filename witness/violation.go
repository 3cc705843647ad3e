package witness

import (
	"fmt"
	"strings"
)

// A Violation is a contract broken by the program: what a BSD kernel says before it
// panics. Text is one sentence that names both sides; Sites say where each side was,
// as far as this build knows. It is what contract panics of this module carry, and an
// error, so that a recovering caller can use errors.As.
type Violation struct {
	Rule  string // short and stable, for tests and tables: "psref: destroying held"
	Text  string // a sentence
	Sites []Site // newest first
}

// Site is a place named in a Violation.
type Site struct {
	What  string // "acquired", "rt_lock taken while holding softnet_lock"
	Stack string // one frame a line, innermost first
}

// Error returns the sentence, then each site with its stack.
func (v *Violation) Error() string {
	var b strings.Builder
	b.WriteString(v.Text)
	for _, s := range v.Sites {
		fmt.Fprintf(&b, "\n%s:\n\t%s", s.What, strings.ReplaceAll(s.Stack, "\n", "\n\t"))
	}
	return b.String()
}

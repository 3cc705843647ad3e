package lint

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// link matches the target of a Markdown link that leads to a file of this repository.
var link = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)\s]*)?\)`)

// links: where a page of ours points into the repository, there is something.
func links(t *Tree) (found []Finding) {
	exists := map[string]bool{".": true}
	for _, f := range t.files {
		for p := f.path; p != "."; p = path.Dir(p) {
			exists[p] = true
		}
	}
	for _, f := range t.files {
		if path.Ext(f.path) != ".md" {
			continue
		}
		n, code := 0, false
		for line := range bytes.Lines(f.src) {
			n++
			if bytes.HasPrefix(bytes.TrimSpace(line), []byte("```")) {
				code = !code
			}
			if code {
				continue
			}
			for _, m := range link.FindAllStringSubmatch(string(line), -1) {
				target := path.Join(f.dir(), m[1])
				if rooted, ok := strings.CutPrefix(m[1], "/"); ok {
					target = path.Clean(rooted)
				}
				if !exists[target] {
					found = append(found, Finding{f.path, n, fmt.Sprintf("links to %s, which is not there", m[1])})
				}
			}
		}
	}
	return found
}

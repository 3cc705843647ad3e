package lint

import (
	"bytes"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// link matches the target of a Markdown link that leads to a file of this repository.
var link = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)\s]*)?\)`)

// outward matches the target of a Markdown link that leads elsewhere.
var outward = regexp.MustCompile(`\]\(([A-Za-z][A-Za-z0-9+.-]*:[^)]*)\)`)

// links: where a page of ours points into the repository, there is something, and where it
// points elsewhere it gives an address that a browser understands.
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
			for _, m := range outward.FindAllStringSubmatch(string(line), -1) {
				if !address(m[1]) {
					found = append(found, Finding{f.path, n, fmt.Sprintf("links to %q, which is no address: want https://HOST/PATH", m[1])})
				}
			}
		}
	}
	return found
}

// address reports whether s is the address of a page: of a host with a full name, asked by
// https, and without what would have to be escaped. Nobody is asked whether it is there.
func address(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.User == nil && strings.Contains(strings.Trim(u.Host, "."), ".") &&
		!strings.ContainsAny(s, " \t<>\"")
}

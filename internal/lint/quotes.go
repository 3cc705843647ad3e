package lint

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

// A quote in a page is a marker on its own line and then a fenced block:
//
//	<!-- code: psref/example_test.go Example -->
var quote = regexp.MustCompile("(?m)^<!-- code: (\\S+) (\\S+) -->\n(?:```go\n((?s:.*?))^```$)?")

// block is a block of Go, with the marker above it if there is one.
var block = regexp.MustCompile("(?m)^(<!-- code: .*\n)?```go$")

// quotes: code that a page shows is the body of the function it names, which is compiled
// and run. What an example's output must be stays in the example. There is no other Go in
// a page.
func quotes(t *Tree) (found []Finding) {
	for _, f := range t.files {
		if !strings.HasSuffix(f.path, ".md") {
			continue
		}
		page := string(f.src)
		for _, m := range block.FindAllStringSubmatchIndex(page, -1) {
			if m[2] < 0 {
				line := 1 + strings.Count(page[:m[0]], "\n")
				found = append(found, Finding{f.path, line, "code that nothing compiles: name what it quotes, <!-- code: FILE FUNCTION -->"})
			}
		}
		for _, m := range quote.FindAllStringSubmatchIndex(page, -1) {
			line := 1 + strings.Count(page[:m[0]], "\n")
			name, fun := page[m[2]:m[3]], page[m[4]:m[5]]
			body, ok := t.body(name, fun)
			switch {
			case !ok:
				found = append(found, Finding{f.path, line, fmt.Sprintf("quotes %s of %s, which is not there", fun, name)})
			case m[6] < 0:
				found = append(found, Finding{f.path, line, "no block of Go follows"})
			case page[m[6]:m[7]] != body:
				found = append(found, Finding{f.path, line, fmt.Sprintf("is not what %s of %s says", fun, name)})
			}
		}
	}
	return found
}

// body returns the statements of a function, without their indentation and without the
// output that an example ends with.
func (t *Tree) body(name, fun string) (text string, ok bool) {
	i := slices.IndexFunc(t.files, func(f *file) bool { return f.path == name && f.ast != nil })
	if i < 0 {
		return "", false
	}
	f := t.files[i]
	for _, d := range f.ast.Decls {
		d, ok := d.(*ast.FuncDecl)
		if !ok || d.Name.Name != fun || d.Body == nil {
			continue
		}
		from, to := t.fset.Position(d.Body.Lbrace).Offset+1, t.fset.Position(d.Body.Rbrace).Offset
		body, _, _ := strings.Cut(string(f.src[from:to]), "\t// Output:")
		body = strings.TrimPrefix(body, "\n")
		return strings.TrimPrefix(strings.ReplaceAll("\n"+body, "\n\t", "\n"), "\n"), true
	}
	return "", false
}

package lint

import (
	"go/ast"
	"maps"
	"path"
	"slices"
	"strings"
)

// sections are the headings of a room's man page, in their order. A room may have
// headings of its own between them.
var sections = []string{"Usage", "Concurrency", "Lock order", "Differences from BSD", "Debugging", "Testing"}

// doc: every package keeps its package comment in doc.go, alone; that of a room is a man
// page with all sections in one order. A package of nothing but tests needs none, and a
// lesson's comment may stand at the top of its one program.
func doc(t *Tree) (found []Finding) {
	pkgs := t.packages()
	for _, dir := range slices.Sorted(maps.Keys(pkgs)) {
		var code, page bool
		for _, f := range pkgs[dir] {
			if f.isTest() {
				continue
			}
			code = true
			if f.ast.Doc == nil {
				continue
			}
			page = true
			if path.Base(f.path) != "doc.go" && !under(dir, "examples/...") {
				found = append(found, t.at(f.ast.Doc, "the package comment belongs into doc.go"))
			}
			if isLibrary(dir) {
				found = append(found, manPage(t, f)...)
			}
		}
		if code && !page {
			found = append(found, Finding{dir, 0, "has no package comment: write its doc.go"})
		}
	}
	return found
}

// manPage checks the headings of a room's doc.go.
func manPage(t *Tree, f *file) (found []Finding) {
	headings := []string{}
	for line := range strings.Lines(f.ast.Doc.Text()) {
		if h, ok := strings.CutPrefix(strings.TrimSpace(line), "# "); ok {
			headings = append(headings, h)
		}
	}
	last := -1
	for _, s := range sections {
		i := slices.Index(headings, s)
		switch {
		case i < 0:
			found = append(found, t.at(f.ast.Doc, "has no section %q", s))
		case i < last:
			found = append(found, t.at(f.ast.Doc, "section %q is out of order: %s", s, strings.Join(sections, ", ")))
		}
		last = max(last, i)
	}
	return found
}

// exported: every exported name of a room is documented. String, Error and Unwrap say by
// their names what they do. In a group of constants or variables one comment may speak
// for all.
func exported(t *Tree) (found []Finding) {
	for _, f := range t.goFiles() {
		if f.isTest() || !isLibrary(f.dir()) && !under(f.dir(), "stacktest/...") {
			continue
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && !(d.Recv != nil && (hidden(d.Recv) || speaks(d.Name.Name))) {
					found = append(found, t.at(d, "%s is exported and not documented", d.Name.Name))
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					found = append(found, undocumented(t, d, spec)...)
				}
			}
		}
	}
	return found
}

func speaks(method string) bool {
	return method == "String" || method == "Error" || method == "Unwrap"
}

// undocumented looks at one specification of a declaration.
func undocumented(t *Tree, d *ast.GenDecl, spec ast.Spec) (found []Finding) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return nil
		}
		if s.Doc == nil && d.Doc == nil {
			found = append(found, t.at(s, "type %s is exported and not documented", s.Name.Name))
		}
		if it, ok := s.Type.(*ast.InterfaceType); ok {
			for _, m := range it.Methods.List {
				if len(m.Names) > 0 && m.Names[0].IsExported() && m.Doc == nil && m.Comment == nil && !speaks(m.Names[0].Name) {
					found = append(found, t.at(m, "%s.%s is exported and not documented", s.Name.Name, m.Names[0].Name))
				}
			}
		}
	case *ast.ValueSpec:
		if d.Doc != nil || s.Doc != nil || s.Comment != nil {
			return nil
		}
		for _, name := range s.Names {
			if name.IsExported() {
				found = append(found, t.at(name, "%s is exported and not documented", name.Name))
			}
		}
	}
	return found
}

// hidden reports whether a method's receiver is of an unexported type.
func hidden(recv *ast.FieldList) bool {
	typ := recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return !x.IsExported()
		default:
			return true
		}
	}
}

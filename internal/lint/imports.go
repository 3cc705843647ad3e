package lint

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// layout: every package is a room of the house, or stands beside it.
func layout(t *Tree) (found []Finding) {
	for _, dir := range slices.Sorted(maps.Keys(t.packages())) {
		if _, ok := aside(dir); !ok && floor(dir) < 0 {
			found = append(found, Finding{dir, 0, "is no room of the house: give it a floor in internal/lint/rooms.go"})
		}
	}
	return found
}

// imports: a room imports only rooms below it; only tests and the kit import test
// libraries; nothing imports what go.mod may not require. Tests may import any room:
// they look at the house from outside.
func imports(t *Tree) (found []Finding) {
	for _, f := range t.goFiles() {
		for _, spec := range f.ast.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // would not have parsed
			}
			if why := forbids(f, name); why != "" {
				found = append(found, t.at(spec, "%s imports %s: %s", f.dir(), name, why))
			}
		}
	}
	return found
}

// forbids says why f may not import name, or returns "".
func forbids(f *file, name string) string {
	if room, ok := strings.CutPrefix(name, Module+"/"); ok {
		return forbidsRoom(f, room)
	}
	if first, _, _ := strings.Cut(name, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	for mod, may := range allowed {
		if name != mod && !strings.HasPrefix(name, mod+"/") {
			continue
		}
		if !may(f) {
			return "it is for tests"
		}
		return ""
	}
	return "the root module does not require it; what needs it lives in a module of its own"
}

func forbidsRoom(f *file, room string) string {
	dir := f.dir()
	if f.isTest() || dir == room {
		return ""
	}
	here, there := floor(dir), floor(room)
	if here >= 0 { // a room
		if there < 0 {
			return "it stands beside the house; no room leans on it"
		}
		if there >= here {
			return "it is not below"
		}
		return ""
	}
	if there >= 0 {
		return ""
	}
	name, _ := aside(dir)
	for _, may := range beside[name] {
		if under(room, may) {
			return ""
		}
	}
	return "the house does not allow it"
}

// modules: the root go.mod requires what the house allows, and replaces nothing.
func modules(t *Tree) (found []Finding) {
	i := slices.IndexFunc(t.files, func(f *file) bool { return f.path == "go.mod" })
	if i < 0 {
		return []Finding{{"go.mod", 0, "missing"}}
	}
	block := "" // the directive whose parentheses we are in
	for n, line := range strings.Split(string(t.files[i].src), "\n") {
		line, comment, _ := strings.Cut(line, "//")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
			continue
		case words[0] == ")":
			block = ""
			continue
		case words[len(words)-1] == "(":
			block = words[0]
			continue
		case block != "":
			words = append([]string{block}, words...)
		}
		add := func(text string) { found = append(found, Finding{"go.mod", n + 1, text}) }
		switch words[0] {
		case "require":
			mod := words[1]
			if strings.TrimSpace(comment) == "indirect" && slices.Contains(indirect, mod) {
				continue
			}
			if allowed[mod] == nil {
				add("requires " + mod + ", which the house does not allow: give what needs it a module of its own")
			}
		case "replace", "exclude", "tool":
			add(words[0] + " does not belong into the module users import")
		}
	}
	return found
}

// importName returns the name by which f refers to an imported package, "" if it does
// not import it.
func (f *file) importName(pkg string) string {
	for _, spec := range f.ast.Imports {
		if spec.Path.Value != strconv.Quote(pkg) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(pkg)
	}
	return ""
}

package lint

import (
	"go/ast"
	"go/token"
	"slices"
)

const (
	hookPath    = Module + "/internal/hook"
	witnessPath = Module + "/witness"
)

// ownBooks are the packages that may use sync and sync/atomic themselves: the door, and
// witness, whose books must not be choice points of the schedules it watches.
var ownBooks = []string{"internal/hook", "witness"}

// shared: rooms reach shared memory through internal/hook, so that the schedule explorer
// sees every operation. sync.Pool is a cache without a promise, and stays allowed.
func shared(t *Tree) (found []Finding) {
	for _, f := range t.goFiles() {
		if f.isTest() || floor(f.dir()) < 0 || slices.Contains(ownBooks, f.dir()) {
			continue
		}
		for _, spec := range f.ast.Imports {
			if spec.Path.Value == `"sync/atomic"` {
				found = append(found, t.at(spec, "imports sync/atomic: shared words are types of internal/hook"))
			}
		}
		sync := f.importName("sync")
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if sel := selected(n, sync); sel != "" && sel != "Pool" {
					found = append(found, t.at(n, "uses sync.%s: the explorer does not see it; internal/hook has its like", sel))
				}
			case *ast.GoStmt:
				found = append(found, t.at(n, "starts a goroutine: use hook.Go, which a schedule explorer sees"))
			}
			return true
		})
	}
	return found
}

// sleep: nobody sleeps to wait for somebody. Lessons may: they show what time does.
func sleep(t *Tree) (found []Finding) {
	for _, f := range t.goFiles() {
		if f.isTest() || under(f.dir(), "examples/...") {
			continue
		}
		time := f.importName("time")
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && selected(s, time) == "Sleep" {
				found = append(found, t.at(n, "calls time.Sleep: wait on a channel or a hook.Cond"))
			}
			return true
		})
	}
	return found
}

// globals: rooms have no package-level channel, timer, lock, WaitGroup or shared word,
// and start nothing while the program initialises: stacks in different bubbles of
// testing/synctest must not meet.
func globals(t *Tree) (found []Finding) {
	for _, f := range t.goFiles() {
		if f.isTest() || floor(f.dir()) < 0 || slices.Contains(ownBooks, f.dir()) {
			continue
		}
		for _, decl := range f.ast.Decls {
			switch d := decl.(type) {
			case *ast.GenDecl:
				if d.Tok != token.VAR {
					continue
				}
				for _, spec := range d.Specs {
					if what, n := f.meeting(spec); n != nil {
						found = append(found, t.at(n, "package-level %s: each object owns its own", what))
					}
				}
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					found = append(found, t.at(d, "has an init function: nothing happens before the user calls"))
				}
			}
		}
	}
	return found
}

// meeting looks into a declaration for something two stacks would share.
func (f *file) meeting(spec ast.Node) (what string, at ast.Node) {
	names := [...]struct {
		pkg  string
		sels []string // nil for all
	}{
		{f.importName("sync"), nil},
		{f.importName("sync/atomic"), nil},
		{f.importName("time"), []string{"NewTimer", "NewTicker", "AfterFunc", "After", "Tick", "Timer", "Ticker"}},
		{f.importName(hookPath), nil},
		{f.importName(witnessPath), []string{"Mutex", "RWMutex"}},
	}
	ast.Inspect(spec, func(n ast.Node) bool {
		if at != nil {
			return false
		}
		switch n := n.(type) {
		case *ast.FuncLit, *ast.FuncType, *ast.InterfaceType:
			return false // makes its own when called
		case *ast.ChanType:
			what, at = "channel", n
		case *ast.SelectorExpr:
			for _, p := range names {
				if sel := selected(n, p.pkg); sel != "" && (p.sels == nil || slices.Contains(p.sels, sel)) {
					what, at = p.pkg+"."+sel, n
				}
			}
		}
		return true
	})
	return what, at
}

// selected returns X of pkg.X, "" for everything else.
func selected(s *ast.SelectorExpr, pkg string) string {
	if id, ok := s.X.(*ast.Ident); ok && pkg != "" && id.Name == pkg {
		return s.Sel.Name
	}
	return ""
}

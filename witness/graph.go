package witness

import (
	"fmt"
	"strings"
	"sync"
	"weak"
)

// node is a class or a level as the order sees it.
type node struct {
	ck     *Checker // immutable
	name   string   // immutable
	level  bool     // immutable
	traits Trait    // immutable

	// self is a weak.Pointer[node] to this node, boxed once. The graph refers to nodes
	// by it: levels and unnamed locks come and go, and their edges with them.
	self any

	after sync.Map // self of another node -> *edge to it; added to under ck.mu
	edges int      // entries of after, as of the last sweep those that live; guarded by ck.mu
	sweep int      // at how many edges to sweep next; guarded by ck.mu

	told map[telling]struct{} // guarded by ck.mu
}

// telling is what a node remembers of a violation it began.
type telling struct {
	rule  string
	other any // self of the other node
}

func (n *node) init(ck *Checker, name string, level bool, traits ...Trait) {
	n.ck, n.name, n.level = ck, name, level
	for _, tr := range traits {
		n.traits |= tr
	}
	n.self = weak.Make(n)
}

func (n *node) rank() *node { return n }

func (n *node) String() string {
	if n.level {
		return "level " + n.name
	}
	return n.name
}

// wanted says that the node is waited for.
func (n *node) wanted() string {
	if n.level {
		return n.String() + " is waited for"
	}
	return n.String() + " is taken"
}

// tell reports whether the violation is new. ck.mu is held.
func (n *node) tell(rule string, other *node) bool {
	k := telling{rule, other.self}
	if _, ok := n.told[k]; ok {
		return false
	}
	if n.told == nil {
		n.told = make(map[telling]struct{})
	}
	n.told[k] = struct{}{}
	return true
}

// edge is the fact that one node was waited for while another was held, and how it was
// first seen.
type edge struct {
	declared bool   // by Order; waited is where, and held and by are unknown
	by       uint64 // the goroutine
	waited   stack  // where the inner node was waited for
	held     stack  // where the outer one had been taken
	// bad is what a reversal is reported as. It is no part of the order: the order
	// stays without cycles, so that each new reversal is found.
	bad *Violation
}

// known returns the edge from m to n, or nil.
func (m *node) known(n *node) *edge {
	e, _ := m.after.Load(n.self)
	if e == nil {
		return nil
	}
	return e.(*edge)
}

// learn adds edge e from m to n, unless there is one already, and returns the one that
// is there. If the order has a path from n to m, the edge is bad.
func (m *node) learn(n *node, e *edge) *edge {
	ck := m.ck
	ck.mu.Lock()
	defer ck.mu.Unlock()
	if old := m.known(n); old != nil {
		return old
	}
	if p := n.path(m); p != nil {
		e.bad = reversal(m, n, e, p)
	}
	m.after.Store(n.self, e)
	ck.edges.Add(1)
	if m.edges++; m.edges > m.sweep {
		m.forget()
	}
	return e
}

// forget drops edges to nodes that are gone. ck.mu is held.
func (m *node) forget() {
	m.edges = 0
	m.after.Range(func(k, _ any) bool {
		if k.(weak.Pointer[node]).Value() == nil {
			m.after.Delete(k)
		} else {
			m.edges++
		}
		return true
	})
	m.sweep = max(64, 2*m.edges)
}

// step is an edge with its ends.
type step struct {
	from, to *node
	edge     *edge
}

// path returns a shortest path of the order from n to m, or nil. ck.mu is held.
func (n *node) path(m *node) (p []step) {
	came := map[*node]step{n: {}}
	for queue := []*node{n}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at == m {
			for ; at != n; at = came[at].from {
				p = append([]step{came[at]}, p...)
			}
			return p
		}
		at.after.Range(func(k, v any) bool {
			next, e := k.(weak.Pointer[node]).Value(), v.(*edge)
			if next == nil || e.bad != nil {
				return true
			}
			if _, seen := came[next]; !seen {
				came[next] = step{at, next, e}
				queue = append(queue, next)
			}
			return true
		})
	}
	return nil
}

// reversal words the cycle that edge e from m to n closes with path p from n to m.
func reversal(m, n *node, e *edge, p []step) *Violation {
	v := &Violation{Rule: RuleReversal}
	if e.declared {
		v.Rule = RuleContradiction
	}
	var others []string
	for i, s := range append([]step{{m, n, e}}, p...) {
		if i > 0 {
			others = append(others, s.String())
		}
		v.Sites = append(v.Sites, s.sites()...)
	}
	v.Text = fmt.Sprintf("witness: %v, but %s", step{m, n, e}, strings.Join(others, ", and "))
	return v
}

func (s step) String() string {
	switch {
	case s.edge.declared:
		return fmt.Sprintf("%v is declared to come before %v", s.from, s.to)
	case s.to.level && s.from.level:
		return fmt.Sprintf("%v is waited for inside %v", s.to, s.from)
	case s.to.level:
		return fmt.Sprintf("%v is waited for while %v is held", s.to, s.from)
	case s.from.level:
		return fmt.Sprintf("%v is taken inside %v", s.to, s.from)
	}
	return fmt.Sprintf("%v is taken while %v is held", s.to, s.from)
}

func (s step) sites() []Site {
	if s.edge.declared {
		return []Site{{s.String() + ", here", s.edge.waited.String()}}
	}
	earlier := "taken"
	if s.from.level {
		earlier = "entered"
	}
	return []Site{
		{fmt.Sprintf("%v, first by goroutine %d", s, s.edge.by), s.edge.waited.String()},
		{fmt.Sprintf("%v was %s before that", s.from, earlier), s.edge.held.String()},
	}
}

package witness

import (
	"fmt"
	"slices"
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

// known returns the edge from n to inner, or nil.
func (n *node) known(inner *node) *edge {
	e, _ := n.after.Load(inner.self)
	if e == nil {
		return nil
	}
	return e.(*edge)
}

// learn adds edge e from n to inner, unless there is one already, and returns the one
// that is there. If the order has a path from inner to n, the edge is bad.
func (n *node) learn(inner *node, e *edge) *edge {
	ck := n.ck
	ck.mu.Lock()
	defer ck.mu.Unlock()
	if old := n.known(inner); old != nil {
		return old
	}
	if p := inner.path(n); p != nil {
		e.bad = reversal(step{n, inner, e}, p)
	}
	n.after.Store(inner.self, e)
	ck.edges.Add(1)
	if n.edges++; n.edges > n.sweep {
		n.forget()
	}
	return e
}

// forget drops edges to nodes that are gone. ck.mu is held.
func (n *node) forget() {
	n.edges = 0
	for k := range n.after.Range {
		if k.(weak.Pointer[node]).Value() == nil {
			n.after.Delete(k)
		} else {
			n.edges++
		}
	}
	n.sweep = max(64, 2*n.edges)
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
				p = append(p, came[at])
			}
			slices.Reverse(p)
			return p
		}
		for k, v := range at.after.Range {
			next, e := k.(weak.Pointer[node]).Value(), v.(*edge)
			if next == nil || e.bad != nil {
				continue
			}
			if _, seen := came[next]; !seen {
				came[next] = step{at, next, e}
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// reversal words the circle that s closes with path p.
func reversal(s step, p []step) *Violation {
	v := &Violation{Rule: RuleReversal, Sites: s.sites()}
	if s.edge.declared {
		v.Rule = RuleContradiction
	}
	var others []string
	for _, o := range p {
		others = append(others, o.String())
		v.Sites = append(v.Sites, o.sites()...)
	}
	v.Text = fmt.Sprintf("witness: %v, but %s", s, strings.Join(others, ", and "))
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

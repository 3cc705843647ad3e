package main

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
)

// A group is the rows of some rooms.
type group struct {
	name string
	rows func() []row
}

// groups is what bench knows.
var groups = []group{
	{"ground", ground},
	{"routing", routing},
	{"deferral", deferral},
	{"pfsync", states},
}

// A row is something of ours and what it is held against.
type row struct {
	what  string // names it, in all groups
	ours  *probe
	lines []line
}

// A line is a target, a peer, or both.
type line struct {
	peer   *probe // nil: the target is a quantity
	kind   kind
	limit  float64
	target string // the limit as it is printed
}

type kind uint8

const (
	noTarget kind = iota
	ratioAtMost
	ratioAtLeast // of the peer's figure to ours
	figureBelow
	figureAtMost
)

// beside only shows a peer.
func beside(peer *probe) line { return line{peer: peer} }

// atMost wants ours to be no more than so many times the peer.
func atMost(times float64, peer *probe) line {
	l := line{peer: peer, kind: ratioAtMost, limit: times, target: fmt.Sprintf("≤ %gx", times)}
	if peer == exchange {
		l.target = fmt.Sprintf("≤ %g X", times)
	}
	return l
}

// faster wants ours to be at least so many times faster than the peer.
func faster(times float64, peer *probe) line {
	return line{peer: peer, kind: ratioAtLeast, limit: times, target: fmt.Sprintf("≥ %gx faster", times)}
}

// under wants ours to take less than d, some microseconds.
func under(d time.Duration) line {
	return line{kind: figureBelow, limit: float64(d), target: fmt.Sprintf("< %d µs", d.Microseconds())}
}

// noLargerThan wants ours to be no more bytes.
func noLargerThan(n float64) line {
	return line{kind: figureAtMost, limit: n, target: fmt.Sprintf("≤ %g B", n)}
}

// nothing wants ours to be zero.
func nothing() line { return line{kind: figureAtMost, target: "0"} }

// A verdict is what a run says of a target.
type verdict string

const (
	none         verdict = ""
	ok           verdict = "ok"
	missed       verdict = "MISSED"
	unmeasurable verdict = "not measurable here"
)

// judge says whether the target is met by ours, a figure or its ratio to the peer's.
func (l line) judge(ours float64) verdict {
	switch {
	case l.kind == noTarget:
		return none
	case math.IsNaN(ours):
		return unmeasurable
	case l.kind == ratioAtMost && ours <= l.limit,
		l.kind == ratioAtLeast && 1/ours >= l.limit,
		l.kind == figureBelow && ours < l.limit,
		l.kind == figureAtMost && ours <= l.limit:
		return ok
	}
	return missed
}

// choose returns the rows of a group, or of all if it is "", whose name matches.
func choose(only string, match *regexp.Regexp) (chosen []row, err error) {
	known := false
	for _, g := range groups {
		if only != "" && only != g.name {
			continue
		}
		known = true
		for _, r := range g.rows() {
			if match.MatchString(r.what) {
				chosen = append(chosen, r)
			}
		}
	}
	switch {
	case !known:
		var names []string
		for _, g := range groups {
			names = append(names, g.name)
		}
		return nil, fmt.Errorf("there is no group %q, only %s", only, strings.Join(names, ", "))
	case len(chosen) == 0:
		return nil, fmt.Errorf("no row matches %q", match)
	}
	return chosen, nil
}

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Reports of spin 6.5.2, shortened.
const (
	reportOK = `
(Spin Version 6.5.2 -- 6 December 2019)
	+ Partial Order Reduction

State-vector 48 byte, depth reached 8298, errors: 0
    39948 states, stored
    77894 transitions (= stored+matched)

pan: elapsed time 0.02 seconds
pan: rate   1997400 states/second
`
	reportAssertion = `pan:1: assertion violated  !(dead[life[0]]) (at depth 296)
pan: wrote m.pml.trail

Warning: Search not completed
State-vector 48 byte, depth reached 345, errors: 1
      548 states, stored
      696 transitions (= stored+matched)
pan: elapsed time 0 seconds
`
	reportDeadlock = `pan:1: invalid end state (at depth 341)
pan: wrote m.pml.trail

Warning: Search not completed
State-vector 48 byte, depth reached 345, errors: 1
 1.5e+08 states, stored
 3.2e+08 transitions (= stored+matched)
`
	reportShallow = `error: max search depth too small

State-vector 48 byte, depth reached 99, errors: 0
      548 states, stored
pan: elapsed time 0 seconds
`
	reportMemory = `pan: reached -DMEMLIM bound
	1.2583e+10 bytes used

State-vector 48 byte, depth reached 99, errors: 0
`
	reportIndex = `pan:1: indexing sd[3] - size is 2 (at depth 4)
pan: wrote m.pml.trail
State-vector 48 byte, depth reached 99, errors: 1
`
	replayDeadlock = `341:	proc  2 (reader) m.pml:95 (state 29)	[(1)]
spin: trail ends after 342 steps
#processes 3:
342:	proc 0 (:init:)  m.pml:164 (state 13)
		-end-
342:	proc 1 (destroyer)  lib/hook.pml:24 (state 31) (invalid end state)
		(!((ccv&(1<<me))))
342:	proc 2 (reader)  m.pml:9 (state 3) (invalid end state)
		(( !(inside[k]) || (left[k] != g)))
global vars:
	byte   pub:	2
`
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		report string
		want   verdict
	}{
		{reportOK, verdict{ok, ""}},
		{reportAssertion, verdict{assertion, "!(dead[life[0]])"}},
		{reportDeadlock, verdict{deadlock, ""}},
		{reportShallow, verdict{incomplete, "error: max search depth too small"}},
		{reportMemory, verdict{incomplete, "pan: reached -DMEMLIM bound"}},
		{reportIndex, verdict{incomplete, "pan:1: indexing sd[3] - size is 2 (at depth 4)"}},
		{"", verdict{incomplete, "the search did not report how it ended"}},
		{"Segmentation fault", verdict{incomplete, "the search did not report how it ended"}},
		{"Warning: Search not completed\nerrors: 0\n", verdict{incomplete, "the search was cut short"}},
	} {
		require.Equal(t, c.want, judge(c.report).verdict, c.report)
	}
	require.Equal(t, "39948", judge(reportOK).States)
	require.Equal(t, "77894", judge(reportOK).Transitions)
	require.Equal(t, "1.5e+08", judge(reportDeadlock).States)
}

func TestStuckIn_FindsWhoCannotGoOnAndWhere(t *testing.T) {
	require.Equal(t, []stuck{
		{"destroyer", "!((ccv&(1<<me)))"},
		{"reader", "!(inside[k])||(left[k]!=g)"},
	}, stuckIn(replayDeadlock))
}

func TestSatisfies_NeedsTheRightReason(t *testing.T) {
	asleep := result{verdict: verdict{deadlock, ""}, Stuck: stuckIn(replayDeadlock)}
	torn := result{verdict: verdict{assertion, "a==b"}}
	fine := result{verdict: verdict{ok, ""}}
	short := result{verdict: verdict{incomplete, "no memory"}}
	for _, c := range []struct {
		got  result
		want verdict
		yes  bool
	}{
		{fine, verdict{ok, ""}, true},
		{short, verdict{ok, ""}, false},
		{torn, verdict{ok, ""}, false},
		{fine, verdict{assertion, "a==b"}, false},
		{torn, verdict{assertion, "a==b"}, true},
		{torn, verdict{assertion, "a==c"}, false},
		{torn, verdict{deadlock, "reader at left"}, false},
		{asleep, verdict{assertion, "a==b"}, false},
		{asleep, verdict{deadlock, "destroyer at ccv"}, true},
		{asleep, verdict{deadlock, "reader at left"}, true},
		{asleep, verdict{deadlock, "reader at ccv"}, false},
		{asleep, verdict{deadlock, "destroyer at cv"}, false},
		{asleep, verdict{deadlock, "owner at ccv"}, false},
	} {
		require.Equal(t, c.yes, c.got.satisfies(c.want), "%s for %s", c.got.verdict, c.want)
	}
	require.Equal(t, "deadlock reader at left", asleep.found(verdict{deadlock, "reader at left"}))
	require.Equal(t, "deadlock destroyer at !((ccv&(1<<me))), reader at !(inside[k])||(left[k]!=g)", asleep.found(verdict{ok, ""}))
}

func TestNormal(t *testing.T) {
	for expr, want := range map[string]string{
		" !(dead[p])":  "!(dead[p])",
		"(a==fieldB)":  "a==fieldB",
		"( (a) )":      "a",
		"(a)||(b)":     "(a)||(b)",
		"((a) || (b))": "(a)||(b)",
		"":             "",
		"((":           "((",
	} {
		require.Equal(t, want, normal(expr))
	}
}

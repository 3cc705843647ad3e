package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// atOnce lasts just long enough for everything to happen: overtime ends when it has.
var atOnce = plan{
	lasts:    50 * time.Millisecond,
	overtime: 20 * time.Second,
	leg:      25 * time.Millisecond,
	patience: 30 * time.Second,
	seed:     1,
}

func TestScenarios_BreakNothingAndAreNotVacuous(t *testing.T) {
	for i := range scenarios {
		s := &scenarios[i]
		t.Run(s.name, func(t *testing.T) {
			v := s.run(atOnce)
			require.True(t, v.good(), "%v: %s", v, v.why())
			require.Zero(t, v.tally.sections[gone]+v.tally.sections[reused])
			require.Zero(t, v.tally.held[gone]+v.tally.held[reused])
		})
	}
}

func TestBusted_IsConvictedOfWhatItDoes(t *testing.T) {
	for i := range busted {
		s := &busted[i]
		t.Run(s.name, func(t *testing.T) {
			p := plan{lasts: 20 * time.Second, leg: 25 * time.Millisecond, patience: 30 * time.Second, seed: 1}
			switch s.name {
			case "idle":
				p.lasts = p.leg
			case "stuck":
				p.patience = p.leg
			}
			v := s.run(p)
			require.True(t, v.convicts(s), "%v: %s", v, v.why())
		})
	}
}

// A reader waits to be waited for by a grace period, a holder by Destroy: in either order.
func TestAge_IsWhatShouldHaveWaitedForTheOnlooker(t *testing.T) {
	for _, tc := range []struct {
		events          uint64
		inSection, held age
	}{
		{0, current, current},
		{unlinked, leaving, leaving},
		{unlinked | graced, gone, leaving},
		{unlinked | drained, leaving, gone},
		{unlinked | graced | drained, gone, gone},
		{1 << events, reused, reused}, // the next generation
	} {
		o := new(object)
		o.stamp.Store(7<<events + tc.events)
		require.Equal(t, tc.inSection, o.ageInSection(7), "events %b", tc.events)
		require.Equal(t, tc.held, o.ageHeld(7), "events %b", tc.events)
	}
}

// What the audit after each leg is for.
func TestAudit_FindsWhatIsNotInOnePlace(t *testing.T) {
	world := func() *world { return newWorld(setting{places: 2, spare: 1}) }

	w := world()
	require.NoError(t, guard("audit", w.audit))

	lost := world()
	lost.shelf[0].Store(nil)
	require.ErrorContains(t, guard("audit", lost.audit), "of 3 objects only 2 are left")

	twice := world()
	twice.shelf[0].Store(twice.shelf[1].Load())
	require.ErrorContains(t, guard("audit", twice.audit), "is published and published at once")

	old := world()
	old.shelf[0].Load().happened(unlinked)
	require.ErrorContains(t, guard("audit", old.audit), "is in its place but is leaving")

	held := world()
	l := held.dom.Bind()
	held.psz.ReadEnter(l)
	require.ErrorContains(t, guard("audit", held.audit), "in a read section")
}

func TestCommand_SaysByItsStatusHowItWent(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, 2, command(nil, &out, &errs), "nothing to run")
	require.Contains(t, errs.String(), "nothing to run")

	require.Equal(t, 0, command([]string{"-list"}, &out, &errs))
	for _, s := range append(scenarios, busted...) {
		require.Contains(t, out.String(), s.about)
	}

	out.Reset()
	require.Equal(t, 0, command([]string{"-json", "-seed", "1", "-busted", "init-live"}, &out, &errs), "convicted, as it must be")
	var v struct {
		Scenario, Verdict, Why string
		Counts                 map[string]uint64
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &v))
	require.Equal(t, "BUSTED init-live", v.Scenario)
	require.Equal(t, "!!!", v.Verdict)
	require.Contains(t, v.Why, "still in use")
	require.Len(t, v.Counts, int(counters))

	out.Reset()
	require.Equal(t, 0, command([]string{"-run", "^handoff$", "-for", "20ms"}, &out, &errs))
	require.Regexp(t, `(?m)^handoff +SUCCESS `, out.String())
}

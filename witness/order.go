package witness

import "fmt"

// A Rank is what has a place in the order: a *[Class] or a *[Level].
type Rank interface{ rank() *node }

// Order declares an order with the default Checker.
func Order(outermostFirst ...Rank) { std.Order(outermostFirst...) }

// Order declares that the given classes and levels, all of this Checker, are taken or
// waited for in this order and never the other way round, so that taking them reversed
// is reported even if nobody has taken them in order yet. With a level first it says
// which locks the code inside takes, and so under which the level is not waited for.
// What contradicts what is known already is reported ([RuleContradiction]).
func (ck *Checker) Order(outermostFirst ...Rank) {
	if !Enabled {
		return
	}
	here := capture(1)
	var faults []fault
	for i, r := range outermostFirst {
		if i == 0 {
			continue
		}
		m, n := outermostFirst[i-1].rank(), r.rank()
		if m.ck != ck || n.ck != ck {
			panic(&Violation{Rule: RuleContradiction, Text: fmt.Sprintf("witness: %v and %v are given an order by a Checker that is not both of theirs", m, n)})
		}
		if e := m.learn(n, &edge{declared: true, waited: *here}); e.bad != nil {
			faults = append(faults, fault{rule: e.bad.Rule, a: m, b: n, build: func() *Violation { return e.bad }})
		}
	}
	raise(faults...)
}

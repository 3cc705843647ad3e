package pf

import "github.com/softnet-go/softnet/internal/hook"

type stats struct {
	inserts, removals, collisions, limit    hook.Uint64
	matches, mismatches, blocked, malformed hook.Uint64
}

// Stats is a snapshot of a table's counters. Each is exact; they are not of one moment.
type Stats struct {
	States      int    // now
	Outstanding int    // that somebody refers to, now
	Inserts     uint64 // states
	Removals    uint64
	Collisions  uint64 // states that were refused since there is one of that key or ID
	Limit       uint64 // and for want of room
	Matches     uint64 // packets that belonged to a state
	Mismatches  uint64 // that pretended to
	Blocked     uint64 // that no rule passed, or no state could be made for
	Malformed   uint64 // that are none, or fragments
}

// Stats returns the counters.
func (t *Table) Stats() Stats {
	s := &t.stats
	return Stats{
		States: t.Len(), Outstanding: t.Outstanding(),
		Inserts: s.inserts.Load(), Removals: s.removals.Load(), Collisions: s.collisions.Load(), Limit: s.limit.Load(),
		Matches: s.matches.Load(), Mismatches: s.mismatches.Load(), Blocked: s.blocked.Load(), Malformed: s.malformed.Load(),
	}
}

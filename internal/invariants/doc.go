// Package invariants turns costly checks on and off at build time.
//
// Checks under [Enabled] vanish from ordinary builds. Under the tag invariants, and
// whenever the race detector is on, they stay: references, locks and packets then
// remember where they were taken, and a leak is reported by that place.
package invariants

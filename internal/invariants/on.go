//go:build race || invariants

package invariants

import "math/rand/v2"

// Enabled is true in checked builds: those with the tag invariants, and all with -race.
const Enabled = true

// Sometimes is true in percent of a hundred calls, to make rare paths common in tests.
// In other builds it is constantly false.
func Sometimes(percent int) bool { return rand.IntN(100) < percent }

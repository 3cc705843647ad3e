//go:build !witness && !race

package witness

// Enabled is true in builds that keep the books: those with the tag witness, and all
// with -race.
const Enabled = false

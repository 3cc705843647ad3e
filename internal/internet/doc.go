// Package internet holds the prefixes of a full Internet routing table, in half a byte
// each. Where they come from is in README.md.
package internet

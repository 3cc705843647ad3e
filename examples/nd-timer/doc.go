// Package ndtimer is the lesson about letting go of a lock in order to send: what it kept in place
// goes with it.
package ndtimer

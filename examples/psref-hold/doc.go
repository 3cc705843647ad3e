// Package psrefhold is the lesson about holding on to something while asleep: a read
// section does not last that long, a passive reference does.
package psrefhold

// Package twoupdaters is the lesson about two who change one route: each holds what the other
// waits for, unless the turn comes first.
package twoupdaters

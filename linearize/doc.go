// Package linearize asks somebody else: histories of a routing table under several goroutines
// are given to porcupine, a checker of linearizability, with a model of one prefix and the
// route that covers it. It has tests and a go.mod of its own, so that nobody who imports the
// table has to know the checker.
package linearize

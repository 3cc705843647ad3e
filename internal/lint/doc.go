// Package lint holds what no compiler checks and every change could break: the house
// itself, as data, and tests that read the tree and say where it was not kept.
//
//	layout   every package is a room of the house, or stands beside it
//	imports  a room imports only rooms below it
//	modules  the root go.mod requires what the house allows and nothing more
//	shared   shared words, leaf locks and goroutines go through internal/hook
//	globals  no package-level channel, timer, lock, worker or shared word
//	sleep    nobody sleeps to wait for somebody
//	doc      every package has its man page, with the sections in one order
//	exported every exported name of a room is documented
//	words    no paths of somebody's machine, no markers of unfinished work
//	links    where a page points into the repository, there is something; elsewhere, an address
//	quotes   all Go that a page shows is compiled and run
//	gofmt    every file is formatted
//
// The checks parse every Go file whatever its build tags, so a rule cannot be broken
// under a tag nobody built today. They read syntax only: a check says what it sees, and
// what it cannot see (a type behind an alias, say) is left to review.
//
// # Changing the house
//
// A new package needs a line in rooms.go, and that line is the place to argue about its
// floor. A new rule is a [Check] and an archive testdata/NAME.txt with a small tree that
// breaks it: TestCheck_FindsWhatIsSeeded fails for a check without one.
package lint

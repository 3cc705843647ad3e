// Mutants breaks the code of this repository in known ways, one at a time, and checks
// that some test notices each. A test that nothing can fail proves nothing; a mutant is
// the proof that a line which looks as if it could go is needed, and that a test says so.
//
//	go run ./internal/mutants                 every mutant against the tests it names
//	go run ./internal/mutants -run psref/     those whose name matches
//	go run ./internal/mutants -set all        the equivalent ones against all tests of their rooms
//	go run ./internal/mutants -list           what there is; that each still applies is checked
//	go run ./internal/mutants -md             the tables in Markdown
//
// The code is never touched: go test lays the changed files over it (-overlay). The tests
// are the deterministic ones, in virtual time or under every schedule (-tags sched); what
// finds a bug by luck, as the torture does, kills no mutant. First of all the unbroken code
// has to pass the same tests. On two cores all of it takes some two minutes, and one once
// the compiler's work is cached.
//
// # A mutant
//
// is a file in testdata. The first line says what is broken. Then come the tests that
// notice, as somebody would type them, to be run until one fails; and at the end what is
// changed, as hunks of a diff without line numbers. Any other paragraph is for the reader.
//
//	Acquire does not look again after it has published the reference
//
//	go test -tags sched -run TestExplore_AcquireAgainstDestroy ./psref
//
//	@@ psref/psref.go
//	 	p.Refs.Slots[i].Store(t.id)
//	-	if t.life.Dying.Load() != 0 {
//	+	if false {
//	 		t.drop(&p.Refs.Slots[i])
//
// What a hunk takes away, with the lines around it, must be in the file exactly once: a
// mutant that the code has moved away from is an error, not a kill. So is one that does
// not compile, one whose tests do not exist, and one that runs into the timeout.
//
// Good mutants are small and look right: a step left out, two steps in the other order, one
// step made two, a test that is not repeated, the first of many taken for all.
//
// A change that breaks no promise has a paragraph that begins with "equivalent:" and
// argues why. If a test notices it all the same, the argument is wrong and that is an
// error too.
//
// # Exit status
//
//	0  every mutant was killed, every equivalent one lived
//	1  some mutant lived, or was neither killed nor lived
//	2  a mutant or the command line makes no sense, or the unbroken code fails the tests
//
// `go run` itself makes 1 of all of these, and prints which it was.
package main

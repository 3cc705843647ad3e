// Modelcheck runs the Promela models of this repository through spin: each model right,
// and each with the bugs that are seeded in it.
//
//	go run ./internal/modelcheck              the rows of models/rows.txt
//	go run ./internal/modelcheck -quick       those that take a second or two each
//	go run ./internal/modelcheck -long        those too that take minutes and gigabytes
//	go run ./internal/modelcheck copy         the rows of one model
//	go run ./internal/modelcheck -trace copy COPY_BLIND
//	                                          one row, and the steps that led there
//	go run ./internal/modelcheck -md          the table in Markdown
//
// A row says what the search must find: nothing, a certain assertion violated, or a
// certain process asleep for ever at a certain word. A bug that is found for another
// reason than the expected counts as not found; so does a search that was cut short.
//
// It needs spin, with its C preprocessor, and a C compiler: $CC, cc, gcc or clang. It
// installs nothing, and writes only into a directory of its own that it takes away.
//
// # Exit status
//
//	0  every row ended as expected
//	1  some row did not
//	2  the table or the command line makes no sense
//	3  spin or a C compiler is missing
//
// `go run` itself makes 1 of all of these, and prints which it was.
package main

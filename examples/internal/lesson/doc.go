// Package lesson is the frame around what `go run ./examples` runs: lessons and programs.
//
// A [Lesson] is a pair of short functions of one shape. Wrong is the design that a good
// engineer would try first, and goes wrong every time; Right differs from it by little
// and holds. Both tell what happens to a recorder, and return the promise that was
// broken, if any:
//
//	var Lesson = lesson.Lesson{
//		Name:  "psref-hold",
//		Wrong: wrong, // func(r *event.Recorder) error
//		Right: right,
//		...
//	}
//
// A [Program] is anything else that is run by its name, and takes flags:
//
//	var Program = lesson.Program{
//		Name:  "forward",
//		Title: "forwards packets through the whole Internet table while it changes",
//		Run:   run, // func(ctx context.Context, args []string, stdout, stderr io.Writer) int
//	}
//
// A lesson or program lives in a folder of its name, in a package that exports it as
// Lesson or Program; one line in examples/gallery.go puts it on the list.
//
// # Two clocks
//
// A lesson sleeps where its actors would work or wait, in steps of [Step]. The runner
// runs it in real time, a test inside a testing/synctest bubble, where the same steps
// take no time and the transcript is the same bytes in every run. For that, two actors
// never speak at one instant unless one of them has waited for the other. A lesson takes
// less than two seconds on either clock.
//
// # Wrong in protocol, not in memory
//
// A wrong design must not be a data race: the garbage collector would hide its damage,
// and the race detector would report the lesson instead of the reader. So what is freed
// is poisoned with an atomic flag, and using it is said in words: USE AFTER FREE. A
// design that would hang gives up after a second and says so.
package lesson

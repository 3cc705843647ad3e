package main

import (
	"github.com/softnet-go/softnet/examples/forward"
	"github.com/softnet-go/softnet/examples/internal/lesson"
	pserializewindow "github.com/softnet-go/softnet/examples/pserialize-window"
	psrefhold "github.com/softnet-go/softnet/examples/psref-hold"
	publishedorders "github.com/softnet-go/softnet/examples/published-orders"
	softnetdeadlock "github.com/softnet-go/softnet/examples/softnet-deadlock"
)

// gallery is what there is to run, in the order to read it in. A new lesson or program
// is one line here; README.md then wants `go test ./examples -update`.
var gallery = lesson.Gallery{
	Lessons: []lesson.Lesson{
		pserializewindow.Lesson,
		psrefhold.Lesson,
		softnetdeadlock.Lesson,
		publishedorders.Lesson,
	},
	Programs: []lesson.Program{
		forward.Program,
	},
}

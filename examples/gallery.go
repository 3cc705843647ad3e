package main

import (
	"github.com/softnet-go/softnet/examples/forward"
	"github.com/softnet-go/softnet/examples/internal/lesson"
	lockorder "github.com/softnet-go/softnet/examples/lock-order"
	pserializewindow "github.com/softnet-go/softnet/examples/pserialize-window"
	psrefhold "github.com/softnet-go/softnet/examples/psref-hold"
	publishedorders "github.com/softnet-go/softnet/examples/published-orders"
	rtfreedefer "github.com/softnet-go/softnet/examples/rt-free-defer"
	rtupdate "github.com/softnet-go/softnet/examples/rt-update"
	rtcacheowner "github.com/softnet-go/softnet/examples/rtcache-owner"
	softnetdeadlock "github.com/softnet-go/softnet/examples/softnet-deadlock"
	twoupdaters "github.com/softnet-go/softnet/examples/two-updaters"
)

// gallery is what there is to run, in the order to read it in. A new lesson or program
// is one line here; README.md then wants `go test ./examples -update`.
var gallery = lesson.Gallery{
	Lessons: []lesson.Lesson{
		pserializewindow.Lesson,
		psrefhold.Lesson,
		softnetdeadlock.Lesson,
		lockorder.Lesson,
		rtfreedefer.Lesson,
		rtupdate.Lesson,
		twoupdaters.Lesson,
		rtcacheowner.Lesson,
		publishedorders.Lesson,
	},
	Programs: []lesson.Program{
		forward.Program,
	},
}

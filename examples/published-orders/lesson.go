package publishedorders

import "github.com/softnet-go/softnet/examples/internal/lesson"

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "published-orders",
	Title:    "protocols of a routing table, their steps in the order that was published",
	Breaks:   "a deadlock, a torn read and two uses after free, each in one schedule of thousands",
	Fixes:    "the same steps in another order, and every schedule explored",
	Packages: []string{"stacktest/sched"},
	Wrong:    wrong,
	Right:    right,
	Games:    games(),
}

// games are all orders, the wrong ones with the length of the schedule that is shown as par.
func games() (gs []lesson.Game) {
	for _, sc := range wrongOrders {
		gs = append(gs, sc.game(len(sc.script)))
	}
	for _, sc := range rightOrders {
		gs = append(gs, sc.game(0))
	}
	return gs
}

package main

import (
	altqasym "github.com/softnet-go/softnet/examples/altq-asym"
	bulkdemotion "github.com/softnet-go/softnet/examples/bulk-demotion"
	carpfailover "github.com/softnet-go/softnet/examples/carp-failover"
	"github.com/softnet-go/softnet/examples/failover"
	"github.com/softnet-go/softnet/examples/forward"
	"github.com/softnet-go/softnet/examples/ifdetach"
	"github.com/softnet-go/softnet/examples/internal/lesson"
	lagggarp "github.com/softnet-go/softnet/examples/lagg-garp"
	lockorder "github.com/softnet-go/softnet/examples/lock-order"
	mbufleak "github.com/softnet-go/softnet/examples/mbuf-leak"
	"github.com/softnet-go/softnet/examples/million"
	ndtimer "github.com/softnet-go/softnet/examples/nd-timer"
	pfsyncslices "github.com/softnet-go/softnet/examples/pfsync-slices"
	pserializewindow "github.com/softnet-go/softnet/examples/pserialize-window"
	psrefhold "github.com/softnet-go/softnet/examples/psref-hold"
	publishedorders "github.com/softnet-go/softnet/examples/published-orders"
	rtfreedefer "github.com/softnet-go/softnet/examples/rt-free-defer"
	rtupdate "github.com/softnet-go/softnet/examples/rt-update"
	rtcacheowner "github.com/softnet-go/softnet/examples/rtcache-owner"
	softnetdeadlock "github.com/softnet-go/softnet/examples/softnet-deadlock"
	twoupdaters "github.com/softnet-go/softnet/examples/two-updaters"
	wqinputicmp "github.com/softnet-go/softnet/examples/wqinput-icmp"
	yourownhandler "github.com/softnet-go/softnet/examples/your-own-handler"
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
		ifdetach.Lesson,
		ndtimer.Lesson,
		lagggarp.Lesson,
		wqinputicmp.Lesson,
		mbufleak.Lesson,
		altqasym.Lesson,
		carpfailover.Lesson,
		yourownhandler.Lesson,
		pfsyncslices.Lesson,
		bulkdemotion.Lesson,
	},
	Programs: []lesson.Program{
		forward.Program,
		million.Program,
		failover.Program,
	},
}

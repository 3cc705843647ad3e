package rtupdate

import (
	"errors"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/ifnet"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "rt-update",
	Title:    "a route gets another gateway while a packet is under way with it",
	Breaks:   "the lock is for finding the route; who has found it reads it later",
	Fixes:    "RTF_UPDATING: newcomers miss or wait, and the updater waits for all who hold it",
	Packages: []string{"rtable", "psref"},
	Wrong:    wrong,
	Right:    right,
}

// The two ways out: a gateway is of use on its own interface only.
var (
	em0 = ifnet.ID{Index: 1, Gen: 1}
	em1 = ifnet.ID{Index: 2, Gen: 1}
)

var links = map[string]ifnet.ID{"192.0.2.1": em0, "198.51.100.1": em1}

var errTorn = errors.New("a packet was sent to the old gateway by the new interface")

// send is what becomes of a packet.
func send(gateway string, out ifnet.ID) (what string, err error) {
	what = "to " + gateway + " by " + out.String()
	if links[gateway] != out {
		return what + ": TORN", errTorn
	}
	return what, nil
}

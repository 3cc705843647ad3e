package carpfailover

import (
	"errors"
	"io"
	"time"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/internal/event"
)

var errSplit = errors.New("more or fewer than one has the address")

// right says in its advertisements how unwell it is.
func right(r *event.Recorder) error { return story(r, nil) }

// story is the right one, with what was sent, if somebody wants to see it.
func story(r *event.Recorder, capture io.Writer) error {
	c, err := newCluster(r, capture)
	if err != nil {
		return err
	}
	c.run(10 * time.Second)
	ada := c.nodes[0]

	ada.uplink = false
	c.tell("ada", "loses its uplink", "and demotes itself")
	c.do(ada, ada.dev.Step(c.now, carp.Demote{By: 1, Reason: "uplink"}))
	c.run(20 * time.Second)
	if !c.well() {
		return errBlackHole
	}

	// TASK: leave this out. Who is master at the end, and which number is wrong?
	ada.uplink = true
	c.tell("ada", "has its uplink back", "and takes the demotion back")
	c.do(ada, ada.dev.Step(c.now, carp.Demote{By: -1, Reason: "uplink"}))
	c.run(30 * time.Second)
	if !c.well() || ada.dev.Demotion() != 0 {
		return errBlackHole
	}

	c.nodes[2].side = 1
	c.tell("cyd", "is cut off", "it hears nobody, and nobody it")
	c.run(40 * time.Second)
	if len(c.masters()) != 2 {
		return errSplit // nothing can be done about that: each side needs one
	}
	c.nodes[2].side = 0
	c.tell("cyd", "is back", "")
	c.run(50 * time.Second)
	if !c.well() || c.masters()[0] != ada {
		return errSplit
	}
	return nil
}

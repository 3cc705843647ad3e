package carpfailover

import (
	"time"

	"github.com/softnet-go/softnet/internal/event"
)

// wrong trusts the link: who can be heard is well.
func wrong(r *event.Recorder) error {
	c, err := newCluster(r, nil)
	if err != nil {
		return err
	}
	c.run(10 * time.Second)
	c.nodes[0].uplink = false
	c.tell("ada", "loses its uplink", "")
	c.run(60 * time.Second)
	if !c.well() {
		c.tell(c.masters()[0].name, "is still master", "and has nowhere to send to")
		return errBlackHole
	}
	return nil
}

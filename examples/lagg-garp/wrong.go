package lagggarp

import (
	"github.com/softnet-go/softnet/internal/event"
)

// wrong announces the address as soon as it has changed.
func wrong(r *event.Recorder) error {
	lagg, trunk := newLock("lagg"), newLock("trunk")

	// vlanOutput is the way out by a vlan on top of the lagg: that of the vlan, then the lagg's.
	vlanOutput := func(who string) bool {
		if !trunk.lock(r, who) {
			return false
		}
		defer trunk.unlock(r, who)
		if !lagg.lock(r, who) { // which port is it to go out by?
			return false
		}
		lagg.unlock(r, who)
		return true
	}

	lagg.lock(r, "ifconfig")
	defer lagg.unlock(r, "ifconfig")
	r.Record("ifconfig", "change", "address", "its first port was removed")
	r.Record("ifconfig", "announce", "address", "by the vlan: arp_ifinit")
	if !vlanOutput("ifconfig") {
		return errRecursion
	}
	return nil
}

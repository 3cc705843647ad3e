package carp

import (
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
)

// AnswerARP returns the link address with which an interface answers a question for a virtual
// address that came from a client at src: that of the virtual host which is master of it
// (carp_iamatch). ok is false if the address is none of CARP's there, or if another node answers.
// A softint may call it.
func (s *Stack) AnswerARP(id ifnet.ID, addr netip.Addr, src ifnet.MAC) (mac ifnet.MAC, ok bool) {
	i := s.find(id)
	if i == nil {
		return mac, false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, d := range i.parent.devices {
		for _, a := range d.addrs {
			if a == addr {
				return d.AnswerARP(src)
			}
		}
	}
	return mac, false
}

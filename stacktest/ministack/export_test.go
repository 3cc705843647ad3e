package ministack

import (
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/rtable"
)

// Hand has a packet sent to a neighbour, whatever the routes are.
func (s *Stack) Hand(m *mbuf.Packet, out ifnet.ID, to netip.Addr) {
	_ = s.sendBy(m, rtable.NextHop{Out: out}, to)
}

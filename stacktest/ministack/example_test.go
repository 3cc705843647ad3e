package ministack_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/stacktest/ministack"
)

// Two hosts on a cable. The first packet waits until the other host has said where it is.
func Example() {
	var hosts [2]*ministack.Stack
	ports := [2]*ifnet.Port{}
	ports[0], ports[1] = ifnet.NewPair()
	for i := range hosts {
		s, err := ministack.New(ministack.Config{Manual: true})
		if err != nil {
			panic(err)
		}
		hosts[i] = s
		em0, err := s.Ifs.Attach(ifnet.Spec{Name: "em0", Driver: ports[i], MAC: ifnet.MAC{2, 5: byte(i + 1)}, Up: true})
		if err != nil {
			panic(err)
		}
		if err := s.AddAddr(em0.ID(), netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 24)); err != nil {
			panic(err)
		}
		if i == 1 {
			for hosts[0].Run()+hosts[1].Run() > 0 { // they have announced their addresses
			}
			em0.Tap(func(m *mbuf.Packet) { // what the second one sees
				way := "receives"
				if m.Flags&mbuf.Sent != 0 {
					way = "sends"
				}
				fmt.Println(way, map[byte]string{0: "an IPv4 packet", 6: "ARP"}[m.Bytes()[13]])
			})
		}
	}

	ping := echo(netip.AddrFrom4([4]byte{192, 0, 2, 1}), netip.AddrFrom4([4]byte{192, 0, 2, 2}))
	m, err := hosts[0].Ifs.Pool().From(ping)
	if err != nil {
		panic(err)
	}
	l := hosts[0].Dom.Bind()
	if err := hosts[0].Output(context.Background(), l, m); err != nil {
		panic(err)
	}
	l.Unbind()
	for hosts[0].Run()+hosts[1].Run() > 0 {
	}
	for _, n := range hosts[0].Neighbours() {
		fmt.Println(n.Addr, "is at", n.MAC, n.State)
	}
	for _, s := range hosts {
		_ = s.Close(context.Background())
	}
	// Output:
	// receives ARP
	// sends ARP
	// receives an IPv4 packet
	// sends an IPv4 packet
	// 192.0.2.2 is at 02:00:00:00:00:02 REACHABLE
}

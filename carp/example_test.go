package carp_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/softnet-go/softnet/carp"
)

// Two nodes, driven by hand: the better one is elected, leaves, and the other one is there at once.
func Example() {
	addr := netip.MustParseAddr("10.0.0.100")
	start := time.Unix(0, 0)
	now := start
	var nodes []*carp.Parent
	var do func(from *carp.Parent, actions []carp.Action)
	do = func(from *carp.Parent, actions []carp.Action) {
		for _, a := range actions {
			switch a := a.(type) {
			case carp.Transition:
				fmt.Printf("%9v skew %3d: %v -> %v, %s\n", now.Sub(start), a.VHost.AdvSkew(), a.From, a.To, a.Why)
			case carp.Send:
				packet := a.Advert.AppendIP(nil, netip.Addr{}, carp.Group4, 0)
				for _, to := range nodes {
					if to != from {
						do(to, to.Input(now, packet))
					}
				}
			}
		}
	}
	for _, skew := range []uint8{0, 100} {
		p := carp.NewParent(carp.ParentConfig{Simplex: true})
		d, err := p.Add(carp.Config{Nodes: []carp.Node{{VHID: 7, AdvSkew: skew}}, Password: "secret", AdvBase: 1})
		if err != nil {
			fmt.Println(err)
			return
		}
		nodes = append(nodes, p)
		do(p, d.Step(now, carp.AddAddr{Addr: addr}))
	}
	for range 5 { // until the first of the timers, five times
		now = nodes[0].Next()
		if at := nodes[1].Next(); at.Before(now) {
			now = at
		}
		for _, p := range nodes {
			do(p, p.Step(now, carp.Tick{}))
		}
	}
	do(nodes[0], nodes[0].Step(now, carp.Down{}))
	// Output:
	//        0s skew   0: INIT -> BACKUP, started
	//        0s skew 100: INIT -> BACKUP, started
	//        3s skew   0: BACKUP -> MASTER, advertisements have stopped
	//        7s skew 100: BACKUP -> MASTER, the master is too slow, or leaves
	//        7s skew   0: MASTER -> INIT, down
}

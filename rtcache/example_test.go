package rtcache_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
)

// A flow's cache: the table is asked once, and again when it has changed.
func Example() {
	dom := lwp.NewDomain()
	rt := rtable.New(dom)
	defer rt.Close(context.Background())
	out := ifnet.ID{Index: 1, Gen: 1}
	_ = rt.Add(rtable.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1"), Out: out})

	l := dom.Bind() // this goroutine is now a thread that may hold things
	defer l.Unbind()
	var ro rtcache.Cache // a destination, its route, one passive reference
	send := func() {
		rte, err := ro.Lookup(l, rt, netip.MustParseAddr("10.1.2.3"))
		if err != nil {
			fmt.Println(err)
			return
		}
		defer ro.Release(l)
		fmt.Println("send by way of", rte.Gateway())
	}
	send()
	send()
	_ = rt.Add(rtable.Route{Dst: netip.MustParsePrefix("10.0.0.0/8"), Gateway: netip.MustParseAddr("192.0.2.2"), Out: out})
	send()
	fmt.Printf("%+v\n", ro.Stats())
	// Output:
	// send by way of 192.0.2.1
	// send by way of 192.0.2.1
	// send by way of 192.0.2.2
	// {Lookups:3 Hits:1 Refills:2 NoRoute:0 Updating:0}
}

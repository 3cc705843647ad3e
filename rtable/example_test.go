package rtable_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

func Example() {
	dom := lwp.NewDomain()
	t := rtable.New(dom)
	for dst, gw := range map[string]string{"0.0.0.0/0": "192.0.2.1", "10.0.0.0/8": "192.0.2.2"} {
		if err := t.Add(rtable.Route{Dst: netip.MustParsePrefix(dst), Gateway: netip.MustParseAddr(gw), Out: em0}); err != nil {
			panic(err)
		}
	}

	l := dom.Bind()
	var ref psref.Ref
	rte, err := t.Get(l, &ref, netip.MustParseAddr("10.1.2.3"))
	if err != nil {
		panic(err)
	}
	fmt.Println("found", rte)

	_ = t.Delete(rte.Dst())
	fmt.Println("deleted; who holds it still sends via", rte.Gateway(), "and it is freed:", rte.Freed())
	ref.Release(l)

	var again psref.Ref
	rte, _ = t.Get(l, &again, netip.MustParseAddr("10.1.2.3"))
	fmt.Println("found", rte)
	again.Release(l)

	l.Unbind()
	_ = t.Close(context.Background()) // waits for holders
	fmt.Println("freed:", t.Stats().Freed)
	// Output:
	// found 10.0.0.0/8 via 192.0.2.2 out 1.1 UP,GATEWAY
	// deleted; who holds it still sends via 192.0.2.2 and it is freed: false
	// found 0.0.0.0/0 via 192.0.2.1 out 1.1 UP,GATEWAY
	// freed: 2
}

func ExampleTable_Batch() {
	t := rtable.New(lwp.NewDomain())
	defer t.Close(context.Background())
	rt := rtable.Route{Dst: netip.MustParsePrefix("2001:db8::/32"), Gateway: netip.MustParseAddr("fe80::1"), Out: ifnet.ID{Index: 1, Gen: 1}}
	_ = t.Add(rt)

	rt.Gateway = netip.MustParseAddr("fe80::2")
	err := t.Batch(func(b *rtable.Batch) error {
		if err := b.Delete(rt.Dst); err != nil {
			return err
		}
		return b.Add(rt) // no lookup finds the prefix without a route
	})
	now, _ := t.Exact(rt.Dst)
	fmt.Println(err, now)

	err = t.Batch(func(b *rtable.Batch) error {
		_ = b.Delete(rt.Dst)
		return b.Delete(rt.Dst) // fails, so neither has happened
	})
	fmt.Println(err)
	fmt.Println(t.Len(), "route")
	// Output:
	// <nil> 2001:db8::/32 via fe80::2 out 1.1 UP,GATEWAY
	// rtable: delete 2001:db8::/32: no route
	// 1 route
}

func ExampleTable_DeleteMatching() {
	t := rtable.New(lwp.NewDomain())
	defer t.Close(context.Background())
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i, gw := range []netip.Addr{one, two, one} {
		_ = t.Add(rtable.Route{Dst: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16), Gateway: gw, Out: em0})
	}
	n, err := t.DeleteMatching(func(rt rtable.Route) bool { return rt.Gateway == one })
	fmt.Println(n, err)
	for _, rt := range t.All() {
		fmt.Println(rt)
	}
	// Output:
	// 2 <nil>
	// 10.1.0.0/16 via 192.0.2.2 out 1.1 UP,GATEWAY
}

package pserialize_test

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
)

// A configuration that packets look at and an operator replaces: the old one is used for
// something else only when nobody looks at it any more.
func Example() {
	type config struct{ ttl int }
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	var current atomic.Pointer[config]
	current.Store(&config{ttl: 64})

	l := dom.Bind()
	defer l.Unbind()
	s := psz.ReadEnter(l)
	fmt.Println("ttl", current.Load().ttl)
	s.Exit()

	old := current.Swap(&config{ttl: 255})
	if err := psz.Perform(context.Background(), l); err != nil {
		fmt.Println(err)
		return
	}
	old.ttl = 0 // ours alone now
	fmt.Println("grace periods", psz.Stats().Ended)
	// Output:
	// ttl 64
	// grace periods 1
}

// A list that readers walk without a lock. A removed element is linked again only after a
// grace period and Init.
func ExampleList() {
	type addr struct {
		ip    string
		entry pserialize.Entry[addr]
	}
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	addrs := pserialize.NewList(psz, func(a *addr) *pserialize.Entry[addr] { return &a.entry })
	a, b := &addr{ip: "192.0.2.1"}, &addr{ip: "192.0.2.2"}
	addrs.InsertHead(a)
	addrs.InsertAfter(a, b)

	l := dom.Bind()
	defer l.Unbind()
	addrs.Remove(a)
	_ = psz.Perform(context.Background(), l)
	a.entry.Init()
	addrs.InsertAfter(b, a)

	s := psz.ReadEnter(l)
	defer s.Exit()
	for x := range addrs.All(s) {
		fmt.Println(x.ip)
	}
	// Output:
	// 192.0.2.2
	// 192.0.2.1
}

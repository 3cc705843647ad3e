package psref_test

import (
	"context"
	"fmt"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
)

// ifaddr is an address that many look at and that seldom goes away.
type ifaddr struct {
	name   string
	target psref.Target
	entry  pserialize.Entry[ifaddr]
}

// A reader finds an address in a read section, holds it while it works, and may sleep
// meanwhile; the owner waits for exactly that.
func Example() {
	dom := lwp.NewDomain()
	psz, class := pserialize.New(dom), psref.NewClass(dom, "ifaddr")
	addrs := pserialize.NewList(psz, func(a *ifaddr) *pserialize.Entry[ifaddr] { return &a.entry })
	em0 := &ifaddr{name: "em0"}
	class.Init(&em0.target)
	addrs.InsertHead(em0)

	reader := dom.Bind()
	defer reader.Unbind()
	var ref psref.Ref
	s := psz.ReadEnter(reader)
	a := addrs.First(s)
	ok := class.Acquire(reader, &ref, &a.target)
	s.Exit()
	fmt.Println("reader: holds", a.name, ok)

	unlinked, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		owner, ctx := dom.Bind(), context.Background()
		defer owner.Unbind()
		addrs.Remove(em0)
		_ = psz.Perform(ctx, owner) // nobody can begin to hold it
		fmt.Println("owner: em0 is out of sight")
		close(unlinked)
		_ = em0.target.Destroy(ctx, owner) // nobody holds it any more
		fmt.Println("owner: em0 destroyed")
	}()
	<-unlinked
	fmt.Println("reader: done with", a.name)
	ref.Release(reader)
	<-gone
	// Output:
	// reader: holds em0 true
	// owner: em0 is out of sight
	// reader: done with em0
	// owner: em0 destroyed
}

// A walk that sleeps on each element: a reference keeps the element while the reader is
// outside the section, the cursor finds the way on.
func Example_sleepableWalk() {
	dom := lwp.NewDomain()
	psz, class := pserialize.New(dom), psref.NewClass(dom, "ifaddr")
	addrs := pserialize.NewList(psz, func(a *ifaddr) *pserialize.Entry[ifaddr] { return &a.entry })
	for _, name := range []string{"em2", "em1", "em0"} {
		a := &ifaddr{name: name}
		class.Init(&a.target)
		addrs.InsertHead(a)
	}

	l := dom.Bind()
	defer l.Unbind()
	var ref psref.Ref
	cur := addrs.Cursor()
	s := psz.ReadEnter(l)
	for a := cur.Next(s); a != nil; {
		held := class.Acquire(l, &ref, &a.target) // or it is being destroyed: pass it by
		if held {
			s.Exit()
			fmt.Println("may sleep with", a.name)
			s = psz.ReadEnter(l)
		}
		a = cur.Next(s)
		if held {
			ref.Release(l) // only now: a must not be inserted elsewhere before the step
		}
	}
	s.Exit()
	// Output:
	// may sleep with em0
	// may sleep with em1
	// may sleep with em2
}

func ExampleRef_Copy() {
	dom := lwp.NewDomain()
	class := psref.NewClass(dom, "ifaddr")
	var a ifaddr
	class.Init(&a.target)
	l := dom.Bind()
	defer l.Unbind()

	var first, second psref.Ref
	class.Acquire(l, &first, &a.target)
	first.Copy(l, &second)
	first.Release(l)
	fmt.Println(first.Held(), second.Held(), a.target.Held(l))
	second.Release(l)
	// Output: false true true
}

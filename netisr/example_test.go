package netisr_test

import (
	"context"
	"fmt"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

// A packet is sent by who holds a lock: later, by somebody who holds none. The other one's
// interface leaves first; what it was saved with is given back.
func ExampleSendQueue() {
	dom := lwp.NewDomain()
	ifs := ifnet.NewTable(dom)
	em0, _ := ifs.Attach(ifnet.Spec{Name: "em0", Driver: ifnet.NewLoop(), Up: true})
	em1, _ := ifs.Attach(ifnet.Spec{Name: "em1", Driver: ifnet.NewLoop(), Up: true})
	q := netisr.NewSendQueue(netisr.SendConfig{Ifs: ifs, Manual: true})
	garp, _ := netisr.Register(q, netisr.Spec[string]{
		Name: "garp",
		Handle: func(c *netisr.Ctx, m *mbuf.Packet, who string) {
			fmt.Println(who, "is announced by", c.Out)
			m.Free(mbuf.Done)
		},
		Free: func(who string, why mbuf.Reason) { fmt.Println(who, "is not:", why) },
	})
	for who, out := range map[string]ifnet.ID{"10.0.0.1": em0.ID(), "10.0.1.1": em1.ID()} {
		m, _ := ifs.Pool().Alloc(28)
		if err := garp.Dispatch(m, out, who); err != nil {
			fmt.Println(err)
		}
	}
	l := dom.Bind()
	defer l.Unbind()
	_ = ifs.Detach(context.Background(), l, em1.ID())
	q.RunUntilIdle()
	_ = q.Close(context.Background(), l)
	// Output:
	// 10.0.1.1 is not: interface departed
	// 10.0.0.1 is announced by em0
}

package ifnet_test

import (
	"context"
	"fmt"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/psref"
)

// Two interfaces on a network; one leaves while the other sends.
func Example() {
	dom := lwp.NewDomain()
	ifs := ifnet.NewTable(dom)
	lan := ifnet.NewLAN(ifnet.LANConfig{})
	defer lan.Close()
	ifs.OnEvent(func(ev ifnet.Event) { fmt.Println(ev.Name, ev.Kind) })
	ifs.SetInput(func(m *mbuf.Packet) error { // in a stack: a netisr's queue
		fmt.Printf("a frame of %d bytes comes by interface %v\n", m.Len(), m.In)
		m.Free(mbuf.Done)
		return nil
	})
	em0, _ := ifs.Attach(ifnet.Spec{Name: "em0", Driver: lan.NewPort(), MAC: ifnet.MAC{2, 0, 0, 0, 0, 1}, Up: true})
	em1, _ := ifs.Attach(ifnet.Spec{Name: "em1", Driver: lan.NewPort(), MAC: ifnet.MAC{2, 0, 0, 0, 0, 2}, Up: true})

	l := dom.Bind()
	defer l.Unbind()
	send := func() {
		m, _ := ifs.Pool().From([]byte("hello"))
		ifnet.PushEther(m, ifnet.BroadcastMAC, em0.MAC(), 0x88b5)
		var ref psref.Ref
		ifp, ok := ifs.Get(l, &ref, em0.ID())
		if !ok {
			m.Free(mbuf.IfDeparted)
			return
		}
		defer ref.Release(l)
		_ = ifp.Transmit(l, m)
	}
	send()
	if err := ifs.Detach(context.Background(), l, em1.ID()); err != nil {
		fmt.Println(err)
	}
	send() // to nobody
	fmt.Println(ifs.Live(em1.ID()), lan.Stats().Frames, lan.Stats().Delivered)
	// Output:
	// em0 attached
	// em1 attached
	// a frame of 19 bytes comes by interface 2.1
	// em1 departed
	// false 2 1
}

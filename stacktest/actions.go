package stacktest

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/rtable"
)

// actions are what is done to the handler.
func (a *attack) actions() map[string]func(*rapid.T) {
	which := rapid.IntRange(0, interfaces-1)
	return map[string]func(*rapid.T){
		"": a.judge,
		"packet": func(t *rapid.T) {
			b := a.c.Packets.Draw(t, "packet")
			kind := rapid.SampledFrom([]string{"as it is", "as it is", "changed", "cut", "broadcast"}).Draw(t, "kind")
			switch kind {
			case "changed":
				b = Mutate(t, b)
			case "cut":
				b = b[:rapid.IntRange(0, len(b)).Draw(t, "length")]
			}
			i := which.Draw(t, "interface")
			segments := 1
			if rapid.IntRange(0, 3).Draw(t, "segmented") == 3 {
				segments = 2
			}
			a.step("a packet of %d bytes, %s, comes by em%d", len(b), kind, i)
			a.send(i, b, segments, kind == "broadcast", rapid.Uint32Range(0, 2).Draw(t, "flow"))
		},
		"flood": func(t *rapid.T) {
			n := rapid.SampledFrom([]int{20, 100, 300}).Draw(t, "n")
			i := which.Draw(t, "interface")
			b := a.c.Packets.Draw(t, "packet")
			a.step("%d packets come by em%d at once, and the next after a millisecond, as often", n, i)
			for k := range n {
				a.send(i, b, 1, false, uint32(k%3))
				if k%queueLimit == queueLimit-1 {
					elapse(time.Millisecond)
				}
			}
		},
		"wait": func(t *rapid.T) {
			d := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 10 * time.Minute}).Draw(t, "time")
			a.step("wait for %v", d)
			elapse(d)
		},
		"detach": func(t *rapid.T) {
			i := which.Draw(t, "interface")
			if a.ports[i].ifp == nil {
				t.Skip("there is none")
			}
			a.step("detach em%d", i)
			a.detach(i)
		},
		"attach": func(t *rapid.T) {
			i := which.Draw(t, "interface")
			if a.ports[i].ifp != nil {
				t.Skip("it is there")
			}
			a.step("attach em%d again, with the same index", i)
			a.attach(i)
		},
		"down and up": func(t *rapid.T) {
			i := which.Draw(t, "interface")
			if p := a.ports[i]; p.ifp != nil {
				a.step("em%d goes down for a moment", i)
				_ = a.st.Ifs.Down(p.ifp.ID())
				elapse(time.Millisecond)
				_ = a.st.Ifs.Up(p.ifp.ID())
			}
		},
		"route": func(t *rapid.T) {
			dst := Prefix().Draw(t, "destination")
			rt := rtable.Route{Dst: dst, Out: ifnet.ID{Index: uint32(which.Draw(t, "interface")) + 1, Gen: 1}}
			switch what := rapid.SampledFrom([]string{"add", "delete"}).Draw(t, "what"); what {
			case "add":
				a.step("add a route to %v", dst)
				_ = a.st.Routes.Add(rt)
			case "delete":
				a.step("delete the route to %v", dst)
				_ = a.st.Routes.Delete(dst)
			}
		},
		"close": func(t *rapid.T) {
			if a.closed || rapid.IntRange(0, 3).Draw(t, "really") < 3 {
				t.Skip("not yet")
			}
			a.close(t)
		},
	}
}

// send gives a packet to the handler's queue.
func (a *attack) send(i int, b []byte, segments int, broadcast bool, id uint32) {
	p := a.ports[i]
	if p.ifp == nil {
		return
	}
	parts := [][]byte{b}
	if segments == 2 {
		parts = [][]byte{b[:len(b)/2], b[len(b)/2:]}
	}
	m, err := a.st.Pool.From(parts...)
	if err != nil {
		return
	}
	m.In, m.FlowID, m.Hash = p.ifp.ID(), id, mbuf.HashOpaque
	if broadcast {
		m.Flags |= mbuf.Broadcast
	}
	a.mu.Lock()
	r := &record{n: len(a.packets) + 1, flow: flow{m.In, id}, broadcast: broadcast}
	a.packets = append(a.packets, r)
	a.mu.Unlock()
	a.tag(m, r)
	if a.wq != nil {
		_ = a.wq.Input(m, 0, 1)
	} else {
		_ = a.isr.Queue(1, m)
	}
}

func (a *attack) attach(i int) {
	p := &a.ports[i]
	p.n++
	ifp, err := a.st.Ifs.Attach(ifnet.Spec{Name: fmt.Sprintf("em%d", i), Driver: &wire{a}, Link: ifnet.Raw, Up: true,
		MAC: ifnet.MAC{2, 5: byte(i)}, Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i) + 1}), 24)}})
	if err != nil {
		a.breaks("keeps an interface from being attached again: %v", err)
		return
	}
	p.ifp = ifp
}

func (a *attack) detach(i int) {
	p := &a.ports[i]
	if p.ifp == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	id := p.ifp.ID()
	if err := a.st.Ifs.Detach(ctx, a.l, id); err != nil {
		a.breaks("holds interface %v for ever: its Detach does not end", id)
		p.ifp = nil
		return
	}
	a.departedWith(id)
	a.gone = append(a.gone, departed{p.ifp, p.ifp.Stats()})
	p.ifp = nil
}

// elapse lets virtual time go by.
func elapse(d time.Duration) { <-time.After(d) }

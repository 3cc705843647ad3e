package stacktest

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/rtable"
)

// An act is something that is done to the handler: all that was drawn for it, so that it can be done
// again. may says whether it can be done now; nil if always.
type act struct {
	text string
	may  func(a *attack) bool
	do   func(a *attack)
}

// GoString is what rapid's log says of it.
func (x act) GoString() string { return x.text }

// perform does an act, if that can be done.
func (a *attack) perform(x act) {
	if x.may != nil && !x.may(a) {
		return
	}
	a.steps = append(a.steps, x.text)
	a.record("", fmt.Sprintf("%d  %s", len(a.steps), x.text), "", "")
	a.guarded(func() { x.do(a) }) // drainers, hooks and what gives back are the handler's
}

// A mood is a kind of attack.
type mood uint8

const (
	hostile  mood = iota
	peaceful      // nothing is lost: what becomes of each packet depends on nobody's luck
)

// there says that an interface is attached.
func there(i int) func(*attack) bool { return func(a *attack) bool { return a.ports[i].ifp != nil } }

// draws are what is done to the handler, drawn one by one.
func (c Config) draws(kind mood) map[string]func(*rapid.T) act {
	if c.Packets == nil {
		c.Packets = IPPackets()
	}
	which := rapid.IntRange(0, interfaces-1)
	all := map[string]func(*rapid.T) act{
		"packet": c.packet, "another packet": c.packet, "a third packet": c.packet, // what is done most often
		"again": func(t *rapid.T) act {
			i, back := which.Draw(t, "interface"), rapid.IntRange(1, 3).Draw(t, "back")
			return act{
				text: fmt.Sprintf("the packet %d before comes again, by em%d", back, i),
				may:  func(a *attack) bool { return there(i)(a) && len(a.sent) >= back },
				do: func(a *attack) {
					old := a.sent[len(a.sent)-back]
					a.give(i, old, len(old), false, 0)
				},
			}
		},
		"paced": func(t *rapid.T) act {
			n, i, b := rapid.SampledFrom([]int{20, 100, 300}).Draw(t, "n"), which.Draw(t, "interface"), c.Packets.Draw(t, "packet")
			return act{
				text: fmt.Sprintf("%d packets come by em%d at once, and the next after a millisecond, as often", n, i),
				may:  there(i),
				do: func(a *attack) {
					for k := range n {
						a.give(i, b, len(b), false, uint32(k%3))
						if k%queueLimit == queueLimit-1 {
							a.elapse(time.Millisecond)
						}
					}
				},
			}
		},
		"wait": func(t *rapid.T) act {
			d := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 10 * time.Minute}).Draw(t, "time")
			return act{text: fmt.Sprintf("wait for %v", d), do: func(a *attack) { a.elapse(d) }}
		},
		"detach": func(t *rapid.T) act {
			i := which.Draw(t, "interface")
			return act{text: fmt.Sprintf("detach em%d", i), may: there(i), do: func(a *attack) { a.detach(i) }}
		},
		"attach": func(t *rapid.T) act {
			i := which.Draw(t, "interface")
			return act{
				text: fmt.Sprintf("attach em%d again, with an index that was used", i),
				may:  func(a *attack) bool { return !there(i)(a) },
				do:   func(a *attack) { a.attach(i) },
			}
		},
		"down and up": func(t *rapid.T) act {
			i := which.Draw(t, "interface")
			return act{text: fmt.Sprintf("em%d goes down for a moment", i), may: there(i), do: func(a *attack) {
				id := a.ports[i].ifp.ID()
				_ = a.st.Ifs.Down(id)
				a.elapse(time.Millisecond)
				_ = a.st.Ifs.Up(id)
			}}
		},
		"change": func(t *rapid.T) act { return change(t, which.Draw(t, "interface")) },
		"route":  func(t *rapid.T) act { return route(t, which.Draw(t, "interface")) },
	}
	if kind == hostile {
		all["flood"] = func(t *rapid.T) act {
			n, i, b := rapid.SampledFrom([]int{1, 40, 300}).Draw(t, "n"), which.Draw(t, "interface"), c.Packets.Draw(t, "packet")
			detach := rapid.Bool().Draw(t, "detached meanwhile")
			text := fmt.Sprintf("%d packets come by em%d, and no handler may begin yet", n, i)
			if n == 1 {
				text = fmt.Sprintf("a packet comes by em%d, and no handler may begin yet", i)
			}
			if detach {
				text += fmt.Sprintf("; em%d is detached meanwhile", i)
			}
			return act{text: text, may: there(i), do: func(a *attack) { a.flood(i, b, n, detach) }}
		}
		all["slow"] = func(t *rapid.T) act {
			d := rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, time.Minute}).Draw(t, "time")
			return act{
				text: fmt.Sprintf("from now on a packet waits %v for its handler, with its interface held", d),
				may:  func(a *attack) bool { return a.wq != nil },
				do: func(a *attack) {
					a.mu.Lock()
					defer a.mu.Unlock()
					a.slow = d
				},
			}
		}
		all["close"] = func(t *rapid.T) act {
			d := rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute}).Draw(t, "limit")
			really := rapid.IntRange(0, 3).Draw(t, "really") == 3
			return act{
				text: fmt.Sprintf("close, and wait for %v at most", d),
				may:  func(a *attack) bool { return really && !a.closed },
				do:   func(a *attack) { a.close(d) },
			}
		}
	}
	return all
}

// packet is a packet, as it is or spoilt.
func (c Config) packet(t *rapid.T) act {
	b := c.Packets.Draw(t, "packet")
	kind := rapid.SampledFrom([]string{"as it is", "as it is", "changed", "cut", "broadcast"}).Draw(t, "kind")
	switch kind {
	case "changed":
		b = Mutate(t, b)
	case "cut":
		b = b[:rapid.IntRange(0, len(b)).Draw(t, "length")]
	}
	i := rapid.IntRange(0, interfaces-1).Draw(t, "interface")
	cut := len(b)
	if rapid.IntRange(0, 3).Draw(t, "segmented") == 3 {
		cut /= 2
	}
	id := rapid.Uint32Range(0, 2).Draw(t, "flow")
	return act{
		text: fmt.Sprintf("a packet of %d bytes, %s, comes by em%d", len(b), kind, i),
		may:  there(i),
		do:   func(a *attack) { a.give(i, b, cut, kind == "broadcast", id) },
	}
}

// change changes something about an interface.
func change(t *rapid.T, i int) act {
	addr := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i) + 1}), 24)
	what := rapid.SampledFrom([]string{"is called lan", "is called em", "gets an address", "loses an address", "carries less", "carries more"}).Draw(t, "change")
	text := fmt.Sprintf("em%d %s", i, what)
	if what == "is called lan" || what == "is called em" {
		text += fmt.Sprint(i)
	}
	return act{text: text, may: there(i), do: func(a *attack) {
		ifs, id := a.st.Ifs, a.ports[i].ifp.ID()
		switch what {
		case "is called lan":
			_ = ifs.Rename(id, fmt.Sprintf("lan%d", i))
		case "is called em":
			_ = ifs.Rename(id, portName(i))
		case "gets an address":
			_ = ifs.AddAddr(id, addr)
		case "loses an address":
			_ = ifs.RemoveAddr(id, addr.Addr())
		case "carries less":
			_ = ifs.SetMTU(id, ifnet.MinMTU)
		case "carries more":
			_ = ifs.SetMTU(id, ifnet.DefaultMTU)
		}
	}}
}

// route changes the routing table.
func route(t *rapid.T, i int) act {
	dst := Prefix().Draw(t, "destination")
	what := rapid.SampledFrom([]string{"add a", "change the", "replace the", "delete the"}).Draw(t, "what")
	return act{text: fmt.Sprintf("%s route to %v by em%d", what, dst, i), may: there(i), do: func(a *attack) {
		rt := rtable.Route{Dst: dst, Out: a.ports[i].ifp.ID()}
		switch what {
		case "add a":
			_ = a.st.Routes.Add(rt)
		case "change the":
			ctx, cancel := a.until(time.Hour)
			defer cancel()
			if _ = a.st.Routes.Change(ctx, a.l, rt); ctx.Err() != nil {
				a.breaks("holds a route for ever: it cannot be changed", "%v", dst)
			}
		case "replace the":
			_ = a.st.Routes.Replace(rt)
		case "delete the":
			_ = a.st.Routes.Delete(dst)
		}
	}}
}

// flood fills the queues while no handler begins, and lets go.
func (a *attack) flood(i int, b []byte, n int, detach bool) {
	a.shutGates()
	for k := range n {
		if k == 3 {
			a.settle() // a stream that has its first packet in hand has room for so many, each time
		}
		a.give(i, b, len(b), false, uint32(k%3))
	}
	a.settle()
	gone := make(chan struct{})
	if detach {
		go func() {
			defer close(gone)
			a.guarded(func() { a.detach(i) })
		}()
	} else {
		close(gone)
	}
	a.settle()
	a.openGates()
	<-gone
}

// give makes a packet of bytes, of two segments if it is cut, and sends it.
func (a *attack) give(i int, b []byte, cut int, broadcast bool, id uint32) {
	a.sent = append(a.sent, b)
	if len(a.sent) > 3 {
		a.sent = slices.Delete(a.sent, 0, 1)
	}
	parts := [][]byte{b}
	if cut < len(b) {
		parts = [][]byte{b[:cut], b[cut:]}
	}
	m, err := a.st.Pool.From(parts...)
	if err != nil {
		return
	}
	if len(a.packets)%4 == 3 { // somebody else looks at it, too
		if c, err := m.Clone(); err == nil {
			a.shared = append(a.shared, lent{c, b})
		}
	}
	a.send(i, m, broadcast, id)
}

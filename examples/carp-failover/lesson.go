package carpfailover

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/internal/pcap"
)

// Lesson is this folder on the list of the gallery.
var Lesson = lesson.Lesson{
	Name:     "carp-failover",
	Title:    "three firewalls share an address, and the best one loses its uplink",
	Breaks:   "it goes on advertising: its link to the others is fine, and packets go into a black hole",
	Fixes:    "its group is demoted, which its advertisements say, and the next best takes over until it is well",
	Packages: []string{"carp"},
	Wrong:    wrong,
	Right:    right,
}

var errBlackHole = errors.New("BLACK HOLE: the master has no uplink, and keeps the address")

var vip = netip.MustParseAddr("10.0.0.100")

// A cluster is three nodes on a link, in a time of their own: the core asks no clock, so a story of
// a minute takes no time.
type cluster struct {
	r     *event.Recorder
	start time.Time
	now   time.Time
	nodes []*node
	wire  *pcap.Writer // may be nil
}

// A node is a firewall. side says which part of a cut link it is on.
type node struct {
	name   string
	addr   netip.Addr
	parent *carp.Parent
	dev    *carp.Device
	uplink bool
	side   int
}

func newCluster(r *event.Recorder, capture io.Writer) (*cluster, error) {
	c := &cluster{r: r, start: time.Unix(0, 0)}
	c.now = c.start
	if capture != nil {
		var err error
		if c.wire, err = pcap.NewWriter(capture, pcap.Raw); err != nil {
			return nil, err
		}
	}
	for i, name := range []string{"ada", "bob", "cyd"} {
		n := &node{name: name, addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), uplink: true}
		n.parent = carp.NewParent(carp.ParentConfig{Simplex: true, MAC: ifnet.MAC{2, 5: byte(i)}})
		var err error
		n.dev, err = n.parent.Add(carp.Config{Nodes: []carp.Node{{VHID: 1, AdvSkew: uint8(100 * i)}}, Password: "secret", AdvBase: 1, Preempt: true})
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, n)
	}
	for _, n := range c.nodes {
		c.do(n, n.dev.Step(c.now, carp.AddAddr{Addr: vip}))
	}
	return c, nil
}

// tell records what happens, at the cluster's time.
func (c *cluster) tell(who, what, detail string) {
	c.r.Record(who, fmt.Sprintf("%5.1fs %s", c.now.Sub(c.start).Seconds(), what), "", detail)
}

// do does what a node's core asks for: its advertisements reach those on its side, one after the
// other in the order in which they were sent.
func (c *cluster) do(from *node, actions []carp.Action) {
	type sent struct {
		from   *node
		packet []byte
	}
	var air []sent
	act := func(from *node, actions []carp.Action) {
		for _, a := range actions {
			switch a := a.(type) {
			case carp.Transition:
				c.tell(from.name, a.To.String(), a.Why)
			case carp.Send:
				packet := a.Advert.AppendIP(nil, from.addr, carp.Group4, 0)
				if c.wire != nil {
					_ = c.wire.Write(c.now, packet) // what cannot be written is missing in it
				}
				air = append(air, sent{from, packet})
			}
		}
	}
	for act(from, actions); len(air) > 0; {
		s := air[0]
		air = air[1:]
		for _, to := range c.nodes {
			if to != s.from && to.side == s.from.side {
				act(to, to.parent.Input(c.now, s.packet))
			}
		}
	}
}

// run lets time pass until t.
func (c *cluster) run(t time.Duration) {
	for end := c.start.Add(t); ; {
		next := end
		for _, n := range c.nodes {
			if at := n.parent.Next(); !at.IsZero() && at.Before(next) {
				next = at
			}
		}
		c.now = next
		if !next.Before(end) {
			return
		}
		for _, n := range c.nodes {
			c.do(n, n.parent.Step(c.now, carp.Tick{}))
		}
	}
}

// masters returns who has the address.
func (c *cluster) masters() (ms []*node) {
	for _, n := range c.nodes {
		if n.dev.State() == carp.Master {
			ms = append(ms, n)
		}
	}
	return ms
}

// well reports whether exactly one has the address, and can do something with it.
func (c *cluster) well() bool {
	ms := c.masters()
	return len(ms) == 1 && ms[0].uplink
}

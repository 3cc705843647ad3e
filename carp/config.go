package carp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/softnet-go/softnet/ifnet"
)

// A Node is one entry of carpnodes: a virtual host of a device.
type Node struct {
	VHID    uint8 // 1 to 255
	AdvSkew uint8 // 0 to 254, in 1/256 s: the higher, the later in the order of succession
}

// MaxNodes is how many virtual hosts a device may have.
const MaxNodes = 32

// ErrConfig reports a configuration out of bounds.
var ErrConfig = errors.New("carp: bad configuration")

// ErrVHID reports that the parent has a virtual host of that number.
var ErrVHID = errors.New("carp: vhid is in use on the parent")

// A Config is how a device is set up. The zero value lacks only Nodes; AdvBase is meant as it is,
// so that 0 is an interval below a second.
type Config struct {
	// Nodes are the virtual hosts, 1 to 32 of different vhids. The lowest vhid leads.
	Nodes []Node
	// Password is shared by all nodes, at most 19 bytes.
	Password string
	// AdvBase is the interval of advertisements, 0 to 254 seconds; skew is added.
	AdvBase uint8
	// MasterDown says how long a backup waits.
	MasterDown MasterDown
	// Preempt makes a backup take over from a worse master.
	Preempt bool
	// Balancing shares the addresses among the masters of several virtual hosts. BalanceNone with
	// more than one of them is BalanceIP.
	Balancing Balancing
	// Peer is where IPv4 advertisements are sent, and the kind of address they must have been sent
	// to. The zero Addr is the group 224.0.0.18.
	Peer netip.Addr
	// LLAddr is a link address instead of the leader's virtual one, to be set on all nodes.
	LLAddr ifnet.MAC
	// Fresh asks for counters that grow, which defeats replays and copies of live advertisements. It
	// is no part of the protocol: other systems repeat theirs or jump. All nodes must have it set,
	// and clocks that agree to a fraction of the interval.
	Fresh bool
	// Groups are joined besides [DefaultGroup].
	Groups []string
}

// check returns the configuration in its normal form, or what is wrong with it.
func (c Config) check() (Config, error) {
	c.Nodes = slices.Clone(c.Nodes)
	slices.SortFunc(c.Nodes, func(a, b Node) int { return int(a.VHID) - int(b.VHID) })
	c.Peer = c.Peer.Unmap()
	groups := append([]string{DefaultGroup}, c.Groups...)
	slices.Sort(groups)
	c.Groups = slices.Compact(groups)
	if len(c.Password) > MaxPassword {
		return c, fmt.Errorf("%w: %w", ErrConfig, ErrPassword)
	}
	switch {
	case len(c.Nodes) == 0 || len(c.Nodes) > MaxNodes:
		return c, fmt.Errorf("%w: %d virtual hosts; 1 to %d are possible", ErrConfig, len(c.Nodes), MaxNodes)
	case c.AdvBase == bowOut:
		return c, fmt.Errorf("%w: an interval of 255 seconds says that one leaves", ErrConfig)
	case c.MasterDown > Scaled:
		return c, fmt.Errorf("%w: %v", ErrConfig, c.MasterDown)
	case c.Balancing > BalanceARP:
		return c, fmt.Errorf("%w: %v", ErrConfig, c.Balancing)
	case c.Peer.IsValid() && !c.Peer.Is4():
		return c, fmt.Errorf("%w: peer %v is no IPv4 address", ErrConfig, c.Peer)
	}
	for i, n := range c.Nodes {
		switch {
		case n.VHID == 0:
			return c, fmt.Errorf("%w: vhid 0", ErrConfig)
		case n.AdvSkew == bowOut:
			return c, fmt.Errorf("%w: vhid %d has a skew of 255, which says that one leaves", ErrConfig, n.VHID)
		case i > 0 && n.VHID == c.Nodes[i-1].VHID:
			return c, fmt.Errorf("%w: vhid %d twice", ErrConfig, n.VHID)
		}
	}
	if !c.Peer.IsValid() {
		c.Peer = Group4
	}
	return c, nil
}

package failover

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/pfsync"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
)

// limit is how many packets wait in a queue.
const limit = 8192

// The sides of a firewall, and their interfaces.
const (
	inside = iota
	outside
	cable // between the firewalls
	sides
)

var sideNames = [sides]string{"in0", "out0", "sync0"}

// The networks, and the addresses that the firewalls share.
var (
	insideNet  = netip.MustParsePrefix("10.20.0.0/16")
	outsideNet = netip.MustParsePrefix("10.30.0.0/16")
	cableNet   = netip.MustParsePrefix("10.9.0.0/24")
	shared     = [2]netip.Addr{netip.MustParseAddr("10.20.255.254"), netip.MustParseAddr("10.30.255.254")}
	vhids      = [2]uint8{1, 2}

	clientMAC = ifnet.MAC{2, 0xc}
	serverMAC = ifnet.MAC{2, 0x5}
)

var errLeak = errors.New("packets were not given back")

// A firewall is one of the two.
type firewall struct {
	w      *world
	name   string
	number byte

	dom    *lwp.Domain
	l      *lwp.LWP
	ifs    *ifnet.Table
	isr    *netisr.ISR
	send   *netisr.SendQueue
	next   *netisr.Type[hop]
	routes *rtable.Table
	caches *rtcache.PerLWP
	hasher mbuf.Hasher
	pf     *pf.Table
	sync   *pfsync.Device
	carp   *carp.Stack
	ports  [sides]*ifnet.Port
	ids    [sides]ifnet.ID
	vif    [2]*carp.Interface

	forwarded atomic.Uint64
	stops     []func() error // captures
}

// A hop is where a packet goes that waits to be sent.
type hop struct{ mac ifnet.MAC }

// rules: whatever the inside begins, and pfsync's and CARP's own are not asked.
var rules = []pf.Rule{
	{Dir: pf.In, On: sideNames[inside], Proto: protoTCP},
	{Dir: pf.In, On: sideNames[inside], Proto: protoUDP},
	{Dir: pf.Out, On: sideNames[outside]},
}

func newFirewall(w *world, name string, number byte) (*firewall, error) {
	f := &firewall{w: w, name: name, number: number, dom: lwp.NewDomain()}
	f.l = f.dom.Bind()
	f.ifs = ifnet.NewTable(f.dom, ifnet.WithPool(mbuf.NewPool(mbuf.PoolConfig{Name: name})))
	f.isr = netisr.New(netisr.Config{Ifs: f.ifs, Streams: w.c.streams, MaxQLimit: limit})
	f.send = netisr.NewSendQueue(netisr.SendConfig{Ifs: f.ifs, Streams: w.c.streams})
	f.routes = rtable.New(f.dom)
	f.caches = rtcache.NewPerLWP(f.dom, 0)
	f.hasher = mbuf.NewHasher(w.c.seed)
	f.pf = pf.New(f.dom, pf.Config{HostID: w.hostID(), Hasher: f.hasher, Rules: rules})
	var err error
	if f.next, err = netisr.Register(f.send, netisr.Spec[hop]{Name: "forward", QLimit: limit, Place: netisr.ByFlow, Handle: f.transmit}); err != nil {
		return nil, err
	}
	if f.carp, err = carp.NewStack(carp.StackConfig{Ifs: f.ifs, Send: f.send, OnChange: func(c carp.Change) {
		w.tell(name, fmt.Sprintf("vhid %d %v -> %v: %s", c.VHID, c.From, c.To, c.Why))
	}}); err != nil {
		return nil, err
	}
	if _, err = f.isr.Register(netisr.Handler{
		Name: "ether", Proto: protoEther, Policy: netisr.PolicyFlow, M2Flow: f.steer, QLimit: limit, Handle: f.input,
	}); err != nil {
		return nil, err
	}
	f.ifs.SetInput(f.isr.Input(protoEther))
	for side := range sides {
		if err := f.attach(side); err != nil {
			return nil, err
		}
	}
	for side, p := range []netip.Prefix{insideNet, outsideNet} {
		if err := f.routes.Add(rtable.Route{Dst: p, Out: f.ids[side]}); err != nil {
			return nil, err
		}
	}
	if f.sync, err = pfsync.New(pfsync.Config{
		Table: f.pf, Ifs: f.ifs, Send: f.send, Dev: f.ids[cable], Slices: w.c.streams, Defer: w.c.deferring, Forward: f.forward,
		Demote: f.demote, BulkEvery: w.c.bulkEvery, BulkBurst: 1,
	}); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *firewall) attach(side int) error {
	nets := [sides]netip.Prefix{insideNet, outsideNet, cableNet}
	own := nets[side].Addr().As4()
	own[3] = f.number
	if side != cable {
		own[2] = 255
	}
	f.ports[side] = f.w.lans[side].NewPort()
	ifp, err := f.ifs.Attach(ifnet.Spec{
		Name: sideNames[side], Driver: f.ports[side], MAC: ifnet.MAC{2, 0xf, 0, 0, byte(side), f.number}, Up: true,
		Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4(own), nets[side].Bits())},
	})
	if err != nil {
		return err
	}
	f.ids[side] = ifp.ID()
	if dir := f.w.c.pcap; dir != "" {
		file, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d-%s-%s.pcap", f.w.hosts, f.name, sideNames[side])))
		if err != nil {
			return err
		}
		stop, err := ifp.Capture(file)
		if err != nil {
			return err
		}
		f.stops = append(f.stops, func() error { return errors.Join(stop(), file.Close()) })
	}
	return nil
}

// start begins: it asks for states first, so that it is demoted when it says that it is there.
func (f *firewall) start(ctx context.Context) error {
	if f.w.c.pfsync {
		if err := f.sync.Up(ctx, f.l); err != nil {
			return err
		}
	}
	for side := range vhids {
		var err error
		if f.vif[side], err = f.carp.Attach(f.l, f.ids[side]); err != nil {
			return err
		}
		if err := f.vif[side].Add(carp.Config{
			Nodes: []carp.Node{{VHID: vhids[side], AdvSkew: f.w.c.skew(f.number)}}, Password: "failover", Preempt: f.w.c.preempt,
		}, shared[side]); err != nil {
			return err
		}
	}
	return nil
}

// demote is pfsync's: as long as it does not know the states, both sides' addresses are better off
// elsewhere.
func (f *firewall) demote(by int, why string) {
	f.w.tell(f.name, fmt.Sprintf("demotion %+d: %s", by, why))
	if f.w.c.demote {
		f.carp.Demote(carp.DefaultGroup, by)
	}
}

// steer says which flow a frame belongs to, before its header is off.
func (f *firewall) steer(m *mbuf.Packet, _ uint64) *mbuf.Packet {
	if m.Hash != mbuf.HashNone {
		return m
	}
	const ip = 14
	b, ok := m.Pullup(min(m.Len(), ip+24))
	if ok && len(b) == ip+24 && be.Uint16(b[12:]) == ifnet.EtherIPv4 && b[ip] == 0x45 {
		fl := mbuf.Flow{Src: netip.AddrFrom4([4]byte(b[ip+12:])), Dst: netip.AddrFrom4([4]byte(b[ip+16:])), Proto: b[ip+9]}
		if fl.Proto == protoTCP || fl.Proto == protoUDP {
			fl.SrcPort, fl.DstPort = be.Uint16(b[ip+20:]), be.Uint16(b[ip+22:])
		}
		m.FlowID, m.Hash = f.hasher.Flow(fl), mbuf.HashPorts
	}
	return m
}

// input takes a frame.
func (f *firewall) input(c *netisr.Ctx, m *mbuf.Packet) {
	if !c.In.Receive(m) {
		return
	}
	_, _, ok := ifnet.PullEther(m)
	b := m.Bytes()
	if !ok || m.EtherType != ifnet.EtherIPv4 || len(b) < 20 {
		m.Free(mbuf.NoProto)
		return
	}
	switch b[9] {
	case carp.Protocol:
		_ = f.carp.Queue().Input(m, 20, carp.Protocol)
		return
	case wire.Protocol:
		_ = f.sync.Queue().Input(m, 20, wire.Protocol)
		return
	}
	if f.pf.Test(c.LWP, pf.In, c.In.Name(), m) != pf.Pass {
		m.Free(mbuf.Denied)
		return
	}
	if b = m.Writable(); b[8] <= 1 {
		m.Free(mbuf.TimeExceeded)
		return
	}
	b[8]-- // and the checksum, RFC 1141
	check := uint32(be.Uint16(b[10:])) + 0x100
	be.PutUint16(b[10:], uint16(check+check>>16))
	ro := f.caches.Cache(c.LWP, netip.AddrFrom4([4]byte(b[16:])))
	rte, err := ro.Lookup(c.LWP, f.routes, netip.AddrFrom4([4]byte(b[16:])))
	if err != nil {
		m.Free(mbuf.NoRoute)
		return
	}
	m.Out = rte.Next().Out
	ro.Release(c.LWP)
	name := sideNames[inside]
	if m.Out == f.ids[outside] {
		name = sideNames[outside]
	}
	switch f.pf.Test(c.LWP, pf.Out, name, m) {
	case pf.Block:
		m.Free(mbuf.Denied)
	case pf.Pass:
		f.dispatch(m)
	case pf.Deferred: // pfsync has it
	}
}

// forward sends on what pfsync has held back.
func (f *firewall) forward(_ *netisr.Ctx, m *mbuf.Packet) { f.dispatch(m) }

// dispatch has a packet sent, when no lock is held.
func (f *firewall) dispatch(m *mbuf.Packet) {
	h := hop{clientMAC}
	if m.Out == f.ids[outside] {
		h.mac = serverMAC
	}
	_ = f.next.Dispatch(m, m.Out, h)
}

func (f *firewall) transmit(c *netisr.Ctx, m *mbuf.Packet, h hop) {
	ifnet.PushEther(m, h.mac, c.Out.MAC(), ifnet.EtherIPv4)
	f.forwarded.Add(1)
	_ = c.Out.Transmit(c.LWP, m)
}

// master reports whether the firewall has both addresses.
func (f *firewall) master() bool {
	for side, v := range f.vif {
		if v == nil || v.State(vhids[side]) != carp.Master {
			return false
		}
	}
	return true
}

// states returns how many conversations it knows that have not been taken down.
func (f *firewall) states() (n int) {
	for st := range f.pf.All() {
		if st.Timeout() != pf.Unlinked {
			n++
		}
	}
	return n
}

// kill switches it off: all cables are pulled at once, and nobody hears what it does then.
func (f *firewall) kill() {
	for _, p := range f.ports {
		p.Pull(true)
	}
}

// close takes everything away, in the order in which it leans on each other.
func (f *firewall) close(ctx context.Context) error {
	err := f.carp.Close(ctx, f.l)
	err = errors.Join(err, f.sync.Close(ctx, f.l))
	for _, stop := range f.stops {
		err = errors.Join(err, stop())
	}
	for _, id := range f.ids {
		err = errors.Join(err, f.ifs.Detach(ctx, f.l, id))
	}
	err = errors.Join(err, f.isr.Close(ctx, f.l), f.send.Close(ctx, f.l), f.pf.Close(ctx), f.routes.Close(ctx))
	if n := f.ifs.Pool().Outstanding(); n != 0 {
		err = errors.Join(err, fmt.Errorf("%s: %d %w", f.name, n, errLeak))
	}
	if f.pf.Outstanding() != f.pf.Len() {
		err = errors.Join(err, fmt.Errorf("%s: a state is referred to by nobody but the table", f.name))
	}
	f.l.Unbind()
	return err
}

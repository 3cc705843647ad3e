package pfsync

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
	"github.com/softnet-go/softnet/wqinput"
)

// A node is a firewall with one interface, sync0, on the LAN that it synchronises over. Packets of
// the conversations it lets through are made out of nothing and given to [node.test].
type node struct {
	t        require.TestingT
	host     uint32
	dom      *lwp.Domain
	l        *lwp.LWP
	ifs      *ifnet.Table
	isr      *netisr.ISR
	send     *netisr.SendQueue
	pf       *pf.Table
	timeouts pf.Timeouts
	dev      *Device
	port     *ifnet.Port
	ifp      ifnet.ID

	mu      sync.Mutex
	start   time.Time
	said    []saying // what the node has sent
	demoted []string
	demote  int
	passed  []string     // what was held back and sent on
	deaf    atomic.Bool  // frames to it are lost
	loss    atomic.Int32 // so many of a hundred are
	rng     *rand.Rand   // of the softint's
}

// A saying is a packet that a node has sent.
type saying struct {
	at     time.Duration
	packet []byte // from its pfsync header on
}

func (s saying) String() string {
	var what []string
	body, err := wire.Open(s.packet)
	for err == nil && len(body) > 0 {
		var sec wire.Section
		sec, body, err = wire.Next(body)
		what = append(what, fmt.Sprintf("%vx%d", sec.Action, sec.Count))
	}
	return fmt.Sprintf("%v %s", s.at, strings.Join(what, " "))
}

type option func(*Config, *pf.Config)

// pool is how many packets a node has.
const pool = 100_000

func newNode(t require.TestingT, lan *ifnet.LAN, number byte, opts ...option) *node {
	return nodeOn(t, lan.NewPort(), number, opts...)
}

func nodeOn(t require.TestingT, port *ifnet.Port, number byte, opts ...option) *node {
	n := &node{t: t, host: uint32(number) * 0x01010101, start: time.Now(), rng: rand.New(rand.NewPCG(1, uint64(number)))}
	n.dom = lwp.NewDomain()
	n.l = n.dom.Bind()
	n.ifs = ifnet.NewTable(n.dom, ifnet.WithPool(mbuf.NewPool(mbuf.PoolConfig{Limit: pool})))
	c := Config{Ifs: n.ifs, Slices: 2, Input: []wqinput.Option{wqinput.WithStreams(1)}}
	p := pf.Config{HostID: n.host, FirstID: uint64(number) << 32, Limit: 1000, Rules: []pf.Rule{{}}}
	for _, o := range opts {
		o(&c, &p)
	}
	n.isr = netisr.New(netisr.Config{Ifs: n.ifs, Streams: 1, Manual: c.Manual})
	n.send = netisr.NewSendQueue(netisr.SendConfig{Ifs: n.ifs, Streams: 1, Manual: c.Manual})
	p.Manual = p.Manual || c.Manual
	if n.timeouts = pf.DefaultTimeouts(); p.Timeouts != nil {
		n.timeouts = *p.Timeouts
	}
	n.pf = pf.New(n.dom, p)
	c.Table, c.Send = n.pf, n.send
	c.Demote = func(by int, why string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.demote += by
		n.demoted = append(n.demoted, fmt.Sprintf("%v %+d %s", time.Since(n.start), by, why))
	}
	if c.Forward == nil {
		c.Forward = func(c *netisr.Ctx, m *mbuf.Packet) {
			require.Equal(n.t, pf.Pass, n.pf.Test(c.LWP, pf.Out, "em1", m), "what was held back has been tested")
			n.mu.Lock()
			defer n.mu.Unlock()
			n.passed = append(n.passed, fmt.Sprintf("%v %d", time.Since(n.start), m.Len()))
			m.Free(mbuf.Done)
		}
	}
	n.port = port
	_, err := n.isr.Register(netisr.Handler{Name: "ether", Proto: 1, Policy: netisr.PolicySource, Handle: n.input})
	require.NoError(t, err)
	n.ifs.SetInput(n.isr.Input(1))
	ifp, err := n.ifs.Attach(ifnet.Spec{
		Name: "sync0", Driver: n.port, MAC: ifnet.MAC{2, 0, 0, 0, 0, number}, Up: true, MTU: 9000,
		Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, number}), 24)},
	})
	require.NoError(t, err)
	n.ifp = ifp.ID()
	ifp.Tap(func(m *mbuf.Packet) {
		if b := m.Bytes(); m.Flags&mbuf.Sent != 0 && b[14+9] == wire.Protocol {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.said = append(n.said, saying{time.Since(n.start), slices.Clone(b[34:])})
		}
	})
	if !c.Dev.IsZero() {
		c.Dev = ifnet.ID{}
	} else {
		c.Dev = n.ifp
	}
	n.dev, err = New(c)
	require.NoError(t, err)
	return n
}

func (n *node) input(c *netisr.Ctx, m *mbuf.Packet) {
	if !c.In.Receive(m) {
		return
	}
	_, _, ok := ifnet.PullEther(m)
	b := m.Bytes()
	if !ok || m.EtherType != ifnet.EtherIPv4 || b[9] != wire.Protocol || n.deaf.Load() || n.rng.Int32N(100) < n.loss.Load() {
		m.Free(mbuf.NoProto)
		return
	}
	_ = n.dev.Queue().Input(m, int(b[0]&15)*4, wire.Protocol)
}

func soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}

func (n *node) up() {
	ctx, cancel := soon()
	defer cancel()
	require.NoError(n.t, n.dev.Up(ctx, n.l))
}

func (n *node) down() {
	ctx, cancel := soon()
	defer cancel()
	require.NoError(n.t, n.dev.Down(ctx, n.l))
}

// close ends the node: nothing may be left.
func (n *node) close() {
	ctx, cancel := soon()
	defer cancel()
	for range 2 { // again does nothing
		require.NoError(n.t, n.dev.Close(ctx, n.l))
	}
	require.Zero(n.t, n.demotion(), n.demoted)
	require.Zero(n.t, n.dev.Stats().Odd)
	require.NoError(n.t, n.pf.Close(ctx))
	require.NoError(n.t, n.isr.Close(ctx, n.l))
	require.NoError(n.t, n.send.Close(ctx, n.l))
	if n.ifs.Live(n.ifp) {
		require.NoError(n.t, n.ifs.Detach(ctx, n.l, n.ifp))
	}
	require.Equal(n.t, n.pf.Len(), n.pf.Outstanding(), "a state is referred to by nobody but the table")
	require.Zero(n.t, n.ifs.Pool().Outstanding())
	for _, o := range n.dev.outlets {
		require.Zero(n.t, o.pool.Outstanding())
	}
	n.l.Unbind()
}

// sleep lets time pass, and then everything happen that happens at that moment.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// alone runs one firewall.
func alone(t *testing.T, f func(n *node), opts ...option) {
	synctest.Test(t, func(t *testing.T) {
		lan := ifnet.NewLAN(ifnet.LANConfig{})
		n := newNode(t, lan, 1, opts...)
		f(n)
		n.close()
		lan.Close()
	})
}

// pair runs two, whose devices are up and know each other's states, which are none; what they have
// said so far is forgotten.
func pair(t *testing.T, f func(a, b *node), opts ...option) {
	synctest.Test(t, func(t *testing.T) {
		lan := ifnet.NewLAN(ifnet.LANConfig{})
		a, b := newNode(t, lan, 1, opts...), newNode(t, lan, 2, opts...)
		a.up()
		b.up()
		sleep(5 * time.Second)
		require.Equal(t, PhaseDone, a.dev.Stats().Phase)
		require.Equal(t, PhaseDone, b.dev.Stats().Phase)
		a.hush()
		b.hush()
		f(a, b)
		a.close()
		b.close()
		lan.Close()
	})
}

// hush forgets what was said, and restarts the clock of sayings.
func (n *node) hush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said, n.start, n.demoted, n.passed = nil, time.Now(), nil, nil
}

// demotion returns by how much the node is demoted.
func (n *node) demotion() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.demote
}

// heard returns what the node has said, in words.
func (n *node) heard() (words []string) {
	for _, s := range n.said {
		words = append(words, s.String())
	}
	return words
}

// states returns the states that are not down, with levels, sorted.
func (n *node) states() (ss []string) {
	for st := range n.pf.All() {
		if st.Timeout() != pf.Unlinked {
			ss = append(ss, fmt.Sprintf("%v %v %v", st.ID(), st, st.Timeout()))
		}
	}
	slices.Sort(ss)
	return ss
}

// same checks that two nodes have the same states.
func same(a, b *node) {
	as, bs := a.states(), b.states()
	for i := range min(len(as), len(bs)) {
		require.Equal(a.t, as[i], bs[i])
	}
	require.Equal(a.t, len(as), len(bs))
}

// A flow is a conversation: packets are made of it.
type flow struct {
	proto    uint8
	src, dst netip.AddrPort
	seq, ack uint32
}

func tcpFlow(port uint16) *flow {
	return &flow{pf.TCP, netip.AddrPortFrom(client, port), netip.AddrPortFrom(server, 80), 1000, 5000}
}

func udpFlow(port uint16) *flow {
	return &flow{pf.UDP, netip.AddrPortFrom(client, port), netip.AddrPortFrom(server, 53), 0, 0}
}

var (
	client = netip.MustParseAddr("10.20.0.1")
	server = netip.MustParseAddr("10.30.0.1")
)

func (f *flow) key(dir pf.Dir) pf.Key { return pf.KeyOf(dir, f.proto, f.src, f.dst) }

// packet makes one of the flow's, there or back, with so many bytes and TCP flags.
func (f *flow) packet(back bool, flags byte, n int) []byte {
	src, dst, seq, ack := f.src, f.dst, f.seq, f.ack
	if back {
		src, dst, seq, ack = dst, src, ack, seq
	}
	var h []byte
	be := binary.BigEndian
	h = be.AppendUint16(be.AppendUint16(h, src.Port()), dst.Port())
	if f.proto == pf.TCP {
		h = be.AppendUint32(be.AppendUint32(h, seq), ack)
		h = append(h, 0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0)
		moved := uint32(n)
		if flags&3 != 0 {
			moved++
		}
		if back {
			f.ack += moved
		} else {
			f.seq += moved
		}
	} else {
		h = append(h, byte((8+n)>>8), byte(8+n), 0, 0)
	}
	h = append(h, make([]byte, n)...)
	s, d := src.Addr().As4(), dst.Addr().As4()
	b := []byte{0x45, 0, byte((20 + len(h)) >> 8), byte(20 + len(h)), 0, 0, 0, 0, 64, f.proto, 0, 0}
	return append(append(append(b, s[:]...), d[:]...), h...)
}

const (
	fin = 1
	syn = 2
	rst = 4
	ack = 16
)

// test gives a packet to pf, and frees it if that does not keep it.
func (n *node) test(dir pf.Dir, b []byte) pf.Verdict {
	m, err := n.ifs.Pool().From(b)
	require.NoError(n.t, err)
	v := n.pf.Test(n.l, dir, "em1", m)
	if v != pf.Deferred {
		m.Free(mbuf.Done)
	}
	return v
}

// open has a flow's first packets pass the node, on their way out by em1, and returns the state.
func (n *node) open(f *flow) *pf.State {
	n.pass(f, false, syn, 0)
	if f.proto == pf.TCP {
		n.pass(f, true, syn|ack, 0)
		n.pass(f, false, ack, 0)
	} else {
		n.pass(f, true, 0, 10)
	}
	return n.find(f)
}

// pass has a packet pass.
func (n *node) pass(f *flow, back bool, flags byte, bytes int) {
	dir := pf.Out
	if back {
		dir = pf.In
	}
	require.Equal(n.t, pf.Pass, n.test(dir, f.packet(back, flags, bytes)))
}

func (n *node) find(f *flow) *pf.State {
	k := f.key(pf.Out)
	return n.pf.Find(&k, pf.Out, "em1")
}

// tell has a packet with one section arrive at the node, as if from a peer.
func (n *node) tell(sections ...[]byte) {
	n.tellRaw(wire.TTL, pfsyncPacket(sections...))
}

func pfsyncPacket(sections ...[]byte) []byte {
	b := wire.AppendHeader(nil)
	for _, s := range sections {
		b = append(b, s...)
	}
	wire.Finish(b)
	return b
}

func section(a wire.Action, messages ...interface{ Append([]byte) []byte }) []byte {
	b := wire.AppendSubheader(nil, a, len(messages))
	for _, m := range messages {
		b = m.Append(b)
	}
	return b
}

func (n *node) tellRaw(ttl byte, packet []byte) {
	b := appendIP(nil, [4]byte{10, 9, 0, 66}, Group.As4(), 20+len(packet), 7)
	b[8] = ttl
	m, err := n.ifs.Pool().From(append(b, packet...))
	require.NoError(n.t, err)
	m.In = n.ifp
	require.NoError(n.t, n.dev.Queue().Input(m, 20, wire.Protocol))
	synctest.Wait()
}

// sliceSum adds up a counter of all slices.
func (n *node) sliceSum(of func(SliceStats) uint64) (sum uint64) {
	for _, s := range n.dev.Stats().Slice {
		sum += of(s)
	}
	return sum
}

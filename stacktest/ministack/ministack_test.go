package ministack_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/pcap"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/stacktest/ministack"
)

// testdata/ping.pcap is what two Linux kernels, a and b, said to each other: see capture.sh.
var (
	macA, macB = ifnet.MAC{2, 0, 0, 0, 0, 1}, ifnet.MAC{2, 0, 0, 0, 0, 2}
	addrsA     = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("fe80::ff:fe00:1/64")}
	addrsB     = []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("2001:db8::2/64"), netip.MustParsePrefix("fe80::ff:fe00:2/64")}
)

// capture returns the frames of the capture that one of the two has sent.
func capture(t testing.TB, from ifnet.MAC) (frames [][]byte) {
	f, err := os.Open("testdata/ping.pcap")
	require.NoError(t, err)
	defer f.Close()
	link, ps, err := pcap.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, pcap.Ethernet, link)
	for _, p := range ps {
		if ifnet.MAC(p.Data[6:12]) == from {
			frames = append(frames, p.Data)
		}
	}
	return frames
}

// A wire keeps what is sent.
type wire struct{ sent [][]byte }

func (w *wire) Open(*ifnet.Interface) error { return nil }
func (w *wire) Close() error                { return nil }
func (w *wire) Transmit(_ *lwp.LWP, m *mbuf.Packet) error {
	w.sent = append(w.sent, bytes.Clone(m.Bytes()))
	m.Free(mbuf.Done)
	return nil
}

// take returns what was sent since it was last called.
func (w *wire) take() [][]byte {
	sent := w.sent
	w.sent = nil
	return sent
}

// A host is a stack without workers and with one interface.
type host struct {
	*ministack.Stack
	t    testing.TB
	wire wire
	ifp  *ifnet.Interface
	pool *mbuf.Pool
}

func newHost(t testing.TB, mac ifnet.MAC, addrs []netip.Prefix) *host {
	h := newStack(t, ministack.Config{})
	var err error
	h.ifp, err = h.Ifs.Attach(ifnet.Spec{Name: "em0", Driver: &h.wire, MAC: mac, Addrs: addrs, Up: true})
	require.NoError(t, err)
	for _, a := range addrs {
		if a.Addr().Is6() {
			h.ifp.Join(ifnet.MulticastMAC(ministack.SolicitedNode(a.Addr())))
			h.ifp.Join(ifnet.MulticastMAC(netip.IPv6LinkLocalAllNodes()))
		}
		require.NoError(t, h.Routes.Add(rtable.Route{Dst: a, Out: h.ifp.ID(), Source: a.Addr()}))
	}
	return h
}

// newStack returns a host without workers and interfaces.
func newStack(t testing.TB, c ministack.Config) *host {
	h := &host{t: t, pool: mbuf.NewPool(mbuf.PoolConfig{})}
	c.Manual, c.Pool = true, h.pool
	var err error
	h.Stack, err = ministack.New(c)
	require.NoError(t, err)
	return h
}

// receive has the host receive a frame, and do whatever it does; it returns what it sends.
func (h *host) receive(frame []byte) [][]byte {
	m, err := h.pool.From(frame)
	require.NoError(h.t, err)
	require.NoError(h.t, h.ifp.Input(m))
	h.Run()
	return h.wire.take()
}

// drops returns how many packets have ended for a reason.
func (h *host) drops(why mbuf.Reason) int { return int(h.pool.Stats().Frees[why]) }

func (h *host) end() {
	require.NoError(h.t, h.Close(context.Background()))
	h.pool.CheckLeaks(h.t)
}

// normal returns a frame without what two hosts choose for themselves: the identification and
// checksum of IPv4's header, IPv6's flow label.
func normal(frame []byte) []byte {
	b := bytes.Clone(frame)
	switch binary.BigEndian.Uint16(b[12:]) {
	case ifnet.EtherIPv4:
		clear(b[14+4 : 14+8]) // identification and "do not fragment"
		clear(b[14+10 : 14+12])
	case ifnet.EtherIPv6:
		b[14+1] &= 0xf0
		clear(b[14+2 : 14+4])
	}
	return b
}

// What one kernel sent is answered as the other one answered it: ARP, ping, neighbour solicitation,
// ping6, byte by byte.
func TestCapture_IsAnsweredAsTheKernelDid(t *testing.T) {
	h := newHost(t, macB, addrsB)
	var got [][]byte
	for _, f := range capture(t, macA) {
		for _, sent := range h.receive(f) {
			got = append(got, normal(sent))
		}
	}
	answers := map[string]int{}
	for _, f := range capture(t, macB) {
		kind := ""
		switch {
		case binary.BigEndian.Uint16(f[12:]) == ifnet.EtherARP && f[21] == 2:
			kind = "ARP reply"
		case binary.BigEndian.Uint16(f[12:]) == ifnet.EtherIPv4 && f[23] == 1 && f[34] == 0 && binary.BigEndian.Uint16(f[20:])&0x3fff == 0:
			kind = "echo reply"
		case binary.BigEndian.Uint16(f[12:]) == ifnet.EtherIPv6 && f[20] == 58 && f[54] == 129:
			kind = "echo reply 6"
		case binary.BigEndian.Uint16(f[12:]) == ifnet.EtherIPv6 && f[20] == 58 && f[54] == 136:
			kind = "neighbour advertisement"
		default:
			continue
		}
		answers[kind]++
		require.NotEmpty(t, got, "%s: not answered", kind)
		require.Equal(t, normal(f), got[0], kind)
		got = got[1:]
	}
	require.Equal(t, map[string]int{"ARP reply": 1, "echo reply": 3, "echo reply 6": 3, "neighbour advertisement": 1}, answers)
	require.Empty(t, got, "nothing else is answered")
	require.Equal(t, 2, h.drops(mbuf.Denied), "fragments")
	require.Positive(t, h.drops(mbuf.NoProto), "UDP")
	mac, ok := h.Neighbour(h.ifp.ID(), addrsA[0].Addr())
	require.True(t, ok)
	require.Equal(t, macA, mac)
	h.end()
}

// The router's redirect makes a host route.
func TestCapture_RedirectIsFollowed(t *testing.T) {
	h := newHost(t, macA, addrsA)
	far := netip.MustParseAddr("198.51.100.9")
	require.NoError(t, h.Routes.Add(rtable.Route{Dst: netip.MustParsePrefix("198.51.100.0/24"), Gateway: addrsB[0].Addr(), Out: h.ifp.ID()}))
	for _, f := range capture(t, macB) {
		h.receive(f)
	}
	rt, err := h.Routes.Exact(netip.PrefixFrom(far, 32))
	require.NoError(t, err)
	require.Equal(t, netip.MustParseAddr("192.0.2.77"), rt.Gateway)
	h.end()
}

// frame returns the nth frame of the capture that one sent with an ICMP or ICMPv6 type.
func frame(t testing.TB, from ifnet.MAC, etherType uint16, icmpType byte) []byte {
	for _, f := range capture(t, from) {
		if binary.BigEndian.Uint16(f[12:]) != etherType {
			continue
		}
		switch {
		case etherType == ifnet.EtherARP && f[21] == icmpType,
			etherType == ifnet.EtherIPv4 && f[23] == 1 && f[34] == icmpType,
			etherType == ifnet.EtherIPv6 && f[20] == 58 && f[54] == icmpType:
			return bytes.Clone(f)
		}
	}
	t.Fatalf("no such frame")
	return nil
}

// sum6 makes the checksum of an ICMPv6 message right again.
func sum6(f []byte) {
	ip, msg := f[14:54], f[54:]
	msg[2], msg[3] = 0, 0
	sum := uint32(len(msg)) + 58
	for _, b := range [][]byte{ip[8:40], msg} {
		for i := 0; i < len(b); i += 2 {
			sum += uint32(b[i]) << 8
			if i+1 < len(b) {
				sum += uint32(b[i+1])
			}
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(msg[2:], ^uint16(sum))
}

// What is wrong with a message is a reason to drop it; nothing is learned from it, and nobody is
// answered.
func TestMalformed_IsDroppedWithAReason(t *testing.T) {
	for name, c := range map[string]struct {
		frame func(t testing.TB) []byte
		want  mbuf.Reason
	}{
		"solicitation with a zero link address": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherIPv6, 135)
			clear(f[14+40+26 : 14+40+32])
			sum6(f)
			return f
		}, mbuf.Malformed},
		"solicitation with a group's link address": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherIPv6, 135)
			f[14+40+26] |= 1
			sum6(f)
			return f
		}, mbuf.Malformed},
		"solicitation with an option of length 0": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherIPv6, 135)
			f[14+40+25] = 0
			sum6(f)
			return f
		}, mbuf.Malformed},
		"solicitation with an option beyond its end": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherIPv6, 135)
			f[14+40+25] = 2
			sum6(f)
			return f
		}, mbuf.Malformed},
		"solicitation that was forwarded": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherIPv6, 135)
			f[14+7] = 254
			return f
		}, mbuf.Malformed},
		"solicitation for a group": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherIPv6, 135)
			f[14+40+8] = 0xff
			sum6(f)
			return f
		}, mbuf.Malformed},
		"solicitation for somebody else": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherIPv6, 135)
			f[14+40+23] = 9
			sum6(f)
			return f
		}, mbuf.Foreign},
		"solicitation with a wrong checksum": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherIPv6, 135)
			f[14+40+31]++
			return f
		}, mbuf.BadChecksum},
		"advertisement with a zero link address": {func(t testing.TB) []byte {
			f := frame(t, macB, ifnet.EtherIPv6, 136)
			copy(f[:6], macB[:])
			copy(f[14+24:14+40], addrsB[1].Addr().AsSlice())
			copy(f[14+40+8:14+40+24], addrsA[1].Addr().AsSlice())
			clear(f[14+40+26 : 14+40+32])
			sum6(f)
			return f
		}, mbuf.Malformed},
		"ARP with a zero link address": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherARP, 1)
			clear(f[14+8 : 14+14])
			return f
		}, mbuf.Malformed},
		"ARP with a link address length of 0": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherARP, 1)
			f[14+4] = 0
			return f
		}, mbuf.Malformed},
		"ARP with a link address length of 8": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherARP, 1)
			f[14+4] = 8
			return f
		}, mbuf.Malformed},
		"ARP with a protocol address length of 16": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherARP, 1)
			f[14+5] = 16
			return f
		}, mbuf.Malformed},
		"ARP for another kind of link": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherARP, 1)
			f[14+1] = 6
			return f
		}, mbuf.Malformed},
		"ARP with an unknown operation": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherARP, 1)
			f[14+7] = 3
			return f
		}, mbuf.Malformed},
		"ARP by a group": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherARP, 1)
			f[14+14] = 224
			return f
		}, mbuf.Malformed},
		"ARP with another sender than the frame's": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherARP, 1)
			f[14+13]++
			return f
		}, mbuf.Malformed},
		"ARP, cut off":  {func(t testing.TB) []byte { return frame(t, macA, ifnet.EtherARP, 1)[:14+27] }, mbuf.Malformed},
		"ping, cut off": {func(t testing.TB) []byte { return frame(t, macA, ifnet.EtherIPv4, 8)[:14+30] }, mbuf.Malformed},
		"ping with a wrong checksum": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherIPv4, 8)
			f[len(f)-1]++
			return f
		}, mbuf.BadChecksum},
		"ping with a wrong header checksum": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherIPv4, 8)
			f[14+8]--
			return f
		}, mbuf.BadChecksum},
		"ping to the link's broadcast address": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherIPv4, 8)
			copy(f, ifnet.BroadcastMAC[:])
			return f
		}, mbuf.Denied},
		"redirect by who is no gateway": {func(t testing.TB) []byte {
			f := frame(t, macB, ifnet.EtherIPv4, 5)
			copy(f, macB[:])
			copy(f[14+16:14+20], addrsB[0].Addr().AsSlice())
			copy(f[14+12:14+16], []byte{192, 0, 2, 66})
			ip := f[14:34]
			ip[10], ip[11] = 0, 0
			var sum uint32
			for i := 0; i < 20; i += 2 {
				sum += uint32(binary.BigEndian.Uint16(ip[i:]))
			}
			for sum>>16 != 0 {
				sum = sum&0xffff + sum>>16
			}
			binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
			return f
		}, mbuf.Denied},
		"an unknown type of frame": {func(t testing.TB) []byte {
			f := frame(t, macA, ifnet.EtherIPv4, 8)
			f[12], f[13] = 0x88, 0xb5
			return f
		}, mbuf.NoProto},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, macB, addrsB)
			require.NoError(t, h.Routes.Add(rtable.Route{Dst: netip.MustParsePrefix("198.51.100.0/24"), Gateway: addrsA[0].Addr(), Out: h.ifp.ID()}))
			require.Empty(t, h.receive(c.frame(t)))
			require.Equal(t, 1, h.drops(c.want), "%v", h.pool.Stats().Frees)
			for _, a := range addrsA {
				_, ok := h.Neighbour(h.ifp.ID(), a.Addr())
				require.False(t, ok)
			}
			h.end()
		})
	}
}

// Whatever is received, the stack neither panics nor keeps a packet.
func FuzzStack(f *testing.F) {
	for _, from := range []ifnet.MAC{macA, macB} {
		for _, b := range capture(f, from) {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1514 {
			return
		}
		for _, forward := range []bool{false, true} {
			h := newStack(t, ministack.Config{Forward: forward})
			var err error
			h.ifp, err = h.Ifs.Attach(ifnet.Spec{Name: "em0", Driver: &h.wire, MAC: macB, Up: true})
			require.NoError(t, err)
			for _, a := range addrsB {
				require.NoError(t, h.AddAddr(h.ifp.ID(), a))
			}
			require.NoError(t, h.Routes.Add(rtable.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: addrsA[0].Addr(), Out: h.ifp.ID()}))
			h.receive(b)
			h.end()
		}
	})
}

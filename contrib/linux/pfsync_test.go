package linux_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/contrib/linux"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/pfsync"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// A firewall synchronises over an interface of the machine.
type firewall struct {
	l    *lwp.LWP
	ifs  *ifnet.Table
	isr  *netisr.ISR
	send *netisr.SendQueue
	tab  *pf.Table
	dev  *pfsync.Device
	id   ifnet.ID
}

func newFirewall(t *testing.T, on string, number byte, seal *linux.Seal) *firewall {
	dom := lwp.NewDomain()
	f := &firewall{l: dom.Bind(), ifs: ifnet.NewTable(dom)}
	f.isr = netisr.New(netisr.Config{Ifs: f.ifs, Streams: 1})
	f.send = netisr.NewSendQueue(netisr.SendConfig{Ifs: f.ifs, Streams: 1})
	f.tab = pf.New(dom, pf.Config{HostID: uint32(number), Rules: []pf.Rule{{}}})
	_, err := f.isr.Register(netisr.Handler{Name: "ether", Proto: 1, Policy: netisr.PolicySource, Handle: func(c *netisr.Ctx, m *mbuf.Packet) {
		if !c.In.Receive(m) {
			return
		}
		_, _, ok := ifnet.PullEther(m)
		if b := m.Bytes(); ok && m.EtherType == ifnet.EtherIPv4 && len(b) >= 20 && b[9] == wire.Protocol {
			_ = f.dev.Queue().Input(m, 20, wire.Protocol)
			return
		}
		m.Free(mbuf.NoProto)
	}})
	require.NoError(t, err)
	f.ifs.SetInput(f.isr.Input(1))
	sock, err := linux.Open(on, linux.FilterAll())
	require.NoError(t, err)
	driver := linux.NewDriver(sock, f.ifs.Pool())
	if seal != nil {
		driver = linux.NewSealedDriver(sock, f.ifs.Pool(), seal)
	}
	ifp, err := f.ifs.Attach(ifnet.Spec{
		Name: on, Driver: driver, MAC: ifnet.MAC(sock.Interface().HardwareAddr), Up: true, MTU: 1500 - linux.SealLen,
		Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, number}), 24)},
	})
	require.NoError(t, err)
	f.id = ifp.ID()
	f.dev, err = pfsync.New(pfsync.Config{Table: f.tab, Ifs: f.ifs, Send: f.send, Dev: f.id, MTU: 1500 - linux.SealLen})
	require.NoError(t, err)
	return f
}

func (f *firewall) close(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, f.dev.Close(ctx, f.l))
	require.NoError(t, f.ifs.Detach(ctx, f.l, f.id))
	require.NoError(t, f.isr.Close(ctx, f.l))
	require.NoError(t, f.send.Close(ctx, f.l))
	require.NoError(t, f.tab.Close(ctx))
	require.Zero(t, f.ifs.Pool().Outstanding())
	f.l.Unbind()
}

func conversation(port uint16) pf.Key {
	return pf.KeyOf(pf.Out, pf.TCP, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port), netip.MustParseAddrPort("198.51.100.7:443"))
}

// Two firewalls tell each other of states over interfaces of the machine: those that there were, and
// those that come. With a seal, what a third one says is not heard.
func TestPFSync_OverInterfacesOfTheMachine(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "sealed"}[sealed], func(t *testing.T) {
			one, other := cable(t)
			var sa, sb *linux.Seal
			if sealed {
				sa, sb = newSeal(t, secret), newSeal(t, secret)
			}
			a, b := newFirewall(t, one, 1, sa), newFirewall(t, other, 2, sb)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			for port := range uint16(100) {
				k := conversation(port)
				_, err := a.tab.Insert(a.l, k, k, pf.Out, "")
				require.NoError(t, err)
			}
			require.NoError(t, a.dev.Up(ctx, a.l))
			require.NoError(t, b.dev.Up(ctx, b.l))
			require.Eventually(t, func() bool { return b.dev.Stats().Phase == pfsync.PhaseDone }, time.Minute, time.Millisecond)
			require.Equal(t, 100, b.tab.Len())

			k := conversation(1000)
			_, err := b.tab.Insert(b.l, k, k, pf.Out, "")
			require.NoError(t, err)
			require.Eventually(t, func() bool { return a.tab.Find(&k, pf.Out, "em0") != nil }, time.Minute, time.Millisecond)

			if sealed {
				sock, err := linux.Open(one, linux.FilterAll())
				require.NoError(t, err)
				defer sock.Close()
				clr := wire.Clear{Creator: 1}
				packet := clr.Append(wire.AppendSubheader(wire.AppendHeader(nil), wire.CLR, 1))
				wire.Finish(packet)
				frame := append([]byte{1, 0, 0x5e, 0, 0, 0xf0}, sock.Interface().HardwareAddr...)
				frame = append(frame, 8, 0, 0x45, 0x10, 0, 64, 0, 1, 0x40, 0, 255, 240, 0, 0, 10, 9, 0, 66, 224, 0, 0, 240)
				require.NoError(t, sock.Send(append(frame, packet...)))
				require.Eventually(t, func() bool { return sb.Bad() > 0 }, time.Minute, time.Millisecond)
				require.Equal(t, 101, b.tab.Len())
				for st := range b.tab.All() {
					require.NotEqual(t, pf.Unlinked, st.Timeout())
				}
			}
			a.close(t)
			b.close(t)
		})
	}
}

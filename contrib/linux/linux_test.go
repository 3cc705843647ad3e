package linux_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/softnet-go/softnet/contrib/linux"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
)

// cable makes two interfaces that are plugged together in a network namespace of the test's own,
// which the goroutine is in from then on.
func cable(t *testing.T) (a, b string) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test, and the namespace with it
	ns, err := netns.New()
	if err != nil {
		t.Skip("no network namespaces here:", err)
	}
	t.Cleanup(func() { ns.Close() })
	require.NoError(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "cable0"}, PeerName: "cable1"}))
	for _, name := range []string{"cable0", "cable1"} {
		link, err := netlink.LinkByName(name)
		require.NoError(t, err)
		require.NoError(t, netlink.LinkSetUp(link))
	}
	for _, name := range []string{"cable0", "cable1"} {
		link, err := linux.FindLink(name)
		require.NoError(t, err)
		for up := false; !up; { // what is sent before the carrier is there is lost
			up, err = link.IsUp()
			require.NoError(t, err)
		}
	}
	return "cable0", "cable1"
}

// A frame that one interface of the stack sends comes out of the machine's interface, and from
// there into another of the stack.
func TestDriver_FramesGoThroughTheMachine(t *testing.T) {
	a, b := cable(t)
	dom := lwp.NewDomain()
	ifs := ifnet.NewTable(dom)
	got := make(chan string, 16)
	ifs.SetInput(func(m *mbuf.Packet) error {
		data, _ := m.Pullup(m.Len())
		got <- string(data)
		m.Free(mbuf.Done)
		return nil
	})
	var ifps []*ifnet.Interface
	for _, name := range []string{a, b} {
		sock, err := linux.Open(name, linux.FilterAll())
		require.NoError(t, err)
		mac := ifnet.MAC(sock.Interface().HardwareAddr)
		ifp, err := ifs.Attach(ifnet.Spec{Name: name, Driver: linux.NewDriver(sock, ifs.Pool()), MAC: mac, Up: true})
		require.NoError(t, err)
		ifps = append(ifps, ifp)
	}
	l := dom.Bind()
	defer l.Unbind()
	m, err := ifs.Pool().From([]byte("hello"))
	require.NoError(t, err)
	ifnet.PushEther(m, ifps[1].MAC(), ifps[0].MAC(), 0x88b5)
	require.NoError(t, ifps[0].Transmit(l, m))
	deadline := time.After(10 * time.Second)
	for {
		select {
		case frame := <-got:
			if len(frame) == 19 && frame[14:] == "hello" {
				for _, ifp := range ifps {
					require.NoError(t, ifs.Detach(context.Background(), l, ifp.ID()))
				}
				return
			}
		case <-deadline:
			require.Fail(t, "it did not arrive")
		}
	}
}

func TestSocket_FilterAndGroups(t *testing.T) {
	a, b := cable(t)
	in, err := linux.Open(a, linux.FilterProtocol(112))
	require.NoError(t, err)
	out, err := linux.Open(b, linux.FilterAll())
	require.NoError(t, err)
	defer out.Close()
	require.NoError(t, in.Join(netip.MustParseAddr("224.0.0.18")))
	require.NoError(t, in.Join(netip.MustParseAddr("ff02::12")))

	frame := func(etherType uint16, at int, proto byte, mark byte) []byte {
		f := make([]byte, 80)
		copy(f, []byte{1, 0, 0x5e, 0, 0, 18})
		copy(f[6:], out.Interface().HardwareAddr)
		f[12], f[13] = byte(etherType>>8), byte(etherType)
		f[at], f[79] = proto, mark
		return f
	}
	for _, f := range [][]byte{
		frame(0x0800, 23, 1, 1), frame(0x0800, 23, 112, 2), frame(0x86dd, 20, 58, 3), frame(0x86dd, 20, 112, 4), frame(0x0806, 23, 112, 5),
	} {
		require.NoError(t, out.Send(f))
	}
	require.NoError(t, in.Send(frame(0x0800, 23, 112, 6)), "what it sends itself")
	require.NoError(t, out.Send(frame(0x0800, 23, 112, 7)))
	buf := make([]byte, 2048)
	for _, want := range []byte{2, 4, 7} {
		n, err := in.Receive(buf)
		require.NoError(t, err)
		require.Equal(t, want, buf[n-1])
	}
	require.Error(t, in.Send([]byte("short")))

	// Close ends whoever waits.
	ended := make(chan error)
	go func() {
		_, err := in.Receive(buf)
		ended <- err
	}()
	require.NoError(t, in.Close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
	_, err = linux.Open("none", linux.FilterAll())
	require.Error(t, err)
}

func TestLink_AddressesAndCarrier(t *testing.T) {
	a, b := cable(t)
	link, err := linux.FindLink(a)
	require.NoError(t, err)
	for _, addr := range []netip.Addr{netip.MustParseAddr("10.9.9.9"), netip.MustParseAddr("fd99::9")} {
		for range 2 { // again is no error
			require.NoError(t, link.AddAddr(addr))
		}
		as, err := link.Addrs()
		require.NoError(t, err)
		require.Contains(t, as, netip.PrefixFrom(addr, addr.BitLen()))
		for range 2 {
			require.NoError(t, link.RemoveAddr(addr))
		}
		as, err = link.Addrs()
		require.NoError(t, err)
		require.NotContains(t, as, netip.PrefixFrom(addr, addr.BitLen()))
	}
	up, err := link.IsUp()
	require.NoError(t, err)
	require.True(t, up)

	states, stop := make(chan bool, 64), make(chan struct{})
	defer close(stop)
	require.NoError(t, link.Watch(stop, func(up bool) { states <- up }))
	other, err := netlink.LinkByName(b)
	require.NoError(t, err)
	until := func(want bool) {
		for up := range states {
			if up == want {
				return
			}
		}
	}
	require.NoError(t, netlink.LinkSetDown(other))
	until(false)
	require.NoError(t, netlink.LinkSetUp(other))
	until(true)
	require.NoError(t, netlink.LinkDel(other))
	until(false)
}

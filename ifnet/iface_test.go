package ifnet_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/pcap"
	"github.com/softnet-go/softnet/mbuf"
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// Down refuses to send and receive, has the queues let go, and keeps the interface; each change
// is told once.
func TestDown_RefusesAndKeeps(t *testing.T) {
	dom, ifs := newTable()
	var diary []string
	ifs.AddDrainer(&shelf{ifs: ifs, diary: &diary})
	ifs.OnEvent(func(ev ifnet.Event) { diary = append(diary, fmt.Sprintf("%v %s", ev.Kind, ev.Name)) })
	ifs.SetInput(func(m *mbuf.Packet) error { m.Free(mbuf.Done); return nil })
	em0 := attach(t, ifs, "em0")
	l := dom.Bind()
	defer l.Unbind()
	require.NoError(t, ifs.Down(em0.ID()))
	require.NoError(t, ifs.Down(em0.ID()))
	require.True(t, ifs.Live(em0.ID()))
	require.False(t, ifs.IsUp(em0.ID()))
	require.ErrorIs(t, em0.Transmit(l, packet(t, ifs, ifnet.ID{}, "x")), ifnet.ErrDown)
	require.ErrorIs(t, em0.Input(packet(t, ifs, ifnet.ID{}, "x")), ifnet.ErrDown)
	require.NoError(t, ifs.Up(em0.ID()))
	require.NoError(t, ifs.Up(em0.ID()))
	require.NoError(t, em0.Transmit(l, packet(t, ifs, ifnet.ID{}, "x")))
	require.NoError(t, em0.Input(packet(t, ifs, ifnet.ID{}, "x")))
	require.Equal(t, []string{"attached em0", "down em0", "down up=false", "up em0"}, diary)
	s := em0.Stats()
	require.EqualValues(t, 1, s.In.Drops)
	require.EqualValues(t, 1, s.Out.Drops)
	require.EqualValues(t, 1, s.Out.Packets)
	require.EqualValues(t, 2, ifs.Pool().Stats().Frees[mbuf.IfDown])
	ifs.Pool().CheckLeaks(t)
}

// Everything that changes is told with what it changed to, and what is refused is not.
func TestTable_TellsWhatChanges(t *testing.T) {
	_, ifs := newTable()
	em0, em1 := attach(t, ifs, "em0"), attach(t, ifs, "em1")
	var got []ifnet.Event
	ifs.OnEvent(func(ev ifnet.Event) { got = append(got, ev) })
	id := em0.ID()
	ev := func(k ifnet.EventKind, name string) ifnet.Event { return ifnet.Event{Kind: k, ID: id, Name: name} }
	for _, c := range []struct {
		do   error
		want error
		ev   ifnet.Event
	}{
		{ifs.Rename(id, "wan"), nil, ifnet.Event{Kind: ifnet.Renamed, ID: id, Name: "wan", Old: "em0"}},
		{ifs.Rename(id, "wan"), nil, ifnet.Event{}},
		{ifs.Rename(id, em1.Name()), ifnet.ErrExists, ifnet.Event{}},
		{ifs.Rename(id, ""), ifnet.ErrInvalid, ifnet.Event{}},
		{ifs.SetMAC(id, ifnet.MAC{2, 3}), nil, ev(ifnet.MACChanged, "wan")},
		{ifs.SetMAC(id, ifnet.MAC{2, 3}), nil, ifnet.Event{}},
		{ifs.SetMTU(id, 9000), nil, ev(ifnet.MTUChanged, "wan")},
		{ifs.SetMTU(id, 1), ifnet.ErrInvalid, ifnet.Event{}},
		{ifs.SetMTU(id, 1<<16), ifnet.ErrInvalid, ifnet.Event{}},
		{ifs.SetLink(id, false), nil, ev(ifnet.LinkChanged, "wan")},
		{ifs.SetLink(id, false), nil, ifnet.Event{}},
		{ifs.AddAddr(id, pfx("10.0.0.1/24")), nil, ifnet.Event{Kind: ifnet.AddrAdded, ID: id, Name: "wan", Addr: pfx("10.0.0.1/24")}},
		{ifs.AddAddr(id, pfx("10.0.0.1/8")), ifnet.ErrExists, ifnet.Event{}},
		{ifs.AddAddr(id, netip.Prefix{}), ifnet.ErrInvalid, ifnet.Event{}},
		{ifs.AddAddr(id, pfx("0.0.0.0/0")), ifnet.ErrInvalid, ifnet.Event{}},
		{ifs.RemoveAddr(id, netip.MustParseAddr("10.0.0.2")), ifnet.ErrInvalid, ifnet.Event{}},
		{ifs.RemoveAddr(id, netip.MustParseAddr("10.0.0.1")), nil, ifnet.Event{Kind: ifnet.AddrRemoved, ID: id, Name: "wan", Addr: pfx("10.0.0.1/24")}},
		{ifs.AddGroup(id, "egress"), nil, ev(ifnet.GroupsChanged, "wan")},
		{ifs.AddGroup(id, "egress"), ifnet.ErrExists, ifnet.Event{}},
		{ifs.RemoveGroup(id, "egress"), nil, ev(ifnet.GroupsChanged, "wan")},
		{ifs.RemoveGroup(id, "egress"), ifnet.ErrInvalid, ifnet.Event{}},
		{ifs.Down(ifnet.ID{Index: 9, Gen: 9}), ifnet.ErrGone, ifnet.Event{}},
	} {
		require.ErrorIs(t, c.do, c.want)
		if c.ev.Kind != 0 {
			require.NotEmpty(t, got)
			require.Equal(t, c.ev, got[0])
			got = got[1:]
		}
	}
	require.Empty(t, got)
	_, ok := ifs.ByName("em0")
	require.False(t, ok)
	found, _ := ifs.ByName("wan")
	require.Equal(t, id, found)
	require.Equal(t, 9000, em0.MTU())
	require.False(t, em0.HasLink())
}

// What is sent is counted, bounded by the MTU, and has the interface's ID; the driver's errors
// are counted too.
func TestTransmit_CountsInOnePlace(t *testing.T) {
	dom, ifs := newTable()
	l := dom.Bind()
	defer l.Unbind()
	a, b := ifnet.NewPair()
	em0, err := ifs.Attach(ifnet.Spec{Name: "em0", Driver: a, MTU: 100, Up: true, MAC: ifnet.MAC{2, 0, 0, 0, 0, 1}})
	require.NoError(t, err)
	em1, err := ifs.Attach(ifnet.Spec{Name: "em1", Driver: b, MTU: 100, Up: true, MAC: ifnet.MAC{2, 0, 0, 0, 0, 2}})
	require.NoError(t, err)
	var got []*mbuf.Packet
	ifs.SetInput(func(m *mbuf.Packet) error { got = append(got, m); return nil })
	send := func(n int, dst ifnet.MAC) error {
		m, err := ifs.Pool().Alloc(n)
		require.NoError(t, err)
		ifnet.PushEther(m, dst, em0.MAC(), ifnet.EtherIPv4)
		return em0.Transmit(l, m)
	}
	require.NoError(t, send(100, em1.MAC()))
	require.ErrorIs(t, send(101, em1.MAC()), ifnet.ErrTooBig)
	require.NoError(t, send(10, ifnet.BroadcastMAC))
	require.Len(t, got, 2)
	require.Equal(t, em1.ID(), got[0].In)
	require.Equal(t, ifnet.ID{}, got[0].Out)
	require.Zero(t, got[0].Flags)
	require.True(t, em1.Receive(got[0]))
	require.True(t, em1.Receive(got[1]))
	require.Equal(t, mbuf.Broadcast, got[1].Flags)
	require.Equal(t, ifnet.DirectionStats{Packets: 2, Bytes: 138, Multicasts: 1, Errors: 1}, em0.Stats().Out)
	require.Equal(t, ifnet.DirectionStats{Packets: 2, Bytes: 138, Multicasts: 1}, em1.Stats().In)
	dst, src, ok := ifnet.PullEther(got[0])
	require.True(t, ok)
	require.Equal(t, em1.MAC(), dst)
	require.Equal(t, em0.MAC(), src)
	require.EqualValues(t, ifnet.EtherIPv4, got[0].EtherType)
	require.Equal(t, 100, got[0].Len())
	for _, m := range got {
		m.Free(mbuf.Done)
	}
	em1.CountNoProto()
	require.EqualValues(t, 1, em1.Stats().NoProto)
	ifs.Pool().CheckLeaks(t)
}

// A frame is received if it is for this interface, for all, or for an address that was joined as
// often as it was left and once more; promiscuous, any is.
func TestReceive_TakesWhatIsForTheInterface(t *testing.T) {
	_, ifs := newTable()
	em0 := attach(t, ifs, "em0")
	group := ifnet.MulticastMAC(netip.MustParseAddr("224.0.0.18"))
	virtual := ifnet.MAC{0, 0, 0x5e, 0, 1, 7}
	receive := func(dst ifnet.MAC) (ok bool, flags mbuf.Flags) {
		m, err := ifs.Pool().Alloc(20)
		require.NoError(t, err)
		ifnet.PushEther(m, dst, ifnet.MAC{2, 9}, ifnet.EtherIPv4)
		if ok = em0.Receive(m); ok {
			flags = m.Flags
			m.Free(mbuf.Done)
		}
		return ok, flags
	}
	want := func(dst ifnet.MAC, ok bool, flags mbuf.Flags) {
		t.Helper()
		gotOK, gotFlags := receive(dst)
		require.Equal(t, ok, gotOK)
		require.Equal(t, flags, gotFlags)
	}
	want(em0.MAC(), true, 0)
	want(ifnet.BroadcastMAC, true, mbuf.Broadcast)
	want(group, false, 0)
	want(virtual, false, 0)
	em0.Join(group)
	em0.Join(virtual)
	em0.Join(virtual)
	want(group, true, mbuf.Multicast)
	want(virtual, true, 0)
	em0.Leave(virtual)
	want(virtual, true, 0)
	em0.Leave(virtual)
	want(virtual, false, 0)
	require.Contains(t, violates(t, func() { em0.Leave(virtual) }).Text, "em0 leaves 00:00:5e:00:01:07, which it has not joined")
	em0.SetPromiscuous(true)
	want(virtual, true, mbuf.Promisc)
	m, _ := ifs.Pool().Alloc(13)
	require.False(t, em0.Receive(m))
	require.EqualValues(t, 1, em0.Stats().In.Errors)
	require.EqualValues(t, 3, ifs.Pool().Stats().Frees[mbuf.Foreign])
	ifs.Pool().CheckLeaks(t)
}

func TestInput_NeedsSomebodyWhoTakesIt(t *testing.T) {
	_, ifs := newTable()
	em0 := attach(t, ifs, "em0")
	require.ErrorIs(t, em0.Input(packet(t, ifs, ifnet.ID{}, "x")), ifnet.ErrNoInput)
	ifs.SetInput(func(m *mbuf.Packet) error { m.Free(mbuf.NoBufs); return mbuf.ErrNoBufs })
	require.ErrorIs(t, em0.Input(packet(t, ifs, ifnet.ID{}, "x")), ifnet.ErrNoBufs)
	require.EqualValues(t, 2, em0.Stats().In.Drops)
	ifs.Pool().CheckLeaks(t)
}

// A packet is sent from the address whose network it shares, or one of its family.
func TestSourceFor_PrefersTheNetworkInCommon(t *testing.T) {
	_, ifs := newTable()
	em0 := attach(t, ifs, "em0")
	none, ok := em0.SourceFor(netip.MustParseAddr("10.0.0.9"))
	require.False(t, ok)
	require.False(t, none.IsValid())
	for _, a := range []string{"192.0.2.1/24", "10.0.0.1/8", "10.1.0.1/16", "fe80::1/64", "2001:db8::1/64"} {
		require.NoError(t, ifs.AddAddr(em0.ID(), pfx(a)))
	}
	for dst, want := range map[string]string{
		"10.1.2.3": "10.1.0.1", "10.2.2.3": "10.0.0.1", "203.0.113.1": "192.0.2.1",
		"2001:db8::9": "2001:db8::1", "2001:db8:1::9": "2001:db8::1", "fe80::9": "fe80::1",
	} {
		src, ok := em0.SourceFor(netip.MustParseAddr(dst))
		require.True(t, ok, dst)
		require.Equal(t, want, src.String(), dst)
	}
	require.True(t, em0.HasAddr(netip.MustParseAddr("10.1.0.1")))
	require.False(t, em0.HasAddr(netip.MustParseAddr("10.1.0.2")))
}

func TestMulticastMAC_IsTheGroups(t *testing.T) {
	for group, want := range map[string]string{
		"224.0.0.18": "01:00:5e:00:00:12", "239.255.1.2": "01:00:5e:7f:01:02", "ff02::12": "33:33:00:00:00:12", "ff02::1:ff00:2": "33:33:ff:00:00:02",
	} {
		require.Equal(t, want, ifnet.MulticastMAC(netip.MustParseAddr(group)).String())
	}
}

// The loopback interface receives what it sends: the packet itself.
func TestLoop_ReceivesWhatItSends(t *testing.T) {
	dom, ifs := newTable()
	l := dom.Bind()
	defer l.Unbind()
	lo0, err := ifs.Attach(ifnet.Spec{Name: "lo0", Driver: ifnet.NewLoop(), Link: ifnet.Raw, Up: true})
	require.NoError(t, err)
	var got *mbuf.Packet
	ifs.SetInput(func(m *mbuf.Packet) error { got = m; return nil })
	m := packet(t, ifs, ifnet.ID{}, "to myself")
	require.NoError(t, lo0.Transmit(l, m))
	require.Same(t, m, got)
	require.Equal(t, lo0.ID(), got.In)
	require.Equal(t, mbuf.Looped, got.Flags)
	require.True(t, lo0.Receive(got))
	got.Free(mbuf.Done)
	require.EqualValues(t, 9, lo0.Stats().In.Bytes)
	require.EqualValues(t, 9, lo0.Stats().Out.Bytes)
	ifs.Pool().CheckLeaks(t)
}

type failing struct{ after int }

func (f *failing) Write(b []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errBroken
	}
	return len(b), nil
}

// A capture has what was received and sent, in order, and tcpdump and tshark open it.
func TestCapture_IsWhatOthersOpen(t *testing.T) {
	dom, ifs := newTable()
	l := dom.Bind()
	defer l.Unbind()
	em0 := attach(t, ifs, "em0")
	file := filepath.Join(t.TempDir(), "em0.pcap")
	f, err := os.Create(file)
	require.NoError(t, err)
	stop, err := em0.Capture(f)
	require.NoError(t, err)
	arp := func(op byte) *mbuf.Packet {
		m, err := ifs.Pool().From([]byte{0, 1, 8, 0, 6, 4, 0, op, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1}, []byte{0, 0, 0, 0, 0, 0, 10, 0, 0, 2})
		require.NoError(t, err)
		ifnet.PushEther(m, ifnet.BroadcastMAC, em0.MAC(), ifnet.EtherARP)
		return m
	}
	require.NoError(t, em0.Transmit(l, arp(1)))
	m := arp(2)
	require.True(t, em0.Receive(m))
	m.Free(mbuf.Done)
	require.NoError(t, stop())
	require.NoError(t, em0.Transmit(l, arp(1)), "no longer captured")
	require.NoError(t, f.Close())
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	link, ps, err := pcap.ReadAll(bytes.NewReader(b))
	require.NoError(t, err)
	require.Equal(t, pcap.Ethernet, link)
	require.Len(t, ps, 2)
	for tool, args := range map[string][]string{"tcpdump": {"-nr", file}, "tshark": {"-nr", file}} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Logf("%s is not installed", tool)
			continue
		}
		out, err := exec.Command(path, args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "ARP", tool)
		require.Contains(t, string(out), "10.0.0.2", tool)
	}

	_, err = em0.Capture(&failing{})
	require.ErrorIs(t, err, errBroken)
	stop, err = em0.Capture(&failing{after: 2})
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, em0.Transmit(l, arp(1)))
	}
	require.ErrorIs(t, stop(), errBroken, "a capture that cannot be written says so at the end")
}

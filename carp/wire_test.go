package carp

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/internal/pcap"
)

// The first advertisement of testdata/ucarp-tie.pcap.
const anchor = "212a00070001bee4005b7d51922b5d93870c81ed093017107681373fc824c3f0507afef2"

func TestParse_Anchor(t *testing.T) {
	b := unhex(t, anchor)
	a, err := Parse(b)
	require.NoError(t, err)
	require.Equal(t, Advert{
		Version: 2, Type: 1, VHID: 42, AuthLen: 7, AdvBase: 1,
		Counter: [8]byte{0x00, 0x5b, 0x7d, 0x51, 0x92, 0x2b, 0x5d, 0x93},
		Digest:  [20]byte(unhex(t, "870c81ed093017107681373fc824c3f0507afef2")),
	}, a)
	require.True(t, ChecksumOK(b))
	for i := range b {
		b[i] ^= 1
		require.False(t, ChecksumOK(b))
		b[i] ^= 1
		_, err := Parse(b[:i])
		require.ErrorIs(t, err, ErrShort)
	}
}

func TestAdvert_RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), HeaderLen, HeaderLen).Draw(t, "bytes")
		a, err := Parse(b)
		require.NoError(t, err)
		out := a.Append([]byte("before"))
		require.True(t, ChecksumOK(out[6:]))
		require.Equal(t, b[:6], out[6:12])
		require.Equal(t, b[8:], out[14:])
	})
}

func TestNewAuth_OrderAndRepetitionDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addr := rapid.Custom(func(t *rapid.T) netip.Addr {
			n := rapid.SampledFrom([]int{4, 16}).Draw(t, "len")
			a, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "addr"))
			return a
		})
		as := rapid.SliceOfN(addr, 1, 5).Draw(t, "addrs")
		a, err := NewAuth("pw", 7, as, nil)
		require.NoError(t, err)
		perm := rapid.Permutation(append(as, as[0])).Draw(t, "perm")
		b, err := NewAuth("pw", 7, perm, nil)
		require.NoError(t, err)
		require.Equal(t, a, b)
	})
}

func TestConfig_BoundsAreChecked(t *testing.T) {
	p := NewParent(ParentConfig{})
	_, err := p.Add(one(0))
	require.NoError(t, err)
	for name, c := range map[string]Config{
		"no virtual host":  {},
		"vhid 0":           {Nodes: []Node{{}}},
		"skew 255":         {Nodes: []Node{{VHID: 2, AdvSkew: 255}}},
		"base 255":         {Nodes: []Node{{VHID: 2}}, AdvBase: 255},
		"vhid twice":       {Nodes: []Node{{VHID: 2}, {VHID: 2}}},
		"password":         {Nodes: []Node{{VHID: 2}}, Password: "12345678901234567890"},
		"IPv6 peer":        {Nodes: []Node{{VHID: 2}}, Peer: vip6},
		"formula":          {Nodes: []Node{{VHID: 2}}, MasterDown: 2},
		"balancing":        {Nodes: []Node{{VHID: 2}}, Balancing: 5},
		"33 virtual hosts": {Nodes: make([]Node, 33)},
	} {
		_, err := p.Add(c)
		require.ErrorIs(t, err, ErrConfig, name)
	}
	_, err = p.Add(one(50))
	require.ErrorIs(t, err, ErrVHID)
	d := p.Devices()[0]
	was := d.Config()
	_, err = d.Configure(t0, Config{Nodes: []Node{{VHID: 3}, {VHID: 3}}})
	require.ErrorIs(t, err, ErrConfig)
	require.Equal(t, was, d.Config(), "or not at all")
	require.Len(t, p.Devices(), 1)
}

func TestParent_PeerDecidesBetweenGroupAndUnicast(t *testing.T) {
	l := newLAN(t)
	a := l.host("A", one(0, func(c *Config) { c.Peer = netip.MustParseAddr("10.0.0.2") }))
	a.input(forge(t, func(*Advert) {}))
	require.Equal(t, uint64(1), a.Stats().BadVHID)
	p := forge(t, func(*Advert) {})
	dg, _ := ParseIP(p)
	ad, _ := Parse(dg.Payload)
	a.input(ad.AppendIP(nil, dg.Src, a.src, 0))
	require.Equal(t, uint64(1), a.Stats().Accepted)
}

func TestParent_NobodyIsHere(t *testing.T) {
	p := NewParent(ParentConfig{})
	ad := Advert{Version: Version, VHID: 1}
	p.Input(t0, ad.AppendIP(nil, vip2, vip, 0))
	require.Equal(t, Stats{IPackets: 1, BadIf: 1}, p.Stats())
	p.Input(t0, ad.AppendIP(nil, vip2, Group4, 0))
	require.Equal(t, Stats{IPackets: 2, BadIf: 1, BadVHID: 1}, p.Stats(), "the group is heard by everybody")
	p.Input(t0, ad.AppendIP(nil, vip6, Group6, 0))
	require.Equal(t, Stats{IPackets: 2, IPackets6: 1, BadIf: 2, BadVHID: 1}, p.Stats())
}

// FuzzInput gives a node any packet, before and after its checksum was put right: it takes it or
// counts it, and without the password nobody changes a state.
func FuzzInput(f *testing.F) {
	anchored, _ := Parse([]byte("!*\x00\x07\x00\x01\xbe\xe4 and enough for a digest"))
	f.Add(anchored.AppendIP(nil, vip, Group4, 1))    // a wrong digest
	f.Add(anchored.AppendIP(nil, vip6, Group6, 0))   // in IPv6
	f.Add([]byte{0x45, 9: Protocol, 19: 0})          // no more than a header
	f.Add([]byte{0x4f, 3: 60, 9: Protocol, 59: 1})   // options and nothing else
	f.Add([]byte{0x60, 5: 0xff, 6: Protocol, 60: 0}) // longer than it is
	f.Fuzz(func(t *testing.T, b []byte) {
		p := NewParent(ParentConfig{Simplex: true})
		d, err := p.Add(one(100, preempt))
		require.NoError(t, err)
		d.Step(t0, AddAddr{vip})
		p.Input(t0, b)
		if dg, ok := ParseIP(b); ok {
			if a, err := Parse(dg.Payload); err == nil {
				a.VHID = 1
				for _, dst := range []netip.Addr{Group4, Group6} {
					p.Input(t0, a.AppendIP(nil, netip.Addr{}, dst, 0))
				}
			}
		}
		s := p.Stats()
		require.Equal(t, s.IPackets+s.IPackets6, s.BadIf+s.BadTTL+s.BadLen+s.HdrOps+s.BadSum+s.BadVHID+s.BadVer+s.BadAuth)
		require.Equal(t, Backup, d.State())
	})
}

// capture writes an IPv4 and an IPv6 advertisement as they go out.
func capture(t *testing.T) string {
	l := newLAN(t)
	a := l.host("A", one(77, func(c *Config) { c.AdvBase = 2 }))
	a.say(AddAddr{vip6})
	a.say(Demote{By: 5})
	var buf bytes.Buffer
	w, err := pcap.NewWriter(&buf, pcap.Ethernet)
	require.NoError(t, err)
	l.tap = func(f frame) {
		src, ok := a.d().SourceMAC(a.d().vhosts[0])
		require.True(t, ok)
		require.NoError(t, w.Write(l.now, Frame(nil, f.family.Group(), src, f.packet)))
	}
	l.until(8 * time.Second)
	require.Len(t, a.sent, 2)
	require.Equal(t, []netip.Addr{vip, vip6}, a.told)
	for _, addr := range a.told {
		require.NoError(t, w.Write(l.now, Announce{addr, a.d().MAC()}.Frame(nil, a.d().MAC())))
	}
	file := filepath.Join(t.TempDir(), "carp.pcap")
	require.NoError(t, os.WriteFile(file, buf.Bytes(), 0o644))
	return file
}

func TestAdvert_TsharkAgrees(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	out, err := exec.Command(tshark, "-r", capture(t), "-d", "ip.proto==112,carp", "-V", "-o", "ip.check_checksum:TRUE").Output()
	require.NoError(t, err)
	got := string(out)
	for _, want := range []string{
		"Source: IETF-VRRP-VRID_01 (00:00:5e:00:01:01)", "Destination: IPv4mcast_12 (01:00:5e:00:00:12)",
		"Header checksum status: Good", "CARP protocol version: 2", "Advertisement (1)", "Virtual Host ID: 1", "Advertisement Skew: 77",
		"Auth Len: 7", "[Is gratuitous: True]", "Sender MAC address: IETF-VRRP-VRID_01", "Target IP address: 10.0.0.100",
		"Type: Neighbor Advertisement (136)", "Target Address: fd00::100", "= Override: Set", "= Solicited: Not set",
		"Link-layer address: IETF-VRRP-VRID_01", "Demotion indicator: 5", "Adver Int: 2", "Checksum Status: Good",
	} {
		require.Contains(t, got, want)
	}
	require.Equal(t, 3, strings.Count(got, "[Checksum Status: Good]"), "two advertisements, and ICMPv6")
	require.NotContains(t, strings.ToLower(got), "malformed")
}

func TestAdvert_TcpdumpAgrees(t *testing.T) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("tcpdump is not installed")
	}
	out, err := exec.Command(tcpdump, "-T", "carp", "-envvr", capture(t)).Output()
	require.NoError(t, err)
	got := string(out)
	require.Contains(t, got, "00:00:5e:00:01:01 > 01:00:5e:00:00:12")
	require.Contains(t, got, "00:00:5e:00:01:01 > 33:33:00:00:00:12")
	require.Contains(t, got, "Request who-has 10.0.0.100 tell 10.0.0.100")
	require.Equal(t, 2, strings.Count(got, "CARPv2-advertise 36: vhid=1 advbase=2 advskew=77 authlen=7 counter="), got)
	require.NotContains(t, got, "bad")
}

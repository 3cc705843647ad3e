package carp

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/pcap"
)

type vector struct {
	Name       string
	VHID       uint8
	Password   string
	IPv4, IPv6 []netip.Addr
	LLAddr     string
	Counter    string
	AdvBase    uint8
	AdvSkew    uint8
	Demote     uint8
	MsgOrig    string `json:"message_orig"`
	HMACOrig   string `json:"hmac_orig"`
	MsgNoV6LL  string `json:"message_nov6ll"`
	HMACNoV6LL string `json:"hmac_nov6ll"`
	Packet     string
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func TestAuth_AgreesWithTheVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/hmac-vectors.json")
	require.NoError(t, err)
	var vs []vector
	require.NoError(t, json.Unmarshal(b, &vs))
	require.Len(t, vs, 13)
	for _, v := range vs {
		t.Run(v.Name, func(t *testing.T) {
			var mac *ifnet.MAC
			if v.LLAddr != "" {
				m := ifnet.MAC(unhex(t, strings.ReplaceAll(v.LLAddr, ":", "")))
				mac = &m
			}
			addrs := append(v.IPv6, v.IPv4...)
			a, err := NewAuth(v.Password, v.VHID, addrs, mac)
			require.NoError(t, err)
			counter := [8]byte(unhex(t, v.Counter))
			require.Equal(t, v.MsgOrig, hex.EncodeToString(append(a.orig, counter[:]...)))
			require.Equal(t, v.MsgNoV6LL, hex.EncodeToString(append(a.nov6ll, counter[:]...)))
			orig, ll := [20]byte(unhex(t, v.HMACOrig)), [20]byte(unhex(t, v.HMACNoV6LL))
			require.Equal(t, ll, a.Sign(counter))
			require.True(t, a.Verify(counter, orig))
			require.True(t, a.Verify(counter, ll))
			for i := range orig {
				bad := orig
				bad[i] ^= 1
				require.False(t, a.Verify(counter, bad), "digest with bit 0 of byte %d turned", i)
			}
			ad := Advert{
				Version: Version, Type: TypeAdvert, AuthLen: AuthLen, VHID: v.VHID,
				AdvBase: v.AdvBase, AdvSkew: v.AdvSkew, Demote: v.Demote, Counter: counter, Digest: ll,
			}
			require.Equal(t, v.Packet, hex.EncodeToString(ad.Append(nil)))
			back, err := Parse(unhex(t, v.Packet))
			require.NoError(t, err)
			require.Equal(t, ad, back)
		})
	}
}

// credentials are a password and a set of addresses that a node of a capture had.
type credentials struct{ password, addrs string }

const (
	bsd   = "10.9.0.100"
	other = "10.9.0.100 10.9.0.101"
)

// captures says how many advertisements are in each capture, and with which credentials each
// verifies. A NetBSD that was given an address signs for none until the next ioctl. What was made by hand to be wrong is another test's.
var captures = map[string]struct {
	adverts int
	good    []credentials
}{
	"ucarp-election":                        {12, []credentials{{"secret", "10.77.0.50"}}},
	"ucarp-preempt":                         {9, []credentials{{"secret", "10.77.0.50"}}},
	"ucarp-split":                           {18, []credentials{{"secret", "10.77.0.50"}}},
	"ucarp-linkdown":                        {13, []credentials{{"secret", "10.77.0.50"}}},
	"ucarp-badpass":                         {8, []credentials{{"secret", "10.77.0.50"}, {"Secret", "10.77.0.50"}}},
	"ucarp-tie":                             {9, []credentials{{"secret", "10.77.0.50"}}},
	"ucarp-usr2":                            {8, []credentials{{"secret", "10.77.0.50"}}},
	"ucarp-term-z":                          {5, []credentials{{"secret", "10.77.0.50"}}},
	"ucarp-nomcast":                         {5, []credentials{{"secret", "10.77.0.50"}}},
	"ucarp-skew-quant":                      {3, []credentials{{"secret", "10.77.0.50"}}},
	"openbsd-election-bowout-preempt-crash": {27, []credentials{{"s3cret", bsd}, {"s3cret", other}}},
	"openbsd-demotion":                      {34, []credentials{{"s3cret", bsd}}},
	"openbsd-wrong-password":                {25, []credentials{{"s3cret", bsd}, {"s3cre!", bsd}, {"s3cret", other}}},
	"openbsd-tie":                           {12, []credentials{{"s3cret", bsd}}},
	"openbsd-dual-stack":                    {30, []credentials{{"s3cret", "10.9.0.100 fd09::100"}}},
	"openbsd-ipv6-only":                     {9, []credentials{{"s3cret", "fd09::100"}}},
	"openbsd-ucarp":                         {19, []credentials{{"s3cret", bsd}}},
	"ucarp-master-openbsd-backup":           {11, []credentials{{"s3cret", bsd}}},
	"openbsd-netbsd":                        {37, []credentials{{"s3cret", bsd}, {"s3cret", ""}}},
	"mixed-openbsd-openbsd-netbsd":          {18, []credentials{{"s3cret", bsd}}},
	"openbsd-timers":                        {50, []credentials{{"s3cret", "10.9.0.110"}}},
	"netbsd-timers":                         {39, []credentials{{"s3cret", ""}, {"s3cret", bsd}}},
	"openbsd-odd-adverts":                   {40, nil},
}

func addrs(s string) (as []netip.Addr) {
	for _, f := range strings.Fields(s) {
		as = append(as, netip.MustParseAddr(f))
	}
	return as
}

// packets returns the CARP packets of a capture, without their Ethernet header.
func packets(t *testing.T, name string) (at []time.Time, ps [][]byte) {
	f, err := os.Open(filepath.Join("testdata", name+".pcap"))
	require.NoError(t, err)
	defer f.Close()
	link, all, err := pcap.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, pcap.Ethernet, link)
	for _, p := range all {
		if len(p.Data) > 14 {
			if _, ok := ParseIP(p.Data[14:]); ok {
				at, ps = append(at, p.Time), append(ps, p.Data[14:])
			}
		}
	}
	return at, ps
}

// Every advertisement that a real system sent decodes, is signed as we sign, and encodes to
// the bytes it was.
func TestAdvert_RealSystems(t *testing.T) {
	files, err := filepath.Glob("testdata/*.pcap")
	require.NoError(t, err)
	require.Len(t, files, len(captures))
	for name, c := range captures {
		t.Run(name, func(t *testing.T) {
			_, ps := packets(t, name)
			require.Len(t, ps, c.adverts)
			used := map[credentials]int{}
			for i, p := range ps {
				d, ok := ParseIP(p)
				require.True(t, ok)
				if d.Src == netip.MustParseAddr("10.9.0.66") && c.good == nil {
					continue
				}
				a, err := Parse(d.Payload)
				require.NoError(t, err)
				// Of IPv6, NetBSD's would have a pseudo header; no capture has one of those.
				require.True(t, ChecksumOK(d.Payload), "packet %d", i)
				require.Equal(t, d.Payload[:HeaderLen], a.Append(nil))
				id := uint16(0)
				if d.Family == V4 {
					id = uint16(p[4])<<8 | uint16(p[5])
				}
				if d.Family == V4 && p[6] == 0x40 && p[1] == tosLowDelay {
					require.Equal(t, p[:56], a.AppendIP(nil, d.Src, d.Dst, id), "packet %d", i)
				}
				if c.good == nil {
					continue
				}
				var by []credentials
				for _, cr := range c.good {
					auth, err := NewAuth(cr.password, a.VHID, addrs(cr.addrs), nil)
					require.NoError(t, err)
					if auth.Verify(a.Counter, a.Digest) {
						by = append(by, cr)
						used[cr]++
					}
				}
				require.Len(t, by, 1, "packet %d of %v, vhid %d", i, d.Src, a.VHID)
			}
			require.Len(t, used, len(c.good), "every password and address set is somebody's")
		})
	}
}

// What the OpenBSD kernel counted for each odd advertisement, and what became of it, is what we do.
func TestParent_AnswersOddAdvertsAsOpenBSDDid(t *testing.T) {
	b, err := os.ReadFile("testdata/openbsd-odd-adverts.json")
	require.NoError(t, err)
	var want struct {
		Steps []struct {
			Title    string
			Before   string `json:"state_before"`
			After    string `json:"state_after"`
			Counters map[string]uint64
		}
	}
	require.NoError(t, json.Unmarshal(b, &want))

	at, ps := packets(t, "openbsd-odd-adverts")
	p := NewParent(ParentConfig{Simplex: true})
	d, err := p.Add(Config{Nodes: []Node{{VHID: 7, AdvSkew: 50}}, Password: "s3cret", AdvBase: 1, MasterDown: Scaled})
	require.NoError(t, err)
	now := at[0].Add(-time.Hour)
	d.Step(now, AddAddr{netip.MustParseAddr(bsd)})
	d.Step(now, Force{Master})
	n := 0
	for _, pkt := range ps {
		dg, _ := ParseIP(pkt)
		if dg.Src == netip.MustParseAddr("10.9.0.1") {
			a, err := Parse(dg.Payload)
			require.NoError(t, err)
			d.vhosts[0].counter = a.Counter // be the node that this was sent at
			continue
		}
		step := want.Steps[n]
		n++
		require.Equal(t, step.Before, d.State().String(), step.Title)
		was := p.Stats()
		p.Input(now, pkt)
		require.Equal(t, step.After, d.State().String(), step.Title)
		got := p.Stats()
		require.Equal(t, step.Counters["ipackets"], got.IPackets-was.IPackets, step.Title)
		require.Equal(t, step.Counters["preempt"], got.Preempt-was.Preempt, step.Title)
		reasons := map[string]uint64{
			"badttl": got.BadTTL - was.BadTTL, "badlen": got.BadLen - was.BadLen, "hdrops": got.HdrOps - was.HdrOps,
			"badsum": got.BadSum - was.BadSum, "badvhid": got.BadVHID - was.BadVHID, "badver": got.BadVer - was.BadVer,
			"badauth": got.BadAuth - was.BadAuth, "badif": got.BadIf - was.BadIf,
		}
		failed := uint64(0)
		for name, count := range reasons {
			require.Equal(t, step.Counters[name], count, "%s: %s", step.Title, name)
			failed += count
		}
		require.Equal(t, uint64(1), failed+got.Accepted-was.Accepted, fmt.Sprint(step.Title, ": in one counter"))
	}
	require.Equal(t, len(want.Steps), n)
}

// The time after which a real kernel took over is one of the two formulas, to its clock's tick.
func TestMasterDown_IsWhatKernelsWait(t *testing.T) {
	const tick = 25 * time.Millisecond
	for _, m := range []struct {
		formula    MasterDown
		base, skew uint8
		measured   float64
	}{
		{Scaled, 1, 0, 3.010}, {Scaled, 1, 50, 3.596}, {Scaled, 1, 100, 4.184}, {Scaled, 1, 200, 5.353}, {Scaled, 1, 254, 5.989},
		{Scaled, 2, 128, 7.509}, {Scaled, 3, 77, 9.915}, {Scaled, 0, 64, 0.755}, {Scaled, 0, 254, 2.992},
		{Classic, 1, 0, 3.001}, {Classic, 1, 50, 3.210}, {Classic, 1, 100, 3.403}, {Classic, 1, 200, 3.798},
	} {
		measured := time.Duration(m.measured * float64(time.Second))
		late := measured - m.formula.Interval(m.base, m.skew)
		require.True(t, late >= 0 && late < tick, "%v %d/%d: %v", m.formula, m.base, m.skew, late)
	}
	require.Equal(t, 11718*time.Microsecond, Classic.Interval(0, 0))
	require.Equal(t, 2976562*time.Microsecond, Classic.Interval(0, 254))
	require.Equal(t, 4171875*time.Microsecond, Scaled.Interval(1, 100))
	require.Equal(t, 3390625*time.Microsecond, Classic.Interval(1, 100))
	require.Equal(t, 3906*time.Microsecond, AdvInterval(0, 0))
	require.Equal(t, 3906*time.Microsecond, AdvInterval(0, 1))
	require.Equal(t, 1992187*time.Microsecond, AdvInterval(1, 254))
}

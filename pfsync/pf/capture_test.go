package pf_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/pcap"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// What the capture's firewall A has, and what its pf was told.
var macA = [6]byte{0x52, 0x54, 0, 0, 0, 0x0a}

// virtual reports whether a link address is one of CARP's, which A answers to.
func virtual(mac [6]byte) bool { return [5]byte(mac[:]) == [5]byte{0, 0, 0x5e, 0, 1} }

func timeouts(seconds map[pf.Timeout]uint32) *pf.Timeouts {
	ts := pf.DefaultTimeouts()
	for t, s := range seconds {
		ts[t] = s
	}
	return &ts
}

var labRules = []pf.Rule{{}, {Proto: 112, NoState: true}, {Proto: wire.Protocol, NoState: true}}

// frames returns the IP packets that firewall A has let in and out, and those of pfsync that it has
// sent.
type frame struct {
	at   time.Duration
	dir  pf.Dir // 0 for one of pfsync's
	data []byte
}

func frames(t *testing.T, file string) (fs []frame) {
	f, err := os.Open("../testdata/" + file)
	require.NoError(t, err)
	defer f.Close()
	_, ps, err := pcap.ReadAll(f)
	require.NoError(t, err)
	for _, p := range ps {
		dst, src, kind := [6]byte(p.Data), [6]byte(p.Data[6:]), binary.BigEndian.Uint16(p.Data[12:])
		ip := p.Data[14:]
		fr := frame{at: p.Time.Sub(ps[0].Time)}
		switch {
		case kind != 0x0800 && kind != 0x86dd:
			continue
		case kind == 0x0800 && ip[9] == wire.Protocol:
			if src != macA {
				continue
			}
			fr.data = ip[20:binary.BigEndian.Uint16(ip[2:])]
		case src == macA || virtual(src):
			fr.dir, fr.data = pf.Out, ip
		case dst == macA || virtual(dst):
			fr.dir, fr.data = pf.In, ip
		default:
			continue
		}
		fs = append(fs, fr)
	}
	return fs
}

// Real conversations go through pf as they went through OpenBSD's, and each time when that told its
// peer of a state, ours is in the same phase, with the same windows, counters and time left.
func TestTable_TracksAsTheKernelDid(t *testing.T) {
	for _, file := range []string{"flows4.pcap", "flows6.pcap"} {
		t.Run(file, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dom := lwp.NewDomain()
				l := dom.Bind()
				pool := mbuf.NewPool(mbuf.PoolConfig{})
				tab := pf.New(dom, pf.Config{Rules: labRules, HostID: 0xabcdef01, Timeouts: timeouts(map[pf.Timeout]uint32{
					pf.TCPFirst: 9, pf.TCPOpening: 6, pf.TCPEstablished: 60, pf.TCPClosing: 7, pf.TCPFinWait: 5, pf.TCPClosed: 4,
					pf.UDPFirst: 9, pf.UDPSingle: 6, pf.UDPMultiple: 8, pf.ICMPFirst: 5, pf.ICMPError: 4, pf.Interval: 2,
				})})
				defer func() {
					require.NoError(t, tab.Close(context.Background()))
					l.Unbind()
				}()
				start := time.Now()
				checked, knows := map[wire.Action]int{}, map[wire.ID]*known{}
				for _, f := range frames(t, file) {
					time.Sleep(f.at - time.Since(start))
					if f.dir != 0 {
						m, err := pool.From(f.data)
						require.NoError(t, err)
						require.Equal(t, pf.Pass, tab.Test(l, f.dir, "vio0", m), "%v %v", f.at, f.dir)
						m.Free(mbuf.Done)
						for _, st := range knows {
							if is := st.now(); is != st.is {
								st.before, st.is, st.changed = st.is, is, f.at
							}
						}
						continue
					}
					body, err := wire.Open(f.data)
					require.NoError(t, err)
					for len(body) > 0 {
						var s wire.Section
						s, body, err = wire.Next(body)
						require.NoError(t, err)
						for m := range s.Messages() {
							switch s.Action {
							case wire.INS, wire.UPD:
								w := wire.ParseState(m)
								if st := compare(t, tab, f.at, &w); st != nil {
									knows[w.ID] = &known{State: st}
									checked[s.Action]++
								}
							case wire.UPDC:
								w := wire.ParseUpdate(m)
								if st := knows[w.ID]; st != nil {
									ours := st.now()
									if st.before.ID = w.ID; f.at-st.changed < moment && w == st.before {
										ours = w // it was written before the last packet was seen
									}
									ours.ID = w.ID
									require.Equal(t, w, ours, "%v %v", f.at, st)
									checked[s.Action]++
								}
							}
						}
					}
				}
				require.Equal(t, 10, checked[wire.INS])
				require.GreaterOrEqual(t, checked[wire.UPDC], 4)
			})
		})
	}
}

// A known state is one of ours that the kernel has named.
type known struct {
	*pf.State
	before, is wire.Update
	changed    time.Duration
}

// moment is how long the kernel may take from a packet on the wire to what it says of it.
const moment = 10 * time.Millisecond

func (k *known) now() (u wire.Update) {
	k.ExportUpdate(&u)
	return u
}

func compare(t *testing.T, tab *pf.Table, at time.Duration, w *wire.State) *pf.State {
	if w.Proto == pf.ICMPv6 && w.Wire.Port[0] != 128 && w.Wire.Port[1] != 128 {
		return nil
	}
	k := pf.Key{Addr: w.Wire.Addr, Port: w.Wire.Port, AF: w.AF, Proto: w.Proto}
	st := tab.Find(&k, pf.Dir(w.Direction), "vio0")
	what := fmt.Sprintf("%v %v %v", at, pf.Dir(w.Direction), k)
	require.NotNil(t, st, what)
	var ours wire.State
	st.Export(&ours, tab.Now())
	ours.ID, ours.IfName = w.ID, w.IfName              // its numbers are its own
	require.InDelta(t, w.Expire, ours.Expire, 1, what) // clocks of whole seconds
	require.InDelta(t, w.Age, ours.Age, 1, what)
	ours.Expire, ours.Age, ours.Rule = w.Expire, w.Age, w.Rule
	require.Equal(t, *w, ours, what)
	return st
}

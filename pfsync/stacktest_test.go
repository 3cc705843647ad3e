package pfsync

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
	"github.com/softnet-go/softnet/stacktest"
	"github.com/softnet-go/softnet/wqinput"
)

// sayings generates what a peer could say, of few states, so that it says several things of one.
func sayings() *rapid.Generator[[]byte] {
	id := rapid.Custom(func(t *rapid.T) wire.ID {
		return wire.ID{ID: rapid.Uint64Range(0, 3).Draw(t, "id"), Creator: rapid.Uint32Range(0, 2).Draw(t, "creator")}
	})
	half := rapid.Custom(func(t *rapid.T) wire.Peer {
		return wire.Peer{Level: rapid.Uint8Range(0, 13).Draw(t, "level"), SeqLo: rapid.Uint32().Draw(t, "seq")}
	})
	state := rapid.Custom(func(t *rapid.T) *wire.State {
		af := rapid.SampledFrom([]uint8{wire.AFInet, wire.AFInet, wire.AFInet6, 0, 28}).Draw(t, "family")
		k := wire.Key{AF: af, Port: [2]uint16{rapid.Uint16Range(1, 3).Draw(t, "port"), 7}}
		return &wire.State{
			ID: id.Draw(t, "id"), Wire: k, Stack: k, AF: af, Proto: rapid.SampledFrom([]uint8{pf.TCP, pf.UDP}).Draw(t, "proto"),
			Src: half.Draw(t, "src"), Dst: half.Draw(t, "dst"), Direction: rapid.Uint8Range(0, 3).Draw(t, "direction"),
			Timeout: rapid.Uint8Range(0, 22).Draw(t, "timeout"), Flags: rapid.SampledFrom([]uint16{0, pf.Ack, pf.NoSync}).Draw(t, "flags"),
		}
	})
	type message = interface{ Append([]byte) []byte }
	part := rapid.Custom(func(t *rapid.T) []byte {
		a := rapid.SampledFrom([]wire.Action{wire.CLR, wire.INSACK, wire.UPDC, wire.UPDREQ, wire.DEL, wire.DELC, wire.BUS, wire.INS, wire.UPD, wire.TDB}).Draw(t, "action")
		var ms []message
		for range rapid.IntRange(0, 3).Draw(t, "messages") {
			switch a {
			case wire.CLR:
				ms = append(ms, &wire.Clear{Creator: id.Draw(t, "creator").Creator})
			case wire.UPDC:
				ms = append(ms, &wire.Update{ID: id.Draw(t, "id"), Src: half.Draw(t, "src"), Dst: half.Draw(t, "dst"), Timeout: rapid.Uint8Range(0, 22).Draw(t, "timeout")})
			case wire.BUS:
				ms = append(ms, &wire.Bulk{Status: wire.Status(rapid.Uint8Range(0, 3).Draw(t, "status"))})
			case wire.INS, wire.UPD, wire.DEL:
				ms = append(ms, state.Draw(t, "state"))
			case wire.TDB:
				ms = append(ms, &wire.Tunnel{SPI: 256, Dst: sockaddr(server), RPL: rapid.Uint64().Draw(t, "number")})
			default:
				ms = append(ms, id.Draw(t, "id"))
			}
		}
		return section(a, ms...)
	})
	datagram := rapid.Custom(func(t *rapid.T) []byte {
		p := pfsyncPacket(rapid.SliceOfN(part, 0, 4).Draw(t, "sections")...)
		return append(appendIP(nil, [4]byte{192, 0, 2, 77}, Group.As4(), 20+len(p), 1), p...)
	})
	return rapid.OneOf(datagram, datagram, datagram, stacktest.IPPackets())
}

// What comes off the wire owes what every handler's input does, whatever it is and whenever the
// interface leaves: then the device does, and the next one has another.
func TestInput_UnderAttack(t *testing.T) {
	stacktest.Handler(t, stacktest.Config{
		Packets:   sayings(),
		MaxHeld:   4 * wqinput.Limit, // what waits in queues of ours
		Unordered: true,
		New: func(s *stacktest.Stack) stacktest.Subject {
			tab := pf.New(s.Dom, pf.Config{Limit: 16, Manual: true, HostID: 1})
			var mu sync.Mutex
			var devs []*Device
			up := func(ev ifnet.Event) {
				if ev.Kind != ifnet.Attached || ev.Name != "em0" {
					return
				}
				d, err := New(Config{
					Table: tab, Ifs: s.Ifs, Send: s.Send, Dev: ev.ID, Slices: 2, Input: []wqinput.Option{wqinput.WithStreams(1)},
					Forward: func(_ *netisr.Ctx, m *mbuf.Packet) { m.Free(mbuf.Done) },
				})
				require.NoError(t, err)
				l := s.Dom.Bind()
				defer l.Unbind()
				_ = d.Up(context.Background(), l) // the interface may be leaving already
				mu.Lock()
				devs = append(devs, d)
				mu.Unlock()
			}
			s.Ifs.OnEvent(up)
			return stacktest.Subject{
				Name: "pfsync",
				Input: func(_ context.Context, in *wqinput.Input) {
					mu.Lock()
					n := len(devs)
					var d *Device
					if n > 0 {
						d = devs[n-1]
					}
					mu.Unlock()
					if d == nil {
						in.Packet.Free(mbuf.NoListener)
						return
					}
					off := 20
					if b, ok := in.Packet.Pullup(1); ok && b[0]>>4 == 4 {
						off = int(b[0]&15) * 4
					}
					_ = d.Queue().Input(in.Packet, off, wire.Protocol)
				},
				Close: func(ctx context.Context) (err error) {
					l := s.Dom.Bind()
					defer l.Unbind()
					for _, d := range devs {
						err = errors.Join(err, d.Close(ctx, l))
					}
					tab.Purge(l, 100)
					return errors.Join(err, tab.Close(ctx))
				},
				Check: func() error {
					for _, d := range devs {
						if n := d.Stats().Odd; n > 0 {
							return errors.New("a state was not where it should be")
						}
					}
					return nil
				},
			}
		},
	})
}

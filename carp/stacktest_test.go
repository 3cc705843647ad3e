package carp_test

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/stacktest"
	"github.com/softnet-go/softnet/wqinput"
)

// adverts generates advertisements of a peer who knows the password, and what resembles them.
func adverts(t *testing.T) *rapid.Generator[[]byte] {
	auth, err := carp.NewAuth("secret", 1, []netip.Addr{vip}, nil)
	require.NoError(t, err)
	advert := rapid.Custom(func(t *rapid.T) []byte {
		a := carp.Advert{Version: 2, Type: 1, VHID: 1, AuthLen: 7, AdvBase: rapid.Uint8Range(0, 3).Draw(t, "base"), AdvSkew: rapid.Uint8().Draw(t, "skew"), Demote: rapid.Uint8Range(0, 2).Draw(t, "demote")}
		binary.BigEndian.PutUint64(a.Counter[:], rapid.Uint64().Draw(t, "counter"))
		a.Digest = auth.Sign(a.Counter)
		return a.AppendIP(nil, netip.AddrFrom4([4]byte{192, 0, 2, 77}), carp.Group4, 0)
	})
	return rapid.OneOf(advert, advert, stacktest.IPPackets())
}

// CARP's input owes what every handler's does, whatever it is sent and whenever its interfaces leave.
func TestInput_UnderAttack(t *testing.T) {
	stacktest.Handler(t, stacktest.Config{
		Packets:   adverts(t),
		MaxHeld:   2 * wqinput.Limit, // what waits in its own queue
		Unordered: true,              // which has streams of its own
		New: func(s *stacktest.Stack) stacktest.Subject {
			cs, err := carp.NewStack(carp.StackConfig{Ifs: s.Ifs, Send: s.Send, Routes: s.Routes, Input: []wqinput.Option{wqinput.WithStreams(1)}})
			require.NoError(t, err)
			s.Ifs.OnEvent(func(ev ifnet.Event) {
				if ev.Kind != ifnet.Attached {
					return
				}
				l := s.Dom.Bind()
				defer l.Unbind()
				if i, err := cs.Attach(l, ev.ID); err == nil && ev.Name == "em0" { // a vhid belongs to one
					_ = i.Add(carp.Config{Nodes: []carp.Node{{VHID: 1, AdvSkew: 100}}, Password: "secret", AdvBase: 1, Preempt: true}, vip)
				}
			})
			return stacktest.Subject{
				Name: "carp",
				Input: func(_ context.Context, in *wqinput.Input) {
					off := 20
					if b, ok := in.Packet.Pullup(1); ok && b[0]>>4 == 4 {
						off = int(b[0]&15) * 4
					}
					_ = cs.Queue().Input(in.Packet, off, carp.Protocol)
				},
				Close: func(ctx context.Context) error {
					l := s.Dom.Bind()
					defer l.Unbind()
					return cs.Close(ctx, l)
				},
			}
		},
	})
}

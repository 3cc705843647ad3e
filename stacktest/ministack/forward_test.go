package ministack_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/stacktest/ministack"
	"github.com/softnet-go/softnet/wqinput"
)

// Forwarding: a router with two interfaces, and a host on either side. macB is the router's on both.

type router struct {
	*host
	ids   [2]ifnet.ID
	ifps  [2]*ifnet.Interface
	wires [2]wire
	net
}

// A net is the addresses of one family: left host, router on the left, router on the right, right
// host, and somebody far behind the right host.
type net struct{ left, near, beyond, right, far netip.Addr }

var nets = map[string]net{
	"IPv4": {
		netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"),
		netip.MustParseAddr("203.0.113.2"), netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("198.51.100.9"),
	},
	"IPv6": {
		netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"),
		netip.MustParseAddr("2001:db8:1::2"), netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("2001:db8:2::9"),
	},
}

func bits(a netip.Addr) int {
	if a.Is4() {
		return 24
	}
	return 64
}

// routers runs a test for both families.
func routers(t *testing.T, c ministack.Config, f func(t *testing.T, r *router)) {
	for name, n := range nets {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.Forward = true
				r := &router{host: newStack(t, c), net: n}
				for i, a := range []netip.Addr{n.near, n.beyond} {
					var err error
					r.ifps[i], err = r.Ifs.Attach(ifnet.Spec{Name: fmt.Sprint("em", i), Driver: &r.wires[i], MAC: macB, Up: true})
					require.NoError(t, err)
					r.ids[i] = r.ifps[i].ID()
					require.NoError(t, r.AddAddr(r.ids[i], netip.PrefixFrom(a, bits(a))))
				}
				require.NoError(t, r.Routes.Add(rtable.Route{Dst: netip.PrefixFrom(n.far, bits(n.far)).Masked(), Gateway: n.right, Out: r.ids[1]}))
				require.NoError(t, r.SetNeighbour(r.ids[0], n.left, macA))
				require.NoError(t, r.SetNeighbour(r.ids[1], n.right, macC))
				r.run()
				f(t, r)
				r.end()
			})
		})
	}
}

// run lets the router do what it has to, and returns what it has sent on the left and on the right.
func (r *router) run() (left, right []string) {
	r.Run()
	return tell(r.wires[0].take()), tell(r.wires[1].take())
}

// hears has it receive a packet on a side.
func (r *router) hears(side int, packet []byte) (left, right []string) {
	m, err := r.pool.From(in(macB, macA, packet))
	require.NoError(r.t, err)
	require.NoError(r.t, r.ifps[side].Input(m))
	return r.run()
}

// told is what the host on the left is told by ICMP.
func (r *router) told(type4, code4, type6, code6 int) []string {
	if r.left.Is6() {
		type4, code4 = type6, code6
	}
	return []string{fmt.Sprintf("to %v: %v > %v ttl 64, icmp %d/%d", macA, r.near, r.left, type4, code4)}
}

func (r *router) number(to ifnet.MAC, src, dst netip.Addr, ttl, n int) []string {
	return []string{fmt.Sprintf("to %v: %v > %v ttl %d, number %d", to, src, dst, ttl, n)}
}

// A packet for somebody else goes on, to a neighbour or to a gateway, with one hop less to go.
func TestForward_PacketsGoOn(t *testing.T) {
	routers(t, ministack.Config{}, func(t *testing.T, r *router) {
		left, right := r.hears(0, udp(r.left, r.right, 64, 1))
		require.Empty(t, left)
		require.Equal(t, r.number(macC, r.left, r.right, 63, 1), right)
		_, right = r.hears(0, udp(r.left, r.far, 2, 2))
		require.Equal(t, r.number(macC, r.left, r.far, 1, 2), right)
		left, right = r.hears(1, udp(r.far, r.left, 64, 3))
		require.Equal(t, r.number(macA, r.far, r.left, 63, 3), left)
		require.Empty(t, right)
	})
}

// Each of its addresses is the router's, whichever way a packet comes.
func TestForward_EveryAddressIsItsOwn(t *testing.T) {
	routers(t, ministack.Config{}, func(t *testing.T, r *router) {
		left, right := r.hears(0, echo(r.left, r.beyond))
		require.Equal(t, []string{fmt.Sprintf("to %v: %v > %v ttl 64, icmp %d/0", macA, r.beyond, r.left, map[bool]int{true: 0, false: 129}[r.left.Is4()])}, left)
		require.Empty(t, right)
	})
}

// A host forwards nothing.
func TestForward_AHostDoesNot(t *testing.T) {
	h := newHost(t, macB, addrsB)
	require.Empty(t, h.receive(in(macB, macA, udp(addrsA[0].Addr(), netip.MustParseAddr("198.51.100.9"), 64, 1))))
	require.Equal(t, 1, h.drops(mbuf.Foreign))
	h.end()
}

// What cannot go on ends with a reason, and who sent it is told.
func TestForward_WhatCannotGoOnIsComplainedOf(t *testing.T) {
	routers(t, ministack.Config{}, func(t *testing.T, r *router) {
		end := func(packet []byte, want []string, why mbuf.Reason) {
			t.Helper()
			before := r.drops(why)
			left, right := r.hears(0, packet)
			require.Equal(t, want, left)
			require.Empty(t, right)
			require.Equal(t, before+1, r.drops(why))
		}
		nowhere := netip.MustParseAddr("198.18.0.1")
		if r.left.Is6() {
			nowhere = netip.MustParseAddr("2001:db8:99::1")
		}
		host := netip.PrefixFrom(r.far, r.far.BitLen())
		end(udp(r.left, r.right, 1, 1), r.told(11, 0, 3, 0), mbuf.TimeExceeded)
		end(udp(r.left, r.right, 0, 1), r.told(11, 0, 3, 0), mbuf.TimeExceeded)
		end(udp(r.left, nowhere, 64, 1), r.told(3, 0, 1, 0), mbuf.NoRoute)
		require.NoError(t, r.Routes.Add(rtable.Route{Dst: host, Out: r.ids[1], Flags: rtable.FlagReject}))
		end(udp(r.left, r.far, 64, 1), r.told(3, 1, 1, 6), mbuf.NoRoute)
		require.NoError(t, r.Routes.Replace(rtable.Route{Dst: host, Out: r.ids[1], Flags: rtable.FlagBlackhole}))
		end(udp(r.left, r.far, 64, 1), nil, mbuf.Denied)
		require.NoError(t, r.Ifs.SetMTU(r.ids[1], 1280))
		end(ip(r.left, r.right, 64, 17, make([]byte, 1280)...), r.told(3, 4, 2, 0), mbuf.TooBig)
		require.NoError(t, r.DeleteNeighbour(r.ids[1], r.right))
		left, _ := r.hears(0, udp(r.left, r.right, 64, 1))
		require.Empty(t, left)
		for range 3 {
			require.Empty(t, left)
			time.Sleep(time.Second)
			left, _ = r.run()
		}
		require.Equal(t, r.told(3, 1, 1, 3), left)
		require.Equal(t, 1, r.drops(mbuf.NoNeighbour))
		require.EqualValues(t, 6, r.Stats().Complaints)
	})
}

// A complaint has in it what it is about, and the MTU.
func TestForward_AComplaintSaysWhatAboutAndHowLong(t *testing.T) {
	routers(t, ministack.Config{}, func(t *testing.T, r *router) {
		require.NoError(t, r.Ifs.SetMTU(r.ids[1], 1280))
		packet := ip(r.left, r.right, 64, 17, make([]byte, 1400)...)
		m, err := r.pool.From(in(macB, macA, packet))
		require.NoError(t, err)
		require.NoError(t, r.ifps[0].Input(m))
		r.Run()
		sent := r.wires[0].take()
		require.Len(t, sent, 1)
		off, most := 14+20, 28
		if r.left.Is6() {
			off, most = 14+40, 1280-48
		}
		require.EqualValues(t, 1280, binary.BigEndian.Uint32(sent[0][off+4:]))
		require.Equal(t, packet[:most], sent[0][off+8:])
		if r.left.Is4() {
			require.Zero(t, sum(sent[0][off:]))
			return
		}
		was := sent[0][off+2 : off+4]
		want := [2]byte(was)
		sum6(sent[0])
		require.Equal(t, want, [2]byte(was))
	})
}

// Nobody is complained to about a complaint, about what went to many, nor about what came from nobody.
func TestForward_NoComplaintMultiplies(t *testing.T) {
	routers(t, ministack.Config{}, func(t *testing.T, r *router) {
		complaint, none := icmp(r.left, r.right, 1, 3, 0, make([]byte, 32)...), netip.IPv4Unspecified()
		if r.left.Is6() {
			complaint, none = icmp(r.left, r.right, 1, 1, 0, make([]byte, 48)...), netip.IPv6Unspecified()
		}
		left, right := r.hears(0, complaint)
		require.Empty(t, left)
		require.Empty(t, right)
		require.Equal(t, 1, r.drops(mbuf.TimeExceeded))
		left, right = r.hears(0, udp(none, r.right, 64, 1))
		require.Empty(t, left)
		require.Empty(t, right)
		many := in(ifnet.BroadcastMAC, macA, udp(r.left, r.right, 1, 1))
		m, err := r.pool.From(many)
		require.NoError(t, err)
		require.NoError(t, r.ifps[0].Input(m))
		left, right = r.run()
		require.Empty(t, left)
		require.Empty(t, right)
		require.Equal(t, 2, r.drops(mbuf.Denied))
		require.Zero(t, r.Stats().Complaints)
	})
}

// No flood has the router answer with another one.
func TestForward_ComplaintsAreLimited(t *testing.T) {
	routers(t, ministack.Config{ICMPRate: 2}, func(t *testing.T, r *router) {
		n := 0
		for range 5 {
			left, _ := r.hears(0, udp(r.left, r.right, 1, 1))
			n += len(left)
		}
		require.Equal(t, 2, n)
		require.EqualValues(t, 3, r.Stats().Limited)
		time.Sleep(time.Second)
		left, _ := r.hears(0, udp(r.left, r.right, 1, 1))
		require.Len(t, left, 1)
	})
}

// NetBSD's t_rtcache.sh: a cached route is not used once there is a better one, and is again when
// that has gone.
func TestForward_CachesFollowTheTable(t *testing.T) {
	routers(t, ministack.Config{}, func(t *testing.T, r *router) {
		goes := func(left, right int) {
			t.Helper()
			l, rr := r.hears(1, udp(r.right, r.far, 64, 1))
			require.Len(t, l, left)
			require.Len(t, rr, right)
		}
		goes(0, 1)
		host := netip.PrefixFrom(r.far, r.far.BitLen())
		require.NoError(t, r.Routes.Add(rtable.Route{Dst: host, Gateway: r.left, Out: r.ids[0]}))
		goes(1, 0)
		require.NoError(t, r.Routes.Delete(host))
		goes(0, 1)
	})
}

// What waits on one side and came by the other goes with either.
func TestDeparture_OfWhereAWaitingPacketCameFrom(t *testing.T) {
	routers(t, ministack.Config{}, func(t *testing.T, r *router) {
		require.NoError(t, r.DeleteNeighbour(r.ids[1], r.right))
		r.hears(0, udp(r.left, r.right, 64, 1))
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, r.Detach(ctx, r.ids[0]))
		require.Equal(t, 1, r.drops(mbuf.IfDeparted))
		_, err := r.Routes.Exact(netip.PrefixFrom(r.near, bits(r.near)))
		require.ErrorIs(t, err, rtable.ErrNotFound)
		require.Equal(t, 0, r.Neighbours()[0].Held)
	})
}

// A filter sees what is received and what is sent, may keep it from going on, or take it and send it
// later.
func TestFilter_PassesBlocksAndTakes(t *testing.T) {
	type look struct {
		d   ministack.Direction
		src netip.Addr
	}
	var seen []look
	held := mbuf.NewQueue("a filter")
	var kept *mbuf.Packet
	verdict := map[ministack.Direction]ministack.Verdict{}
	c := ministack.Config{Filter: func(c *netisr.Ctx, m *mbuf.Packet, d ministack.Direction) ministack.Verdict {
		f, _, ok := mbuf.FlowOf(m)
		if !ok || f.Proto != 17 {
			return ministack.Pass
		}
		if d == ministack.In && c.In.ID() != m.In || d == ministack.Out && c.Out.ID() != m.Out {
			panic("which interface?")
		}
		seen = append(seen, look{d, f.Src})
		if verdict[d] == ministack.Taken {
			m.Keep(held)
			kept = m
		}
		return verdict[d]
	}}
	routers(t, c, func(t *testing.T, r *router) {
		hear := func() []string {
			seen = nil
			left, right := r.hears(0, udp(r.left, r.right, 64, 1))
			require.Empty(t, left)
			return right
		}
		out := r.number(macC, r.left, r.right, 63, 1)
		in, both := []look{{ministack.In, r.left}}, []look{{ministack.In, r.left}, {ministack.Out, r.left}}
		clear(verdict)
		require.Equal(t, out, hear())
		require.Equal(t, both, seen)
		verdict[ministack.In] = ministack.Block
		require.Empty(t, hear())
		require.Equal(t, in, seen)
		require.Equal(t, 1, r.drops(mbuf.Denied))
		verdict[ministack.In], verdict[ministack.Out] = ministack.Pass, ministack.Block
		require.Empty(t, hear())
		require.Equal(t, both, seen)
		require.Equal(t, 2, r.drops(mbuf.Denied))
		verdict[ministack.Out] = ministack.Taken
		require.Empty(t, hear())
		require.NotNil(t, kept)
		verdict[ministack.Out] = ministack.Pass
		kept.Take(held, nil)
		l := r.Dom.Bind()
		defer l.Unbind()
		require.NoError(t, r.Output(context.Background(), l, kept))
		_, right := r.run()
		require.Equal(t, out, right)
	})
}

// A protocol of one's own is handled by a thread, and its queue is the stack's to step and close.
func TestHandle_AProtocolOfOnesOwn(t *testing.T) {
	h := newHost(t, macB, addrsB)
	got := 0
	handle := func(_ context.Context, in *wqinput.Input) {
		got++
		in.Packet.Free(mbuf.Done)
	}
	_, err := h.Handle(240, "mine", handle)
	require.NoError(t, err)
	_, err = h.Handle(240, "other", handle)
	require.ErrorIs(t, err, wqinput.ErrTaken)
	h.receive(in(macB, macA, ip(addrsA[0].Addr(), addrsB[0].Addr(), 64, 240, 1)))
	require.Equal(t, 1, got)
	h.end()
	_, err = h.Handle(241, "late", handle)
	require.ErrorIs(t, err, ministack.ErrClosed)
}

// A virtual address is answered for while CARP has made this host its master, with the virtual link
// address; what others advertise is heard, at 224.0.0.18.
func TestCARP_AVirtualAddressIsAnsweredByItsMaster(t *testing.T) {
	routers(t, ministack.Config{}, func(t *testing.T, r *router) {
		vip := netip.MustParseAddr("192.0.2.50")
		group, src := carp.Group4, r.left
		if r.left.Is6() {
			vip = netip.MustParseAddr("2001:db8::50")
			group, src = carp.Group6, netip.MustParseAddr("fe80::1")
		}
		virtual := carp.VirtualMAC(7)
		l := r.Dom.Bind()
		em0, err := r.CARP.Attach(l, r.ids[0])
		l.Unbind()
		require.NoError(t, err)
		require.NoError(t, em0.Add(carp.Config{Nodes: []carp.Node{{VHID: 7}}, Password: "secret", AdvBase: 1}, vip))
		synctest.Wait()
		r.run()

		question := asks(macA, r.left, vip)
		ping := in(virtual, macA, echo(r.left, vip))
		input := func(frame []byte) []string {
			m, err := r.pool.From(frame)
			require.NoError(t, err)
			require.NoError(t, r.ifps[0].Input(m))
			r.Run()
			synctest.Wait()
			left, _ := r.run()
			return left
		}
		require.Empty(t, input(question), "a backup")
		require.Empty(t, input(ping))

		require.NoError(t, em0.Step(7, carp.Force{State: carp.Master}))
		synctest.Wait()
		r.run()
		require.Contains(t, input(question), fmt.Sprintf("to %v: %v is at %v", macA, vip, virtual))
		require.Contains(t, input(ping), fmt.Sprintf("to %v: %v > %v ttl 64, icmp %d/0", macA, vip, r.left, map[bool]int{true: 0, false: 129}[r.left.Is4()]))

		auth, err := carp.NewAuth("secret", 7, []netip.Addr{vip}, nil)
		require.NoError(t, err)
		better := carp.Advert{Version: carp.Version, Type: carp.TypeAdvert, AuthLen: carp.AuthLen, VHID: 7, Counter: [8]byte{1}}
		better.Digest = auth.Sign(better.Counter)
		input(in(ifnet.MulticastMAC(group), macA, better.AppendIP(nil, src, group, 0)))
		require.Equal(t, carp.Backup, em0.State(7))
		require.EqualValues(t, 1, em0.Stats().Accepted)
		require.Empty(t, input(question), "it has yielded")
		require.Empty(t, input(ping))
	})
}

// Three stacks with workers of their own on two simulated networks: a ping finds its way there and
// back, by questions and answers of everybody, and nothing is left of it.
func TestStacks_PingThroughARouter(t *testing.T) {
	for name, n := range nets {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer cancel()
				lans := [2]*ifnet.LAN{ifnet.NewLAN(ifnet.LANConfig{Delay: time.Millisecond}), ifnet.NewLAN(ifnet.LANConfig{Delay: time.Millisecond})}
				var stacks []*ministack.Stack
				var pools []*mbuf.Pool
				add := func(forward bool) *ministack.Stack {
					pool := mbuf.NewPool(mbuf.PoolConfig{})
					s, err := ministack.New(ministack.Config{Forward: forward, Pool: pool, Streams: 2})
					require.NoError(t, err)
					stacks, pools = append(stacks, s), append(pools, pool)
					return s
				}
				plug := func(s *ministack.Stack, lan int, mac ifnet.MAC, a netip.Addr) *ifnet.Interface {
					ifp, err := s.Ifs.Attach(ifnet.Spec{Name: fmt.Sprint("em", lan), Driver: lans[lan].NewPort(), MAC: mac, Up: true})
					require.NoError(t, err)
					require.NoError(t, s.AddAddr(ifp.ID(), netip.PrefixFrom(a, bits(a))))
					return ifp
				}
				a, r, b := add(false), add(true), add(false)
				all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
				if n.left.Is6() {
					all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
				}
				emA := plug(a, 0, ifnet.MAC{2, 5: 1}, n.left)
				require.NoError(t, a.Routes.Add(rtable.Route{Dst: all, Gateway: n.near, Out: emA.ID()}))
				plug(r, 0, ifnet.MAC{2, 5: 2}, n.near)
				plug(r, 1, ifnet.MAC{2, 5: 3}, n.beyond)
				require.NoError(t, b.Routes.Add(rtable.Route{Dst: all, Gateway: n.beyond, Out: plug(b, 1, ifnet.MAC{2, 5: 4}, n.right).ID()}))

				back := make(chan string, 16) // what a receives
				defer emA.Tap(func(m *mbuf.Packet) {
					if m.Flags&mbuf.Sent == 0 {
						back <- tellOne(m.Bytes())
					}
				})()
				l := a.Dom.Bind()
				m, err := pools[0].From(echo(n.left, n.right))
				require.NoError(t, err)
				require.NoError(t, a.Output(ctx, l, m))
				l.Unbind()
				kind := map[bool]int{true: 0, false: 129}[n.left.Is4()]
				want := fmt.Sprintf("to %v: %v > %v ttl 63, icmp %d/0", ifnet.MAC{2, 5: 1}, n.right, n.left, kind)
				for {
					select {
					case got := <-back:
						if got != want {
							continue
						}
					case <-ctx.Done():
						t.Fatal("no answer")
					}
					break
				}
				for _, lan := range lans {
					lan.Close()
				}
				for i, s := range stacks {
					require.NoError(t, s.Close(ctx))
					pools[i].CheckLeaks(t)
				}
			})
		})
	}
}

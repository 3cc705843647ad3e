package ministack

import (
	"context"
	"errors"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/wqinput"
)

// The protocols of a stack's ISR.
const protoEther netisr.Proto = 1

// IP protocol numbers.
const (
	ProtoICMP   = 1
	ProtoICMPv6 = 58
)

// Config is what a Stack is made of.
type Config struct {
	Pool    *mbuf.Pool // a new one if nil
	Streams int        // of each queue; 1 if 0
	Manual  bool       // no workers: see Stack.Run
}

// A Stack is a host with interfaces, routes and neighbours, which answers when it is asked. Make one
// with [New], attach interfaces to Ifs, give them addresses, and add routes. Its methods may be
// called by anyone.
type Stack struct {
	Dom     *lwp.Domain
	Ifs     *ifnet.Table
	Routes  *rtable.Table
	ISR     *netisr.ISR
	Send    *netisr.SendQueue
	Protosw wqinput.Protosw // who takes which IP protocol

	icmp, icmp6 *wqinput.Queue
	output      *netisr.Type[nextHop]
	neighbours  neighbours
}

// New returns a stack without interfaces, and starts it.
func New(c Config) (*Stack, error) {
	if c.Pool == nil {
		c.Pool = mbuf.NewPool(mbuf.PoolConfig{Name: "ministack"})
	}
	c.Streams = max(c.Streams, 1)
	s := &Stack{Dom: lwp.NewDomain()}
	s.Ifs = ifnet.NewTable(s.Dom, ifnet.WithPool(c.Pool))
	s.Routes = rtable.New(s.Dom)
	s.ISR = netisr.New(netisr.Config{Ifs: s.Ifs, Streams: c.Streams, Manual: c.Manual})
	s.Send = netisr.NewSendQueue(netisr.SendConfig{Ifs: s.Ifs, Streams: c.Streams, Manual: c.Manual})
	var opts []wqinput.Option
	if c.Manual {
		opts = append(opts, wqinput.WithManual())
	}
	opts = append(opts, wqinput.WithStreams(c.Streams))
	s.icmp = wqinput.New(s.Ifs, "icmp", s.icmpInput, opts...)
	s.icmp6 = wqinput.New(s.Ifs, "icmp6", s.icmp6Input, opts...)

	_, err := s.ISR.Register(netisr.Handler{Name: "ether", Proto: protoEther, Policy: netisr.PolicySource, Handle: s.etherInput})
	if err != nil {
		return nil, err
	}
	if s.output, err = netisr.Register(s.Send, netisr.Spec[nextHop]{Name: "ip", Prio: netisr.Normal, Handle: s.transmit}); err != nil {
		return nil, err
	}
	s.Ifs.SetInput(s.ISR.Input(protoEther))
	return s, errors.Join(s.Protosw.Register(ProtoICMP, s.icmp), s.Protosw.Register(ProtoICMPv6, s.icmp6))
}

// Run does what the workers of a stack without workers would, until nothing is left to do, and
// returns how much that was.
func (s *Stack) Run() (n int) {
	for s.ISR.Step() || s.icmp.Step() || s.icmp6.Step() || s.Send.Step() {
		n++
	}
	return n
}

// Close ends the stack: what has come is dealt with, and nothing runs any more. When ctx ends first
// it returns ctx.Err(), and drops what waits.
func (s *Stack) Close(ctx context.Context) error {
	l := s.Dom.Bind()
	defer l.Unbind()
	return errors.Join(
		s.ISR.Close(ctx, l), // from the front to the back: each may feed the next
		s.icmp.Close(ctx), s.icmp6.Close(ctx),
		s.Send.Close(ctx, l),
		s.Routes.Close(ctx),
	)
}

// etherInput takes a received frame, in a softint.
func (s *Stack) etherInput(c *netisr.Ctx, m *mbuf.Packet) {
	if !c.In.Receive(m) {
		return
	}
	_, src, ok := ifnet.PullEther(m)
	switch {
	case !ok:
		m.Free(mbuf.Malformed)
	case m.EtherType == ifnet.EtherARP:
		s.arpInput(c, m, src)
	case m.EtherType == ifnet.EtherIPv4:
		s.ip4Input(c, m)
	case m.EtherType == ifnet.EtherIPv6:
		s.ip6Input(c, m)
	default:
		c.In.CountNoProto()
		m.Free(mbuf.NoProto)
	}
}

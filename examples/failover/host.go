package failover

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/psref"
)

// A host is many machines on one port: all clients, or all servers. What they send goes to the
// gateway, by its virtual link address.
type host struct {
	dom     *lwp.Domain
	l       *lwp.LWP
	ifs     *ifnet.Table
	isr     *netisr.ISR
	id      ifnet.ID
	gateway ifnet.MAC
	hear    func(*host, segment)

	mu  sync.Mutex // guards who sends: clients send from two places
	out *lwp.LWP

	damaged, unsent uint64 // guarded by mu
}

const protoEther netisr.Proto = 1

func newHost(lan *ifnet.LAN, name string, mac, gateway ifnet.MAC, hear func(*host, segment)) (*host, error) {
	h := &host{dom: lwp.NewDomain(), gateway: gateway, hear: hear}
	h.l, h.out = h.dom.Bind(), h.dom.Bind()
	h.ifs = ifnet.NewTable(h.dom, ifnet.WithPool(mbuf.NewPool(mbuf.PoolConfig{Name: name})))
	h.isr = netisr.New(netisr.Config{Ifs: h.ifs, Streams: 1, MaxQLimit: limit})
	if _, err := h.isr.Register(netisr.Handler{Name: "ether", Proto: protoEther, Policy: netisr.PolicySource, QLimit: limit, Handle: h.input}); err != nil {
		return nil, err
	}
	h.ifs.SetInput(h.isr.Input(protoEther))
	ifp, err := h.ifs.Attach(ifnet.Spec{Name: name, Driver: lan.NewPort(), MAC: mac, Up: true})
	if err != nil {
		return nil, err
	}
	h.id = ifp.ID()
	return h, nil
}

func (h *host) input(c *netisr.Ctx, m *mbuf.Packet) {
	if !c.In.Receive(m) {
		return
	}
	_, _, ok := ifnet.PullEther(m)
	if !ok || m.EtherType != ifnet.EtherIPv4 || m.Flags&(mbuf.Multicast|mbuf.Broadcast) != 0 {
		m.Free(mbuf.NoProto)
		return
	}
	s, ok := parse(m.Bytes())
	if !ok {
		h.mu.Lock()
		h.damaged++
		h.mu.Unlock()
		m.Free(mbuf.BadChecksum)
		return
	}
	h.hear(h, s) // s has the packet's bytes
	m.Free(mbuf.Done)
}

// send sends a segment to the gateway.
func (h *host) send(s segment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, err := h.ifs.Pool().From(s.append(make([]byte, 0, 64)))
	if err != nil {
		h.unsent++
		return
	}
	var ref psref.Ref
	ifp, ok := h.ifs.Get(h.out, &ref, h.id)
	if !ok {
		m.Free(mbuf.IfDeparted)
		return
	}
	ifnet.PushEther(m, h.gateway, ifp.MAC(), ifnet.EtherIPv4)
	_ = ifp.Transmit(h.out, m)
	ref.Release(h.out)
}

func (h *host) close(ctx context.Context) error {
	err := errors.Join(h.ifs.Detach(ctx, h.l, h.id), h.isr.Close(ctx, h.l))
	if n := h.ifs.Pool().Outstanding(); n != 0 && err == nil {
		err = errLeak
	}
	h.l.Unbind()
	h.out.Unbind()
	return err
}

// servers answers what it is told: a connection is made, and a word comes back as it was.
func servers() func(*host, segment) {
	type connection struct {
		next uint32  // what the client is to send next
		last segment // the last answer, if it has to be given again
	}
	conns := map[[2]netip.AddrPort]*connection{}
	return func(h *host, s segment) {
		answer := segment{proto: s.proto, src: s.dst, dst: s.src}
		if s.proto == protoUDP {
			answer.payload = append([]byte(nil), s.payload...)
			h.send(answer)
			return
		}
		who := [2]netip.AddrPort{s.src, s.dst}
		c := conns[who]
		switch {
		case s.flags&syn != 0:
			answer.flags, answer.seq, answer.ack = syn|ack, 1000, s.seq+1
			if c == nil || c.next != s.seq+1 {
				conns[who] = &connection{next: s.seq + 1, last: segment{seq: 1001}}
			}
			h.send(answer)
		case c == nil:
			answer.flags, answer.seq = rst, s.ack
			h.send(answer)
		case len(s.payload) == 0: // an acknowledgement
		case s.seq == c.next:
			c.next += uint32(len(s.payload))
			answer.flags, answer.seq, answer.ack = ack, c.last.seq+uint32(len(c.last.payload)), c.next
			answer.payload = append([]byte(nil), s.payload...)
			c.last = answer
			h.send(answer)
		case s.seq+uint32(len(s.payload)) == c.next: // said again: so was the answer lost
			h.send(c.last)
		}
	}
}

// A flow is a conversation as its client sees it: it says a word, waits for it to come back, and says the
// next. TCP says it again when it does not; UDP says the next all the same.
type flow struct {
	id       uint32
	proto    uint8
	src, dst netip.AddrPort
	begins   time.Time

	connected bool
	seq, ack  uint32
	number    uint32
	waiting   bool
	due       time.Time // when it says something next
	begun     time.Time // when it was first answered
	last      time.Time // when it was last
	outage    time.Duration
	answers   uint64
	reset     bool
	wrong     uint64 // words that came back damaged or out of order
}

// clients has conversations.
type clients struct {
	c     config
	mu    sync.Mutex
	flows []*flow
	h     *host
}

func (c *clients) hear(_ *host, s segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := int(be.Uint32(as4(s.dst.Addr()))&0xffff) - 1
	if i < 0 || i >= len(c.flows) {
		return
	}
	f, now := c.flows[i], time.Now()
	switch {
	case s.proto != f.proto:
		f.wrong++
		return
	case f.proto == protoUDP:
	case s.flags&rst != 0:
		f.reset = true
		return
	case s.flags&syn != 0:
		if !f.connected {
			f.connected, f.seq, f.ack, f.waiting, f.due = true, f.seq+1, s.seq+1, false, now
		}
		return
	case s.ack != f.seq+12:
		return // an answer that was given before
	}
	id, number, ok := heard(s.payload)
	if !ok || id != f.id || f.proto == protoTCP && number != f.number {
		f.wrong++
		return
	}
	if f.proto == protoTCP {
		f.seq, f.ack = s.ack, s.seq+uint32(len(s.payload))
		f.number++
		f.waiting, f.due = false, f.last.Add(c.c.every)
		if f.due.Before(now) {
			f.due = now.Add(c.c.every)
		}
	}
	if f.begun.IsZero() {
		f.begun = now
	} else {
		f.outage = max(f.outage, now.Sub(f.last))
	}
	f.last = now
	f.answers++
}

// speak has conversations say what is due.
func (c *clients) speak(now time.Time) {
	c.mu.Lock()
	var say []segment
	for _, f := range c.flows {
		if f.reset || now.Before(f.due) {
			continue
		}
		s := segment{proto: f.proto, src: f.src, dst: f.dst}
		switch {
		case f.proto == protoUDP:
			s.payload = word(f.id, f.number)
			f.number++
			f.due = now.Add(c.c.every)
		case !f.connected:
			s.flags, s.seq = syn, f.seq
			f.due = now.Add(c.c.again)
		default:
			s.flags, s.seq, s.ack, s.payload = ack, f.seq, f.ack, word(f.id, f.number)
			f.waiting, f.due = true, now.Add(c.c.again)
		}
		say = append(say, s)
	}
	c.mu.Unlock()
	for _, s := range say {
		c.h.send(s)
	}
}

func as4(a netip.Addr) []byte { b := a.As4(); return b[:] }

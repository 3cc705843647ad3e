package linux

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// A Socket sends and receives whole Ethernet frames of an interface (packet(7)). It does not see
// what this machine itself sends. Safe for concurrent use, but for Receive with itself.
type Socket struct {
	ifi  *net.Interface
	conn *packet.Conn

	mu     sync.Mutex
	joins  []net.PacketConn // hold memberships
	closed bool
}

// Open opens the interface of a name for frames that a filter lets through: one of
// [FilterAll] and [FilterProtocol], or the caller's.
func Open(ifname string, filter []bpf.Instruction) (*Socket, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("linux: %s: %w", ifname, err)
	}
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return nil, fmt.Errorf("linux: filter: %w", err)
	}
	conn, err := packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, &packet.Config{Filter: raw})
	if err != nil {
		return nil, fmt.Errorf("linux: %s: %w", ifname, err)
	}
	return &Socket{ifi: ifi, conn: conn}, nil
}

// received begins every filter: what is on its way out is no input.
var received = []bpf.Instruction{
	bpf.LoadExtension{Num: bpf.ExtType},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 1},
	bpf.RetConstant{Val: 0},
}

const whole = 1 << 18

// FilterAll lets every frame through that is received.
func FilterAll() []bpf.Instruction {
	return append(received[:len(received):len(received)], bpf.RetConstant{Val: whole})
}

// FilterProtocol lets frames through that carry IPv4 or IPv6 with a protocol number, directly after
// the IPv6 header, and are received.
func FilterProtocol(proto uint8) []bpf.Instruction {
	return append(received[:len(received):len(received)],
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x86dd, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x0800, SkipTrue: 5},
		bpf.LoadAbsolute{Off: 14 + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(proto), SkipTrue: 2, SkipFalse: 3},
		bpf.LoadAbsolute{Off: 14 + 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(proto), SkipTrue: 1},
		bpf.RetConstant{Val: whole},
		bpf.RetConstant{Val: 0},
	)
}

// Interface returns the interface as it was when the socket was opened.
func (s *Socket) Interface() *net.Interface { return s.ifi }

// Send sends a frame. It does not wait for long: what the interface has no room for is an error.
func (s *Socket) Send(frame []byte) error {
	if len(frame) < 14 {
		return fmt.Errorf("linux: a frame of %d bytes", len(frame))
	}
	_, err := s.conn.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])})
	return err
}

// Receive waits for a frame and returns how much of b it fills. Errors: [net.ErrClosed] after
// Close. That the interface goes down is none: no frames come, until it is up again.
func (s *Socket) Receive(b []byte) (int, error) {
	for {
		n, _, err := s.conn.ReadFrom(b)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, unix.ENETDOWN): // said once, by whoever reads when it happens
		case s.isClosed():
			return 0, net.ErrClosed
		default:
			return 0, err
		}
	}
}

// Join makes the interface hear an IPv4 or IPv6 group, and tells routers and switches so, until the
// socket is closed.
func (s *Socket) Join(group netip.Addr) error {
	network, local := "udp4", "0.0.0.0:0"
	if group.Is6() {
		network, local = "udp6", "[::]:0"
	}
	c, err := net.ListenPacket(network, local)
	if err != nil {
		return fmt.Errorf("linux: join %v: %w", group, err)
	}
	to := &net.UDPAddr{IP: group.AsSlice()}
	if group.Is6() {
		err = ipv6.NewPacketConn(c).JoinGroup(s.ifi, to)
	} else {
		err = ipv4.NewPacketConn(c).JoinGroup(s.ifi, to)
	}
	if err != nil {
		c.Close()
		return fmt.Errorf("linux: join %v on %s: %w", group, s.ifi.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joins = append(s.joins, c)
	return nil
}

// Close ends a waiting Receive, and leaves the groups.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.joins {
		c.Close()
	}
	s.joins, s.closed = nil, true
	return s.conn.Close()
}

func (s *Socket) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

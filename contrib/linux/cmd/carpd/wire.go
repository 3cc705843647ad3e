package main

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/softnet-go/softnet/carp"
)

func (d *daemon) joinGroups() error {
	peer := d.dev.Config().Peer
	if !peer.IsMulticast() {
		c, err := net.ListenPacket("ip4:112", "0.0.0.0")
		if err != nil {
			return err
		}
		d.raw, err = ipv4.NewRawConn(c)
		return err
	}
	if d.has(carp.V4) {
		if err := d.sock.Join(peer); err != nil {
			return err
		}
	}
	if d.has(carp.V6) {
		return d.sock.Join(carp.Group6)
	}
	return nil
}

func (d *daemon) has(f carp.Family) bool {
	return slices.ContainsFunc(d.o.vips, func(a netip.Addr) bool { return carp.FamilyOf(a) == f })
}

// findSource takes the interface's first IPv4 address, and its link-local one, as sources.
func (d *daemon) findSource() error {
	as, err := d.link.Addrs()
	if err != nil {
		return err
	}
	for _, p := range as {
		a := p.Addr()
		switch {
		case slices.Contains(d.o.vips, a):
		case a.Is4() && !d.o.src.IsValid():
			d.o.src = a
		case a.Is6() && a.IsLinkLocalUnicast() && !d.src6.IsValid():
			d.src6 = a
		}
	}
	return nil
}

// receive reads frames in a goroutine. What the daemon has no time for waits in the socket.
func (d *daemon) receive(stop <-chan struct{}) (<-chan []byte, <-chan error) {
	frames, failed := make(chan []byte, queue), make(chan error, 1)
	go func() {
		buf := make([]byte, snap)
		for {
			n, err := d.sock.Receive(buf)
			if err != nil {
				failed <- err
				return
			}
			select {
			case frames <- slices.Clone(buf[:n]):
			case <-stop:
				return
			}
		}
	}()
	return frames, failed
}

func (d *daemon) send(s carp.Send) error {
	if s.Family == carp.V4 && d.raw != nil {
		return d.sendUnicast(s)
	}
	src, dst := d.o.src, d.dev.Config().Peer
	if s.Family == carp.V6 {
		src, dst = d.src6, carp.Group6
	}
	mac, ok := d.dev.SourceMAC(s.VHost)
	if !ok {
		mac = d.mac
	}
	id := uint16(time.Now().UnixNano()) // any; it is not a fragment
	d.buf = carp.Frame(d.buf[:0], dst, mac, s.Advert.AppendIP(nil, src, dst, id))
	d.record(d.buf)
	return d.sock.Send(d.buf)
}

func (d *daemon) sendUnicast(s carp.Send) error {
	peer := d.dev.Config().Peer
	b := s.Advert.AppendIP(nil, d.o.src, peer, 0)
	h, err := ipv4.ParseHeader(b)
	if err != nil {
		return err
	}
	err = d.raw.WriteTo(h, b[h.Len:], nil)
	if errors.Is(err, unix.EHOSTDOWN) || errors.Is(err, unix.EHOSTUNREACH) {
		return nil // it does not answer; that is what this is about
	}
	return err
}

// record writes a frame to the capture. A disk that is full ends the capture, not the daemon.
func (d *daemon) record(frame []byte) {
	if d.capture == nil {
		return
	}
	if err := d.capture.Write(time.Now(), frame); err != nil {
		d.log.Warn("the capture ends", "error", err)
		d.capture = nil
	}
}

package linux

import (
	"sync"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
)

// A Driver is an ifnet.Driver on a [Socket]: what the machine's interface receives is the stack's
// input, and the other way round. The machine's own stack goes on to see the same frames.
type Driver struct {
	sock *Socket
	pool *mbuf.Pool
	seal *Seal // nil for none
	done sync.WaitGroup
}

// NewDriver returns a driver that owns the socket: it is closed with the interface. Packets come
// from pool; when it has none, frames are lost.
func NewDriver(sock *Socket, pool *mbuf.Pool) *Driver { return &Driver{sock: sock, pool: pool} }

// NewSealedDriver returns a driver that seals what it sends, and receives only what somebody with the
// key has sealed. The interface's MTU has to leave room: [SealLen] less than the machine's.
func NewSealedDriver(sock *Socket, pool *mbuf.Pool, seal *Seal) *Driver {
	return &Driver{sock: sock, pool: pool, seal: seal}
}

// Open begins to receive. It is called once, by ifnet.
func (d *Driver) Open(ifp *ifnet.Interface) error {
	d.done.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := d.sock.Receive(buf)
			if err != nil {
				return
			}
			frame := buf[:n]
			if d.seal != nil {
				if frame, err = d.seal.Open(frame); err != nil {
					continue // the seal counts it
				}
			}
			m, err := d.pool.From(frame)
			if err != nil {
				continue // the pool counts it
			}
			_ = ifp.Input(m) // consumes it, and counts what it refuses
		}
	})
	return nil
}

// Transmit sends a frame. It consumes it.
func (d *Driver) Transmit(_ *lwp.LWP, m *mbuf.Packet) error {
	frame, ok := m.Pullup(m.Len())
	if !ok || len(frame) < 14 {
		m.Free(mbuf.Malformed)
		return ifnet.ErrInvalid
	}
	if d.seal != nil {
		frame = d.seal.Close(frame)
	}
	if err := d.sock.Send(frame); err != nil {
		m.Free(mbuf.Lost)
		return err
	}
	m.Free(mbuf.Done)
	return nil
}

// Close ends the receiving and closes the socket.
func (d *Driver) Close() error {
	err := d.sock.Close()
	d.done.Wait()
	return err
}

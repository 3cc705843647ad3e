package ifnet

import (
	"io"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/pcap"
	"github.com/softnet-go/softnet/mbuf"
)

// Capture writes every frame that the interface receives or sends to w, as a file that
// tcpdump(1) and Wireshark open. A write is one call of w.Write, by whoever receives or sends;
// after one has failed nothing more is written. stop ends it, waits for a write that is under
// way, and returns the first error.
func (ifp *Interface) Capture(w io.Writer) (stop func() error, err error) {
	link := pcap.Ethernet
	if ifp.link == Raw {
		link = pcap.Raw
	}
	pw, err := pcap.NewWriter(w, link)
	if err != nil {
		return nil, err
	}
	c := &capture{w: pw}
	cancel := ifp.Tap(c.look)
	return func() error {
		cancel()
		return c.stop()
	}, nil
}

// A capture writes frames, one at a time. Its lock is no leaf that is held over a write, but a
// turn that is taken.
type capture struct {
	w *pcap.Writer

	mu      hook.Mutex // leaf; guards what follows
	free    hook.Cond
	writing bool
	ended   bool
	err     error
}

func (c *capture) look(m *mbuf.Packet) {
	var parts [][]byte
	for b := range m.Segments() {
		parts = append(parts, b)
	}
	c.mu.Lock()
	for c.writing {
		c.free.Wait(&c.mu)
	}
	if c.ended || c.err != nil {
		c.mu.Unlock()
		return
	}
	c.writing = true
	c.mu.Unlock()
	err := c.w.Write(time.Now(), parts...)
	c.mu.Lock()
	c.writing, c.err = false, err
	c.free.Broadcast()
	c.mu.Unlock()
}

func (c *capture) stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for c.writing {
		c.free.Wait(&c.mu)
	}
	return c.err
}

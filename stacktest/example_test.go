package stacktest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/stacktest"
	"github.com/softnet-go/softnet/wqinput"
)

// pong is a handler of one's own: it answers a ping, by the interface by which that came.
func pong(_ context.Context, in *wqinput.Input) {
	m := in.Packet
	if m.Flags&mbuf.Broadcast != 0 || string(m.Bytes()) != "ping" {
		m.Free(mbuf.Foreign)
		return
	}
	m.Writable()[1] = 'o' // the bytes may be shared
	_ = in.In.Transmit(in.LWP, m)
}

// From here on it is its test: the attack, and a model of what pong should do.
func testPong(t *testing.T) {
	stacktest.Handler(t, stacktest.Config{
		Packets: rapid.Just([]byte("ping")), // and what becomes of it, changed, cut and shared
		New:     func(*stacktest.Stack) stacktest.Subject { return stacktest.Subject{Name: "pong", Input: pong} },
		Model:   func(*stacktest.Stack) stacktest.Model { return &pongs{} },
	})
}

type pongs struct{ due int }

func (p *pongs) In(m stacktest.Packet) error {
	if string(m.Bytes) == "ping" && m.Flags&mbuf.Broadcast == 0 && m.Up {
		p.due++
	}
	return nil
}

func (p *pongs) Out(m stacktest.Packet) error {
	if p.due--; p.due < 0 || string(m.Bytes) != "pong" {
		return errors.New("nobody asked for that")
	}
	return nil
}

func (p *pongs) Idle() error {
	if p.due > 0 {
		return fmt.Errorf("%d answers are due", p.due)
	}
	return nil
}

func Example() {
	var t *testing.T // of TestPong
	testPong(t)
}

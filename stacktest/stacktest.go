package stacktest

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/wqinput"
)

// Config says what to attack, and how.
type Config struct {
	// New makes the handler, on a stack of its own, for each case.
	New func(s *Stack) Subject
	// Model makes what is told of all that goes in and comes out, for each case; nil for none.
	Model func(s *Stack) Model
	// Packets are what it is sent, beside what is made of them by changing and cutting. The
	// default is [IPPackets].
	Packets *rapid.Generator[[]byte]

	MaxHeld   int  // how many packets it may keep beyond its return; 64 if 0, none if negative
	Unordered bool // packets of a flow need not be done with in order
	Chatty    bool // it may answer a broadcast
}

// A Subject is a handler under attack: one of Input, Softint and Output.
type Subject struct {
	Name    string
	Input   wqinput.Handler                     // runs in a thread
	Softint func(c *netisr.Ctx, m *mbuf.Packet) // runs in a softint
	// Output is given packets that are to leave by an interface, by a thread. It sends them, or has
	// them sent by what it has registered with the Stack's Send: that is what is under attack.
	Output func(l *lwp.LWP, m *mbuf.Packet, out ifnet.ID)

	Close func(ctx context.Context) error // ends what the handler has started; nil if nothing
	Check func() error                    // what else has to be true after every step; nil if nothing
}

// A Stack is what a handler has around it: three interfaces, which are attached when New has returned and
// are called em0 to em2, and a route to 192.0.0.0/16 by em0, unless New has added one.
type Stack struct {
	Dom    *lwp.Domain
	Ifs    *ifnet.Table
	Pool   *mbuf.Pool
	Routes *rtable.Table
	Send   *netisr.SendQueue // to send by, with no lock held

	look lookup
}

// Handler attacks a handler with random cases, of which rapid's flags say how many, and fails t with
// the shortest story that breaks a promise.
func Handler(t *testing.T, c Config) {
	t.Helper()
	rapid.Check(t, c.property)
}

// Fuzz returns the attack as a fuzz target, for testing.F.Fuzz.
func Fuzz(c Config) func(*testing.T, []byte) { return rapid.MakeFuzz(c.property) }

func (c Config) property(t *rapid.T) {
	var left string // of goroutines, with which no bubble ends well
	defer func() {
		if left != "" {
			_ = recover()
			t.Fatalf("%s", left)
		}
	}()
	rapid.SyncTest(t, func(t *rapid.T) {
		a := newAttack(t, c, Variant{}, inBubble{})
		defer a.unwound()
		actions := map[string]func(*rapid.T){"": func(t *rapid.T) { a.judge(t) }}
		for name, draw := range c.draws(hostile) {
			actions[name] = func(t *rapid.T) { a.perform(draw(t)) }
		}
		t.Repeat(actions)
		a.finish(t)
		left = a.goroutines(t)
	})
}

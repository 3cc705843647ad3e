package stacktest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/stacktest"
	"github.com/softnet-go/softnet/wqinput"
)

// answers is what echo should do: each whole IPv4 packet that is no broadcast has one answer, by the
// interface it came by.
type answers struct{ due []string }

func due(name string, b []byte) string { return fmt.Sprintf("%s %x", name, b) }

func (a *answers) In(p stacktest.Packet) error {
	if len(p.Bytes) >= 20 && p.Bytes[0]>>4 == 4 && p.Flags&mbuf.Broadcast == 0 && p.Up && len(p.Bytes) <= p.MTU {
		b := bytes.Clone(p.Bytes)
		copy(b[12:], p.Bytes[16:20])
		copy(b[16:], p.Bytes[12:16])
		a.due = append(a.due, due(p.Name, b))
	}
	return nil
}

func (a *answers) Out(p stacktest.Packet) error {
	i := slices.Index(a.due, due(p.Name, p.Bytes))
	if i < 0 {
		return errors.New("nobody asked for that")
	}
	a.due = slices.Delete(a.due, i, i+1)
	return nil
}

func (a *answers) Idle() error {
	if len(a.due) > 0 {
		return errors.New("an answer is due")
	}
	return nil
}

// modelled attacks a handler beside the model of an echo.
func modelled(h wqinput.Handler) stacktest.Config {
	c := subject(always(h))
	c.Model = func(*stacktest.Stack) stacktest.Model { return &answers{} }
	return c
}

func TestHandler_HasNothingAgainstWhatItsModelSays(t *testing.T) {
	stacktest.Handler(t, modelled(echo))
}

var modelCrimes = map[string]crime{
	"model: does not answer": {
		config: modelled(func(ctx context.Context, in *wqinput.Input) {
			if in.Packet.Len() > 40 {
				in.Packet.Free(mbuf.TooBig)
				return
			}
			echo(ctx, in)
		}),
		charge: "is not what its model says: an answer is due",
	},
	"model: answers wrongly": {
		config: modelled(func(ctx context.Context, in *wqinput.Input) {
			if in.Packet.Len() > 40 {
				in.Packet.Writable()[8]--
			}
			echo(ctx, in)
		}),
		charge: "is not what its model says: nobody asked for that",
	},
	"model: answers what nobody asked": {
		config: modelled(func(ctx context.Context, in *wqinput.Input) {
			if c, err := in.Packet.Clone(); err == nil && in.Packet.Flags == 0 {
				_ = in.In.Transmit(in.LWP, c)
			} else if err == nil {
				c.Free(mbuf.Done)
			}
			echo(ctx, in)
		}),
		charge: "is not what its model says: nobody asked for that",
	},
}

package yourownhandler

import (
	"context"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/wqinput"
)

// wrong keeps the interface.
func wrong(p *ponger) wqinput.Handler {
	return func(_ context.Context, in *wqinput.Input) {
		defer in.Packet.Free(mbuf.Done)
		if !asked(in.Packet) {
			return
		}
		p.r.Record("handler", "take", "ping", "by "+in.In.Name())
		ifp := in.In
		p.later(func() {
			l := p.dom.Bind()
			defer l.Unbind()
			p.pong(l, ifp)
		})
	}
}

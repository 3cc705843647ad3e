package yourownhandler

import (
	"context"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/wqinput"
)

// right keeps what outlives the interface: its ID.
func right(p *ponger) wqinput.Handler {
	return func(_ context.Context, in *wqinput.Input) {
		defer in.Packet.Free(mbuf.Done)
		if !asked(in.Packet) {
			return
		}
		p.r.Record("handler", "take", "ping", "by "+in.In.Name())
		id := in.In.ID()
		p.later(func() {
			l := p.dom.Bind()
			defer l.Unbind()
			// TASK: remember id's index alone, and find the interface with p.ifs.ByIndex. The story still
			// says HELD. What does the test say? Give it a model that says by which name an answer leaves.
			var ref psref.Ref
			ifp, ok := p.ifs.Get(l, &ref, id)
			if !ok {
				p.r.Record("timer", "drop", "pong", "em0 has gone")
				return
			}
			defer ref.Release(l)
			p.pong(l, ifp)
		})
	}
}

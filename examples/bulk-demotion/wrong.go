package bulkdemotion

import (
	"time"

	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/pfsync"
)

// A published machine is the right one but for one step: where the time for a transfer is over it sends
// another request, and then goes on into what is meant for when there is no more sense in asking.
type published struct{ pfsync.Request }

func (p *published) Step(now time.Time, e pfsync.Event) pfsync.Answer {
	late := e == pfsync.Tick && p.Phase() == pfsync.PhaseBulk && !now.Before(p.At())
	a := p.Request.Step(now, e)
	if late {
		done := p.Request
		done.Step(now, pfsync.BulkEnd) // as if the end had come
		a.Demote, a.Why, p.Request = -32, "asked again", done
	}
	return a
}

// wrong has the published machine.
func wrong(r *event.Recorder) error {
	return newWorld(r, &published{pfsync.Request{Wait: wait}}).story()
}

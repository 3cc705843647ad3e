package wqinput

import (
	"context"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
)

// A refusal is why a packet was not queued.
type refusal int

const (
	refusedFull refusal = iota
	refusedIf
	refusedClosed
	refusals
	accepted refusal = -1
)

var refusalErrors = [refusals]error{ErrNoBufs, ErrIfDeparted, ErrClosed}

// freeReason is what a packet is freed for that was refused with an error.
func freeReason(err error) mbuf.Reason {
	switch err {
	case ErrNoBufs:
		return mbuf.NoBufs
	case ErrIfDeparted:
		return mbuf.IfDeparted
	}
	return mbuf.Shutdown
}

// A drop is why a packet that was queued was not handled.
type drop int

const (
	dropDeparted drop = iota
	dropShutdown
	drops
)

var dropReasons = [drops]mbuf.Reason{mbuf.IfDeparted, mbuf.Shutdown}

// A drainer is a queue as departing interfaces see it.
type drainer Queue

func (d *drainer) Name() string { return "wqinput " + d.name }

// Purge drops what came by the interface, or is to leave by it.
func (d *drainer) Purge(id ifnet.ID) (n int) {
	for _, s := range d.streams {
		n += s.purge(func(it *item) bool { return it.concerns(id) }, dropDeparted)
	}
	return n
}

// Barrier waits until no handler has a packet that concerns the interface.
func (d *drainer) Barrier(ctx context.Context, _ *lwp.LWP, id ifnet.ID) error {
	if err := (*Queue)(d).mayWait(ctx); err != nil {
		return err
	}
	for _, s := range d.streams {
		if err := s.wait(ctx, s.concerned(id)); err != nil {
			return err
		}
	}
	return nil
}

// Down drops nothing: what has come has come.
func (d *drainer) Down(ifnet.ID) int { return 0 }

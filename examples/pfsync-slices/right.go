package pfsyncslices

import (
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// right asks the hash of the flow, the one that steers packets to CPUs.
func right(r *event.Recorder) error {
	return newWorld(r, func(w *world, _ int, st *wire.State) int {
		// TASK: use flow(st).Src alone. Is it wrong? What is it bad for?
		return int(w.hasher.Flow(flow(st)) % 2)
	}).story()
}

package pfsyncslices

import (
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// wrong gives each CPU a slice: nobody ever waits for another's lock.
func wrong(r *event.Recorder) error {
	return newWorld(r, func(_ *world, cpu int, _ *wire.State) int { return cpu }).story()
}

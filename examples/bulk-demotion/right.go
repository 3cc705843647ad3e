package bulkdemotion

import (
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/pfsync"
)

// right waits for the answer to what it has asked last.
func right(r *event.Recorder) error {
	// TASK: make Wait a nanosecond. How often does bob ask, and what is it in the end?
	return newWorld(r, &pfsync.Request{Wait: wait}).story()
}

package softnetdeadlock

import (
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
)

// right holds softnet_lock around what it protects, the connections, and drops it around
// the wait.
func right(r *event.Recorder) error {
	st := newStack(r, unwatched())
	return st.run(st.rightPurge)
}

func (st *stack) rightPurge(l *lwp.LWP) error {
	st.lock(&st.ioctl)
	st.purgeConnections()
	st.unlock(&st.ioctl)

	// Who waits for every softint holds nothing that a softint may want.
	// TASK: in run, send the segment only after the purge; then run the wrong one. Does
	// it still hang? Has it become right?
	err := st.purgeAddress(l)

	// A connection that was made meanwhile goes now. TASK: delete this second purge.
	// Nothing here notices; what would have to arrive, and when, for it to matter?
	st.lock(&st.ioctl)
	st.purgeConnections()
	st.unlock(&st.ioctl)
	return err
}

package softnetdeadlock

import (
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
)

// wrong holds softnet_lock around all that TCP does when an interface goes away: one
// lock, taken at the top, for everything below. That is how it was done for as long as
// this lock was all the protection there was.
func wrong(r *event.Recorder) error {
	st := newStack(r, unwatched())
	return st.run(st.wrongPurge)
}

func (st *stack) wrongPurge(l *lwp.LWP) error {
	st.lock(&st.ioctl)
	st.purgeConnections()

	// A connection that is made now would refer to an address that is on its way out,
	// and connections are made under the lock: surely it is safer to keep it.
	err := st.purgeAddress(l)

	st.purgeConnections()
	st.unlock(&st.ioctl)
	return err
}

package softnetdeadlock

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// A stack is as much of a network stack as it takes: an interface with one address, TCP
// connections under one lock, a thread and a soft interrupt. What the thread does when
// the interface goes away is in wrong.go and right.go.
type stack struct {
	dom  *lwp.Domain
	psz  *pserialize.Serializer
	addr atomic.Pointer[psref.Target] // the interface's address
	in   chan string                  // what the interface has received

	softnetLock witness.Mutex // guards the connections

	ioctl, softint actor
}

func newStack(r *event.Recorder, softnetLock *witness.Class) *stack {
	dom := lwp.NewDomain()
	st := &stack{
		dom:     dom,
		psz:     pserialize.New(dom),
		in:      make(chan string),
		ioctl:   actor{name: "ioctl", owes: "owes nothing", r: r},
		softint: actor{name: "softint", owes: "owes a checkpoint", r: r},
	}
	st.softnetLock.Init(softnetLock)
	addr := new(psref.Target)
	psref.NewClass(dom, "ifaddr").Init(addr)
	st.addr.Store(addr)
	return st
}

// unwatched is the class of a lock that checked builds do not watch: the lesson wants to
// see the deadlock itself. Its test shows what a checker says, and how much sooner.
func unwatched() *witness.Class {
	return witness.NewChecker(witness.Options{Mode: witness.Off}).NewClass("softnet_lock")
}

// run destroys the interface with purge, and has it receive a segment meanwhile.
func (st *stack) run(purge func(*lwp.LWP) error) (broken error) {
	var wg sync.WaitGroup
	wg.Go(st.softintLoop)
	wg.Go(func() {
		l := st.dom.Bind()
		defer l.Unbind()
		broken = purge(l)
	})
	time.Sleep(lesson.Step)
	st.in <- "SYN"
	close(st.in)
	wg.Wait()
	return broken
}

// softintLoop is the soft interrupt. It passes a checkpoint after each handler, and
// nobody waits for it while it has nothing to handle.
func (st *stack) softintLoop() {
	l := st.dom.BindSoftint("softint")
	defer l.Unbind()
	for {
		l.Offline()
		segment, ok := <-st.in
		l.Online()
		if !ok {
			return
		}
		st.tcpInput(segment)
		st.softint.does("pass", "a checkpoint")
		l.Checkpoint()
	}
}

// tcpInput handles a segment. A softint may wait for a lock: only for a moment, as those
// who take the lock have promised.
func (st *stack) tcpInput(segment string) {
	st.softint.does("receive", segment)
	st.lock(&st.softint)
	time.Sleep(lesson.Step) // stands for work
	st.unlock(&st.softint)
}

// purgeConnections ends the connections of the interface.
func (st *stack) purgeConnections() {
	st.softnetLock.AssertHeld()
	st.ioctl.does("end", "connections")
	time.Sleep(2 * lesson.Step) // stands for work
}

// purgeAddress takes the interface's address out of sight, waits until nobody looks at it
// or holds it, and frees it. A kernel would wait for ever; we give up.
func (st *stack) purgeAddress(l *lwp.LWP) error {
	time.Sleep(lesson.Step / 2) // so that the two do not speak at one instant
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()

	st.ioctl.does("unlink", "the address")
	addr := st.addr.Swap(nil)
	st.ioctl.waits("a checkpoint of every softint")
	err := st.psz.Perform(ctx, l)
	if err == nil {
		err = addr.Destroy(ctx, l)
	}
	if err != nil {
		st.ioctl.report()
		st.softint.report()
		return errDeadlock
	}
	st.ioctl.does("free", "the address")
	return nil
}

func (st *stack) lock(a *actor) {
	a.waits("softnet_lock")
	st.softnetLock.Lock()
	a.gets("softnet_lock")
}

func (st *stack) unlock(a *actor) {
	a.drops("softnet_lock")
	st.softnetLock.Unlock()
}

package lwp_test

import (
	"fmt"

	"github.com/softnet-go/softnet/lwp"
)

// A worker is a softint: it passes a checkpoint between handlers, and is offline while it
// waits for work.
func ExampleDomain_BindSoftint() {
	dom := lwp.NewDomain()
	work, done := make(chan string), make(chan struct{})
	go func() {
		defer close(done)
		l := dom.BindSoftint("netisr0")
		defer l.Unbind()
		for {
			l.Offline()
			job, ok := <-work
			l.Online()
			if !ok {
				return
			}
			fmt.Println(l, "handles", job)
			l.Checkpoint()
		}
	}()
	work <- "a packet"
	work <- "another"
	close(work)
	<-done
	// Output:
	// softint 1 (netisr0) handles a packet
	// softint 1 (netisr0) handles another
}

// A counter without a shared word: each LWP has its own, and the sum is taken by whoever
// asks.
func ExampleLocal() {
	dom := lwp.NewDomain()
	packets := lwp.NewLocal[int](dom)
	for range 3 {
		l := dom.Bind()
		*packets.Get(l) += 10
		l.Unbind()
	}
	sum := 0
	for n := range packets.All() {
		sum += *n
	}
	fmt.Println(sum)
	// Output: 30
}

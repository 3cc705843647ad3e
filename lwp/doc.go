// Package lwp says who is running.
//
// A BSD kernel asks curlwp who the caller is and whether it may sleep. A goroutine has no
// identity to ask for, so it carries one: an [LWP], passed explicitly to whatever enters a
// read section or takes a passive reference. The compiler finds the caller that has none.
//
//	            may sleep   what it holds is      whoever waits for it
//	thread      anywhere    published, 2 atomic   is woken by its next exit
//	                        exchanges each        or release
//	softint     never       plain memory          waits for its next checkpoint
//	  offline   anywhere    as a thread's         as for a thread
//
// A softint stands for the kernel's soft interrupt: a worker that runs short handlers and
// never sleeps in one. In exchange its sections and references cost next to nothing. That
// is the kernel's cross-call turned around: nobody can interrupt a goroutine, so it looks
// up by itself, between any two handlers.
//
// # Usage
//
// One Domain a stack; one LWP a goroutine that holds things:
//
//	dom := lwp.NewDomain()
//
//	l := dom.Bind() // a thread
//	defer l.Unbind()
//
//	l := dom.BindSoftint("netisr0") // a worker's loop
//	for {
//		handle(l, <-burst)
//		l.Checkpoint() // between handlers: a load, while nobody waits
//	}
//
// A worker that may have to wait for its next burst goes offline around the wait:
//
//	l.Offline()
//	m, ok := <-in
//	l.Online()
//
// State that each LWP keeps for itself, such as a cache or a counter, is a [Local].
//
// # Concurrency
//
// An LWP belongs to one goroutine at a time. It may be handed on like any plain memory,
// with a channel or a lock in between. A Domain and a Local may be used by anyone. Nothing
// here blocks. LWPs are recycled, and a Domain keeps as many as were ever in use at once.
//
// # Lock order
//
// Domain.mu and Local.mu are leaves, but that a Domain which grows holds its own over the
// leaf of the list that waiters look at. Two levels stand in the lock order for what one
// waits for: every softint of a domain, and every read section. Softints may not sleep;
// inside a read section no lock may be taken that can be slept on.
//
// # Differences from BSD
//
// The kernel pins a thread to its CPU with a saved flag that must be restored in LIFO
// order (curlwp_bind, curlwp_bindx); here the LWP itself is the proof, and any order
// will do. The kernel keeps sections and references per CPU, here they are per LWP,
// because nothing tells a goroutine which CPU it runs on. A softint here runs one handler
// at a time because it is one goroutine: there is no spl to raise. The kernel's softint
// answers a cross-call even in the middle of a long handler; ours when it comes to a
// checkpoint, so a handler that runs for long calls Checkpoint itself.
// Sources: NetBSD kern_lwp.c, kern_softint.c, subr_xcall.c, curlwp_bind(9), percpu(9).
//
// # Debugging
//
// Unbind, Offline and Online panic while the LWP holds a reference or is in a section;
// built with -tags invariants, or -race, the panic names where each reference was taken.
// In such builds a wait for a checkpoint, or for a section to end, that lasts longer than
// [WithPatience] says names the LWP waited for to the domain's logger.
//
// # Testing
//
// A Domain may be made inside a bubble of testing/synctest. Every word goes through the
// schedule explorer's choice points under the build tag sched.
package lwp

// Package stacktest attacks a packet handler of yours.
//
// A handler is easy to write and hard to get right, because of what it does not control: packets
// that lie, queues that are full, interfaces that leave while it works, contexts that end. [Handler]
// puts it on a small stack in virtual time and lets a property test do all of that to it. It checks,
// after every step, what every handler owes:
//
//	a packet has one end             it is not forgotten, kept for ever, or freed twice
//	order                            packets of a flow end in the order in which they came
//	a softint does not sleep
//	nothing is kept                  no reference, no lock, no interface beyond its return
//	queues are bounded               no flood makes it keep more than it says
//	departure                        after Detach nobody has a packet of that interface
//	nobody answers a broadcast
//	Close                            it ends when its context does, and nothing runs afterwards
//
// A failure is shrunk, and says which of these was broken, by which few steps.
//
// # Usage
//
//	func TestEcho(t *testing.T) {
//		stacktest.Handler(t, stacktest.Config{
//			New: func(s *stacktest.Stack) stacktest.Subject {
//				return stacktest.Subject{Name: "echo", Input: NewEcho(s.Ifs).Input}
//			},
//		})
//	}
//
// The same property is a fuzz target: f.Fuzz(stacktest.Fuzz(config)).
//
// # Concurrency
//
// Each case is a bubble of testing/synctest: what the handler waits on has to be known to it. A
// handler that waits outside of it hangs the test.
//
// # Lock order
//
// There is no lock that a handler meets.
//
// # Differences from BSD
//
// The kernels have no such thing. The checks are what INVARIANTS, WITNESS, LOCKDEBUG and PSREF_DEBUG
// would say, and what only a model of the whole can.
//
// # Debugging
//
// Built with -tags witness, or -race, it also convicts locks taken in an order that could deadlock,
// and locks held while a packet is sent.
//
// # Testing
//
// The kit is tested by handlers that are wrong on purpose, each of which it has to convict by name.
package stacktest

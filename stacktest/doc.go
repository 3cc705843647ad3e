// Package stacktest attacks a packet handler of yours.
//
// A handler is easy to write and hard to get right, because of what it does not control: packets
// that lie, queues that are full, interfaces that leave while it works, contexts that end. [Handler]
// puts it on a small stack in virtual time and lets a property test do all of that to it: packets that
// are whole, changed, cut, in segments, shared or come again; floods past every bound while nobody is
// served; interfaces that go down, change, depart and come back with an index that was used; routes that
// are added, changed, replaced and deleted; slow service; closing, with a context that has ended. It
// checks, after every step, what every handler owes:
//
//	a packet has one end             it is not forgotten, kept for ever, or freed twice
//	order                            packets of a flow are done with in the order in which they came
//	a softint does not sleep
//	nothing is kept                  no reference, no lock, no interface beyond its return; no route
//	queues are bounded               no flood makes it keep more than it says
//	shared bytes are not written
//	departure                        after Detach nobody has a packet of that interface, or uses it
//	nobody answers a broadcast
//	Close                            it ends when its context does, and nothing runs, sends or waits
//	                                 afterwards
//	its model                        what goes in and comes out is what its author says
//
// A failure is shrunk, and says which of these was broken, by which few steps, and in lanes what
// happened at last:
//
//	stacktest: handler subject has a packet of interface 2.1 after its Detach has returned
//	  1  a packet of 28 bytes, as it is, comes by em1
//	  2  detach em1
//
//	 t  network                             handler
//	0s  1  a packet of 28 bytes, as it is, comes by em1
//	0s  packet 1: 28 bytes, flow 0, by em1
//	0s                                      takes packet 1
//	0s                                      returns
//	0s  2  detach em1
//	0s  gone em1
//	0s  BROKEN handler subject has a packet of interface 2.1 after its Detach has returned: packet 1
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
// A handler may also run in a softint (Softint), or be what is registered with a netisr.SendQueue
// (Output): it registers its types with the stack's Send, and is given packets to send.
//
// The same property is a fuzz target: f.Fuzz(stacktest.Fuzz(config)). A [Model] is told of what goes in
// and what comes out. [SameStory] does the same things to several variants of a handler, deferred or
// direct, with one stream or three, with passive, counted or remembered references, and compares what
// becomes of each packet. [Explore] runs a handler with two or three packets under every schedule, up to a
// bound: in two streams at once, or while an interface departs, a route changes, the queue is closed.
//
// # Concurrency
//
// Each case is a bubble of testing/synctest: what the handler waits on has to be known to it. A
// handler that waits outside of it hangs the test. A Check runs when nobody else does. A Model is called
// by whoever runs, one at a time.
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
// and locks held while a packet is sent. With -tags invariants, or -race, the last line of the lanes
// says where what is held was taken.
//
// The same case has to do the same again, or it cannot be shortened. What is done to a handler therefore
// never comes at the same instant as something it waits for, as long as that is in whole microseconds.
//
// # Testing
//
// The kit is tested by handlers that are wrong on purpose, each of which it has to convict by name, and by
// mutants of itself, in each of which one check is switched off and one of them gets away.
package stacktest

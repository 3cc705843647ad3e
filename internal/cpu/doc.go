// Package cpu holds what the kernel keeps per CPU and this module keeps per LWP: the
// words that a waiter looks at, and beside them the memory that only the owner touches.
//
// The rooms above put their algorithms on these words: lwp hands CPUs out, pserialize
// marks read sections in them, psref records references. They share one [Machine], the
// set of all CPUs of a domain, and one way to wait for all of them: [Machine.Rendezvous].
//
// # Two kinds of owner
//
// A thread may sleep wherever it is, so it publishes what it holds: each section and
// each reference is one atomic exchange in and one out. A softint may not sleep and
// reaches a checkpoint in bounded time, so it publishes nothing: whoever waits for it
// raises the epoch and waits until the softint has answered.
//
// # The words
//
//	Section  thread: sequence<<2 | waited | inside; 0 when outside
//	Quiet    softint: the last epoch answered; 0 while offline, and for threads
//	Slots    thread: the ids of the targets held, the waited bit on top; 0 when free
//
// The waited bits are set by a waiter and seen by the owner's next exchange: it need not
// look anywhere else to know that somebody sleeps.
package cpu

// Package litmus holds small programs whose outcomes show what the proofs in this module
// rest on: that the words of internal/hook are sequentially consistent.
//
// Each is a shape known from the literature on memory models, with an outcome that would
// be possible on weaker words and must never be seen. The tests run each shape up to a million
// times on real cores, count what they see, and fail on the forbidden outcome as well as
// on a run so idle that it would not have seen it. Under the build tag sched they run
// every interleaving instead and compare the set of outcomes with the one that follows by
// hand.
//
//	store buffering   a thread's reference (store slot, load dying) against a Destroy
//	                  (store dying, load slot): one of them must see the other
//	message passing   a published element (store fields, store link) against a reader
//	load buffering    a softint that answers (load work, store quiet) against a waiter
//	IRIW              two readers must agree in which order two writers wrote: a softint
//	                  and a thread that both look at epoch and list
package litmus

// Package deferq is what netisr's two queues and wqinput are made of: packets wait in streams,
// and a worker of each hands them to whoever registered for them.
//
//	put ──▶ list 0 ─┐
//	        list 1 ─┼─ order ─▶ hand: | done | in hand | next ... end |
//	        ...     │  refill          only the worker, who claims
//	        (mu)   ─┘
//
// The worker refills its hand under the stream's lock, with up to HandSize packets of one client
// from one list, and then claims them one by one without it. Whoever has to get at what is
// queued, because an interface departs, a client is unregistered or something more urgent has
// come, claims the rest of the hand in one step and puts it back (steal). So the lock is taken
// once for many packets, everything that waits can be found under it, and nobody ever waits for
// more than the one packet that is being handled.
//
// What is counted is counted under the lock, but that what the worker finishes is a single word:
// which client it belongs to is known from the hand.
package deferq

// Package fib answers longest prefix matches while one writer changes the answers.
//
// It holds one address family and maps each address to a value: an index, or 0 for no
// match. It knows nothing of what the index means, and of prefixes only what their
// addresses match now: who changes it keeps the prefixes themselves elsewhere (a RIB).
//
// # How it lies in memory
//
// A direct root of 16 bits, then chunks of 8 bits. Nothing is looked for twice: shorter
// prefixes are pushed down to the leaves. A chunk's 256 entries are stored as runs, since
// most neighbours are equal:
//
//	word 0..7   a bit for each entry at which a run begins
//	word 8, 9   for each of the 8 words, how many runs began before it, a byte each
//	word 10...  the entry of each run
//
// An entry is 0, a value, or with its top bit set the place of a chunk. All chunks lie in
// one arena without pointers: the garbage collector does not look at them.
//
// # How it changes
//
// A chunk that can be reached never changes. A change makes new chunks beside the old
// ones, bottom up, and then stores the root's entries, each in one atomic store: so at
// every moment each address is answered as before the change or as after it, and an
// address that the change does not concern is answered the same throughout. Chunks that
// were replaced may still be read: the caller gives them back with [Table.Free] after a
// grace period. When the arena is full, or mostly free, everything moves to another one,
// which readers find with the next lookup; the old one goes when the last has left it.
package fib

/* pserialize_psref.pml - the contract as NetBSD published it: look up inside a read
 * section, take the reference there, leave, use, release. The owner unlinks, calls
 * Perform, and then Destroy. lifecycle.pml is the same on the words of our code.
 *
 * A section is a flag and a bit that flips at each exit: Perform goes on when a reader
 * was seen outside or has left the section it was in.
 *
 * Seeds   NO_PERFORM      Destroy right after the unlink
 *         PERFORM_FIRST   Perform before the unlink
 *         ACQUIRE_LATE    the reader leaves its section before it acquires
 *         SECTION_ONLY    the reader carries the bare pointer out of its section
 *         LOCK_HELD       the owner holds, through Perform, a lock that sections take
 *                         (NetBSD's softnet_lock, 2016)
 *         LOCK_DROPPED    the same, with the lock dropped before Perform: right
 *         PERFORM_INSIDE  the owner calls Perform inside a section of its own
 */
#ifndef NREADER
#define NREADER 2
#endif
#include "lib/hook.pml"

#define OWNER NREADER   /* the owner's own section comes after the readers' */

byte pub = 1;           /* the published target */
bool inside[NREADER+1];
bit  left[NREADER+1];
byte held[NREADER];
bool draining[3];
bool dead[3];
bool cmu;               /* Class.mu */
byte ccv;               /* Class.free */
bool softnet;           /* softnet_lock */

inline ReadEnter(r)  { inside[r] = true }
inline Exit(r)       { atomic { inside[r] = false; left[r] = 1 - left[r] } }
inline Acquire(r, t) { assert(!dead[t]); held[r] = t }

inline Release(r, t)
{
	held[r] = 0;
	if
	:: draining[t] -> Lock(cmu); Broadcast(ccv); Unlock(cmu)
	:: else
	fi
}

proctype reader(byte c)
{
	byte p;

	do
	:: true ->
		ReadEnter(c);
#if defined(LOCK_HELD) || defined(LOCK_DROPPED)
		Lock(softnet);
		Unlock(softnet);
#endif
		p = pub;
#ifdef SECTION_ONLY
		Exit(c);
#else
#ifdef ACQUIRE_LATE
		Exit(c);
		Acquire(c, p);
#else
		Acquire(c, p);
		Exit(c);
#endif
#endif
		assert(!dead[p]);       /* use; it may sleep here */
		Release(c, p)
	:: break
	od
}

inline Perform()
{
	k = 0;
	do
	:: k <= OWNER ->
		if
		:: !inside[k]
		:: inside[k] -> g = left[k]; !inside[k] || left[k] != g
		fi;
		k++
	:: else -> break
	od
}

inline Destroy(t)
{
	draining[t] = true;
	Lock(cmu);
	do
	:: true ->
		k = 0;
		do
		:: k < NREADER && held[k] == t -> Wait(ccv, cmu); break
		:: k < NREADER && held[k] != t -> k++
		:: k == NREADER -> break
		od;
		if
		:: k == NREADER -> break
		:: else
		fi
	od;
	Unlock(cmu)
}

proctype owner(byte me)
{
	byte old, new, k;
	bit g;

	do
	:: true ->
		old = pub;
		new = 3 - old;
		atomic { dead[new] = false; draining[new] = false };    /* Init */
#ifdef PERFORM_INSIDE
		ReadEnter(OWNER);
#endif
#ifdef PERFORM_FIRST
		Perform();
#endif
#if defined(LOCK_HELD) || defined(LOCK_DROPPED)
		Lock(softnet);
#endif
		pub = new;
#ifdef LOCK_DROPPED
		Unlock(softnet);
#endif
#if !defined(NO_PERFORM) && !defined(PERFORM_FIRST)
		Perform();
#endif
#ifdef LOCK_HELD
		Unlock(softnet);
#endif
		Destroy(old);
		dead[old] = true
#ifdef PERFORM_INSIDE
		; Exit(OWNER)
#endif
	od
}

init {
	byte x;
	atomic {
		dead[2] = true;
		run owner(0);
		do
		:: x < NREADER -> run reader(x); x++
		:: else -> break
		od
	}
}

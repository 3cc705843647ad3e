/* rt_unref.pml - the last Unref of an entry against Free, which waits for it.
 *
 *	Unref  refs--; is the entry down? lock, wake, unlock
 *	Free   clear UP; lock; while refs > 0 wait; unlock; the entry is gone
 *
 * Touching the entry asserts !gone. As published, Unref reads the entry and wakes its
 * Cond after the decrement, when Free may have seen 0 already.
 *
 * Cures   UNREF_LOCKED  decrement, look and wake under Free's lock
 *         COND_OUTSIDE  the word to look at, and the Cond, are the table's
 */
#ifndef NREADER
#define NREADER 2
#endif
#include "lib/hook.pml"

byte refs = NREADER;
bool up = true, gone;
bool fmu;
byte freecv;

#ifdef COND_OUTSIDE
#define touch()  skip
#else
#define touch()  assert(!gone)
#endif

inline Unref()
{
#ifdef UNREF_LOCKED
	Lock(fmu);
	refs--;
	touch();
	if
	:: !up -> Broadcast(freecv)
	:: else
	fi;
	Unlock(fmu)
#else
	refs--;
	touch();
	if
	:: !up ->
		Lock(fmu);
		touch();
		Broadcast(freecv);
		Unlock(fmu)
	:: else
	fi
#endif
}

inline Free()
{
	up = false;
	Lock(fmu);
	do
	:: refs > 0 -> Wait(freecv, fmu)
	:: else -> break
	od;
	Unlock(fmu);
	gone = true
}

proctype reader() { Unref() }

proctype worker(byte me) { Free() }

init {
	byte x;
	atomic {
		run worker(0);
		do
		:: x < NREADER -> run reader(); x++
		:: else -> break
		od
	}
}

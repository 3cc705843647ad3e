/* copy.pml - Copy takes a second reference under the eyes of a destroyer, and cannot fail.
 *
 * A holder, a thread or with SOFTINT a softint, takes target 1 at either of its two
 * places, copies it to the other, and releases both in either order: a reference walks
 * ahead of the destroyer or back past it, and must not be missed.
 */
#ifndef NHOLDER
#define NHOLDER 1
#endif
#define NCPU NHOLDER
#define NREF 2
#include "lib/hook.pml"
#include "lib/cpu.pml"
#include "lib/psref.pml"

#define use()  assert(!dead[1])

#ifdef SOFTINT
#define acquire(r)   SoftAcquire(1, r)
#define copy(r, to)  SoftCopy(1, r, to)
#define release(r)   SoftRelease(1, r)
#define between()    Checkpoint()
#else
#define acquire(r)   Acquire(1, r)
#define copy(r, to)  Copy(1, r, to)
#define release(r)   Release(1, r)
#define between()    skip
#endif

inline hold(a, b)
{
	acquire(a);
	if
	:: ok ->
		between();
		copy(a, b);
		between();
		use();
		if
		:: release(a); between(); use(); release(b)
		:: release(b); between(); use(); release(a)
		fi
	:: else
	fi;
	between()
}

proctype holder(byte c, me)
{
	LOCALS;

#ifdef SOFTINT
	Online();
#endif
	do
	:: true -> hold(0, 1)
	:: true -> hold(1, 0)
	:: break
	od
#ifdef SOFTINT
	; Offline()
#endif
}

proctype destroyer(byte me)
{
	LOCALS;

	Destroy(1)
}

init {
	byte x;
	atomic {
		ncpu = NCPU;
		run destroyer(NCPU);
		do
		:: x < NHOLDER -> run holder(x, x); x++
		:: else -> break
		od
	}
}

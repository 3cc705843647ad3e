/* slot_recycle.pml - CPUs change hands, and new ones join, while a Destroy looks at them.
 *
 * NTHREAD threads bind an LWP, acquire target 1, use it, release it and unbind, again and
 * again, until each leaves for good. Another thread destroys target 1. A stranger binds,
 * takes a reference to target 2, and keeps it until target 1 is dead: it sits on a CPU
 * that held target 1 before.
 *
 * The destroyer misses no holder (use asserts !dead[1]), and does not wait for a stranger.
 */
#ifndef NTHREAD
#define NTHREAD 1
#endif
#define NTARGET 2
#define NCPU (NTHREAD + 1)
#include "lib/hook.pml"
#include "lib/cpu.pml"
#include "lib/lwp.pml"
#include "lib/psref.pml"

proctype thread(byte me)
{
	LOCALS;
	byte c;

	do
	:: true ->
		Bind();
		Acquire(1, 0);
#ifdef ADD_LATE
		ncpu = nlwp;
#endif
		if
		:: ok ->
			assert(!dead[1]);       /* use */
#ifndef UNBIND_HELD
			Release(1, 0)
#endif
		:: else
		fi;
		Unbind()
	:: break
	od
}

proctype stranger(byte me)
{
	LOCALS;
	byte c;

	Bind();
	Acquire(2, 0);
	dead[1];
	Release(2, 0);
	Unbind()
}

proctype destroyer(byte me)
{
	LOCALS;

	Destroy(1)
}

init {
	byte x;
	atomic {
		run destroyer(0);
		run stranger(1);
		do
		:: x < NTHREAD -> run thread(2 + x); x++
		:: else -> break
		od
	}
}

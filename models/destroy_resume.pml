/* destroy_resume.pml - a Destroy that its context ends, and a later one that finishes it.
 *
 * NTHREAD threads and NSOFTINT softints hold and release target 1, again and again. The
 * destroyer's context ends up to NCANCEL times, in any of its waits; it then calls
 * Destroy again until that says that the target is dead. The last one is not cancelled,
 * so what an earlier one spoilt shows as a holder missed or as a wait without end.
 */
#ifndef NTHREAD
#define NTHREAD 1
#endif
#ifndef NSOFTINT
#define NSOFTINT 1
#endif
#ifndef NCANCEL
#define NCANCEL 1
#endif
#define CANCEL
byte cancels = NCANCEL;
#define NCPU (NTHREAD + NSOFTINT)
#include "lib/hook.pml"
#include "lib/cpu.pml"
#include "lib/psref.pml"

#define use()  assert(!dead[1])

proctype thread(byte c, me)
{
	LOCALS;

	do
	:: true ->
		Acquire(1, 0);
		if
		:: ok -> use(); Release(1, 0)
		:: else
		fi
	:: break
	od
}

proctype softint(byte c, me)
{
	LOCALS;

	Online();
	do
	:: !life[0] -> SoftAcquire(1, 0)
	:: life[0] -> use(); SoftRelease(1, 0)
	:: epoch != seen -> Answer()
	:: !life[0] -> break
	od;
	Offline()
}

proctype destroyer(byte me)
{
	LOCALS;

	do
	:: true ->
		Destroy(1);
		if
		:: err
		:: else -> break
		fi
	od
}

init {
	byte x;
	atomic {
		ncpu = NCPU;
		run destroyer(NCPU);
		do
		:: x < NTHREAD -> run thread(x, x); x++
		:: x >= NTHREAD && x < NCPU -> run softint(x, x); x++
		:: else -> break
		od
	}
}

/* lifecycle.pml - the whole recipe: find inside a section, hold beyond it; unlink, wait
 * for the sections, wait for the holders, and use the memory for something new.
 *
 * NTHREAD threads and NSOFTINT softints look target 1 up and hold it, a few times.
 * The owner takes it out of sight, calls Perform and Destroy, initialises it again, with
 * a new id, and publishes it, NLIFE times. A holder's target is the one it acquired: use
 * asserts mine == born.
 *
 * Seeds   NO_PERFORM     Destroy right after the unlink
 *         PERFORM_FIRST  Perform before the unlink
 *         ACQUIRE_LATE   a thread leaves its section before it acquires
 *         SECTION_ONLY   a thread holds nothing beyond its section, and uses it there
 *         ONE_LIFE       the memory is not used again
 */
#ifndef NTHREAD
#define NTHREAD 1
#endif
#ifndef NSOFTINT
#define NSOFTINT 0
#endif
#ifndef NLIFE
#define NLIFE 2
#endif
#ifndef ROUNDS
#define ROUNDS 3        /* a section's sequence, a byte here, must not come round */
#endif
#define NCPU (NTHREAD + NSOFTINT)
byte id = 1;            /* of target 1; no id is given twice */
#define ID(t) id
#include "lib/hook.pml"
#include "lib/cpu.pml"
#include "lib/pserialize.pml"
#include "lib/psref.pml"

bool linked = true;
byte born;              /* how often target 1 was initialised again */

#ifdef ONE_LIFE
#define use()  assert(!dead[1])
#else
#define use()  assert(mine == born)
#endif

inline Init()
{
	id++;
	dead[1] = false;
	born++;
	target[1].dying = LIVE
}

proctype thread(byte c, me)
{
	LOCALS;
	bool found;
	byte mine, rounds;

	do
	:: rounds < ROUNDS ->
		rounds++;
		ReadEnter();
		atomic { found = linked; mine = born };
#ifdef ACQUIRE_LATE
		Exit();
#endif
		ok = false;
		if
#ifdef SECTION_ONLY
		:: found -> ok = true
#else
		:: found -> Acquire(1, 0)
#endif
		:: else
		fi;
#ifndef ACQUIRE_LATE
		Exit();
#endif
		if
		:: ok ->
			use();
#ifndef SECTION_ONLY
			Release(1, 0)
#endif
		:: else
		fi
	:: break
	od
}

proctype softint(byte c, me)
{
	LOCALS;
	bool found;
	byte mine;

	Online();
	do
	:: true ->
		atomic { found = linked; mine = born };
		ok = false;
		if
		:: found -> SoftAcquire(1, 0)
		:: else
		fi;
		Checkpoint();
		if
		:: ok ->
			use();
			SoftRelease(1, 0);
			Checkpoint()
		:: else
		fi
	:: break
	od;
	Offline()
}

proctype owner(byte me)
{
	LOCALS;
	byte lives;

	do
	:: lives < NLIFE ->
		lives++;
#ifdef PERFORM_FIRST
		Perform();
#endif
		linked = false;
#if !defined(NO_PERFORM) && !defined(PERFORM_FIRST)
		Perform();
#endif
		Destroy(1);
#ifdef ONE_LIFE
		break
#else
		Init();
		linked = true
#endif
	:: else -> break
	od
}

init {
	byte x;
	atomic {
		ncpu = NCPU;
		run owner(NCPU);
		do
		:: x < NTHREAD -> run thread(x, x); x++
		:: x >= NTHREAD && x < NCPU -> run softint(x, x); x++
		:: else -> break
		od
	}
}

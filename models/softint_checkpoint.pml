/* softint_checkpoint.pml - a softint's references are plain memory; whoever destroys
 * waits for its next checkpoint.
 *
 * NWORKER softints acquire, hold across checkpoints, release, go offline and come back,
 * in any order, and at last rest: then they only answer. NTARGET threads destroy a
 * target each, at the same time.
 *
 * With WORKERS_DESTROY the workers do that instead, one target each: they go offline,
 * destroy, come online. WAIT_ONLINE is the seed that stays online meanwhile.
 *
 * Nothing is destroyed while held: use asserts !dead[t]. Every Destroy returns and every
 * worker rests: anything else is an invalid end state.
 */
#ifndef NWORKER
#define NWORKER 1
#endif
#ifndef NTARGET
#define NTARGET 1
#endif
#define NCPU NWORKER
#define SOFTINTS_ONLY
#include "lib/hook.pml"
#include "lib/cpu.pml"
#include "lib/psref.pml"

#define use(r)  assert(!dead[life[r]])

inline handler(r)                               /* refers to something, or lets go */
{
	if
	:: life[r] == 0 ->
		if
		:: t = 1
		:: NTARGET > 1 -> t = 2
		fi;
		SoftAcquire(t, r);
		if
		:: ok -> use(r)
		:: else
		fi
	:: else ->
		use(r);
		t = life[r];
		SoftRelease(t, r)
	fi;
	t = 0
}

#if NREF == 1
#define idle (life[0] == 0)
#else
#define idle (life[0] == 0 && life[1] == 0)
#endif

proctype worker(byte c, me)
{
	LOCALS;
	byte t;

#ifdef ONLINE_LATE
	SoftAcquire(1, 0);
#endif
	Online();
	do
	:: true -> handler(0)
#if NREF > 1
	:: true -> handler(1)
#endif
	:: epoch != seen -> Answer()            /* Checkpoint */
	:: idle -> Offline(); Online()
	:: idle -> break
	od;
#ifdef WORKERS_DESTROY
	t = c + 1;
#ifdef WAIT_ONLINE
	Destroy(t);
#else
	Offline();
	Destroy(t);
	Online();
#endif
#endif
end:	do
	:: epoch != seen -> Answer()
	od
}

proctype destroyer(byte t, me)
{
	LOCALS;
	Destroy(t)
}

init {
	byte x;
	atomic {
		ncpu = NCPU;
		do
		:: x < NWORKER -> run worker(x, x); x++
		:: else -> break
		od;
#ifndef WORKERS_DESTROY
		x = 0;
		do
		:: x < NTARGET -> x++; run destroyer(x, NWORKER + x)
		:: else -> break
		od
#endif
	}
}

/* unbind_destroy.pml - the last release, and Unbind, race a Destroy.
 *
 * Each of NLWP processes binds an LWP, as a thread or as a softint as it comes, refers to
 * a target, lets go and unbinds, again and again; a softint may pass checkpoints in
 * between. So a CPU that a destroyer waits for goes offline, is handed on, and comes
 * back as something else; with SOFTINTS always as a softint. NTARGET threads destroy a
 * target each.
 */
#ifndef NLWP
#define NLWP 1
#endif
#ifndef NTARGET
#define NTARGET 1
#endif
#define NCPU NLWP
#include "lib/hook.pml"
#include "lib/cpu.pml"
#include "lib/lwp.pml"
#include "lib/psref.pml"

#define use(t)  assert(!dead[t])

inline pick()
{
	if
	:: t = 1
	:: t = NTARGET
	fi
}

inline asThread()
{
	Bind();
	Acquire(t, 0);
	if
	:: ok ->
		use(t);
#ifndef UNBIND_HELD
		Release(t, 0)
#endif
	:: else
	fi;
	Unbind()
}

inline asSoftint()
{
	BindSoftint();
	SoftAcquire(t, 0);
	if
	:: ok ->
		if
		:: Checkpoint()
		:: true
		fi;
		use(t);
		SoftRelease(t, 0)
	:: else
	fi;
	SoftUnbind()
}

proctype lwp(byte me)
{
	LOCALS;
	byte c, t;

	do
#ifndef SOFTINTS
	:: true -> pick(); asThread()
#endif
	:: true -> pick(); asSoftint()
	:: break
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
		do
		:: x < NTARGET -> x++; run destroyer(x, NLWP + x)
		:: else -> break
		od;
		x = 0;
		do
		:: x < NLWP -> run lwp(x); x++
		:: else -> break
		od
	}
}

/* psref_hazard.pml - the seed of psref: a slot for each reader, and no dying word on the
 * way in. A reader publishes what it found and then looks whether it is still there.
 *
 *	Acquire  p = pub; slot = p; is pub still p? held. else undo and try again
 *	Release  slot = 0; if draining[p] wake
 *	Destroy  pub = other; draining[old] = 1; while any slot is old: wait
 *
 * Targets 1 and 2 take turns, so a destroyed one is initialised and published again. The
 * destroyer never stops; a reader may leave after any round, so that nobody comes by to
 * repair a lost wakeup.
 *
 * Seeds   ACQUIRE_BLIND         Acquire does not look at pub again
 *         UNLINK_LATE           Destroy drains first and unlinks after
 *         RELEASE_LOOKS_FIRST   Release looks at draining before it empties its slot
 *         NOTIFY_UNLOCKED       Release wakes without the class's lock
 *         UNDO_SILENT           a failed Acquire does not wake
 *         STORE_BUFFER          slots are written through a store buffer (TSO), as plain
 *                               stores are; with FENCE as well it is drained in between
 */
#ifndef NREADER
#define NREADER 2
#endif
#include "lib/hook.pml"

byte pub = 1;
byte slot[NREADER];
bool draining[3];
bool dead[3];
bool cmu;               /* Class.mu */
byte ccv;               /* Class.free */

#ifdef STORE_BUFFER
byte buffer[NREADER];
bool buffered[NREADER];
#define publish(v)  atomic { !buffered[c] -> buffer[c] = v; buffered[c] = true }
#else
#define publish(v)  slot[c] = v
#endif
#ifdef FENCE
#define fence()     !buffered[c]
#else
#define fence()     skip
#endif

inline wake()
{
#ifdef NOTIFY_UNLOCKED
	Broadcast(ccv)
#else
	Lock(cmu);
	Broadcast(ccv);
	Unlock(cmu)
#endif
}

inline notify()
{
	if
	:: draining[p] -> wake()
	:: else
	fi
}

inline Acquire()
{
	do
	:: true ->
		p = pub;
		publish(p);
		fence();
#ifdef ACQUIRE_BLIND
		break
#else
		if
		:: pub == p -> break
		:: else ->
			publish(0);
			fence();
#ifndef UNDO_SILENT
			notify()
#endif
		fi
#endif
	od
}

inline Release()
{
#ifdef RELEASE_LOOKS_FIRST
	if
	:: draining[p] -> publish(0); wake()
	:: else -> publish(0)
	fi
#else
	publish(0);
	fence();
	notify()
#endif
}

proctype reader(byte c)
{
	byte p;

	do
	:: true ->
		Acquire();
		assert(!dead[p]);       /* use */
		assert(!dead[p]);       /* and again, whatever happened between */
		Release()
	:: break
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
		:: k < NREADER && slot[k] == t -> Wait(ccv, cmu); break
		:: k < NREADER && slot[k] != t -> k++
		:: k == NREADER -> break
		od;
		if
		:: k == NREADER -> break
		:: else
		fi
	od;
	Unlock(cmu)
}

proctype destroyer(byte me)
{
	byte old, new, k;

	do
	:: true ->
		old = pub;
		new = 3 - old;
		atomic { dead[new] = false; draining[new] = false };    /* Init */
#ifndef UNLINK_LATE
		pub = new;
#endif
		Destroy(old);
#ifdef UNLINK_LATE
		pub = new;
#endif
		dead[old] = true
	od
}

#ifdef STORE_BUFFER
proctype drainer(byte c)
{
end:	do
	:: atomic { buffered[c] -> slot[c] = buffer[c]; buffered[c] = false }
	od
}
#endif

init {
	byte x;
	atomic {
		dead[2] = true;
		run destroyer(0);
		do
		:: x < NREADER ->
			run reader(x);
#ifdef STORE_BUFFER
			run drainer(x);
#endif
			x++
		:: else -> break
		od
	}
}

/* rtf_updating.pml - an entry that is being changed: RTF_UPDATING, and who waits for whom.
 *
 *	reader   under rt_lock: is the entry updating? a softint misses; a thread lets the
 *	         lock go, sleeps until an update ends, and looks again. Otherwise it takes
 *	         a reference, drops the lock, uses the entry, and calls Unref
 *	updater  BeginUpdate: take the turn, take a reference, set the flag, wait until
 *	         there is no other reference; change the entry; Finish: clear the flag, give
 *	         back the reference, pass the turn on
 *
 * The entry is two fields that must be read as a pair: assert(a == fieldB).
 *
 * ORDER   0  as published: flag, then turn, with the updater's reference kept meanwhile.
 *            Sound for one updater. Of two, the second keeps its reference while it
 *            waits for the first, which waits for that reference
 *         1  flag, then turn, no reference: the first Finish clears the second's flag
 *         2  turn, then flag and reference: right, and what rtable does
 *         3  as 0, but the flag counts, and references of updaters are not waited for
 *
 * Seeds   FLAG_IGNORED     the reader does not look at the flag
 *         NO_DRAIN         BeginUpdate does not wait for references
 *         DRAIN_FIRST      BeginUpdate waits for references before it sets the flag
 *         FINISH_SILENT    Finish does not wake those who wait for the turn
 *         UNREF_SILENT     Unref does not wake the updater
 *         LOCK_KEPT        a reader sleeps with rt_lock held
 *         SOFTINT_SLEEPS   a softint waits as a thread does
 */
#ifndef NTHREAD
#define NTHREAD 1
#endif
#ifndef NSOFTINT
#define NSOFTINT 1
#endif
#ifndef NUPDATER
#define NUPDATER 1
#endif
#ifndef ORDER
#define ORDER 2
#endif
#include "lib/hook.pml"

byte readers;           /* rt_lock held by readers, */
bool writer;            /* or by a writer */
byte updating;          /* the flag, written under rt_lock; a count in ORDER 3 */
byte refs, updaterRefs; /* of the entry; those of them that updaters hold */
bit  fieldA, fieldB;    /* the entry */
bool fmu;               /* guards the free Cond: somebody's reference is gone */
byte freecv;
bool umu;               /* guards the turn */
byte turncv;
bool turn;

#if ORDER == 1
#define kept 0
#elif ORDER == 3
#define kept updaterRefs
#else
#define kept 1
#endif

inline RLock()   { atomic { !writer -> readers++ } }
inline RUnlock() { readers-- }
inline WLock()   { atomic { !writer && readers == 0 -> writer = true } }
inline WUnlock() { writer = false }

inline Unref()
{
	refs--;
#ifndef UNREF_SILENT
	if
	:: updating > 0 -> Lock(fmu); Broadcast(freecv); Unlock(fmu)
	:: else
	fi
#endif
}

inline awaitTurn()
{
	Lock(umu);
	do
	:: turn -> Wait(turncv, umu)
	:: else -> break
	od
}

/* Ref takes a reference under rt_lock once the entry is not updating; hit is false if the
 * caller may not wait for that. An updater's own is counted in the same step. */
inline Ref(softint, own)
{
	hit = true;
	RLock();
	do
#ifdef FLAG_IGNORED
	:: true -> break
#else
	:: updating == 0 -> break
	:: else ->
#ifdef SOFTINT_SLEEPS
		assert(!softint);       /* a softint must not sleep */
#endif
		if
		:: softint -> hit = false; break
		:: else ->
#ifndef LOCK_KEPT
			RUnlock();
#endif
			awaitTurn();
			Unlock(umu);
#ifndef LOCK_KEPT
			RLock()
#endif
		fi
#endif
	od;
	if
	:: hit -> atomic { refs++; updaterRefs = updaterRefs + own }
	:: else
	fi;
	RUnlock()
}

proctype reader(byte me; bool softint)
{
	bit a;
	bool hit;

	do
	:: true ->
		Ref(softint, 0);
		if
		:: hit -> a = fieldA; assert(a == fieldB); Unref()
		:: else
		fi
	:: break
	od
}

inline takeTurn()
{
	awaitTurn();
	turn = true;
	Unlock(umu)
}

inline takeRef() { Ref(false, 1) }

inline setFlag()
{
	WLock();
#if ORDER == 3
	updating++;
#else
	updating = 1;
#endif
	WUnlock()
}

inline drain()
{
	Lock(fmu);
	do
	:: refs > kept -> Wait(freecv, fmu)
	:: else -> break
	od;
	Unlock(fmu)
}

inline BeginUpdate()
{
#if ORDER == 0 || ORDER == 3
	takeRef();
#ifdef DRAIN_FIRST
	drain();
#endif
	setFlag();
	takeTurn();
#elif ORDER == 1
	setFlag();
	takeTurn();
#else
	takeTurn();
	takeRef();
#ifdef DRAIN_FIRST
	drain();
#endif
	setFlag();
#endif
#if !defined(DRAIN_FIRST) && !defined(NO_DRAIN)
	drain()
#endif
}

inline Finish()
{
	WLock();
#if ORDER == 3
	updating--;
#else
	updating = 0;
#endif
	WUnlock();
#if ORDER != 1
	atomic { refs--; updaterRefs-- };
	Lock(fmu);
	Broadcast(freecv);
	Unlock(fmu);
#endif
	Lock(umu);
	turn = false;
#ifndef FINISH_SILENT
	Broadcast(turncv);
#endif
	Unlock(umu)
}

proctype updater(byte me)
{
	bool hit;

	do
	:: true ->
		BeginUpdate();
		fieldA = 1 - fieldA;
		fieldB = 1 - fieldB;
		Finish()
	:: break
	od
}

init {
	byte x;
	atomic {
		do
		:: x < NTHREAD -> run reader(x, false); x++
		:: x >= NTHREAD && x < NTHREAD + NSOFTINT -> run reader(x, true); x++
		:: x >= NTHREAD + NSOFTINT && x < NTHREAD + NSOFTINT + NUPDATER -> run updater(x); x++
		:: else -> break
		od
	}
}

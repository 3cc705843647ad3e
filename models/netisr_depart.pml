/* netisr_depart.pml - a queue of deferred packets, and the interface they name departs.
 *
 *	Dispatch  lock; is it leaving? drop; else queue; unlock
 *	worker    lock; take one, note it as being handled; unlock; handler; lock; wake
 *	Depart    lock; leaving; purge; while one is being handled: wait; unlock; it is gone
 *
 * Whoever looks at the interface asserts !gone. At the end every packet is accounted
 * for: sent == handled + dropped.
 *
 * Seeds   PURGE_FIRST      Depart purges before it says that it is leaving
 *         NO_WAIT          Depart does not wait for the packet in the handler
 *         LOOK_UNLOCKED    Dispatch looks whether it is leaving before it locks
 *         HANDLER_LOCKED   the handler is called under the queue's lock, and sends
 *         DEPART_INSIDE    the handler calls Depart, which waits for the handler
 *         DROP_UNCOUNTED   the worker forgets to count what it handled
 */
#ifndef NSENDER
#define NSENDER 2
#endif
#define LIMIT 2         /* of the queue */
#include "lib/hook.pml"

bool mu;
byte cv;
bool leaving, gone;
byte queued, handling;
byte sent, handled, dropped;

inline Dispatch()
{
#ifdef LOOK_UNLOCKED
	late = leaving;
	Lock(mu);
#else
	Lock(mu);
	late = leaving;
#endif
	sent++;
	if
	:: late || queued == LIMIT -> dropped++
	:: else -> assert(!gone); queued++
	fi;
	Unlock(mu)
}

inline purge() { dropped = dropped + queued; queued = 0 }

inline Depart()
{
	Lock(mu);
#ifdef PURGE_FIRST
	purge();
	Unlock(mu);
	leaving = true;
	Lock(mu);
#else
	leaving = true;
	purge();
#endif
#ifndef NO_WAIT
	do
	:: handling > 0 -> Wait(cv, mu)
	:: else -> break
	od;
#endif
	gone = true;
	Unlock(mu)
}

proctype sender()
{
	bool late;
	byte n;

	do
	:: n < 2 -> Dispatch(); n++
	:: else -> break
	od
}

inline handler()
{
	assert(!gone);
#ifdef HANDLER_LOCKED
	Dispatch();
#endif
#ifdef DEPART_INSIDE
	if
	:: !leaving -> Depart()
	:: else
	fi;
#endif
	assert(!gone)
}

proctype worker(byte me)
{
	bool late;

end:	do
	:: queued > 0 ->
		Lock(mu);
		if
		:: queued == 0 -> Unlock(mu)
		:: else ->
			queued--;
			handling++;
#ifndef HANDLER_LOCKED
			Unlock(mu);
#endif
			handler();
#ifndef HANDLER_LOCKED
			Lock(mu);
#endif
			handling--;
#ifndef DROP_UNCOUNTED
			handled++;
#endif
			Broadcast(cv);
			Unlock(mu)
		fi
	od
}

proctype departer(byte me) { Depart() }

init {
	byte x;
	atomic {
		run worker(0);
#ifndef DEPART_INSIDE
		run departer(1);
#endif
		do
		:: x < NSENDER -> run sender(); x++
		:: else -> break
		od
	};
	_nr_pr == 2 && queued == 0 && handling == 0;    /* the worker is left, and idle */
	assert(sent == handled + dropped)
}

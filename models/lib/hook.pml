/* lib/hook.pml - the shared words of internal/hook.
 *
 * A step of a model is one operation on one shared word, as a step of the code is. What
 * the code does in one atomic operation (Swap, Add, CompareAndSwap) is one atomic block.
 * Words are sequentially consistent, as those of sync/atomic are. Memory that only its
 * owner touches is a local variable of the process.
 *
 * A Mutex is a bit. A Cond is the set of its sleepers, a bit for each process that has
 * a number `me`; it is guarded by a Mutex.
 *
 * Seeds   WAKE_SIGNAL    a broadcast wakes only one sleeper
 *         WAIT_UNLOCKED  a sleeper joins the Cond after it has let go of the Mutex
 */
#define MYBIT       (1 << me)
#define asleep(cv)  (cv & MYBIT)

inline Lock(mu)   { atomic { !mu -> mu = true } }
inline Unlock(mu) { mu = false }

/* sleep is the end of Wait and WaitContext: until woken or, where CANCEL is defined, until
 * the context ends. The wakeup counts when both come. */
inline sleep(cv, mu)
{
#ifdef CANCEL
	if
	:: !asleep(cv)
	:: atomic { cancels > 0 -> cancels--; err = true }
	fi;
	Lock(mu);
	if
	:: err && asleep(cv) -> cv = cv & ~MYBIT
	:: else -> err = false
	fi
#else
	!asleep(cv);
	Lock(mu)
#endif
}

inline Wait(cv, mu)
{
#ifdef WAIT_UNLOCKED
	Unlock(mu);
	cv = cv | MYBIT;
#else
	atomic { cv = cv | MYBIT; mu = false };
#endif
	sleep(cv, mu)
}

inline Broadcast(cv)
{
#ifdef WAKE_SIGNAL
	cv = cv & (cv - 1)
#else
	cv = 0
#endif
}

/* lib/psref.pml - package psref: references, and a Destroy that waits for them.
 *
 * A thread's Acquire, Release and Copy bear these names; a softint's, which touch only
 * its own memory, have Soft before them. r is one of the places a CPU has for references;
 * choosing one (Take, Give) is the owner's own business and no step.
 *
 * dead[t] says that Destroy has returned: from then on t belongs to whoever destroyed
 * it. Using t and touching its words assert !dead[t].
 *
 * Seeds   ACQUIRE_BLIND         Acquire does not look at Dying after the exchange
 *         UNDO_SILENT           a failed Acquire empties its slot without settling
 *         RELEASE_STORES        Release looks for the mark, then stores
 *         RELEASE_SILENT        Release does not look for the mark
 *         SETTLE_TOUCHES        settle looks at the target after its decrement
 *         SETTLE_SILENT         settle does not wake
 *         SETTLE_WAKES_UNLOCKED settle broadcasts without the class's lock
 *         SOFT_RELEASE_SILENT   a softint's Release forgets that it was counted
 *         COPY_BLIND            a thread's Copy does not look at Dying
 *         COPY_UNCOUNTED        a softint's Copy is not counted when its source is
 *         FIND_KEEPS            find does not take its count back when the mark fails
 *         FIND_AFTER            find counts after it has marked
 *         DYING_LATE            Destroy sets Dying after it has looked at the slots
 *         ALL_BEFORE_DYING      Destroy loads the list of CPUs before it sets Dying
 *         EPOCH_BEFORE_DYING    Destroy raises the epoch before it sets Dying
 *         NO_BIAS               Destroy holds no count of its own while it looks
 *         BIAS_STORED           Destroy stores its count instead of adding it
 *         WAIT_ONCE             Destroy does not look at Pending again when woken
 *         WAIT_EMPTY            Destroy waits until it has seen every slot empty
 *         CANCEL_KEEPS_BIAS     a Destroy ended by its context keeps its own count
 *         CANCEL_FORGETS        a Destroy ended by its context sets Pending to 0
 *         RESUME_RECOUNTS       find counts slots that are marked already
 *         RESUME_TRUSTS         a repeated Destroy waits for Pending and does not look
 */
#define LIVE     0
#define DRAINING 1

#ifndef ID
#define ID(t) t         /* a target initialised once: its number is its id */
#endif

bool dead[NTARGET+1];
bool cmu;               /* Class.mu */
byte ccv;               /* Class.free */

inline settle(t)
{
	atomic { assert(!dead[t]); target[t].pending--; last = (target[t].pending == 0) };
	if
	:: last ->
#ifdef SETTLE_TOUCHES
		assert(!dead[t]);
#endif
#ifdef SETTLE_SILENT
		skip
#else
#ifdef SETTLE_WAKES_UNLOCKED
		Broadcast(ccv)
#else
		Lock(cmu);
		Broadcast(ccv);
		Unlock(cmu)
#endif
#endif
	:: else
	fi
}

/* find marks slot r of CPU x if it refers to t and is not marked yet. */
inline find(t, x, r)
{
	if
#ifdef RESUME_RECOUNTS
	:: (cpu[x].slot[r] & ~MARK) == ID(t) ->
#else
	:: cpu[x].slot[r] == ID(t) ->
#endif
#ifndef FIND_AFTER
		target[t].pending++;
#endif
		atomic {
			if
#ifdef RESUME_RECOUNTS
			:: (cpu[x].slot[r] & ~MARK) == ID(t) -> cpu[x].slot[r] = cpu[x].slot[r] | MARK; hit = true
#else
			:: cpu[x].slot[r] == ID(t) -> cpu[x].slot[r] = cpu[x].slot[r] | MARK; hit = true
#endif
			:: else -> hit = false
			fi
		};
		if
#ifdef FIND_AFTER
		:: hit -> target[t].pending++
#else
		:: hit
#endif
#if defined(FIND_KEEPS) || defined(FIND_AFTER)
		:: else
#else
		:: else -> settle(t)
#endif
		fi
	:: else
	fi
}

/* --- a thread --- */

inline drop(t, r)
{
#ifdef RELEASE_STORES
	w = cpu[c].slot[r];
	cpu[c].slot[r] = 0;
#else
	atomic { w = cpu[c].slot[r]; cpu[c].slot[r] = 0 };
#endif
#ifndef RELEASE_SILENT
	if
	:: w & MARK -> settle(t)
	:: else
	fi
#endif
}

inline Acquire(t, r)
{
	if
	:: target[t].dying -> ok = false
	:: else ->
		w = ID(t);
		cpu[c].slot[r] = w;
#ifdef ACQUIRE_BLIND
		ok = true
#else
		if
		:: target[t].dying ->
#ifdef UNDO_SILENT
			cpu[c].slot[r] = 0;
#else
			drop(t, r);
#endif
			ok = false
		:: else -> ok = true
		fi
#endif
	fi
}

inline Release(t, r) { drop(t, r) }

inline Copy(t, r, to)
{
	cpu[c].slot[to] = ID(t);
#ifndef COPY_BLIND
	if
	:: target[t].dying -> find(t, c, to)
	:: else
	fi
#endif
}

/* --- a softint --- */

inline SoftAcquire(t, r)
{
	if
	:: target[t].dying -> ok = false
	:: else -> life[r] = t; ok = true
	fi
}

inline SoftRelease(t, r)
{
	life[r] = 0;
	if
	:: counted[r] ->
		counted[r] = false;
#ifndef SOFT_RELEASE_SILENT
		settle(t)
#endif
	:: else
	fi
}

inline SoftCopy(t, r, to)
{
	life[to] = t;
#ifndef COPY_UNCOUNTED
	if
	:: counted[r] -> Count(to)
	:: else
	fi
#endif
}

/* --- whoever destroys --- */

inline look(t)
{
#ifdef SOFTINTS_ONLY
	skip
#else
#ifndef ALL_BEFORE_DYING
	n = ncpu;
#endif
	k = 0;
	do
	:: k < n ->
		j = 0;
		do
		:: j < NREF ->
			find(t, k, j);
			j++
		:: else -> break
		od;
		k++
	:: else -> break
	od
#endif
}

inline awaitHolders(t)
{
	Lock(cmu);
	do
	:: target[t].pending == 0 || err -> break
	:: else ->
		Wait(ccv, cmu)
#ifdef WAIT_ONCE
		; break
#endif
	od;
	Unlock(cmu)
}

#ifdef WAIT_EMPTY
inline waitEmpty()
{
	k = 0;
	do
	:: k < n ->
		Lock(cmu);
		do
		:: cpu[k].slot[0] == 0 -> break
		:: else -> Wait(ccv, cmu)
		od;
		Unlock(cmu);
		k++
	:: else -> break
	od
}
#endif

inline drain(t)
{
#ifdef BIAS_STORED
	target[t].pending = 1;
#else
#ifndef NO_BIAS
	target[t].pending++;
#endif
#endif
#ifndef DYING_LATE
	look(t);
#endif
#ifndef NO_RENDEZVOUS
	Rendezvous();
#endif
#ifdef NO_BIAS
	last = (target[t].pending == 0);
#else
#ifdef CANCEL_KEEPS_BIAS
	if
	:: err
	:: else ->
#endif
	atomic { target[t].pending--; last = (target[t].pending == 0) };
#ifdef CANCEL_KEEPS_BIAS
	fi;
#endif
#endif
#ifdef WAIT_EMPTY
	waitEmpty();
#endif
	if
	:: last || err
	:: else -> awaitHolders(t)
	fi
#ifdef CANCEL_FORGETS
	;
	if
	:: err -> target[t].pending = 0
	:: else
	fi
#endif
}

inline Destroy(t)
{
	err = false;
#ifdef ALL_BEFORE_DYING
	n = ncpu;
#endif
#ifdef EPOCH_BEFORE_DYING
	atomic { epoch++; e = epoch };
#endif
#ifdef DYING_LATE
	look(t);
#endif
#ifdef RESUME_TRUSTS
	if
	:: target[t].dying -> awaitHolders(t)
	:: else -> target[t].dying = DRAINING; drain(t)
	fi;
#else
	target[t].dying = DRAINING;
	drain(t);
#endif
	if
	:: err
	:: else -> dead[t] = true
	fi
}

/* lib/cpu.pml - internal/cpu: the words of an LWP, and one way to wait for all of them.
 *
 * Every process has LOCALS and a number `me`, its place on a Cond. One that is an LWP
 * has the number c of its CPU too.
 *
 * Seeds   EXIT_STORES         ExitSection looks for the waited bit, then stores
 *         EXIT_SILENT         ExitSection does not look at the waited bit
 *         EXIT_WAKES_UNLOCKED ExitSection broadcasts without the machine's lock
 *         SEQ_RESET           each owner of a CPU begins its sequence anew
 *         NO_SEQ              the section word has no sequence
 *         MARK_STORES         MarkWaited stores instead of comparing and swapping
 *         MARK_FAIL_IS_GONE   MarkWaited takes any failed CAS for an exit
 *         ANSWER_FORGETS      Answer does not look at the last record
 *         ANSWER_UNCOUNTED    Answer counts, but does not mark the record as counted
 *         QUIET_BEFORE_COUNT  Answer publishes the epoch before it counts
 *         QUIET_FRESH_EPOCH   Answer publishes an epoch loaded after the counting
 *         ANSWER_SILENT       Answer does not look whether somebody is parked
 *         OFFLINE_SILENT      Offline does not look whether somebody is parked
 *         PARKED_BEFORE_QUIET Answer looks for the parked before it publishes
 *         PARKED_LATE         Await counts itself as parked after its last look
 *         WAKE_UNLOCKED       Wake broadcasts without the machine's lock
 *         ALL_ONCE            Rendezvous looks at the first CPU only
 */
#ifndef NCPU
#define NCPU 2
#endif
#ifndef NREF
#define NREF 1          /* references a CPU holds; the code has chunks of eight */
#endif

#define INSIDE 1        /* Section */
#define WAITED 2        /* Section: a waiter wants to hear of the exit */
#define STEP   4        /* Section: what the sequence grows by */
#define MARK   128      /* Slots: the release owes the target one decrement */

typedef CPU { byte section; byte quiet; byte slot[NREF]; byte seq };
typedef Life { byte dying; short pending };

CPU  cpu[NCPU];
byte ncpu;              /* Machine.cpus: the first ncpu of them are in the list */
byte epoch = 1;
byte parked;
bool mmu;               /* Machine.mu */
byte mcv;               /* Machine.cv */

#ifndef NTARGET
#define NTARGET 1
#endif
Life target[NTARGET+1]; /* from 1 */

/* LOCALS is what a process keeps to itself: as the owner of CPU c (seen, what it refers
 * to), and while it waits (the epoch e, the CPU k it looks at). */
#define LOCALS \
	byte seen, life[NREF], depth, e, i, j, k, n, v, w; \
	bool counted[NREF], ok, hit, last, err

inline Wake()
{
#ifdef WAKE_UNLOCKED
	Broadcast(mcv)
#else
	Lock(mmu);
	Broadcast(mcv);
	Unlock(mmu)
#endif
}

inline wakeParked()
{
	if
	:: parked != 0 -> Wake()
	:: else
	fi
}

/* --- the owner of a CPU, a thread --- */

inline EnterSection()
{
#ifndef NO_SEQ
	cpu[c].seq = cpu[c].seq + STEP;
#endif
	cpu[c].section = cpu[c].seq | INSIDE
}

inline ExitSection()
{
#ifdef EXIT_STORES
	w = cpu[c].section;
	cpu[c].section = 0;
#else
	atomic { w = cpu[c].section; cpu[c].section = 0 };
#endif
#ifndef EXIT_SILENT
	if
#ifdef EXIT_WAKES_UNLOCKED
	:: w & WAITED -> Broadcast(mcv)
#else
	:: w & WAITED -> Wake()
#endif
	:: else
	fi
#endif
}

/* --- the owner of a CPU, a softint --- */

inline Online()
{
	seen = epoch;
	cpu[c].quiet = seen
}

inline Offline()
{
	seen = 0;
	cpu[c].quiet = 0;
#ifndef OFFLINE_SILENT
	wakeParked()
#endif
}

inline Count(r)
{
	target[life[r]].pending++;
	counted[r] = true
}

inline Answer()
{
	w = epoch;
#ifdef QUIET_BEFORE_COUNT
	cpu[c].quiet = w;
#endif
	i = 0;
	do
#ifdef ANSWER_FORGETS
	:: i < NREF - 1 ->
#else
	:: i < NREF ->
#endif
		if
		:: life[i] != 0 && !counted[i] && target[life[i]].dying ->
#ifdef ANSWER_UNCOUNTED
			target[life[i]].pending++
#else
			Count(i)
#endif
		:: else
		fi;
		i++
	:: else -> break
	od;
#ifdef QUIET_FRESH_EPOCH
	w = epoch;
#endif
	seen = w;
#ifdef PARKED_BEFORE_QUIET
	wakeParked();
	cpu[c].quiet = w
#else
#ifndef QUIET_BEFORE_COUNT
	cpu[c].quiet = w;
#endif
#ifndef ANSWER_SILENT
	wakeParked()
#endif
#endif
}

inline Checkpoint()
{
	if
	:: epoch != seen -> Answer()
	:: else
	fi
}

/* --- whoever waits --- */

/* Await returns once `done`, an expression over one shared word, is true. */
inline Await(done)
{
	if
	:: done
	:: else ->
		Lock(mmu);
#ifndef PARKED_LATE
		parked++;
#endif
		do
		:: done || err -> break
		:: else ->
#ifdef PARKED_LATE
			parked++;
#endif
			Wait(mcv, mmu)
		od;
		parked--;
		Unlock(mmu)
	fi
}

#define answered(q) (q == 0 || q >= e)

inline Rendezvous()
{
#ifndef EPOCH_BEFORE_DYING
	atomic { epoch++; e = epoch };
#endif
	n = ncpu;               /* All */
	k = 0;
	do
#ifdef ALL_ONCE
	:: k < 1 && k < n ->
#else
	:: k < n && !err ->
#endif
		Await(answered(cpu[k].quiet));
		k++
	:: else -> break
	od
}

/* MarkWaited asks CPU k's owner to wake us when it leaves the section that the word v
 * says it is in. hit is false if it has left already. */
inline MarkWaited()
{
	do
	:: v & WAITED -> hit = true; break
	:: else ->
#ifdef MARK_STORES
		cpu[k].section = v | WAITED; hit = true; break
#else
		atomic {
			if
			:: cpu[k].section == v -> cpu[k].section = v | WAITED; hit = true
			:: else -> hit = false
			fi
		};
		if
		:: hit -> break
		:: else
		fi;
#ifdef MARK_FAIL_IS_GONE
		break
#else
		j = cpu[k].section;
		if
		:: (j & ~WAITED) != (v & ~WAITED) -> break
		:: else -> v = j
		fi
#endif
#endif
	od
}

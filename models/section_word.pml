/* section_word.pml - a thread's read section is one word: its sequence, whether it is
 * inside, and whether somebody waits for the exit.
 *
 * NREADER threads look at the published elements, twice each, in nested sections, and
 * may leave for good after any section. NPERFORMER threads unlink an element each, call
 * Perform, and reuse the element, at the same time.
 *
 * At last a reader may become a stranger: once every Perform has looked at its CPU it
 * enters a section that ends only after all of them have returned. Such a section must
 * not be taken for the one before. With RECYCLE the reader first gives its CPU back, and
 * the stranger is the next thread that binds it.
 *
 * No reader sees an element that is reused: use asserts !reused[at].
 */
#ifndef NREADER
#define NREADER 1
#endif
#ifndef NPERFORMER
#define NPERFORMER 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define NCPU NREADER
#include "lib/hook.pml"
#include "lib/cpu.pml"
#include "lib/lwp.pml"

bool linked[NPERFORMER+1];      /* elements, from 1 */
bool reused[NPERFORMER+1];
byte looked[NCPU];      /* how many Performs have looked at a CPU; for the stranger */
byte returned;          /* how many have returned; for the stranger */

#define LOOKED(k)  looked[k]++
#include "lib/pserialize.pml"

inline find(x) { at = (linked[x] -> x : 0) }

inline use()
{
	assert(!reused[at]);
	assert(!reused[at]);            /* and again, whatever happened between */
	at = 0
}

proctype reader(byte me)
{
	LOCALS;
	byte c, rounds, at;

	Bind();
	do
	:: rounds < ROUNDS ->
		rounds++;
#ifdef LOOK_FIRST
		find(1);
		ReadEnter();
		use();
#else
		ReadEnter();
#endif
		find(1);
		use();
		if
		:: ReadEnter(); Exit()          /* a nested section ends nothing */
		:: true
		fi;
		find(NPERFORMER);
		use();
		Exit()
	:: break
	od;
#ifdef RECYCLE
	Unbind();
	Bind();
#endif
	if
	:: looked[c] == NPERFORMER ->
		ReadEnter();            /* the stranger */
		returned == NPERFORMER;
		Exit()
	:: true
	fi
}

proctype performer(byte x, me)
{
	LOCALS;
#ifdef UNLINK_LATE
	Perform();
	linked[x] = false;
#else
	linked[x] = false;
	Perform();
#endif
	reused[x] = true;
	returned++
}

init {
	byte x;
	atomic {
		do
		:: x < NPERFORMER -> x++; linked[x] = true; run performer(x, NREADER + x)
		:: else -> break
		od;
		x = 0;
		do
		:: x < NREADER -> run reader(x); x++
		:: else -> break
		od
	}
}

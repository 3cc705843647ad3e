/* list_walk.pml - pserialize.List walked by a reader who sleeps between elements, holding
 * the one it stands on, while a writer removes several and inserts one of them again.
 *
 * The list is 1, 2, 3. A reader walks it with a Cursor. The writer removes 1 and 2, in
 * either order, calls Perform, and destroys 2, then 1; then it puts 1 back, behind 3. So
 * the link of 1, while somebody holds it, leads to an element that is dead. 3 stays.
 *
 * No reader stands on an element that is dead: assert(!dead[at]). No walk ends without
 * having seen 3: assert(saw3).
 *
 * Seeds   CURSOR_TRUSTS    Next follows the link of an element that was removed, as the
 *                          kernel's walk does
 *         RELEASE_OUTSIDE  the reader lets go before it enters the section again
 *         RELEASE_FIRST    the reader lets go inside the section, but before Next
 *         LINK_CLEARED     Remove clears the removed element's link
 *         REUSED_EARLY     an element is inserted again before it is dead
 *
 * Cure    LIVES  an entry counts its lives, and a Cursor remembers in which it came: then
 *         the reader may let go when it likes
 */
#define NTARGET 3
#define NCPU 1
#include "lib/hook.pml"
#include "lib/cpu.pml"
#include "lib/pserialize.pml"
#include "lib/psref.pml"

#define FRESH   0
#define LINKED  1
#define REMOVED 2

byte next[NTARGET+1] = 0;       /* of an element; next[0] is the head */
byte state[NTARGET+1] = FRESH;

#ifdef LIVES
byte lives;                     /* of 1; one word with its state */
#define word(x)  (x == 1 -> state[1] + 4 * lives : state[x])
#define came()   cameTo = (at != 0 -> word(at) : 0)
#define stays()  (word(at) == cameTo && state[at] == LINKED)
#else
#define came()   skip
#define stays()  (state[at] == LINKED)
#endif

inline First()
{
	at = next[0];
	came()
}

inline Next()
{
#ifdef CURSOR_TRUSTS
	at = next[at]
#else
	if
	:: stays() -> at = next[at]; came()
	:: else -> First()
	fi
#endif
}

proctype reader(byte c, me)
{
	LOCALS;
	byte at, old, cameTo;
	bool saw3;

	ReadEnter();
	First();
	do
	:: at != 0 ->
		assert(!dead[at]);
		if
		:: at == 3 -> saw3 = true
		:: else
		fi;
		Acquire(at, 0);
		if
		:: ok ->
			Exit();
			assert(!dead[at]);              /* work; it may sleep */
			old = at;
#ifdef RELEASE_OUTSIDE
			Release(old, 0);
			ReadEnter();
			Next()
#else
			ReadEnter();
#ifdef RELEASE_FIRST
			Release(old, 0);
			Next()
#else
			Next();
			Release(old, 0)
#endif
#endif
		:: else -> Next()
		fi
	:: else -> break
	od;
	Exit();
	assert(saw3)
}

inline Remove(x, prev)
{
	next[prev] = next[x];
#ifdef LINK_CLEARED
	next[x] = 0;
#endif
	state[x] = REMOVED
}

inline again()                          /* Init, and InsertAfter 3 */
{
#ifdef LIVES
	atomic { lives++; state[1] = FRESH };
#else
	state[1] = FRESH;
#endif
	next[1] = 0;
	target[1].dying = LIVE;
	dead[1] = false;
	state[1] = LINKED;
	next[3] = 1
}

proctype writer(byte me)
{
	LOCALS;

	if
	:: Remove(1, 0); Remove(2, 0)
	:: Remove(2, 1); Remove(1, 0)
	fi;
#ifdef REUSED_EARLY
	again();
#endif
	Perform();
	Destroy(2);
	Destroy(1);
#ifndef REUSED_EARLY
	again()
#endif
}

init {
	atomic {
		ncpu = NCPU;
		next[0] = 1; next[1] = 2; next[2] = 3;
		state[1] = LINKED; state[2] = LINKED; state[3] = LINKED;
		run reader(0, 0);
		run writer(1)
	}
}

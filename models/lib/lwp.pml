/* lib/lwp.pml - package lwp: CPUs are handed out and taken back.
 *
 * The code has sixteen places `near` for one free LWP each; the model has one. Which of
 * the far ones Bind takes is left open.
 *
 * Seeds   ADD_LATE    a new CPU is used before it is in the list
 *         NEAR_RACY   Bind loads what is near, then stores
 *         PUT_FIRST   a softint's Unbind gives the CPU back before it goes offline
 *         QUIET_LEFT  a softint's Unbind does not go offline
 */
byte nlwp;              /* Domain.lwps: how many were made */
byte near;              /* a free CPU's number plus one */
byte far;               /* free CPUs, a bit each; guarded by dmu */
bool dmu;               /* Domain.mu */

#ifdef NEAR_RACY
#define takeNear()  v = near; near = 0
#else
#define takeNear()  atomic { v = near; near = 0 }
#endif

inline getFar()
{
	Lock(dmu);
	if
	:: far != 0 ->
		c = 0;
		do
		:: far & (1 << c) -> break
		:: far >> (c + 1) -> c++
		od;
		far = far & ~(1 << c)
	:: else ->
		takeNear();
		if
		:: v != 0 -> c = v - 1
		:: else ->
			c = nlwp;
			nlwp++;
#ifndef ADD_LATE
			ncpu = nlwp             /* Machine.Add */
#endif
		fi
	fi;
	Unlock(dmu)
}

inline get()
{
	takeNear();
	if
	:: v != 0 -> c = v - 1
	:: else -> getFar()
	fi
}

inline Bind()
{
	get()
#ifdef SEQ_RESET
	; cpu[c].seq = 0
#endif
}

inline put()
{
	atomic {
		if
		:: near == 0 -> near = c + 1; hit = true
		:: else -> hit = false
		fi
	};
	if
	:: hit
	:: else ->
		Lock(dmu);
		far = far | (1 << c);
		Unlock(dmu)
	fi
}

inline Unbind() { put() }

inline BindSoftint()
{
	Bind();
	Online()
}

inline SoftUnbind()
{
#ifdef PUT_FIRST
	put();
	Offline()
#else
#ifndef QUIET_LEFT
	Offline();
#endif
	put()
#endif
}

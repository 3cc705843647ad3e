/* lib/pserialize.pml - package pserialize: read sections and grace periods.
 *
 * A softint's section is its Depth, plain memory: it needs no step here.
 *
 * Seeds   NEST_EXIT      an inner Exit publishes that the thread is outside
 *         WAIT_OUTSIDE   Perform waits until it finds the thread outside
 *         WAIT_UNMARKED  Perform waits without the waited bit
 *         NO_RENDEZVOUS  Perform and Destroy do not wait for the softints
 */
inline ReadEnter()
{
	depth++;
	if
	:: depth == 1 -> EnterSection()
	:: else
	fi
}

inline Exit()
{
	depth--;
	if
#ifdef NEST_EXIT
	:: true -> ExitSection()
#else
	:: depth == 0 -> ExitSection()
	:: else
#endif
	fi
}

#ifdef WAIT_OUTSIDE
#define left  !(cpu[k].section & INSIDE)
#else
#define left  (cpu[k].section & ~WAITED) != (v & ~WAITED)
#endif

#ifndef LOOKED
#define LOOKED(k)       /* a model may note here that Perform has looked at CPU k */
#endif

inline Perform()
{
	n = ncpu;
	k = 0;
	do
	:: k < n && !err ->
		atomic { v = cpu[k].section; LOOKED(k) };
		if
		:: v & INSIDE ->
#ifdef WAIT_UNMARKED
			hit = true;
#else
			MarkWaited();
#endif
			if
			:: hit -> Await(left)
			:: else
			fi
		:: else
		fi;
		k++
	:: else -> break
	od;
#ifndef NO_RENDEZVOUS
	if
	:: !err -> Rendezvous()
	:: else
	fi
#endif
}

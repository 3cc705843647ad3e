//go:build witness || race

package witness_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// The deadlocks that NetBSD met around waits for softints. None of the runs below hangs,
// and none could: what each side does is done when the other has long finished.

// kernel is the classes and levels the cases speak of.
type kernel struct {
	*desk
	softint, section *witness.Level
	psref            *witness.Level // whoever holds a passive reference to an address
	softnet          *witness.Class // softnet_lock
}

func newKernel() *kernel {
	d := newDesk(witness.Count)
	return &kernel{
		desk:    d,
		softint: d.NewLevel("softint", witness.NoSleep),
		section: d.NewLevel("read section", witness.NoSleep|witness.NoLock),
		psref:   d.NewLevel("psref ifaddr", 0),
		softnet: d.NewClass("softnet_lock"),
	}
}

// input is a softint handler that takes locks.
func (k *kernel) input(locks ...sync.Locker) func() {
	return func() {
		l := witness.Self()
		k.softint.Enter(l)
		defer k.softint.Exit(l)
		nest(locks...)
	}
}

// perform is pserialize_perform: every CPU passes a checkpoint.
func (k *kernel) perform(l *witness.Thread) {
	k.section.WillWait(l)
	k.softint.WillWait(l)
}

// destroy is psref_target_destroy of an address.
func (k *kernel) destroy(l *witness.Thread) {
	k.psref.WillWait(l)
	k.softint.WillWait(l)
}

// eitherOrder runs two halves of a deadlock in both orders, each with a kernel of its
// own: whichever comes first, the second must report.
func eitherOrder(t *testing.T, f func(k *kernel) (one, other func()), want string) {
	t.Helper()
	for _, swap := range []bool{false, true} {
		k := newKernel()
		one, other := f(k)
		if swap {
			one, other = other, one
		}
		elsewhere(one)
		require.Empty(t, k.texts(), "half a deadlock is none")
		elsewhere(other)
		require.NotEmpty(t, k.got)
		require.Equal(t, witness.RuleReversal, k.got[0].Rule)
		if !swap {
			require.Equal(t, want, k.texts()[0])
		}
	}
}

// Case A, 2016: an interface is destroyed; the purge of its addresses waits for a grace
// period and for references, all under softnet_lock, which input handlers take.
func TestNetBSD_CaseA_PerformUnderSoftnetLock(t *testing.T) {
	purge := func(k *kernel, addresses func(softnet *witness.Mutex)) (one, other func()) {
		softnet := mutexOf(k.softnet)
		return k.input(softnet), func() {
			softnet.Lock() // tcp_purgeif: the pcbs
			defer softnet.Unlock()
			addresses(softnet)
		}
	}
	eitherOrder(t, func(k *kernel) (one, other func()) {
		return purge(k, func(*witness.Mutex) { k.perform(witness.Self()) })
	}, "witness: level softint is waited for while softnet_lock is held, but softnet_lock is taken inside level softint")
	eitherOrder(t, func(k *kernel) (one, other func()) {
		return purge(k, func(*witness.Mutex) { k.destroy(witness.Self()) })
	}, "witness: level softint is waited for while softnet_lock is held, but softnet_lock is taken inside level softint")

	// The fix: the lock is dropped around the purge of the addresses.
	k := newKernel()
	one, other := purge(k, func(softnet *witness.Mutex) {
		softnet.Unlock()
		k.perform(witness.Self())
		k.destroy(witness.Self())
		softnet.Lock()
	})
	elsewhere(one)
	elsewhere(other)
	require.Empty(t, k.texts())
}

// The same with the rooms that wait: they speak of their levels by themselves.
func TestNetBSD_CaseA_AsTheRoomsReportIt(t *testing.T) {
	dom := lwp.NewDomain()
	psz, ifaddr := pserialize.New(dom), psref.NewClass(dom, "ifaddr")
	softnet := mutexOf(witness.NewClass("softnet_lock"))
	var addr psref.Target
	ifaddr.Init(&addr)
	elsewhere(func() {
		l := dom.BindSoftint("input")
		defer l.Unbind()
		nest(softnet)
	})
	l := dom.Bind()
	defer l.Unbind()
	const want = "witness: level softint is waited for while softnet_lock is held, but softnet_lock is taken inside level softint"
	softnet.Lock()
	require.Equal(t, want, says(t, witness.RuleReversal, func() { _ = psz.Perform(t.Context(), l) }))
	require.Equal(t, want, says(t, witness.RuleReversal, func() { _ = addr.Destroy(t.Context(), l) }))
	softnet.Unlock()
	require.NoError(t, psz.Perform(t.Context(), l))
	require.NoError(t, addr.Destroy(t.Context(), l))
}

// Case B: a thread looks up a route while it holds the neighbour table for writing, and
// waits for the route's update; the updater waits for softints; one waits for the table.
func TestNetBSD_CaseB_RouteLookupUnderTheNeighbourTable(t *testing.T) {
	k := newKernel()
	updating := k.NewLevel("route update", 0)
	afdata := rwMutexOf(k.NewClass("if_afdata"))
	elsewhere(k.input(afdata))
	elsewhere(func() {
		l := witness.Self()
		updating.Enter(l)
		defer updating.Exit(l)
		k.destroy(l)
	})
	require.Empty(t, k.texts())
	elsewhere(func() {
		afdata.Lock()
		defer afdata.Unlock()
		updating.WillWait(witness.Self())
	})
	require.Equal(t, []string{"witness: level route update is waited for while if_afdata is held, but level softint is waited for inside level route update, and if_afdata is taken inside level softint"}, k.texts())
}

// Case C: a route socket's mutex is held while references are waited for, and the
// softint that delivers route messages blocks on it.
func TestNetBSD_CaseC_RouteSocketMutex(t *testing.T) {
	eitherOrder(t, func(k *kernel) (one, other func()) {
		socket := k.mutex("rt_so_mtx")
		return k.input(socket), func() {
			socket.Lock()
			defer socket.Unlock()
			k.destroy(witness.Self())
		}
	}, "witness: level softint is waited for while rt_so_mtx is held, but rt_so_mtx is taken inside level softint")
}

// Case D, PR 56844: whoever frees a route waits for its references, and one who holds a
// reference wants a lock that the first holds.
func TestNetBSD_CaseD_RtFreeUnderALockThatAHolderWants(t *testing.T) {
	eitherOrder(t, func(k *kernel) (one, other func()) {
		softnet, route := mutexOf(k.softnet), k.NewLevel("psref rtentry", 0)
		return func() {
				l := witness.Self()
				route.Enter(l) // a cached route
				nest(softnet)
				route.Exit(l)
			}, func() {
				softnet.Lock()
				defer softnet.Unlock()
				route.WillWait(witness.Self()) // rt_free
			}
	}, "witness: level psref rtentry is waited for while softnet_lock is held, but softnet_lock is taken inside level psref rtentry")
}

// Case E, in the tree to this day: a worker holds softnet_lock around each handler, a
// redirect's handler updates a route and waits, and input handlers take the lock.
func TestNetBSD_CaseE_WorkerLockAroundTheHandler(t *testing.T) {
	eitherOrder(t, func(k *kernel) (one, other func()) {
		softnet, rt := mutexOf(k.softnet), k.mutex("rt_lock")
		redirect := func() {
			nest(rt)
			k.destroy(witness.Self()) // rt_update_prepare
		}
		return k.input(softnet), func() {
			softnet.Lock()
			defer softnet.Unlock()
			redirect()
		}
	}, "witness: level softint is waited for while softnet_lock is held, but softnet_lock is taken inside level softint")
}

// "Global interface-list mutex is held across the grace wait; allowed because no softint
// and no reader takes it."
func TestNetBSD_AWaitUnderALockThatOnlyWritersTakeIsFine(t *testing.T) {
	k := newKernel()
	list, pcbs := k.mutex("ifnet_mtx"), mutexOf(k.softnet)
	for range 2 {
		elsewhere(k.input(pcbs))
		elsewhere(func() {
			list.Lock()
			defer list.Unlock()
			k.perform(witness.Self())
			k.destroy(witness.Self())
		})
	}
	require.Empty(t, k.texts())
}

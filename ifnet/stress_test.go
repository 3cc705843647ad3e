package ifnet_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// Interfaces come and go under indices that are used again and again, while others look for them
// by IDs old and new: who finds one finds it whole, and it is the one meant.
func TestStress_IndicesAreUsedAgain(t *testing.T) {
	dom, ifs := newTable()
	const names = 4
	rounds := 300
	if witness.Enabled {
		rounds = 60 // books take their time
	}
	var ids [names]atomic.Uint64 // index<<32 | gen
	var found, missed atomic.Uint64
	var done atomic.Bool
	var owners, readers errgroup.Group
	for i := range names {
		owners.Go(func() error {
			l := dom.Bind()
			defer l.Unbind()
			for range rounds {
				ifp, err := ifs.Attach(ifnet.Spec{Name: fmt.Sprintf("em%d", i), Driver: &wire{}, Up: true, MAC: ifnet.MAC{2, byte(i)}})
				if err != nil {
					return err
				}
				id := ifp.ID()
				ids[i].Store(uint64(id.Index)<<32 | uint64(id.Gen))
				for before, y := found.Load(), 0; y < 100 && found.Load() == before; y++ {
					runtime.Gosched()
				}
				if err := ifs.Detach(bg(), l, id); err != nil {
					return err
				}
			}
			return nil
		})
	}
	reader := func(l *lwp.LWP) error {
		defer l.Unbind()
		var ref psref.Ref
		for n := 0; !done.Load(); n++ {
			w := ids[n%names].Load()
			id := ifnet.ID{Index: uint32(w >> 32), Gen: uint32(w)}
			ifp, ok := ifs.Get(l, &ref, id)
			if !ok {
				missed.Add(1)
				l.Checkpoint()
				runtime.Gosched() // with one processor an owner has to have its turn
				continue
			}
			found.Add(1)
			if ifp.ID() != id || ifp.MAC() != (ifnet.MAC{2, byte(n % names)}) || !ifp.IsUp() {
				return fmt.Errorf("%v: found %v, %v, up %v", id, ifp.ID(), ifp.MAC(), ifp.IsUp())
			}
			ref.Release(l)
			l.Checkpoint()
			runtime.Gosched()
		}
		return nil
	}
	readers.Go(func() error { return reader(dom.Bind()) })
	readers.Go(func() error { return reader(dom.BindSoftint("reader")) })
	require.NoError(t, owners.Wait())
	done.Store(true)
	require.NoError(t, readers.Wait())
	require.NotZero(t, found.Load())
	if runtime.GOMAXPROCS(0) > 1 {
		require.NotZero(t, missed.Load())
	}
	require.Empty(t, ifs.All())
}

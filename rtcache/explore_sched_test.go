//go:build sched

// Without the explorer, which lets one run at a time, what is shown here is a data race, as
// rtcache's page says.

package rtcache_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// Two who share a cache: under every schedule either they do not meet, or the second is
// refused, and never do both hold it.
func TestExplore_TwoUsersOfOneCache(t *testing.T) {
	explore(t, func(w *world) {
		refused, used := 0, 0
		for _, name := range []string{"one", "two"} {
			l := w.owner.Domain().Bind()
			w.Go(name, func() {
				defer l.Unbind()
				defer func() {
					if recover() != nil {
						refused++
					}
				}()
				e, err := w.cache.Lookup(l, w.rt, addr("10.0.0.1"))
				require.NoError(w, err)
				w.Assert(w.cache.Holder() == l, "held by %v", w.cache.Holder())
				sched.Point("use")
				w.Assert(!e.Freed() && w.cache.Holder() == l, "taken away")
				w.cache.Release(l)
				used++
			})
		}
		w.After(func() { w.Assert(used >= 1 && used+refused == 2, "used %d, refused %d", used, refused) })
	})
}

package rtcache_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
)

// Metamorphic: whatever happens to the table, a cache tells the same story as a lookup
// without one.
func TestCache_TellsWhatTheTableTells(t *testing.T) {
	dsts := []string{"10.0.0.1", "10.0.1.1", "10.1.0.1", "2001:db8::1", "::ffff:10.0.0.1"}
	prefixes := []string{"0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24", "10.0.0.1/32", "2001:db8::/32", "::/0"}
	gateways := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			dom := lwp.NewDomain()
			rt := rtable.New(dom)
			l := dom.Bind()
			caches := make([]rtcache.Cache, 3)
			per := rtcache.NewPerLWP(dom, 2)
			var ups []*rtable.Update
			finish := func() {
				for _, u := range ups {
					u.Finish()
				}
				ups = nil
			}
			defer func() {
				finish()
				l.Unbind()
				require.NoError(t, rt.Close(ctx))
			}()
			route := func(t *rapid.T) rtable.Route {
				return via(rapid.SampledFrom(prefixes).Draw(t, "prefix"), rapid.SampledFrom(gateways).Draw(t, "gateway"))
			}
			t.Repeat(map[string]func(*rapid.T){
				"add":     func(t *rapid.T) { _ = rt.Add(route(t)) },
				"delete":  func(t *rapid.T) { _ = rt.Delete(route(t).Dst) },
				"replace": func(t *rapid.T) { _ = rt.Replace(route(t)) },
				"copy": func(t *rapid.T) {
					i := rapid.IntRange(0, 2).Draw(t, "to")
					caches[i].Copy(&caches[(i+1)%3])
				},
				"forget": func(t *rapid.T) { caches[rapid.IntRange(0, 2).Draw(t, "which")].Invalidate() },
				"begin": func(t *rapid.T) {
					if len(ups) > 0 {
						t.Skip("one at a time")
					}
					rto := route(t)
					e, err := rt.Find(ctx, l, rto.Dst)
					if err != nil {
						t.Skip("not there")
					}
					u, err := e.BeginUpdate(ctx, l)
					require.NoError(t, err)
					require.NoError(t, u.Set(rto))
					e.Unref() // lent to the update: nobody else waits for it here
					ups = append(ups, u)
				},
				"finish": func(*rapid.T) { finish() },
				"look": func(t *rapid.T) {
					dst := addr(rapid.SampledFrom(dsts).Draw(t, "dst"))
					var ref psref.Ref
					want, wantErr := rt.Get(l, &ref, dst)
					c := per.Cache(l, dst)
					if i := rapid.IntRange(0, 3).Draw(t, "cache"); i < 3 {
						c = &caches[i]
					}
					e, err := c.Lookup(l, rt, dst)
					require.Equal(t, wantErr, err)
					require.Same(t, want, e)
					if err == nil {
						c.Release(l)
						ref.Release(l)
					}
				},
			})
		})
	})
}

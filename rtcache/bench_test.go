package rtcache_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
)

// BenchmarkHit compares a hit to the lookup that it saves and to the reference that both take.
func BenchmarkHit(b *testing.B) {
	dom := lwp.NewDomain()
	rt := rtable.New(dom)
	require.NoError(b, rt.Add(via("10.0.0.0/8", "192.0.2.1")))
	dst := addr("10.0.0.1")
	for _, softint := range []bool{true, false} {
		l, kind := dom.Bind(), "thread"
		if softint {
			l.Unbind()
			l, kind = dom.BindSoftint("bench"), "softint"
		}
		b.Run("cache/"+kind, func(b *testing.B) {
			b.ReportAllocs()
			var c rtcache.Cache
			for range b.N {
				if _, err := c.Lookup(l, rt, dst); err != nil {
					b.Fatal(err)
				}
				c.Release(l)
			}
		})
		b.Run("table/"+kind, func(b *testing.B) {
			b.ReportAllocs()
			var ref psref.Ref
			for range b.N {
				if _, err := rt.Get(l, &ref, dst); err != nil {
					b.Fatal(err)
				}
				ref.Release(l)
			}
		})
		l.Unbind()
	}
	require.NoError(b, rt.Close(context.Background()))
}

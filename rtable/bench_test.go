package rtable_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/gaissmai/bart"
	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

// sizes of tables: a site's, and a tenth of the Internet's.
var sizes = []int{1_000, 100_000}

// randomRoutes returns n routes of the lengths that are common on the Internet.
func randomRoutes(n int) []rtable.Route {
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[netip.Prefix]bool{}
	var rts []rtable.Route
	for len(rts) < n {
		a := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, r.Uint32())))
		bits := min(24, 16+r.IntN(14))
		p := netip.PrefixFrom(a, bits).Masked()
		if !seen[p] {
			seen[p] = true
			rts = append(rts, rtable.Route{Dst: p, Gateway: gateway(r.Uint32N(24)), Out: em0})
		}
	}
	return rts
}

// BenchmarkGet compares a lookup with its reference to bart's lookup alone.
func BenchmarkGet(b *testing.B) {
	for _, n := range sizes {
		rts := randomRoutes(n)
		dom := lwp.NewDomain()
		tab := rtable.New(dom)
		require.NoError(b, tab.Load(slices.Values(rts)))
		var bare bart.Table[*rtable.Route]
		for i := range rts {
			bare.Insert(rts[i].Dst, &rts[i])
		}
		r := rand.New(rand.NewPCG(3, 4))
		dsts := make([]netip.Addr, 1<<16)
		for i := range dsts {
			dsts[i] = rts[r.IntN(n)].Dst.Addr()
		}
		get := func(l *lwp.LWP) func(b *testing.B) {
			return func(b *testing.B) {
				b.ReportAllocs()
				for i := range b.N {
					var ref psref.Ref
					if _, err := tab.Get(l, &ref, dsts[i%len(dsts)]); err != nil {
						b.Fatal(err)
					}
					ref.Release(l)
				}
				l.Unbind()
			}
		}
		b.Run(fmt.Sprintf("routes=%d/softint", n), func(b *testing.B) { get(dom.BindSoftint("bench"))(b) })
		b.Run(fmt.Sprintf("routes=%d/thread", n), func(b *testing.B) { get(dom.Bind())(b) })
		b.Run(fmt.Sprintf("routes=%d/bart", n), func(b *testing.B) {
			for i := range b.N {
				if _, ok := bare.Lookup(dsts[i%len(dsts)]); !ok {
					b.Fatal("no route")
				}
			}
		})
		require.NoError(b, tab.Close(ctx))
	}
}

// BenchmarkReplace changes one route: a new entry, found by lookups, the old one freed.
func BenchmarkReplace(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			rts := randomRoutes(n)
			tab := rtable.New(lwp.NewDomain())
			require.NoError(b, tab.Load(slices.Values(rts)))
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				rt := rts[i%n]
				if err := tab.Replace(rt); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			require.NoError(b, tab.Close(ctx))
		})
	}
}

// BenchmarkLoad compares the load of a table to bart's of the same routes.
func BenchmarkLoad(b *testing.B) {
	rts := randomRoutes(100_000)
	b.Run("rtable", func(b *testing.B) {
		for range b.N {
			tab := rtable.New(lwp.NewDomain())
			require.NoError(b, tab.Load(slices.Values(rts)))
		}
	})
	b.Run("bart", func(b *testing.B) {
		for range b.N {
			var t bart.Table[*rtable.Route]
			for _, rt := range rts {
				t.Insert(rt.Dst, &rt)
			}
		}
	})
}

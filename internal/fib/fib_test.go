package fib_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/gaissmai/bart"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/internal/fib"
)

// rib is who keeps the prefixes beside a Table: bart, the referee.
type rib struct {
	fib  *fib.Table
	bart bart.Table[uint32]
	bits []int // of the prefix with a value, by value less one
}

func newRIB() *rib { return &rib{fib: new(fib.Table)} }

func (r *rib) length(value uint32) int { return r.bits[value-1] }

func (r *rib) value(p netip.Prefix) uint32 {
	r.bits = append(r.bits, p.Bits())
	return uint32(len(r.bits))
}

func (r *rib) insert(p netip.Prefix) {
	v := r.value(p)
	if old, ok := r.bart.Get(p); ok {
		r.fib.Replace(p, old, v)
	} else {
		r.fib.Insert(p, v, r.length)
	}
	r.bart.Insert(p, v)
}

func (r *rib) delete(p netip.Prefix) {
	old, ok := r.bart.Get(p)
	if !ok {
		return
	}
	r.bart.Delete(p)
	_, next, _ := r.bart.LookupPrefixLPM(p)
	r.fib.Replace(p, old, next)
}

func (r *rib) load(ps []netip.Prefix) {
	for _, p := range ps {
		r.bart.Insert(p, r.value(p))
	}
	r.fib.Load(r.bart.AllSorted())
}

func (r *rib) agree(t require.TestingT, as ...netip.Addr) {
	for _, a := range as {
		want, _ := r.bart.Lookup(a)
		if got := r.fib.Lookup(a); got != want {
			require.Failf(t, "disagree", "%v: fib says %d, bart %d", a, got, want)
		}
	}
}

// edges are the addresses where a mistake about p would show.
func edges(p netip.Prefix) []netip.Addr {
	first, last := p.Masked().Addr(), p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	as := []netip.Addr{first, end}
	for _, a := range []netip.Addr{first.Prev(), end.Next()} {
		if a.IsValid() {
			as = append(as, a)
		}
	}
	return as
}

func random(r *rand.Rand, six bool) netip.Prefix {
	b := make([]byte, 4, 16)
	if six {
		b = b[:16]
	}
	for i := range b { // few different octets, so that prefixes contain each other
		b[i] = []byte{0, 1, 127, 128, 255, byte(r.Uint32())}[r.IntN(6)]
	}
	a, _ := netip.AddrFromSlice(b)
	n := 12 + r.IntN(len(b)*8-11)
	if r.IntN(50) == 0 {
		n = 8 + r.IntN(4) // a short one concerns many entries of the root
	}
	return netip.PrefixFrom(a, n).Masked()
}

func families(t *testing.T, f func(t *testing.T, six bool)) {
	for name, six := range map[string]bool{"IPv4": false, "IPv6": true} {
		t.Run(name, func(t *testing.T) { f(t, six) })
	}
}

func TestTable_EmptyMatchesNothing(t *testing.T) {
	var x fib.Table
	require.Zero(t, x.Lookup(netip.MustParseAddr("192.0.2.1")))
	require.Zero(t, x.Lookup(netip.MustParseAddr("2001:db8::1")))
	out4, out6 := [fib.Burst]uint32{1}, [fib.Burst]uint32{1}
	x.Burst4(new([fib.Burst]uint32), &out4)
	x.Burst6(new([fib.Burst][2]uint64), &out6)
	require.Zero(t, out4)
	require.Zero(t, out6)
	require.Zero(t, x.Stats())
	x.Replace(netip.MustParsePrefix("0.0.0.0/0"), 1, 2)
	x.Load(func(func(netip.Prefix, uint32) bool) {})
	require.Zero(t, x.Lookup(netip.MustParseAddr("2001:db8::1")))
	require.Zero(t, x.Lookup(netip.MustParseAddr("192.0.2.1")))
}

// Every change leaves the answers that bart gives, at the edges of what changed and
// anywhere; chunks that were replaced are used again, and the arena is moved.
func TestTable_AgreesWithBart(t *testing.T) {
	families(t, func(t *testing.T, six bool) {
		r, rng := newRIB(), rand.New(rand.NewPCG(1, 2))
		var ps []netip.Prefix
		for i := range 6_000 {
			if len(ps) > 0 && rng.IntN(100) < 45 {
				k := rng.IntN(len(ps))
				r.delete(ps[k])
				r.agree(t, edges(ps[k])...)
				ps = slices.Delete(ps, k, k+1)
			} else {
				p := random(rng, six)
				r.insert(p)
				r.agree(t, edges(p)...)
				ps = append(ps, p)
			}
			if i%7 == 0 {
				r.fib.Free(r.fib.Dead())
			}
			if i%100 == 0 {
				for range 100 {
					r.agree(t, edges(random(rng, six))[0])
				}
			}
		}
		for i, p := range ps {
			r.delete(p)
			if i%50 == 0 {
				r.fib.Free(r.fib.Dead())
			}
		}
		require.Positive(t, r.fib.Stats().Moves, "the arena was never moved")
		for range 1000 {
			require.Zero(t, r.fib.Lookup(random(rng, six).Addr()))
		}
		r.fib.Free(r.fib.Dead())
		require.Zero(t, r.fib.Stats().Used, "with no prefix left no chunk is")
	})
}

// A default route concerns the whole root, under everything that is there.
func TestTable_DefaultRoute(t *testing.T) {
	families(t, func(t *testing.T, six bool) {
		r, rng := newRIB(), rand.New(rand.NewPCG(9, 10))
		var ps []netip.Prefix
		for range 300 {
			ps = append(ps, random(rng, six))
			r.insert(ps[len(ps)-1])
		}
		all := netip.PrefixFrom(ps[0].Addr(), 0).Masked()
		for _, change := range []func(netip.Prefix){r.insert, r.insert, r.delete} {
			change(all)
			for _, p := range ps {
				r.agree(t, edges(p)...)
			}
		}
	})
}

// Of a batch nothing is seen before it is committed, and then all of it; it may outgrow the
// arena meanwhile, and both families may change in it.
func TestCommit_ABatchIsSeenAsAWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	r := newRIB()
	var ps []netip.Prefix
	before := map[netip.Addr]uint32{}
	for round := range 60 {
		r.fib.Begin()
		for range 1 + rng.IntN(40) {
			if p := random(rng, rng.IntN(2) == 0); rng.IntN(3) > 0 || len(ps) == 0 {
				r.insert(p)
				ps = append(ps, p)
			} else {
				r.delete(ps[rng.IntN(len(ps))])
			}
		}
		for a, v := range before {
			require.Equal(t, v, r.fib.Lookup(a), "%v is answered from a batch that is not committed", a)
		}
		r.fib.Commit()
		for _, p := range ps {
			r.agree(t, edges(p)...)
			for _, a := range edges(p) {
				before[a] = r.fib.Lookup(a)
			}
		}
		if round%3 == 0 {
			r.fib.Free(r.fib.Dead())
		}
		if round%20 == 19 {
			r.fib.Load(r.bart.AllSorted())
			for _, p := range ps {
				r.agree(t, edges(p)...)
			}
		}
	}
}

func TestLoad_AgreesWithBart(t *testing.T) {
	families(t, func(t *testing.T, six bool) {
		rng := rand.New(rand.NewPCG(3, 4))
		seen := map[netip.Prefix]bool{}
		var ps []netip.Prefix
		for range 10_000 {
			if p := random(rng, six); !seen[p] {
				seen[p] = true
				ps = append(ps, p)
			}
		}
		r := newRIB()
		r.load(ps)
		for _, p := range ps {
			r.agree(t, edges(p)...)
		}
		for _, p := range ps[:2000] {
			r.delete(p)
			r.agree(t, edges(p)...)
		}
	})
}

func TestBurst_AgreesWithLookup(t *testing.T) {
	families(t, func(t *testing.T, six bool) {
		rng := rand.New(rand.NewPCG(5, 6))
		r := newRIB()
		for range 5000 {
			r.insert(random(rng, six))
		}
		for range 2000 {
			var a4, out [fib.Burst]uint32
			var a6 [fib.Burst][2]uint64
			var as [fib.Burst]netip.Addr
			for i := range as {
				as[i] = edges(random(rng, six))[rng.IntN(2)]
				if six {
					a6[i][0], a6[i][1] = fib.Words6(as[i])
				} else {
					a4[i] = fib.Word4(as[i])
				}
			}
			if six {
				r.fib.Burst6(&a6, &out)
			} else {
				r.fib.Burst4(&a4, &out)
			}
			for i, a := range as {
				require.Equal(t, r.fib.Lookup(a), out[i])
			}
		}
	})
}

// The same with shrinking: few prefixes of a small world, each history from the start.
func TestTable_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		six := rapid.Bool().Draw(t, "six")
		prefixes := rapid.Custom(func(t *rapid.T) netip.Prefix {
			b := make([]byte, 4, 16)
			if six {
				b = b[:16]
			}
			for i := range min(len(b), 5) {
				b[i] = rapid.SampledFrom([]byte{0, 1, 128, 255}).Draw(t, "octet")
			}
			a, _ := netip.AddrFromSlice(b)
			return netip.PrefixFrom(a, rapid.IntRange(0, min(len(b), 5)*8).Draw(t, "bits")).Masked()
		})
		r := newRIB()
		if rapid.Bool().Draw(t, "loaded") {
			r.load(rapid.SliceOfNDistinct(prefixes, 0, 10, rapid.ID[netip.Prefix]).Draw(t, "first"))
		}
		touched := []netip.Prefix{}
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				p := prefixes.Draw(t, "p")
				r.insert(p)
				touched = append(touched, p)
			},
			"delete": func(t *rapid.T) {
				if len(touched) == 0 {
					t.Skip("nothing")
				}
				r.delete(rapid.SampledFrom(touched).Draw(t, "p"))
			},
			"free": func(*rapid.T) { r.fib.Free(r.fib.Dead()) },
			"": func(t *rapid.T) {
				for _, p := range touched {
					r.agree(t, edges(p)...)
				}
			},
		})
	})
}

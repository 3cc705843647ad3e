package fib_test

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/stacktest/sched"
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// A reader stalls inside a chunk while the writer replaces it, waits for a grace period and
// builds another of its size in its place, for addresses elsewhere: an address whose prefix does
// not change is answered the same throughout, and one whose prefix does as before or as after.
func TestExplore_ReusedChunkAgainstAStalledReader(t *testing.T) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		dom := lwp.NewDomain()
		psz := pserialize.New(dom)
		r := newRIB()
		r.insert(pfx("10.1.2.0/24")) // stays, as value 1
		r.insert(pfx("10.1.3.0/24")) // value 2
		r.insert(pfx("10.2.7.0/24")) // value 3
		r.fib.Free(r.fib.Dead())
		stays, changes := netip.MustParseAddr("10.1.2.9"), netip.MustParseAddr("10.1.3.9")
		reader, writer := dom.Bind(), dom.Bind()
		s.Go("reader", func() {
			in := psz.ReadEnter(reader)
			s.Assert(r.fib.Lookup(stays) == 1, "an unchanged prefix is answered otherwise")
			v := r.fib.Lookup(changes)
			s.Assert(v == 2 || v == 0, "an answer that never was: %d", v)
			in.Exit()
			reader.Unbind()
		})
		s.Go("writer", func() {
			r.delete(pfx("10.1.3.0/24"))
			r.insert(pfx("10.2.8.0/24")) // now as many runs as there were around 10.1
			d := r.fib.Dead()
			require.NoError(s, psz.Perform(s.Context(), writer))
			r.fib.Free(d)
			r.insert(pfx("10.3.8.0/24"))
			r.insert(pfx("10.3.9.0/24")) // and here in its place
			writer.Unbind()
		})
	})
}

// P3, on real cores: readers who know which prefixes never change, under a writer who
// changes those around and between them, with chunks used again and arenas moved.
func TestTable_UnchangedPrefixesNeverMiss(t *testing.T) {
	families(t, func(t *testing.T, six bool) {
		dom := lwp.NewDomain()
		psz := pserialize.New(dom)
		rng := rand.New(rand.NewPCG(7, 8))
		r := newRIB()
		stay := map[netip.Addr]uint32{}
		var known []netip.Addr
		full := 32
		if six {
			full = 128
		}
		for range 200 { // host routes: no longer prefix can take their place
			p := netip.PrefixFrom(random(rng, six).Addr(), full)
			r.insert(p)
		}
		for p, v := range r.bart.All() {
			stay[p.Addr()] = v
			known = append(known, p.Addr())
		}
		var stop hook.Bool
		var all sync.WaitGroup
		for i := range 2 {
			all.Go(func() {
				l := dom.Bind()
				if i == 1 {
					l.Unbind()
					l = dom.BindSoftint("reader")
				}
				defer l.Unbind()
				for n := i; !stop.Load(); n++ {
					s := psz.ReadEnter(l)
					for k := range 20 {
						a := known[(n+k)%len(known)]
						if v := r.fib.Lookup(a); v != stay[a] {
							t.Errorf("%v: %d, want %d", a, v, stay[a])
							stop.Store(true)
						}
					}
					s.Exit()
					l.Checkpoint()
					runtime.Gosched() // let the writer have a core
				}
			})
		}
		l := dom.Bind()
		var ps []netip.Prefix
		changes := 1500
		if invariants.Enabled {
			changes = 300
		}
		for i := 0; i < changes && !stop.Load(); i++ {
			p := random(rng, six)
			if p.Bits() == full {
				continue
			}
			r.insert(p)
			if ps = append(ps, p); len(ps) > 60 {
				r.delete(ps[0])
				ps = ps[1:]
			}
			if i%30 == 0 {
				d := r.fib.Dead()
				require.NoError(t, psz.Perform(context.Background(), l))
				r.fib.Free(d)
			}
		}
		stop.Store(true)
		all.Wait()
		l.Unbind()
	})
}

// A prefix that concerns many entries of the root comes as a whole: who has seen it at one
// address sees it at every other one.
func TestExplore_ShortPrefixIsSeenAsAWhole(t *testing.T) {
	sched.Explore(t, sched.Options{}, func(s *sched.S) {
		dom := lwp.NewDomain()
		psz := pserialize.New(dom)
		r := newRIB()
		r.insert(pfx("10.0.0.0/14")) // four entries: value 1, and then 2
		reader := dom.Bind()
		s.Go("reader", func() {
			in := psz.ReadEnter(reader)
			last := r.fib.Lookup(netip.MustParseAddr("10.3.0.1"))
			first := r.fib.Lookup(netip.MustParseAddr("10.0.0.1"))
			s.Assert(last <= first, "%d at the end, and then %d at the beginning", last, first)
			first = r.fib.Lookup(netip.MustParseAddr("10.0.0.1"))
			last = r.fib.Lookup(netip.MustParseAddr("10.3.0.1"))
			s.Assert(first <= last, "%d at the beginning, and then %d at the end", first, last)
			in.Exit()
			reader.Unbind()
		})
		s.Go("writer", func() { r.insert(pfx("10.0.0.0/14")) })
	})
}

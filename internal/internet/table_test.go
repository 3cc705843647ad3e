package internet_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"github.com/gaissmai/bart"
	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/fib"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/internet"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

// These are about the tables that the data is for; they are here because nothing else may
// know it.

var long = flag.Bool("long", false, "look at everything: a million addresses, every prefix, a million changes")

// volume returns n with -long, and otherwise as little as is quick.
func volume(n int) int {
	switch {
	case *long:
		return n
	case invariants.Enabled:
		return n / 200
	}
	return n / 20
}

// prefixes returns the table, or in checked builds, which are slow, a tenth of it.
func prefixes() (ps []netip.Prefix) {
	all := internet.Prefixes()
	if !invariants.Enabled {
		return all
	}
	for i := 0; i < len(all); i += 10 {
		ps = append(ps, all[i])
	}
	return ps
}

// edges are the addresses where a mistake about p would show: its first and last, and one
// before and one after.
func edges(p netip.Prefix) []netip.Addr {
	first, last := p.Addr(), p.Addr().AsSlice()
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

func random(rng *rand.Rand, six bool) netip.Addr {
	b := make([]byte, 4, 16)
	if six {
		b = b[:16]
		b[0] = 0x20 // where there is anything
	}
	for i := len(b) / 16; i < len(b); i++ {
		b[i] = byte(rng.Uint32())
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// P4 on the real table: every way to look an address up answers as bart does.
func TestRtable_AnswersAsBartDoes(t *testing.T) {
	ps := prefixes()
	var referee bart.Table[int]
	dom := lwp.NewDomain()
	rt := rtable.New(dom)
	require.NoError(t, rt.Load(func(yield func(rtable.Route) bool) {
		for i, p := range ps {
			referee.Insert(p, i)
			// Each route has an interface of its own, which says which it is.
			if !yield(rtable.Route{Dst: p, Out: ifnet.ID{Index: uint32(i) + 1, Gen: 1}}) {
				return
			}
		}
	}))
	l := dom.BindSoftint("input")
	dsts, hits := make([]netip.Addr, 0, 64), make([]rtable.Hit, 64)
	asked := 0
	check := func() {
		rt.PeekBurst(l, dsts, hits)
		for i, a := range dsts {
			want, ok := referee.Lookup(a)
			peek := rt.Peek(l, a)
			var ref psref.Ref
			e, err := rt.Get(l, &ref, a)
			if !ok {
				require.Equal(t, rtable.ErrNotFound, err, a)
				require.Nil(t, peek.Next, a)
				require.Nil(t, hits[i].Next, a)
				continue
			}
			if id := uint32(want) + 1; err != nil || e.Out().Index != id || peek.Next.Out.Index != id || hits[i].Next.Out.Index != id {
				require.Failf(t, "disagree", "%v: %v (%v), want route %d", a, e, err, id)
			}
			ref.Release(l)
		}
		l.Checkpoint()
		asked += len(dsts)
		dsts = dsts[:0]
	}
	ask := func(as ...netip.Addr) {
		if dsts = append(dsts, as...); len(dsts) > 60 {
			check()
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range volume(1 << 20) {
		ask(random(rng, i%4 == 3))
	}
	step := len(ps) / volume(len(ps))
	for i := 0; i < len(ps); i += step {
		ask(edges(ps[i])...)
	}
	check()
	l.Unbind()
	require.NoError(t, rt.Close(context.Background()))
	t.Logf("%d addresses in %d routes", asked, len(ps))
}

// The FIB of the real table, through changes all over it, answers as bart does after each,
// while readers who know which prefixes never change never miss one.
func TestFIB_ChangesAsBartDoes(t *testing.T) {
	ps := prefixes()
	var referee bart.Table[uint32]
	bits := []int{0} // by value
	for _, p := range ps {
		referee.Insert(p, uint32(len(bits)))
		bits = append(bits, p.Bits())
	}
	var f fib.Table
	f.Load(referee.AllSorted())
	length := func(v uint32) int { return bits[v] }

	// Who never changes: host routes, which no longer prefix can hide.
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	rng := rand.New(rand.NewPCG(3, 4))
	stays := map[netip.Addr]uint32{}
	var known []netip.Addr
	for i := range 1000 {
		a := random(rng, i%4 == 3)
		p := netip.PrefixFrom(a, a.BitLen())
		v := uint32(len(bits))
		bits = append(bits, p.Bits())
		f.Insert(p, v, length)
		referee.Insert(p, v)
		stays[a] = v
		known = append(known, a)
	}
	var stop hook.Bool
	var wrong hook.Int64
	var looked [2]int
	var readers, bound sync.WaitGroup // Perform waits for a reader once it is bound, not before
	bound.Add(len(looked))
	for id := range looked {
		readers.Go(func() {
			l := dom.BindSoftint("reader")
			defer l.Unbind()
			bound.Done()
			for n := id; !stop.Load(); n++ {
				for k := range 50 {
					a := known[(n*50+k)%len(known)]
					if f.Lookup(a) != stays[a] {
						wrong.Add(1)
					}
				}
				looked[id] += 50
				l.Checkpoint()
			}
		})
	}
	bound.Wait()
	writer := dom.Bind()
	changes := volume(300_000)
	if *long {
		changes = 1_000_000
	}
	for n := range changes {
		p := ps[rng.IntN(len(ps))]
		if rng.IntN(4) == 0 { // one that is in no table
			p = netip.PrefixFrom(p.Addr(), p.Bits()+rng.IntN(p.Addr().BitLen()-p.Bits()+1)).Masked()
		}
		if p.IsSingleIP() {
			continue
		}
		if old, there := referee.Get(p); there {
			referee.Delete(p)
			shorter, _ := referee.LookupPrefix(p)
			f.Replace(p, old, shorter)
		} else {
			v := uint32(len(bits))
			bits = append(bits, p.Bits())
			f.Insert(p, v, length)
			referee.Insert(p, v)
		}
		for _, a := range edges(p) {
			if want, _ := referee.Lookup(a); f.Lookup(a) != want {
				require.Failf(t, "disagree", "change %d, of %v: %v has %d, want %d", n, p, a, f.Lookup(a), want)
			}
		}
		if n%100 == 0 {
			dead := f.Dead()
			require.NoError(t, psz.Perform(context.Background(), writer))
			f.Free(dead)
		}
	}
	stop.Store(true)
	readers.Wait()
	writer.Unbind()
	require.Zero(t, wrong.Load(), "unchanged prefixes were answered otherwise")
	require.Positive(t, looked[0]+looked[1])
	t.Logf("%d changes, %d looks at what never changes, %+v", changes, looked[0]+looked[1], f.Stats())
}

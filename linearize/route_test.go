package linearize

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
)

var (
	prefix   = netip.MustParsePrefix("10.1.0.0/16")
	dst      = netip.MustParseAddr("10.1.2.3")
	covering = route(netip.MustParsePrefix("0.0.0.0/0"), 0)
)

func route(p netip.Prefix, gw byte) rtable.Route {
	return rtable.Route{Dst: p, Gateway: netip.AddrFrom4([4]byte{192, 0, 2, gw}), Out: ifnet.ID{Index: 1, Gen: 1}}
}

type op uint8

const (
	get op = iota
	add
	remove
	replace
	change
)

func (o op) String() string { return [...]string{"Get", "Add", "Delete", "Replace", "Change"}[o] }

// An input is an operation, and the gateway that it sets.
type input struct {
	op op
	gw byte
}

// An output is the gateway that was found, and what else was said.
type output struct {
	gw  byte
	err error
}

// model is one prefix: the gateway of its route, 0 for none, when lookups find that of the
// covering one. A Get that meets an update learns nothing.
var model = porcupine.Model{
	Init: func() any { return byte(0) },
	Step: func(state, in, out any) (bool, any) {
		now, i, o := state.(byte), in.(input), out.(output)
		there := now != 0
		switch i.op {
		case get:
			return o.err == rtable.ErrUpdating || o.err == nil && o.gw == now, now
		case add:
			if there {
				return errors.Is(o.err, rtable.ErrExists), now
			}
		default:
			if !there {
				return errors.Is(o.err, rtable.ErrNotFound), now
			}
		}
		if i.op == remove {
			return o.err == nil, byte(0)
		}
		return o.err == nil, i.gw
	},
	DescribeOperation: func(in, out any) string {
		i, o := in.(input), out.(output)
		if i.op == get {
			return fmt.Sprintf("Get: %d %v", o.gw, o.err)
		}
		return fmt.Sprintf("%v(%d): %v", i.op, i.gw, o.err)
	},
}

// do does one operation. Who looks up does it in one of the ways there are.
func do(l *lwp.LWP, rt *rtable.Table, ro *rtcache.Cache, in input, way int) output {
	ctx := context.Background()
	found := func(e *rtable.Entry, err error) output {
		if err != nil {
			return output{err: err}
		}
		return output{gw: e.Gateway().As4()[3]}
	}
	switch in.op {
	case add:
		return output{err: rt.Add(route(prefix, in.gw))}
	case remove:
		return output{err: rt.Delete(prefix)}
	case replace:
		return output{err: rt.Replace(route(prefix, in.gw))}
	case change:
		return output{err: rt.Change(ctx, l, route(prefix, in.gw))}
	}
	switch way {
	case 0:
		var ref psref.Ref
		e, err := rt.Get(l, &ref, dst)
		out := found(e, err)
		if err == nil {
			ref.Release(l)
		}
		return out
	case 1:
		e, err := rt.Lookup(ctx, l, dst)
		out := found(e, err)
		if err == nil {
			e.Unref()
		}
		return out
	}
	e, err := ro.Lookup(l, rt, dst)
	out := found(e, err)
	if err == nil {
		ro.Release(l)
	}
	return out
}

// record lets some goroutines do so many operations each, and returns the history.
func record(t *testing.T, seed uint64, workers, ops int) (history []porcupine.Operation) {
	dom := lwp.NewDomain()
	rt := rtable.New(dom)
	require.NoError(t, rt.Add(covering))
	start := time.Now()
	each := make([][]porcupine.Operation, workers)
	var all sync.WaitGroup
	for id := range workers {
		all.Go(func() {
			l := dom.Bind()
			defer l.Unbind()
			rng := rand.New(rand.NewPCG(seed, uint64(id)))
			var ro rtcache.Cache
			for n := range ops {
				in := input{op(max(0, rng.IntN(9)-4)), byte(1 + id*ops + n)}
				call := time.Since(start)
				out := do(l, rt, &ro, in, rng.IntN(3))
				each[id] = append(each[id], porcupine.Operation{ClientId: id, Input: in, Output: out, Call: int64(call), Return: int64(time.Since(start))})
				if rng.IntN(4) == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, rt.Close(context.Background()))
	for _, h := range each {
		history = append(history, h...)
	}
	return history
}

// Whatever several goroutines do to a route, and however they look it up, there is an order
// in which it might have happened one after the other.
func TestTable_IsLinearizable(t *testing.T) {
	histories := 200
	if testing.Short() {
		histories = 20
	}
	met := map[string]int{}
	for seed := range uint64(histories) {
		h := record(t, seed, 4, 50)
		result := porcupine.CheckOperationsTimeout(model, h, time.Minute)
		require.Equal(t, porcupine.Ok, result, "seed %d", seed)
		for _, o := range h {
			out := o.Output.(output)
			met[fmt.Sprintf("%v, err %v", o.Input.(input).op, out.err != nil)]++
		}
	}
	for _, o := range []op{get, add, remove, replace, change} { // it was not vacuous
		require.NotZero(t, met[fmt.Sprintf("%v, err false", o)], "%v never succeeded: %v", o, met)
		if o != get {
			require.NotZero(t, met[fmt.Sprintf("%v, err true", o)], "%v never failed: %v", o, met)
		}
	}
}

// The checker can say no: a lookup that finds what was deleted before it began is refused.
func TestModel_RefusesAStaleAnswer(t *testing.T) {
	history := []porcupine.Operation{
		{Input: input{add, 1}, Output: output{}, Call: 0, Return: 1},
		{Input: input{op: remove}, Output: output{}, Call: 2, Return: 3},
		{Input: input{op: get}, Output: output{gw: 1}, Call: 4, Return: 5},
	}
	require.False(t, porcupine.CheckOperations(model, history))
	history[2].Output = output{gw: 0}
	require.True(t, porcupine.CheckOperations(model, history))
	history[2].Call = 1 // they overlap
	history[2].Output = output{gw: 1}
	require.True(t, porcupine.CheckOperations(model, history))
}

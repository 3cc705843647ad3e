package forward

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/rtable"
)

// What changes while packets are forwarded: each of these runs until ctx ends and counts
// what it has done. Only the flapping goes by -churn.

const (
	flapTick   = 5 * time.Millisecond   // how often the flapping catches up with its rate
	updateTick = 5 * time.Millisecond   // between two changes of an entry in place
	updateFor  = 50 * time.Millisecond  // how long one may wait for holders
	renewTick  = 5 * time.Millisecond   // until one is renewed that nobody looks at
	leaveFirst = 200 * time.Millisecond // until a gateway leaves
	leaveEvery = 800 * time.Millisecond // between one's return and the next one's leaving
	comeBackIn = 200 * time.Millisecond
)

// changes is what has been done to the table and the gateways.
type changes struct {
	added, deleted, changed uint64 // routes that flap
	updated                 uint64 // of them, in place, under RTF_UPDATING
	renewed                 uint64 // neighbour entries
	left                    uint64 // gateways
	lost, back              uint64 // routes that left and came back with them
}

// pause waits for d, or until ctx ends, and reports whether it has waited for d.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// flap withdraws, announces and changes routes at a rate, in changes a second.
func (r *router) flap(ctx context.Context, rng *rand.Rand, ps []netip.Prefix, rate float64) {
	if len(ps) == 0 {
		return
	}
	there := make([]bool, len(ps)) // of each, whether it is in the table
	for i := range there {
		there[i] = true
	}
	for start, done := time.Now(), 0.0; pause(ctx, flapTick); {
		for due := time.Since(start).Seconds() * rate; done < due && ctx.Err() == nil; done++ {
			i := rng.IntN(len(ps))
			rt := routeTo(ps[i], rng.IntN(leaving), 1)
			var err error
			switch {
			case !there[i]:
				err = r.table.Add(rt)
				there[i] = true
				r.added++
			case rng.IntN(2) == 0:
				err = r.table.Delete(rt.Dst)
				there[i] = false
				r.deleted++
			default:
				err = r.table.Replace(rt)
				r.changed++
			}
			if err != nil {
				r.faults.add(refused, "%v", err)
			}
		}
	}
}

// update changes routes that flap in place: the entry stays, packets to it miss until all who
// hold it have let go, and nobody sees it half changed. One that has just been withdrawn is
// left out, and one whose holder stays for longer than a beat is as it was.
func (r *router) update(ctx context.Context, rng *rand.Rand, ps []netip.Prefix) {
	if len(ps) == 0 {
		return
	}
	l := r.dom.Bind()
	defer l.Unbind()
	for pause(ctx, updateTick) {
		beat, cancel := context.WithTimeout(ctx, updateFor)
		err := r.table.Change(beat, l, routeTo(ps[rng.IntN(len(ps))], rng.IntN(leaving), 1))
		cancel()
		switch {
		case err == nil:
			r.updated++
		case !errors.Is(err, rtable.ErrNotFound) && beat.Err() == nil:
			r.faults.add(refused, "%v", err)
		}
	}
}

// renew puts a new gateway in the place of one, as when a neighbour entry has expired and
// is resolved again: one that a packet is looking at, if there is one just then. The place
// is never empty.
func (r *router) renew(ctx, patient context.Context, rng *rand.Rand) {
	l := r.dom.Bind()
	defer l.Unbind()
	for {
		i := renewing + rng.IntN(leaving-renewing)
		select {
		case index := <-r.looking:
			i = int(index) - 1
		case <-time.After(renewTick):
		case <-ctx.Done():
			return
		}
		r.retire(patient, l, r.install(i, 1, uint32(r.renewed)+2))
		r.renewed++
	}
}

// renewNow asks for the gateway with that index to be renewed, and reports whether it
// will be at once. The caller is looking at it.
func (r *router) renewNow(index uint32) bool {
	select {
	case r.looking <- index:
		return true
	default:
		return false
	}
}

// leave has gateways leave, with all routes through them, and come back.
func (r *router) leave(ctx, patient context.Context, ps []netip.Prefix) {
	l := r.dom.Bind()
	defer l.Unbind()
	wait := leaveFirst
	for n := 0; pause(ctx, wait); n++ {
		i, gen := leaving+n%(gateways-leaving), uint32(n/(gateways-leaving))+1
		r.path.detach(patient, l, ifnet.ID{Index: uint32(i) + 1, Gen: gen}) // with what waits for it
		gone, err := r.table.DeleteMatching(func(rt rtable.Route) bool { return rt.Out.Index == uint32(i)+1 })
		if err != nil {
			r.faults.add(refused, "%v", err)
		}
		r.retire(patient, l, r.install(i, 0, 0))
		r.left++
		r.lost += uint64(gone)

		pause(ctx, comeBackIn)
		r.install(i, gen+1, 1)
		if err := r.path.attach(i, gen+1); err != nil {
			r.faults.add(refused, "%v", err)
		}
		var rts []rtable.Route
		for _, p := range ps {
			if gatewayOf(p) == i {
				rts = append(rts, routeTo(p, i, gen+1))
			}
		}
		if err := r.table.Load(slices.Values(rts)); err != nil {
			r.faults.add(refused, "%v", err)
		}
		r.back += uint64(len(rts))
		if gone != len(rts) {
			r.faults.add(refused, "gateway %d left with %d routes and came back with %d", i+1, gone, len(rts))
		}
		wait = leaveEvery
	}
}

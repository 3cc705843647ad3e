package pfsync

import (
	"context"
	"time"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
	"github.com/softnet-go/softnet/psref"
)

// A run is a device from Up to Down: nothing of one is left to the next. To pf it is the syncer.
type run struct {
	d      *Device
	table  *pf.Table
	dev    ifnet.ID
	mtu    int
	slices []*slice
	out    *outlet // of what is of no slice

	maxUpdates int
	holdFor    time.Duration

	users psref.Target // who is inside longer than a hook takes
	dead  bool         // users is; of who takes the device down

	mu      hook.Mutex // leaf; guards what follows
	wake    hook.Cond
	req     Request
	wantAll bool // all states are to be asked for
	asked   bool // somebody has asked for all of ours
	noLink  bool
	adjust  []adjustment
	ended   bool
	workers int

	sent hook.Int64 // states, of a transfer

	// Of the worker:
	bulk    bulk
	bulkAt  time.Time
	scratch []byte
}

// An adjustment is of the demotion counters.
type adjustment struct {
	by  int
	why string
}

func newRun(d *Device) *run {
	c := &d.c
	r := &run{
		d: d, table: c.Table, dev: c.Dev, mtu: c.MTU, maxUpdates: c.MaxUpdates, holdFor: c.Hold,
		scratch: make([]byte, 0, c.MTU),
	}
	r.req.Wait = Wait(c.Table.Limit(), c.MTU)
	d.class.Init(&r.users)
	r.out = d.outlets[c.Slices]
	for i := range c.Slices {
		r.slices = append(r.slices, &slice{r: r, out: d.outlets[i], len: empty})
	}
	r.linkDown(true) // until somebody says otherwise
	return r
}

// start starts the workers: one for each slice, and one for transfers.
func (r *run) start() {
	if r.d.c.Manual {
		return
	}
	r.workers = 1 + len(r.slices)
	hook.Go("pfsync bulk", func() { defer r.workerEnds(); r.work() })
	for _, s := range r.slices {
		hook.Go("pfsync slice", func() { defer r.workerEnds(); s.work() })
	}
}

func (r *run) workerEnds() {
	r.mu.Lock()
	r.workers--
	r.wake.Broadcast()
	r.mu.Unlock()
}

// stop ends the workers, and lets go of everything. Nothing is queued any more.
func (r *run) stop(ctx context.Context) error {
	r.mu.Lock()
	r.ended = true
	r.wake.Broadcast()
	r.mu.Unlock()
	for _, s := range r.slices {
		s.lock()
		s.ended = true
		s.wake.Broadcast()
		s.mu.Unlock()
	}
	r.mu.Lock()
	for r.workers > 0 {
		if err := r.wake.WaitContext(ctx, &r.mu); err != nil {
			r.mu.Unlock()
			return err
		}
	}
	adjust := r.adjust
	r.adjust = nil
	r.mu.Unlock()
	r.demote(adjust)
	unlock := r.table.LockList()
	r.bulk = bulk{}
	unlock()
	for _, s := range r.slices {
		s.lock()
		s.drop()
		out := s.held
		s.held = nil
		for _, h := range out {
			h.st.Sync.Held = 0
		}
		s.mu.Unlock()
		r.forward(out)
	}
	return nil
}

// work is the worker for transfers.
func (r *run) work() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.ended {
		next := r.turn(time.Now())
		if r.ended || r.pending() {
			continue
		}
		ctx, cancel := until(next)
		_ = r.wake.WaitContext(ctx, &r.mu)
		cancel()
	}
}

// pending reports whether there is something to do that does not wait for its time.
func (r *run) pending() bool {
	return r.wantAll || len(r.adjust) > 0 || r.asked && !r.bulk.active() && r.bulkAt.IsZero()
}

// turn does what is due, and returns when it is to be called again at the latest; zero for when
// somebody wakes the worker. mu is held, and let go of meanwhile.
func (r *run) turn(now time.Time) (next time.Time) {
	r.step(Tick, now)
	adjust, ask := r.adjust, r.wantAll
	r.adjust, r.wantAll = nil, false
	asked := r.asked
	r.mu.Unlock()
	r.demote(adjust)
	if ask {
		r.ask(make([]wire.ID, 1))
	}
	if (r.bulk.active() || asked) && (r.bulkAt.IsZero() || due(r.bulkAt, now)) {
		asked = r.burst(asked)
		r.bulkAt = time.Time{}
		if r.bulk.active() || asked {
			r.bulkAt = now.Add(r.d.c.BulkEvery)
		}
		r.mu.Lock()
		if !asked {
			r.asked = false
		}
	} else {
		r.mu.Lock()
	}
	next = r.req.At()
	if !r.bulkAt.IsZero() && (next.IsZero() || r.bulkAt.Before(next)) {
		next = r.bulkAt
	}
	return next
}

// burst sends a few packets of a transfer, a new one if none goes on and somebody asked for one. It
// reports whether it is still to be begun.
func (r *run) burst(asked bool) (still bool) {
	for range r.d.c.BulkBurst {
		start := !r.bulk.active()
		if start && !asked {
			break
		}
		if !r.bulkTurn(start) {
			break
		}
		if start {
			asked = false
		}
	}
	return asked
}

// step has the request machine take an event. mu is held.
func (r *run) step(e Event, now time.Time) {
	a := r.req.Step(now, e)
	if a.Demote != 0 {
		r.adjust = append(r.adjust, adjustment{a.Demote, a.Why})
	}
	if a.Send {
		r.wantAll = true
	}
	if a.Send || a.Demote != 0 || e != Tick && e != BulkUpdate {
		r.wake.Signal()
	}
}

// link is told whether there is a link (pfsync_syncdev_state). A device without one is demoted, and
// the first is what it asks for states over.
func (r *run) link(up bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.linkDown(!up)
	if up {
		r.step(LinkUp, time.Now())
	}
}

// linkDown demotes a device by one for want of a link. mu is held.
func (r *run) linkDown(is bool) {
	if r.noLink == is || r.ended {
		return
	}
	by, why := -1, "pfsync link up"
	if is {
		by, why = 1, "pfsync link down"
	}
	r.noLink = is
	r.adjust = append(r.adjust, adjustment{by, why})
	r.wake.Signal()
}

// odd counts a call of a hook for a state that is not where it should be. It cannot happen; if it
// does, nothing else is done.
func (r *run) odd() { r.count(&r.d.stats.odd) }

func (r *run) demote(as []adjustment) {
	for _, a := range as {
		r.d.c.Log.Info("pfsync: demoted", "by", a.by, "why", a.why)
		if f := r.d.c.Demote; f != nil {
			f(a.by, a.why)
		}
	}
}

// forward sends on what was held back, marked as tested.
func (r *run) forward(out []held) {
	for _, h := range out {
		h.m.Take(heldQueue, nil)
		pf.Generated(h.m)
		if r.d.held.Dispatch(h.m, h.m.Out, h.st) != nil {
			r.count(&r.d.stats.heldDrops)
			h.st.Release()
		}
	}
}

// Name, Purge, Barrier and Down make it an ifnet.Drainer, of what is held back.

// Name is for reports.
func (r *run) Name() string { return "pfsync held" }

// Purge frees what is held back and names an interface.
func (r *run) Purge(id ifnet.ID) (n int) {
	for _, s := range r.slices {
		n += s.purge(id)
	}
	return n
}

// Barrier has nothing to wait for: no handler runs with what is held back.
func (r *run) Barrier(context.Context, *lwp.LWP, ifnet.ID) error { return nil }

// Down keeps what is held back: it is found out later that it cannot be sent.
func (r *run) Down(ifnet.ID) int { return 0 }

// until returns a context that ends at a time, or never if that is zero. A schedule explorer's
// actors do not wait for time.
func until(at time.Time) (context.Context, context.CancelFunc) {
	if at.IsZero() || hook.Exploring() {
		return context.Background(), func() {}
	}
	return context.WithDeadline(context.Background(), at)
}

// Step does, in the caller, what the workers of a device without any would do now, and returns when
// there is something to do again at the latest; zero if nothing waits for its time.
func (d *Device) Step() (next time.Time) {
	r := d.running.Load()
	if r == nil {
		return next
	}
	r.mu.Lock()
	next = r.turn(time.Now())
	r.mu.Unlock()
	for _, s := range r.slices {
		s.lock()
		at := s.turn(time.Now())
		s.mu.Unlock()
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

package psref

import (
	"context"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
)

// Condemn begins to destroy many targets: it refuses new references to all of them, and
// finds out who holds any, in one scan and one round of checkpoints for all. When it has
// returned nil, [Target.Reap] says of each whether the last holder has let go. What it asks
// of its caller, and what ends it early, is as with [Target.Destroy], except that it does not
// wait for holders. No target may be in it twice.
func (c *Class) Condemn(ctx context.Context, l *lwp.LWP, ts []*Target) error {
	if len(ts) == 0 {
		return nil
	}
	for _, t := range ts {
		if err := t.mayDestroy(l); err != nil {
			return err
		}
	}
	c.mu.Lock()
	for _, t := range ts {
		if t.class != c || t.destroyer != nil || t.life.Dying.Load() == dead {
			c.mu.Unlock()
			t.cannotDestroy(l)
		}
		t.life.Dying.Store(draining)
		t.life.Pending.Add(1) // ours, while we look
	}
	c.mu.Unlock()
	c.findAll(ts)
	err := c.dom.Machine().Rendezvous(ctx)
	for _, t := range ts {
		if err == nil {
			t.life.Dying.Store(condemned)
		}
		if t.life.Pending.Add(-1) != 0 && err == nil {
			c.waited.Inc()
		}
	}
	return err
}

// findAll marks every slot that refers to one of ts.
func (c *Class) findAll(ts []*Target) {
	var byID map[uint64]*Target // made when there is anything to look up
	find := func(s *hook.Uint64, id uint64) {
		if byID == nil {
			byID = make(map[uint64]*Target, len(ts))
			for _, t := range ts {
				byID[t.id] = t
			}
		}
		if t := byID[id]; t != nil {
			t.find(s)
		}
	}
	for _, p := range c.dom.Machine().All() {
		for ch := &p.Refs; ch != nil; ch = ch.Next() {
			for i := range ch.Slots {
				if s := &ch.Slots[i]; s.Load() != 0 {
					find(s, s.Load())
				}
			}
		}
	}
}

// Reap reports whether t, which [Class.Condemn] has condemned since the time given, is dead
// now: its last holder has let go. It never blocks. One at a time may call it.
func (t *Target) Reap(since time.Time) bool {
	if t.life.Dying.Load() != condemned {
		panic(violation("not condemned", "%v is reaped and was not condemned", t))
	}
	if t.life.Pending.Load() != 0 {
		return false
	}
	t.life.Dying.Store(dead)
	t.class.buried(false, time.Since(since)) // Condemn counted it if anybody is waited for
	return true
}

// Revive makes t live again after a [Target.Destroy] or [Class.Condemn] that its context
// ended: who held it still does, and it can be acquired again. It panics unless t is being
// destroyed and nobody is waiting for that.
func (t *Target) Revive() {
	c := t.class
	if c == nil {
		panic(violation("not initialised", "%v is revived", t))
	}
	c.mu.Lock()
	dying := t.life.Dying.Load()
	ok := t.destroyer == nil && (dying == draining || dying == condemned)
	if ok {
		t.life.Dying.Store(live)
	}
	c.mu.Unlock()
	if !ok {
		panic(violation("revived", "%v is revived, but it is not being destroyed, or somebody waits for that", t))
	}
}

// Holders lists who holds t, as far as a checked build remembers: where each reference was
// acquired. In other builds it returns nil. It is for reports.
func (t *Target) Holders() (sites []invariants.Site) {
	if invariants.Enabled && t.class != nil {
		for _, h := range t.class.dom.Machine().HoldersOf(t.id) {
			sites = append(sites, h.Site)
		}
	}
	return sites
}

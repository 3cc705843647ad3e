package main

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/softnet-go/softnet/psref"
)

// What those do in a turn who make objects leave.

// A farewell is all the waiting between taking an object out of sight and using it again.
type farewell func(a *actor, o *object)

// graceOnly is for objects that are looked at and never held.
func graceOnly(a *actor, o *object) {
	a.perform()
	o.happened(graced)
}

// graceFirst is the order of the book: when holders are waited for there are no new ones.
func graceFirst(a *actor, o *object) {
	graceOnly(a, o)
	a.destroy(o)
}

// drainFirst is legal as well, as long as memory is not used again before both waits are
// over: readers who come late find that Acquire fails.
func drainFirst(a *actor, o *object) {
	a.destroy(o)
	graceOnly(a, o)
}

// either takes one of the two.
func either(a *actor, o *object) {
	if a.oneIn(2) {
		graceFirst(a, o)
	} else {
		drainFirst(a, o)
	}
}

// depart replaces one object after the other.
func depart(goodbye farewell) func(*actor) {
	return func(a *actor) {
		if o := a.unlink(); o != nil {
			goodbye(a, o)
			a.free(o)
		}
		if a.oneIn(8) {
			runtime.Gosched()
		}
	}
}

// unlink puts a fresh object, or none if there is none, where an old one was.
func (a *actor) unlink() *object {
	o := a.shelf[a.rng.IntN(len(a.shelf))].Swap(a.mint())
	if o == nil {
		return nil
	}
	a.left(o)
	return o
}

// left notes that o is out of sight.
func (a *actor) left(o *object) {
	a.t.n[ops]++
	a.t.n[departures]++
	o.happened(unlinked)
	close(o.left)
}

// flood makes every object leave at once, behind a single grace period.
func flood(a *actor) {
	var os []*object
	for i := range a.shelf {
		if o := a.shelf[i].Swap(a.mint()); o != nil {
			a.left(o)
			os = append(os, o)
		}
	}
	a.perform()
	for _, o := range os {
		o.happened(graced)
	}
	a.together(len(os), func(b *actor) {
		b.bind(thread)
		o := os[b.index]
		b.destroy(o)
		b.free(o)
		b.unbind()
	})
	a.park(a.upTo(time.Millisecond), nil)
}

// giveUp makes objects leave under contexts that end, and goes on with what another gave
// up on.
func giveUp(a *actor) {
	var o *object
	select {
	case o = <-a.limbo:
		a.t.n[resumed]++
	default:
		if o = a.unlink(); o == nil {
			runtime.Gosched()
			return
		}
	}
	ctx, cancel := a.endsSoon()
	defer cancel()
	if a.finish(ctx, o) {
		a.free(o)
		return
	}
	a.t.n[cancelled]++
	a.limbo <- o
}

// endsSoon returns a context that has ended, is being ended, or will end.
func (a *actor) endsSoon() (context.Context, context.CancelFunc) {
	switch a.rng.IntN(8) {
	case 0:
		ctx, cancel := context.WithCancel(a.life)
		cancel()
		return ctx, cancel
	case 1, 2:
		ctx, cancel := context.WithCancel(a.life)
		go cancel()
		return ctx, cancel
	}
	return context.WithTimeout(a.life, a.upTo(time.Millisecond))
}

// finish goes on with what is left of o's farewell and reports whether ctx let it.
func (a *actor) finish(ctx context.Context, o *object) bool {
	if o.stamp.Load()&graced == 0 {
		if err := a.psz.Perform(ctx, a.l); err != nil {
			a.mustHaveEnded(ctx, err)
			return false
		}
		o.happened(graced)
	}
	if err := o.target.Destroy(ctx, a.l); err != nil {
		a.mustHaveEnded(ctx, err)
		var ref psref.Ref
		if a.class.Acquire(a.l, &ref, &o.target) {
			convict("%v acquires %v, whose Destroy was given up but has begun", a.l, o)
		}
		a.t.n[refused]++
		return false
	}
	a.destroyed(o)
	return true
}

// mustHaveEnded checks that a wait gave up because its context had ended.
func (a *actor) mustHaveEnded(ctx context.Context, err error) {
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		convict("a wait by %v ends with %v while its context says %v", a.l, err, ctx.Err())
	}
}

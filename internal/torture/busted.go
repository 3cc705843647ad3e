package main

import (
	"runtime"
	"time"

	"github.com/softnet-go/softnet/pserialize"
)

// The BUSTED scenarios use the library wrongly, each in one way that somebody will try.
// A torture that does not convict every one of them proves nothing about the others.
//
// They are wrong in protocol, not in memory: readers keep off plain memory, so it is the
// ages and the counts that convict.

// round is a small setting, so that what is freed is soon something else.
var round = setting{places: 4, spare: 2, racy: true}

// bareRound is one where read sections alone protect what is seen.
var bareRound = setting{places: 4, spare: 2, racy: true, bare: true}

var busted = []scenario{
	{
		name:    "keep-interface",
		about:   "a handler keeps the interface it was given",
		charge:  "is used undone",
		setting: setting{places: 1, spare: 1, interfaces: 2, keep: true},
		cast:    []role{{"owner", 2, thread, own}, {"producer", 1, thread, produce}, {"keeper", 1, thread, useKept}},
	},
	{
		name:    "stash-packet",
		about:   "a handler keeps packets where no departing interface looks for them",
		charge:  "which has gone",
		setting: setting{places: 1, spare: 1, interfaces: 2, stash: true},
		cast:    []role{{"owner", 2, thread, own}, {"producer", 1, thread, produce}, {"keeper", 1, thread, useStashed}},
	},
	{
		name:    "skip-perform",
		about:   "what is out of sight is used again without a grace period",
		charge:  "in a read section sees",
		setting: bareRound,
		cast: []role{
			{"writer", 1, thread, depart(func(_ *actor, o *object) { o.happened(graced) })},
			{"reader", 4, thread, look},
		},
	},
	{
		name:    "perform-early",
		about:   "the grace period comes before what it is for: Perform, then unlink",
		charge:  "in a read section sees",
		setting: bareRound,
		cast:    []role{{"writer", 1, thread, performFirst}, {"reader", 4, thread, look}},
	},
	{
		name:    "perform-error",
		about:   "a Perform that its context ended is taken for a grace period",
		charge:  "in a read section sees",
		setting: bareRound,
		cast: []role{
			{"writer", 1, thread, depart(func(a *actor, o *object) {
				ctx, cancel := a.endsSoon()
				defer cancel()
				_ = a.psz.Perform(ctx, a.l)
				o.happened(graced)
			})},
			{"reader", 4, thread, func(a *actor) {
				s := a.psz.ReadEnter(a.l)
				defer s.Exit()
				if o, g := a.find(); o != nil {
					for range 64 { // longer than most contexts last
						runtime.Gosched()
					}
					a.seesInSection(o, g)
				}
			}},
		},
	},
	{
		name:    "checkpoint-borrowed",
		about:   "a softint passes a checkpoint while it uses what it has borrowed",
		charge:  "in a read section sees",
		setting: bareRound,
		cast: []role{
			{"writer", 1, thread, depart(graceOnly)},
			{"worker", 2, softint, func(a *actor) {
				if o, g := a.find(); o != nil {
					for range 4 {
						a.linger()
						a.checkpoint()
					}
					a.seesInSection(o, g)
				}
			}},
		},
	},
	{
		name:    "skip-acquire",
		about:   "what was found in a section is used after it without a reference",
		charge:  "holds object",
		setting: round,
		cast: []role{
			{"destroyer", 1, thread, depart(graceFirst)},
			{"reader", 4, thread, func(a *actor) {
				s := a.psz.ReadEnter(a.l)
				o, g := a.find()
				s.Exit()
				if o != nil {
					a.linger()
					a.seesHeld(o, g)
				}
			}},
		},
	},
	{
		name:    "release-early",
		about:   "a reference is released before the last use",
		charge:  "holds object",
		setting: round,
		cast: []role{
			{"destroyer", 1, thread, depart(graceFirst)},
			{"holder", 4, thread, func(a *actor) {
				var h holding
				if a.acquire(&h) {
					o, g := h.o, h.generation
					a.release(&h)
					a.linger()
					a.seesHeld(o, g)
				}
			}},
		},
	},
	{
		name:    "destroy-linked",
		about:   "what readers can still find is destroyed, and unlinked afterwards",
		charge:  "in a read section sees",
		setting: round,
		cast: []role{
			{"destroyer", 1, thread, func(a *actor) {
				if o := a.shelf[0].Load(); o != nil {
					graceFirst(a, o)
					a.left(o)
				}
				if o := a.shelf[0].Swap(a.mint()); o != nil {
					a.free(o)
				}
			}},
			{"reader", 4, thread, look},
		},
	},
	{
		name:    "drain-only",
		about:   "holders are waited for, those who still look are not",
		charge:  "in a read section sees",
		setting: round,
		cast: []role{
			{"destroyer", 1, thread, depart(func(a *actor, o *object) {
				a.destroy(o)
				o.happened(graced) // it is believed
				a.linger()
				a.perform() // or memory would be used again
			})},
			{"holder", 4, thread, hold},
		},
	},
	{
		name:    "destroy-error",
		about:   "a Destroy that its context ended is taken for done",
		charge:  "is destroyed while|is gone|another one|still in use",
		setting: round,
		cast: []role{
			{"destroyer", 1, thread, depart(func(a *actor, o *object) {
				graceOnly(a, o)
				ctx, cancel := a.endsSoon()
				defer cancel()
				_ = o.target.Destroy(ctx, a.l)
				a.destroyed(o)
			})},
			{"sleeper", 8, thread, func(a *actor) {
				a.hold(func() { a.park(a.upTo(time.Millisecond), nil) })
			}},
		},
	},
	{
		name:    "release-before-next",
		about:   "a walk lets go of the element its cursor stands on, which comes back elsewhere",
		charge:  "of the list",
		setting: setting{places: 12, spare: 4, fixed: 4, listed: true, racy: true},
		cast: []role{
			{"editor", 2, thread, edit(graceFirst)},
			{"stroller", 4, thread, func(a *actor) {
				a.stroll(func(cur *pserialize.Cursor[object], s pserialize.Section, h *holding) *object {
					a.letGo(h)
					a.linger()
					return cur.Next(s)
				})
			}},
		},
	},
	{
		name:    "init-live",
		about:   "a target is initialised again without having been destroyed",
		charge:  "still in use|are live",
		setting: round,
		cast:    []role{{"writer", 1, thread, depart(graceOnly)}, {"holder", 2, thread, hold}},
	},
	{
		name:    "leak",
		about:   "a reference is forgotten",
		charge:  "may not unbind while it holds",
		setting: round,
		cast: []role{
			{"holder", 1, thread, func(a *actor) {
				a.acquire(new(holding))
				<-a.leg.Done()
			}},
		},
	},
	{
		name:    "stuck",
		about:   "a reader never leaves its section: the watchdog must bark",
		charge:  "hung",
		setting: bareRound,
		cast: []role{
			{"writer", 1, thread, depart(graceOnly)},
			{"reader", 1, thread, func(a *actor) {
				defer a.psz.ReadEnter(a.l).Exit()
				<-a.life.Done()
			}},
		},
	},
	{
		name:    "idle",
		about:   "nothing ever leaves: a success would mean nothing",
		charge:  "departures: 0",
		setting: round,
		cast:    []role{{"holder", 2, thread, hold}},
		must:    rates{departures: 1},
	},
}

// performFirst waits for a grace period before there is anything to wait for.
func performFirst(a *actor) {
	a.perform()
	if o := a.unlink(); o != nil {
		o.happened(graced)
		a.free(o)
	}
}

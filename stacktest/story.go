package stacktest

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
)

// A Variant is a way of doing the same: how packets are handed to the handler, or how it looks up. The
// zero Variant is what Handler does.
type Variant struct {
	Name    string
	Streams int                 // of an Input or a Softint; 2 if 0
	Mode    netisr.DispatchMode // of a Softint
	Lookup  Lookup              // of Stack.Route
	// New makes the handler in a way of your own; Config.New if nil.
	New func(s *Stack) Subject

	limit  int
	manual bool // somebody steps, and there are no workers
}

func (v Variant) filled(c Config) Variant {
	if v.Streams == 0 {
		v.Streams = 2
	}
	if v.limit == 0 {
		v.limit = queueLimit
	}
	if v.New == nil {
		v.New = c.New
	}
	return v
}

// Variants returns what the rooms of this module offer for one thing: one stream or several; deferred,
// hybrid or direct; references that are passive, counted or remembered.
func Variants() []Variant {
	return []Variant{
		{Name: "deferred, one stream, passive references", Streams: 1},
		{Name: "deferred, three streams", Streams: 3},
		{Name: "hybrid", Streams: 1, Mode: netisr.ModeHybrid},
		{Name: "direct", Streams: 1, Mode: netisr.ModeDirect},
		{Name: "counted references", Streams: 1, Lookup: Counted},
		{Name: "remembered lookups", Streams: 1, Lookup: Cached},
	}
}

// A Lookup is how [Stack.Route] finds a route.
type Lookup int

// The ways.
const (
	Passive Lookup = iota // rtable.Table.Get
	Counted               // rtable.Table.Lookup
	Cached                // rtcache.PerLWP
)

// A lookup is a Lookup in a table.
type lookup func(ctx context.Context, l *lwp.LWP, dst netip.Addr, use func(*rtable.Entry)) error

func (k Lookup) on(dom *lwp.Domain, t *rtable.Table) lookup {
	switch k {
	case Counted:
		return func(ctx context.Context, l *lwp.LWP, dst netip.Addr, use func(*rtable.Entry)) error {
			e, err := t.Lookup(ctx, l, dst)
			if err != nil {
				return err
			}
			defer e.Unref()
			use(e)
			return nil
		}
	case Cached:
		caches := rtcache.NewPerLWP(dom, 2)
		return func(_ context.Context, l *lwp.LWP, dst netip.Addr, use func(*rtable.Entry)) error {
			c := caches.Cache(l, dst)
			e, err := c.Lookup(l, t, dst)
			if err != nil {
				return err
			}
			defer c.Release(l)
			use(e)
			return nil
		}
	}
	return func(_ context.Context, l *lwp.LWP, dst netip.Addr, use func(*rtable.Entry)) error {
		var ref psref.Ref
		e, err := t.Get(l, &ref, dst)
		if err != nil {
			return err
		}
		defer ref.Release(l)
		use(e)
		return nil
	}
}

// Route calls use with the route to a destination, which is held meanwhile, in the way that the variant
// says. A handler that looks up by it is tried with each. Errors: rtable.ErrNotFound,
// rtable.ErrUpdating, ctx.Err().
func (s *Stack) Route(ctx context.Context, l *lwp.LWP, dst netip.Addr, use func(*rtable.Entry)) error {
	return s.look(ctx, l, dst, use)
}

// SameStory attacks a handler in several variants, those of [Variants] if none are given, with the same
// random cases, in which nothing is lost and everything comes to rest between two steps. What becomes of
// each packet has to be the same in all of them: what is sent in answer to it, in which order within its
// flow, and why it ends. What the handler sends of its own accord is compared without its order. A
// handler whose flows meet, in a list that is bounded for all of them say, may well tell several stories
// where there are several streams: give it variants of one.
func SameStory(t *testing.T, c Config, vs ...Variant) {
	t.Helper()
	rapid.Check(t, c.sameStory(vs))
}

func (c Config) sameStory(vs []Variant) func(t *rapid.T) {
	if len(vs) == 0 {
		vs = Variants()
	}
	draws := c.draws(peaceful)
	names := slices.Sorted(maps.Keys(draws))
	acts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) act {
		return draws[rapid.SampledFrom(names).Draw(t, "action")](t)
	}), 0, 20)
	return func(t *rapid.T) {
		script := slices.Concat(acts.Draw(t, "steps"), acts.Draw(t, "more steps"), acts.Draw(t, "and more"))
		var first []string
		for i, v := range vs {
			name, story := c.tell(t, v, script)
			if i == 0 {
				first = story
				continue
			}
			if one, other, differ := difference(first, story); differ {
				t.Logf("stacktest: where the stories differ\n\n  %s\n    %s\n  %s\n    %s", vs[0].Name, one, v.Name, other)
				var b strings.Builder
				fmt.Fprintf(&b, "stacktest: handler %s tells two stories, %q and %q\n", name, vs[0].Name, v.Name)
				for i, x := range script {
					fmt.Fprintf(&b, "  %d  %s\n", i+1, x.text)
				}
				t.Fatalf("%s", b.String())
			}
		}
	}
}

// tell returns what the handler is called, and what becomes of each packet in a variant.
func (c Config) tell(t *rapid.T, v Variant, script []act) (name string, story []string) {
	v.limit = netisr.MaxQLimit // nothing is lost for want of room
	rapid.SyncTest(t, func(t *rapid.T) {
		a := newAttack(t, c, v, inBubble{})
		defer a.unwound()
		a.judge(t)
		for _, x := range script {
			a.perform(x)
			a.flush()
			a.judge(t)
		}
		a.finish(t)
		name, story = a.sub.Name, a.stories()
	})
	return name, story
}

// flush waits until all that was given to the handler has been handled.
func (a *attack) flush() {
	ctx, cancel := a.until(time.Hour)
	defer cancel()
	if a.wq != nil {
		_ = a.wq.Flush(ctx)
	}
	if a.isr != nil {
		_ = a.isr.Flush(ctx, a.l)
	}
	_ = a.st.Send.Flush(ctx, a.l)
}

// stories are what became of each packet, and what was sent besides.
func (a *attack) stories() (all []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.packets {
		all = append(all, fmt.Sprintf("packet %d: %s", r.n, strings.Join(r.story, ", ")))
		if order := a.wired[r.flow]; len(order) > 0 {
			all = append(all, fmt.Sprintf("packets of flow %d by %s that are sent on: %v", r.flow.id, r.port, order))
			delete(a.wired, r.flow)
		}
	}
	slices.Sort(a.own)
	return append(all, a.own...)
}

// difference returns the first lines in which two stories differ.
func difference(a, b []string) (one, other string, differ bool) {
	for i := range max(len(a), len(b)) {
		one, other = "nothing", "nothing"
		if i < len(a) {
			one = a[i]
		}
		if i < len(b) {
			other = b[i]
		}
		if one != other {
			return one, other, true
		}
	}
	return "", "", false
}

package publishedorders

import (
	"errors"

	"github.com/softnet-go/softnet/internal/event"
)

// wrong plays each wrong order in the simplest schedule that breaks it. An explorer has
// found it; explore_test.go checks that this is still the one it finds.
func wrong(r *event.Recorder) error {
	for _, sc := range wrongOrders {
		if sc.play(r) == nil {
			return nil
		}
	}
	return errors.New("every one of these orders, by the schedule that is shown")
}

var wrongOrders = []scene{
	// The flag comes first, so that the route is out of use as soon as possible. The
	// reference with which it was found is kept until the end.
	{"two updaters, as published: flag, turn", "fssssff", func() []role {
		rt := new(route)
		update := func(a *actor) error {
			return a.does(
				rt.find, rt.setFlag, rt.takeTurn, rt.drain(1),
				rt.setGateway, rt.setAddress,
				rt.clearFlag, rt.release, rt.dropTurn,
			)
		}
		return []role{{"first", update}, {"second", update}}
	}},

	// References of those who wait for their turn are in the way, so nobody keeps one.
	{"two updaters: flag, turn, no reference kept", "fsssssssfffrr", func() []role {
		rt := new(route)
		update := func(a *actor) error {
			return a.does(
				rt.setFlag, rt.takeTurn, rt.drain(0),
				rt.setGateway, rt.setAddress,
				rt.clearFlag, rt.dropTurn,
			)
		}
		read := func(a *actor) error { return a.does(rt.find, rt.read, rt.release) }
		return []role{{"first", update}, {"second", update}, {"reader", read}}
	}},

	// Who drops a reference looks afterwards whether somebody waits for that.
	{"the last reference, as published: drop, look, wake", "rooor", func() []role {
		e := newEntry(1)
		unref := func(a *actor) error { return a.does(e.drop, e.wake) }
		free := func(a *actor) error { return a.does(e.delete, e.drain, e.free) }
		return []role{{"reader", unref}, {"owner", free}}
	}},

	// All readers are waited for, and then there will be no more.
	{"grace period, unlink, destroy", "orroor", func() []role {
		l := newList()
		destroy := l.destroy(l.head.Load())
		remove := func(a *actor) error { return a.does(l.perform, l.unlink, destroy) }
		return []role{{"reader", l.read}, {"owner", remove}}
	}},
}

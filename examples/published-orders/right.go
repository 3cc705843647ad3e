package publishedorders

import "github.com/softnet-go/softnet/internal/event"

// right plays each order of ours in one schedule, an unkind one. That it holds there says
// little; explore_test.go plays all the others.
func right(r *event.Recorder) error {
	for _, sc := range rightOrders {
		if err := sc.play(r); err != nil {
			return err
		}
	}
	return nil
}

var rightOrders = []scene{
	// Whose turn it is has the flag to itself, and who waits for the turn has nothing.
	// TASK: drop the turn before the flag is cleared.
	{"two updaters: turn, flag, reference", "fsssssssfffrr", func() []role {
		rt := new(route)
		update := func(a *actor) error {
			return a.does(
				rt.takeTurn, rt.setFlag, rt.find, rt.drain(1),
				rt.setGateway, rt.setAddress,
				rt.clearFlag, rt.release, rt.dropTurn,
			)
		}
		read := func(a *actor) error { return a.does(rt.find, rt.read, rt.release) }
		return []role{{"first", update}, {"second", update}, {"reader", read}}
	}},

	// The owner cannot see that the reference is gone before the lock is.
	{"the last reference: drop and wake under the owner's lock", "rooor", func() []role {
		e := newEntry(1)
		unref := func(a *actor) error { return a.does(e.dropAndWake) }
		free := func(a *actor) error { return a.does(e.delete, e.drain, e.free) }
		return []role{{"reader", unref}, {"owner", free}}
	}},

	// What is looked at after the reference is gone belongs to the table.
	// TASK: look at the table's flag first, and drop the reference then.
	{"the last reference: drop, look and wake by the table", "rooor", func() []role {
		e := newEntry(1)
		unref := func(a *actor) error { return a.does(e.drop, e.wakeByTable) }
		free := func(a *actor) error { return a.does(e.delete, e.drain, e.free) }
		return []role{{"reader", unref}, {"owner", free}}
	}},

	// Nobody finds it any more, then nobody is about to hold it, then nobody holds it.
	{"unlink, grace period, destroy", "rroorrorr", func() []role {
		l := newList()
		destroy := l.destroy(l.head.Load())
		remove := func(a *actor) error { return a.does(l.unlink, l.perform, destroy) }
		return []role{{"reader", l.read}, {"owner", remove}}
	}},
}

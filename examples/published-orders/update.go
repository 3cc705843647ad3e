package publishedorders

import (
	"errors"
	"fmt"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// A route is changed in place, by one updater at a time, while nobody else has a
// reference. Its two fields must be read as a pair.
type route struct {
	monitor          // guards what follows
	updating bool    // the flag RTF_UPDATING: nobody finds the route, but who updates it
	turn     *actor  // who updates, in the whole table; nil for nobody
	refs     int     // the references held
	gateway  version // written by whose turn it is
	address  version // the local address to use with this gateway; likewise
}

// A version says which update a field is of.
type version = sched.Int32

var errTorn = errors.New("TORN READ: the gateway of one update and the address of another")

// find looks the route up and takes a reference. A thread waits for the end of an update.
func (rt *route) find(a *actor) error {
	return rt.when(a, func() bool { return !rt.updating || rt.turn == a }, "while UPDATING", func() {
		rt.refs++
		a.tell("find", "route", fmt.Sprintf("%d held", rt.refs))
	})
}

func (rt *route) setFlag(a *actor) error {
	rt.do(func() {
		rt.updating = true
		a.tell("set", "UPDATING", "")
	})
	return nil
}

func (rt *route) takeTurn(a *actor) error {
	return rt.when(a, func() bool { return rt.turn == nil }, "for the turn", func() {
		rt.turn = a
		a.tell("take", "the turn", "")
	})
}

// drain waits until there are no references but so many.
func (rt *route) drain(kept int) step {
	return func(a *actor) error {
		return rt.when(a, func() bool { return rt.refs <= kept }, "for a reference", func() {
			a.tell("see", "no reference", "")
		})
	}
}

func (rt *route) setGateway(a *actor) error {
	a.tell("write", "gateway", fmt.Sprint(rt.gateway.Add(1)))
	return nil
}

func (rt *route) setAddress(a *actor) error {
	a.tell("write", "address", fmt.Sprint(rt.address.Add(1)))
	return nil
}

func (rt *route) clearFlag(a *actor) error {
	rt.do(func() {
		rt.updating = false
		a.tell("clear", "UPDATING", "")
	})
	return nil
}

// release drops the reference. Whoever waits for that is told in the same go.
func (rt *route) release(a *actor) error {
	rt.do(func() {
		rt.refs--
		a.tell("release", "", fmt.Sprintf("%d held", rt.refs))
	})
	return nil
}

func (rt *route) dropTurn(a *actor) error {
	rt.do(func() {
		rt.turn = nil
		a.tell("drop", "the turn", "")
	})
	return nil
}

// read is what a reader wants a route for.
func (rt *route) read(a *actor) error {
	gateway, address := rt.gateway.Load(), rt.address.Load()
	a.tell("read", "both", fmt.Sprintf("%d and %d", gateway, address))
	if gateway != address {
		return errTorn
	}
	return nil
}

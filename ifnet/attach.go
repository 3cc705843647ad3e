package ifnet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
)

const (
	// MinMTU is the least an interface must carry: what IPv4 asks for.
	MinMTU = 68
	// DefaultMTU is Ethernet's.
	DefaultMTU = 1500

	maxMTU = 65535
)

// A Spec says what to attach.
type Spec struct {
	Name   string
	Driver Driver
	Link   Link
	MAC    MAC
	MTU    int // DefaultMTU if 0
	Addrs  []netip.Prefix
	Groups []string
	Up     bool // bring it up at once
}

// A step is something that attaching does and detaching undoes. Attach does all of them in order,
// and if one fails undoes those before it, the last first; detaching undoes all of them.
type step struct {
	name string
	do   func(t *Table, ifp *Interface, s *Spec) error
	undo func(t *Table, ifp *Interface) error
}

// steps are in the order of Attach. The last makes the interface visible; detaching undoes it in
// a phase of its own, long before the others. The first two are what others may not have while
// anything is left of it.
var steps = [...]step{
	{"name", (*Table).takeName, (*Table).giveName},
	{"index", (*Table).takeIndex, (*Table).giveIndex},
	{"target", (*Table).live, (*Table).unlive},
	{"driver", (*Table).open, (*Table).close},
	{"addresses", (*Table).furnish, (*Table).clear},
	{"sight", (*Table).publish, (*Table).unpublish},
}

func (t *Table) takeName(ifp *Interface, s *Spec) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.Name == "" {
		return fmt.Errorf("no name: %w", ErrInvalid)
	}
	if t.names[s.Name] != nil {
		return ErrExists
	}
	t.names[s.Name] = ifp
	return nil
}

func (t *Table) giveName(ifp *Interface) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.names, ifp.Name())
	return nil
}

// takeIndex gives the interface the lowest free index, and the next generation of that.
func (t *Table) takeIndex(ifp *Interface, _ *Spec) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	slots := *t.slots.Load()
	i := 1 + slices.IndexFunc(slots[1:], func(s *slot) bool { return s.owner == nil })
	if i == 0 {
		i = len(slots)
		slots = append(slices.Clip(slots), &slot{})
		t.slots.Store(&slots)
	}
	s := slots[i]
	if s.gen++; s.gen == 0 {
		s.gen = 1
	}
	s.owner = ifp
	ifp.id = ID{Index: uint32(i), Gen: s.gen}
	return nil
}

func (t *Table) giveIndex(ifp *Interface) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	(*t.slots.Load())[ifp.id.Index].owner = nil
	return nil
}

func (t *Table) live(ifp *Interface, _ *Spec) error {
	t.class.Init(&ifp.target)
	return nil
}

// unlive is for an attach that failed: nobody has ever found the interface. A detach has waited
// for its holders before.
func (t *Table) unlive(ifp *Interface) error {
	if ifp.target.Dying() {
		return nil
	}
	l := t.dom.Bind()
	defer l.Unbind()
	return ifp.target.Destroy(context.Background(), l)
}

func (t *Table) open(ifp *Interface, s *Spec) error {
	if s.Driver == nil {
		return fmt.Errorf("no driver: %w", ErrInvalid)
	}
	ifp.driver = s.Driver
	return ifp.driver.Open(ifp)
}

func (t *Table) close(ifp *Interface) error {
	err := ifp.driver.Close()
	ifp.driver = nobody{}
	return err
}

func (t *Table) furnish(ifp *Interface, s *Spec) error {
	if s.MTU < MinMTU || s.MTU > maxMTU {
		return fmt.Errorf("an MTU of %d: %w", s.MTU, ErrInvalid)
	}
	for i, a := range s.Addrs {
		if !a.IsValid() || a.Addr().IsUnspecified() || a.Addr().IsMulticast() ||
			slices.ContainsFunc(s.Addrs[:i], func(p netip.Prefix) bool { return p.Addr() == a.Addr() }) {
			return fmt.Errorf("address %v: %w", a, ErrInvalid)
		}
	}
	ifp.reset(s)
	ifp.up.Store(s.Up)
	return nil
}

func (t *Table) clear(ifp *Interface) error {
	ifp.up.Store(false)
	t.mu.Lock()
	defer t.mu.Unlock()
	ifp.reset(&Spec{Name: ifp.Name()})
	return nil
}

func (t *Table) publish(ifp *Interface, _ *Spec) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	ifp.state.Store(uint32(there))
	(*t.slots.Load())[ifp.id.Index].cur.Store(ifp)
	return nil
}

func (t *Table) unpublish(ifp *Interface) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	(*t.slots.Load())[ifp.id.Index].cur.Store(nil)
	return nil
}

// Attach makes an interface and tells everybody (if_attach). The caller may use what it returns
// until it is detached. If it fails it leaves nothing behind. Errors: [ErrExists], [ErrInvalid],
// and the driver's.
func (t *Table) Attach(s Spec) (*Interface, error) {
	if s.MTU == 0 {
		s.MTU = DefaultMTU
	}
	ifp := &Interface{table: t, link: s.Link}
	ifp.reset(&Spec{Name: s.Name, MTU: s.MTU, MAC: s.MAC})
	for i, st := range steps {
		if err := st.do(t, ifp, &s); err != nil {
			return nil, errors.Join(fmt.Errorf("ifnet: attach %s: %s: %w", s.Name, st.name, err), t.undo(ifp, steps[:i]))
		}
	}
	t.tell(Event{Kind: Attached, ID: ifp.id, Name: s.Name})
	return ifp, nil
}

func (t *Table) undo(ifp *Interface, done []step) error {
	var errs []error
	for _, st := range slices.Backward(done) {
		if err := st.undo(t, ifp); err != nil {
			errs = append(errs, fmt.Errorf("ifnet: detach %s: %s: %w", ifp.Name(), st.name, err))
		}
	}
	return errors.Join(errs...)
}

// A DetachOption changes what Detach does.
type DetachOption func(*detach)

// WithFlush gives what is queued, goodbyes for instance, so long to be sent before the rest is
// dropped. The default is not at all.
func WithFlush(d time.Duration) DetachOption { return func(x *detach) { x.flush = d } }

type detach struct{ flush time.Duration }

// Detach takes an interface away (if_detach), in phases, each complete before the next:
//
//	0  claim it: whoever comes second gets [ErrDetaching]
//	1  run the hooks of [Table.OnLeaving], the last first; flush, if asked to
//	2  take it out of sight, and wait until nobody is looking
//	3  have every [Drainer] drop what names it, and wait for handlers that were given such
//	4  wait until the last reference is released
//	5  undo what Attach did, the driver's Close among it
//	6  tell everybody that it has departed; the index is free
//
// When it returns nil no handler of any drainer runs with a packet that names the interface, or
// will; whatever was dropped has been freed; and nobody refers to the interface.
//
// It waits, in phases 2 to 4, so l must be a thread or offline, and hold no reference to the
// interface, nor a lock that a handler or a holder takes. When ctx ends first it returns
// ctx.Err(). Nothing brings the interface back then; Detach again to go on from there. Errors:
// [ErrGone], [ErrDetaching], [lwp.ErrWouldSleep], ctx.Err(), and the driver's, which do not stop
// it.
func (t *Table) Detach(ctx context.Context, l *lwp.LWP, id ID, opts ...DetachOption) error {
	if l.CPU.Softint {
		return lwp.ErrWouldSleep
	}
	var x detach
	for _, o := range opts {
		o(&x)
	}
	ifp, err := t.claim(id)
	if err != nil {
		return err
	}
	err = t.phases(ctx, l, ifp, &x)
	t.mu.Lock()
	ifp.claimer = false
	t.gone.Broadcast()
	t.mu.Unlock()
	return err
}

// DetachWait is Detach that, where another is at it, waits for that to end, and goes on if it
// gave up.
func (t *Table) DetachWait(ctx context.Context, l *lwp.LWP, id ID, opts ...DetachOption) error {
	if l.CPU.Softint {
		return lwp.ErrWouldSleep
	}
	for {
		err := t.Detach(ctx, l, id, opts...)
		if !errors.Is(err, ErrDetaching) {
			return err
		}
		t.mu.Lock()
		for {
			ifp := t.owner(id)
			if ifp == nil {
				t.mu.Unlock()
				return nil
			}
			if !ifp.claimer {
				break // it gave up
			}
			if err := t.gone.WaitContext(ctx, &t.mu); err != nil {
				t.mu.Unlock()
				return err
			}
		}
		t.mu.Unlock()
	}
}

// owner returns who has an ID, be it to be found or not. mu is held.
func (t *Table) owner(id ID) *Interface {
	slots := *t.slots.Load()
	if uint64(id.Index) >= uint64(len(slots)) {
		return nil
	}
	if ifp := slots[id.Index].owner; ifp != nil && ifp.id == id && state(ifp.state.Load()) != attaching {
		return ifp
	}
	return nil
}

func (t *Table) claim(id ID) (*Interface, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ifp := t.owner(id)
	switch {
	case ifp == nil:
		return nil, ErrGone
	case ifp.claimer:
		return nil, ErrDetaching
	}
	ifp.claimer = true
	if state(ifp.state.Load()) == there {
		ifp.state.Store(uint32(claimed))
	}
	return ifp, nil
}

// phases goes on from wherever the interface is.
func (t *Table) phases(ctx context.Context, l *lwp.LWP, ifp *Interface, x *detach) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		next := state(ifp.state.Load()) + 1
		switch next {
		case unpublished:
			t.leave(ctx, l, ifp)
			t.flush(ctx, ifp, x.flush)
			_ = t.unpublish(ifp)
			err = t.patiently(ctx, l, ifp, "nobody is looking", t.psz.Perform)
		case drained:
			err = t.drain(ctx, l, ifp)
		case quiet:
			err = t.patiently(ctx, l, ifp, "its holders", ifp.target.Destroy)
		case dead:
			ifp.state.Store(uint32(dead))
			err = t.undo(ifp, steps[2:len(steps)-1])
			t.tell(Event{Kind: Departed, ID: ifp.id, Name: ifp.Name()})
			return errors.Join(err, t.undo(ifp, steps[:2]))
		}
		if err != nil {
			return err
		}
		ifp.state.Store(uint32(next))
	}
}

// leave runs the hooks that have not run.
func (t *Table) leave(ctx context.Context, l *lwp.LWP, ifp *Interface) {
	for {
		t.mu.Lock()
		n := len(ifp.hooks)
		if n == 0 {
			t.mu.Unlock()
			return
		}
		h := ifp.hooks[n-1]
		ifp.hooks = ifp.hooks[:n-1]
		t.mu.Unlock()
		h.f(ctx, l, ifp)
	}
}

// flush lets what is queued be sent, for some time.
func (t *Table) flush(ctx context.Context, ifp *Interface, d time.Duration) {
	if d <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for _, dr := range t.allDrainers() {
		if f, ok := dr.(Flusher); ok && f.Flush(ctx) != nil {
			return
		}
	}
}

func (t *Table) drain(ctx context.Context, l *lwp.LWP, ifp *Interface) error {
	for _, d := range t.allDrainers() {
		d.Purge(ifp.id)
		err := t.patiently(ctx, l, ifp, d.Name(), func(ctx context.Context, l *lwp.LWP) error { return d.Barrier(ctx, l, ifp.id) })
		if err != nil {
			return err
		}
	}
	return nil
}

// patiently waits for something, and says so when that takes long.
func (t *Table) patiently(ctx context.Context, l *lwp.LWP, ifp *Interface, what string, wait func(context.Context, *lwp.LWP) error) error {
	if hook.Exploring() {
		return wait(ctx, l) // a schedule has no time
	}
	for since := time.Now(); ; {
		patient, cancel := context.WithTimeout(ctx, t.watch)
		err := wait(patient, l)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		t.log.Warn("ifnet: detach is stuck", "interface", ifp.Name(), "id", ifp.id, "waits for", what,
			"since", time.Since(since), "holders", ifp.target.Holders())
	}
}

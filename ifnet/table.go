package ifnet

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// A Table is the interfaces of a network stack (ifnet_list, and the map from indices to them).
// Make one with [NewTable]; it must not be copied. Its methods may be called by anyone.
type Table struct {
	_     noCopy
	dom   *lwp.Domain
	psz   *pserialize.Serializer
	class *psref.Class
	pool  *mbuf.Pool
	log   *slog.Logger
	watch time.Duration

	slots hook.Pointer[[]*slot] // by index, which begins with 1; grows under mu
	input hook.Pointer[func(*mbuf.Packet) error]

	mu        hook.Mutex // leaf; guards what follows, and what interfaces say is under it
	names     map[string]*Interface
	drainers  []*registered[Drainer]
	observers []*registered[func(Event)]
	gone      hook.Cond // who waits for a detach to get on
}

// A slot is an index, and who has it.
type slot struct {
	cur   hook.Pointer[Interface] // who can be found
	owner *Interface              // who has the index; guarded by Table.mu
	gen   uint32                  // of the last who had it; likewise
}

// An Option changes what NewTable makes.
type Option func(*Table)

// WithPool sets where packets of this stack come from: drivers take what they receive from it.
// The default is a pool without a limit.
func WithPool(p *mbuf.Pool) Option { return func(t *Table) { t.pool = p } }

// WithLogger sets where a detach that takes long is reported. The default discards.
func WithLogger(log *slog.Logger) Option { return func(t *Table) { t.log = log } }

// WithWatchAfter sets after how long a detach that waits reports for whom, again and again. The
// default is 10 s.
func WithWatchAfter(d time.Duration) Option { return func(t *Table) { t.watch = d } }

// NewTable returns a table without interfaces, for the LWPs of a domain.
func NewTable(dom *lwp.Domain, opts ...Option) *Table {
	t := &Table{
		dom: dom, psz: pserialize.New(dom), class: psref.NewClass(dom, "ifnet"),
		log: slog.New(slog.DiscardHandler), watch: 10 * time.Second,
		names: map[string]*Interface{},
	}
	t.slots.Store(&[]*slot{{}})
	for _, o := range opts {
		o(t)
	}
	if t.pool == nil {
		t.pool = mbuf.NewPool(mbuf.PoolConfig{})
	}
	return t
}

// Domain returns whose LWPs may refer to interfaces.
func (t *Table) Domain() *lwp.Domain { return t.dom }

// Pool returns where packets come from.
func (t *Table) Pool() *mbuf.Pool { return t.pool }

// SetInput sets who takes the frames that interfaces receive: a netisr's Queue, usually. q
// consumes each, and never blocks.
func (t *Table) SetInput(q func(*mbuf.Packet) error) { t.input.Store(&q) }

// find returns the interface of an ID, if it can be found.
func (t *Table) find(id ID) *Interface {
	slots := *t.slots.Load()
	if uint64(id.Index) >= uint64(len(slots)) {
		return nil
	}
	if ifp := slots[id.Index].cur.Load(); ifp != nil && ifp.id == id {
		return ifp
	}
	return nil
}

// Live reports whether an interface can be found: from the end of Attach to when its detach
// takes it out of sight. It only loads, so it may be asked under any lock, and of the zero ID.
func (t *Table) Live(id ID) bool { return t.find(id) != nil }

// IsUp reports whether an interface can be found and is up. It only loads.
func (t *Table) IsUp(id ID) bool {
	ifp := t.find(id)
	return ifp != nil && ifp.IsUp()
}

// Get finds an interface and refers to it for l (if_get_bylla and m_get_rcvif_psref): it is whole
// until r is released, even if it is being detached. It reports whether there is one. It never
// blocks, writes nothing that others write, and for a softint costs next to nothing.
func (t *Table) Get(l *lwp.LWP, r *psref.Ref, id ID) (*Interface, bool) {
	s := t.psz.ReadEnter(l)
	ifp := t.find(id)
	if ifp != nil {
		t.class.AcquireIn(s, r, &ifp.target)
	}
	s.Exit()
	return ifp, ifp != nil
}

// ByName returns the ID of the interface with a name (ifunit).
func (t *Table) ByName(name string) (ID, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ifp := t.names[name]
	if ifp == nil || !t.Live(ifp.id) {
		return ID{}, false
	}
	return ifp.id, true
}

// ByIndex returns the ID of the interface that has an index now (if_byindex).
func (t *Table) ByIndex(i uint32) (ID, bool) {
	slots := *t.slots.Load()
	if uint64(i) >= uint64(len(slots)) {
		return ID{}, false
	}
	if ifp := slots[i].cur.Load(); ifp != nil {
		return ifp.id, true
	}
	return ID{}, false
}

// All returns the IDs of the interfaces that can be found, by index.
func (t *Table) All() (ids []ID) {
	for _, s := range *t.slots.Load() {
		if ifp := s.cur.Load(); ifp != nil {
			ids = append(ids, ifp.id)
		}
	}
	return ids
}

// with calls f for the interface of an ID that can be found, under mu, and then tells who wants
// to know what f returned, if anything.
func (t *Table) with(id ID, f func(*Interface) (Event, error)) error {
	t.mu.Lock()
	ifp := t.find(id)
	if ifp == nil {
		t.mu.Unlock()
		return ErrGone
	}
	ev, err := f(ifp)
	t.mu.Unlock()
	if err == nil && ev.Kind != 0 {
		ev.ID, ev.Name = id, ifp.Name()
		t.tell(ev)
	}
	return err
}

// Up brings an interface up (if_up). Errors: [ErrGone].
func (t *Table) Up(id ID) error {
	return t.with(id, func(ifp *Interface) (ev Event, err error) {
		if !ifp.up.Swap(true) {
			ev.Kind = WentUp
		}
		return ev, nil
	})
}

// Down takes an interface down (if_down): it refuses to send and receive, and what waits to be
// sent by it is dropped by those who have it, before Down returns. It stays attached. Errors:
// [ErrGone].
func (t *Table) Down(id ID) error {
	was := false
	err := t.with(id, func(ifp *Interface) (ev Event, err error) {
		if was = ifp.up.Swap(false); was {
			ev.Kind = WentDown
		}
		return ev, nil
	})
	if was {
		for _, d := range t.allDrainers() {
			d.Down(id)
		}
	}
	return err
}

// SetLink says whether the cable is in: for drivers (if_link_state_change). Errors: [ErrGone].
func (t *Table) SetLink(id ID, has bool) error {
	return t.with(id, func(ifp *Interface) (ev Event, err error) {
		if ifp.noLink.Swap(!has) == has {
			ev.Kind = LinkChanged
		}
		return ev, nil
	})
}

// Rename gives an interface another name; its ID stays. Errors: [ErrGone], [ErrExists],
// [ErrInvalid].
func (t *Table) Rename(id ID, name string) error {
	return t.with(id, func(ifp *Interface) (ev Event, err error) {
		switch old := ifp.Name(); {
		case name == "":
			return ev, fmt.Errorf("ifnet: rename %v: no name: %w", ifp, ErrInvalid)
		case name == old:
			return ev, nil
		case t.names[name] != nil:
			return ev, fmt.Errorf("ifnet: rename %v to %s: %w", ifp, name, ErrExists)
		default:
			delete(t.names, old)
			t.names[name] = ifp
			ifp.name.Store(&name)
			return Event{Kind: Renamed, Old: old}, nil
		}
	})
}

// SetMAC changes an interface's link address. Errors: [ErrGone].
func (t *Table) SetMAC(id ID, mac MAC) error {
	return t.with(id, func(ifp *Interface) (ev Event, err error) {
		if old := ifp.mac.Swap(&mac); *old != mac {
			ev.Kind = MACChanged
		}
		return ev, nil
	})
}

// SetMTU changes how long a packet may be. Errors: [ErrGone], [ErrInvalid].
func (t *Table) SetMTU(id ID, mtu int) error {
	if mtu < MinMTU || mtu > maxMTU {
		return fmt.Errorf("ifnet: an MTU of %d: %w", mtu, ErrInvalid)
	}
	return t.with(id, func(ifp *Interface) (Event, error) {
		ifp.mtu.Store(uint32(mtu))
		return Event{Kind: MTUChanged}, nil
	})
}

// AddAddr gives an interface an address, with the prefix of its network (in_ifinit). Errors:
// [ErrGone], [ErrExists], [ErrInvalid].
func (t *Table) AddAddr(id ID, addr netip.Prefix) error {
	if !addr.IsValid() || addr.Addr().IsUnspecified() || addr.Addr().IsMulticast() {
		return fmt.Errorf("ifnet: address %v: %w", addr, ErrInvalid)
	}
	return t.with(id, func(ifp *Interface) (Event, error) {
		if ifp.HasAddr(addr.Addr()) {
			return Event{}, fmt.Errorf("ifnet: %v has %v: %w", ifp, addr.Addr(), ErrExists)
		}
		as := append(slices.Clone(ifp.Addrs()), addr)
		ifp.addrs.Store(&as)
		return Event{Kind: AddrAdded, Addr: addr}, nil
	})
}

// RemoveAddr takes an address from an interface, and reports an error if it does not have it
// (in_purgeaddr). Errors: [ErrGone], [ErrInvalid].
func (t *Table) RemoveAddr(id ID, addr netip.Addr) error {
	return t.with(id, func(ifp *Interface) (Event, error) {
		i := slices.IndexFunc(ifp.Addrs(), func(p netip.Prefix) bool { return p.Addr() == addr })
		if i < 0 {
			return Event{}, fmt.Errorf("ifnet: %v does not have %v: %w", ifp, addr, ErrInvalid)
		}
		was := ifp.Addrs()[i]
		as := slices.Delete(slices.Clone(ifp.Addrs()), i, i+1)
		ifp.addrs.Store(&as)
		return Event{Kind: AddrRemoved, Addr: was}, nil
	})
}

// AddGroup puts an interface into a group (if_addgroup). Errors: [ErrGone], [ErrExists].
func (t *Table) AddGroup(id ID, group string) error {
	return t.with(id, func(ifp *Interface) (Event, error) {
		if slices.Contains(ifp.Groups(), group) {
			return Event{}, fmt.Errorf("ifnet: %v is in %s: %w", ifp, group, ErrExists)
		}
		gs := append(slices.Clone(ifp.Groups()), group)
		ifp.groups.Store(&gs)
		return Event{Kind: GroupsChanged}, nil
	})
}

// RemoveGroup takes an interface out of a group. Errors: [ErrGone], [ErrInvalid].
func (t *Table) RemoveGroup(id ID, group string) error {
	return t.with(id, func(ifp *Interface) (Event, error) {
		i := slices.Index(ifp.Groups(), group)
		if i < 0 {
			return Event{}, fmt.Errorf("ifnet: %v is not in %s: %w", ifp, group, ErrInvalid)
		}
		gs := slices.Delete(slices.Clone(ifp.Groups()), i, i+1)
		ifp.groups.Store(&gs)
		return Event{Kind: GroupsChanged}, nil
	})
}

func violation(rule, format string, args ...any) *witness.Violation {
	return &witness.Violation{Rule: "ifnet: " + rule, Text: "ifnet: " + fmt.Sprintf(format, args...)}
}

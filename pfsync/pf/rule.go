package pf

import (
	"net/netip"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// A Rule says what becomes of packets that belong to no state. Fields that are zero match every
// packet.
type Rule struct {
	Block bool // them; a rule that does not passes them, and makes a state
	Quick bool // later rules are not looked at

	Dir              Dir
	On               string // the interface
	Proto            uint8
	Src, Dst         netip.Prefix
	SrcPort, DstPort Ports

	NoState   bool      // no state is made
	AnyFlags  bool      // TCP states are made by whatever segment, not by the first one alone
	Sloppy    bool      // of TCP, levels are tracked and windows are not
	NoSync    bool      // no peer is told of its states
	Bound     bool      // its states are the interface's alone, where others are for all
	MaxStates int       // of the rule; 0 for any number
	Timeouts  *Timeouts // of its states; the table's if nil
}

// Ports are ports from First to Last, or First alone.
type Ports struct{ First, Last uint16 }

func (p Ports) match(port uint16) bool {
	return p == Ports{} || port == p.First || p.First <= port && port <= p.Last
}

// A rule is one in use.
type rule struct {
	Rule
	nr     uint32
	states int // guarded by Table.lock
}

type ruleset struct{ rules []*rule }

// SetRules puts rules in place of those there are. States stay under the rules that made them.
func (t *Table) SetRules(rules []Rule) {
	rs := new(ruleset)
	for i, r := range rules {
		rs.rules = append(rs.rules, &rule{Rule: r, nr: uint32(i)})
	}
	t.rules.Store(rs)
}

// match returns the last rule that a packet matches, or the first one that is Quick; nil if there is
// none.
func (rs *ruleset) match(p *packet, dir Dir, ifName string) (last *rule) {
	for _, r := range rs.rules {
		if r.Dir != 0 && r.Dir != dir || r.On != "" && r.On != ifName || r.Proto != 0 && r.Proto != p.proto ||
			!within(r.Src, p.af, &p.src) || !within(r.Dst, p.af, &p.dst) ||
			!r.SrcPort.match(p.sport) || !r.DstPort.match(p.dport) {
			continue
		}
		last = r
		if r.Quick {
			break
		}
	}
	return last
}

func within(p netip.Prefix, af uint8, a *[16]byte) bool {
	k := Key{AF: af, Addr: [2][16]byte{*a}}
	return !p.IsValid() || p.Contains(k.addr(0))
}

// A Verdict is what is to be done with a packet.
type Verdict uint8

// The verdicts.
const (
	Block    Verdict = iota // the caller frees it
	Pass                    // the caller goes on with it
	Deferred                // somebody else has it now, and sends it later
)

// String returns "block", "pass" or "deferred".
func (v Verdict) String() string {
	switch v {
	case Block:
		return "block"
	case Pass:
		return "pass"
	case Deferred:
		return "deferred"
	}
	return "no verdict"
}

// generated marks packets that were held back and are sent now: they have been tested.
var generated = mbuf.NewTagKey[struct{}]("pf generated", mbuf.TagOptions[struct{}]{Persistent: true})

// Generated marks a packet that has been tested: [Table.Test] passes it.
func Generated(m *mbuf.Packet) { generated.Set(m, struct{}{}) }

// Test looks a packet over, which begins with its IP header, on its way in or out by an interface
// (pf_test). If it belongs to a state it passes, unless its sequence numbers are none that the
// state expects. If it belongs to none the rules are asked, and what no rule passes is blocked. A
// packet of a state whose addresses are translated is blocked: nobody translates them here.
//
// It borrows the packet, unless the verdict is [Deferred]: then it has consumed it.
func (t *Table) Test(l *lwp.LWP, dir Dir, ifName string, m *mbuf.Packet) Verdict {
	if _, ok := generated.Get(m); ok {
		return Pass
	}
	b, _ := m.Pullup(min(look, m.Len()))
	p, why := parse(b, m.Len())
	if why != mbuf.Done {
		t.stats.malformed.Add(1)
		return Block
	}
	k := p.key(dir)
	if p.error {
		if about, ok := p.about(dir); ok {
			k = about
		}
	}
	if st := t.Find(&k, dir, ifName); st != nil {
		switch v := st.packet(&p, dir); v {
		case fits:
			if p.error {
				return Pass // it is news of the state, not of its own
			}
			t.updated(l, st)
			t.stats.matches.Add(1)
			return Pass
		case doesNot:
			t.stats.mismatches.Add(1)
			return Block
		case overAndNew:
			t.Remove(l, st)
		}
	}
	r := t.rules.Load().match(&p, dir, ifName)
	if r == nil || r.Block || p.error {
		t.stats.blocked.Add(1)
		return Block
	}
	if r.NoState {
		return Pass
	}
	if p.proto == TCP && !r.AnyFlags && p.flags&(syn|ack) != syn {
		t.stats.blocked.Add(1)
		return Block
	}
	return t.admit(l, r, &p, &k, dir, ifName, m)
}

// admit makes a state for a packet that a rule passes.
func (t *Table) admit(l *lwp.LWP, r *rule, p *packet, k *Key, dir Dir, ifName string, m *mbuf.Packet) Verdict {
	now := t.Now()
	st := &State{wire: *k, rule: r, dir: dir, created: now, expire: now, packets: [2]uint64{1}, bytes: [2]uint64{uint64(p.len)}}
	st.stack = &st.wire
	if r.NoSync || p.proto == PFSync {
		st.flags |= NoSync
	}
	if r.Sloppy {
		st.flags |= Sloppy
	}
	st.first(p)
	bound := anyInterface
	if r.Bound {
		bound = ifName
	}
	switch err := t.insert(l, st, bound, false, false); err {
	case nil:
	case ErrExists: // another packet of the conversation was faster
		if st := t.Find(k, dir, ifName); st != nil && st.packet(p, dir) == fits {
			t.updated(l, st)
			return Pass
		}
		fallthrough
	default:
		t.stats.blocked.Add(1)
		return Block
	}
	if dir == Out && !p.multicast && st.flags&NoSync == 0 {
		s := t.psz.ReadEnter(l)
		defer s.Exit()
		if sy := t.sync.Load(); sy != nil && (*sy).Defer(st, m) {
			return Deferred
		}
	}
	return Pass
}

// Update tells the syncer that a state has changed.
func (t *Table) Update(l *lwp.LWP, st *State) { t.updated(l, st) }

func (t *Table) updated(l *lwp.LWP, st *State) {
	s := t.psz.ReadEnter(l)
	if sy := t.sync.Load(); sy != nil {
		(*sy).Update(st)
	}
	s.Exit()
}

// Insert inserts a state as a rule without conditions would, for conversations that no packet of
// ours has begun: the keys outside and inside, which may be the same, the direction of its first
// packet, and the interface that it is bound to, if any. Errors: [ErrExists], [ErrLimit],
// [ErrClosed].
func (t *Table) Insert(l *lwp.LWP, outside, inside Key, dir Dir, ifName string) (*State, error) {
	now := t.Now()
	st := &State{wire: outside, dir: dir, created: now, expire: now}
	st.stack = &st.wire
	if inside != outside {
		st.stack = &inside
	}
	switch outside.Proto {
	case TCP:
		st.src, st.dst = wire.Peer{Level: synSent, SeqHi: 1, MaxWin: 1}, wire.Peer{SeqHi: 1, MaxWin: 1}
		st.timeout = TCPFirst
	case UDP:
		st.src.Level, st.timeout = single, UDPFirst
	case ICMP, ICMPv6:
		st.timeout = ICMPFirst
	default:
		st.src.Level, st.timeout = single, OtherFirst
	}
	if err := t.insert(l, st, ifName, false, false); err != nil {
		return nil, err
	}
	return st, nil
}

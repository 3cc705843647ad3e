package mbuf

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/internal/invariants"
)

// ErrNoBufs reports that a bound was reached: a pool's limit, or a queue's (ENOBUFS).
var ErrNoBufs = errors.New("no buffer space available")

const (
	smallBytes = 256  // MSIZE
	largeBytes = 2304 // a cluster: a full Ethernet frame and headroom

	// Headroom is what a packet has in front of its bytes unless PoolConfig says otherwise.
	Headroom = 64

	// idle is how many packets, and buffers of a class, a pool keeps for later. More are left
	// to the garbage collector.
	idle = 4096
)

// PoolConfig is what a Pool is made of.
type PoolConfig struct {
	Name     string // for reports; "mbuf" if empty
	Limit    int    // how many packets may be outstanding at once; 0 for any number
	Headroom int    // bytes in front of a packet's; [Headroom] if 0, none if negative

	// Debug has the pool keep the books of a checked build in any build: who has each packet,
	// and poison in those that are freed. Places are known in checked builds only.
	Debug bool
}

// A Pool is where packets come from and go back to (pool_cache(9) of mbufs). It may be used by
// anyone; nothing blocks. It must not be copied.
type Pool struct {
	_        noCopy
	name     string
	limit    int64 // 0: none
	headroom int
	debug    bool

	mu    hook.Mutex // leaf; guards what follows
	stats counts
	idle  []*Packet
	small []*buffer
	large []*buffer
	live  map[*Packet]uint64 // with debug: who is outstanding, and which allocation it was
}

// counts are a pool's counters. Invariant: allocs = sum of frees + outstanding.
type counts struct {
	allocs, refused uint64
	outstanding     int64
	watermark       int64
	frees           [256]uint64
}

// Stats is a snapshot of a pool's counters.
// Allocs = the sum of Frees + Outstanding.
type Stats struct {
	Allocs      uint64            // packets given out
	Refused     uint64            // and not given out, for the limit
	Outstanding int64             // given out and not freed
	Watermark   int64             // the most that were outstanding at once
	Frees       map[Reason]uint64 // freed, by reason
}

// NewPool returns a pool.
func NewPool(c PoolConfig) *Pool {
	p := &Pool{name: c.Name, limit: int64(c.Limit), headroom: c.Headroom, debug: c.Debug || invariants.Enabled}
	if p.name == "" {
		p.name = "mbuf"
	}
	switch {
	case p.headroom == 0:
		p.headroom = Headroom
	case p.headroom < 0:
		p.headroom = 0
	}
	if p.debug {
		p.live = map[*Packet]uint64{}
	}
	return p
}

// Alloc returns a packet of n bytes, all zero, that is the caller's (m_gethdr with M_NOWAIT).
// Errors: [ErrNoBufs] if as many packets are outstanding as may be.
func (p *Pool) Alloc(n int) (*Packet, error) {
	m, err := p.get(n)
	if err != nil {
		return nil, err
	}
	clear(m.first.bytes())
	return m, nil
}

// From returns a packet with a copy of the given bytes, each in a segment of its own (m_devget).
// Errors: [ErrNoBufs].
func (p *Pool) From(segments ...[]byte) (*Packet, error) {
	var head []byte
	if len(segments) > 0 {
		head, segments = segments[0], segments[1:]
	}
	m, err := p.get(len(head))
	if err != nil {
		return nil, err
	}
	copy(m.first.bytes(), head)
	for _, b := range segments {
		s := p.segment(len(b))
		copy(s.bytes(), b)
		m.more = append(m.more, s)
	}
	return m, nil
}

// bare asks get for a packet without a segment.
const bare = -1

// get returns a packet of n bytes, which are not zero.
func (p *Pool) get(n int) (*Packet, error) {
	p.mu.Lock()
	if p.limit > 0 && p.stats.outstanding >= p.limit {
		p.stats.refused++
		p.mu.Unlock()
		return nil, ErrNoBufs
	}
	p.stats.allocs++
	p.stats.outstanding++
	p.stats.watermark = max(p.stats.watermark, p.stats.outstanding)
	var m *Packet
	if i := len(p.idle) - 1; i >= 0 {
		m = p.idle[i]
		p.idle[i] = nil
		p.idle = p.idle[:i]
	} else {
		m = &Packet{pool: p}
	}
	if p.debug {
		p.live[m] = p.stats.allocs
		m.track = &track{alloc: invariants.Here(1), last: invariants.Here(1), moved: "allocated"}
	}
	var b *buffer
	if n != bare {
		b = p.bufferLocked(p.headroom + n)
	}
	p.mu.Unlock()
	m.owner.Store(nil)
	if n != bare {
		m.first = p.within(b, n)
	}
	return m, nil
}

// segment returns a segment of n bytes with headroom before it. They are not zero.
func (p *Pool) segment(n int) segment {
	p.mu.Lock()
	b := p.bufferLocked(p.headroom + n)
	p.mu.Unlock()
	return p.within(b, n)
}

// within returns a segment of n bytes in a buffer, or in a new one if b is nil.
func (p *Pool) within(b *buffer, n int) segment {
	if b == nil {
		size := p.headroom + n
		switch {
		case size <= smallBytes:
			size = smallBytes
		case size <= largeBytes:
			size = largeBytes
		}
		b = &buffer{mem: make([]byte, size)}
	}
	b.refs.StoreOwn(1)
	return segment{b, p.headroom, p.headroom + n}
}

// bufferLocked returns a buffer of at least size bytes, or nil if none is there.
func (p *Pool) bufferLocked(size int) (b *buffer) {
	class := &p.large
	switch {
	case size <= smallBytes:
		class = &p.small
	case size > largeBytes:
		return nil
	}
	if i := len(*class) - 1; i >= 0 {
		b = (*class)[i]
		*class = (*class)[:i]
	}
	return b
}

// drop gives a segment's buffer back unless others have it too.
func (p *Pool) drop(s *segment) {
	if p.last(s) {
		p.mu.Lock()
		p.recycleLocked(s.buf)
		p.mu.Unlock()
	}
	*s = segment{}
}

// last reports whether a segment that goes was the last in its buffer, which may then be used
// again. What is freed in a checked build is poisoned instead.
func (p *Pool) last(s *segment) bool {
	if s.buf == nil || s.buf.refs.Add(^uint32(0)) > 0 {
		return false
	}
	if p.debug {
		for i := range s.buf.mem {
			s.buf.mem[i] = 0xdb
		}
		return false
	}
	return true
}

func (p *Pool) recycleLocked(b *buffer) {
	switch {
	case len(b.mem) == smallBytes && len(p.small) < idle:
		p.small = append(p.small, b)
	case len(b.mem) == largeBytes && len(p.large) < idle:
		p.large = append(p.large, b)
	}
}

// free takes back packets that were released, all for one reason.
func (p *Pool) free(why Reason, ms ...*Packet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.frees[why] += uint64(len(ms))
	p.stats.outstanding -= int64(len(ms))
	for _, m := range ms {
		p.recyclePacketLocked(m)
	}
}

func (p *Pool) recyclePacketLocked(m *Packet) {
	if p.last(&m.first) {
		p.recycleLocked(m.first.buf)
	}
	for i := range m.more {
		if p.last(&m.more[i]) {
			p.recycleLocked(m.more[i].buf)
		}
	}
	if p.debug {
		delete(p.live, m)
		return // what is still looked at after this is found out
	}
	m.Header = Header{}
	m.first = segment{}
	clear(m.more)
	m.more = m.more[:0]
	if len(p.idle) < idle {
		p.idle = append(p.idle, m)
	}
}

// Stats returns the counters. It may be called at any time by anyone.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	c := p.stats
	p.mu.Unlock()
	s := Stats{Allocs: c.allocs, Refused: c.refused, Outstanding: c.outstanding, Watermark: c.watermark, Frees: map[Reason]uint64{}}
	for r, n := range c.frees {
		if n > 0 {
			s.Frees[Reason(r)] = n
		}
	}
	return s
}

// Outstanding returns how many packets are given out and not freed.
func (p *Pool) Outstanding() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.stats.outstanding)
}

// TB is the part of a testing.TB that [Pool.CheckLeaks] needs.
type TB interface {
	Helper()                           // as testing.TB's
	Errorf(format string, args ...any) // likewise
}

// CheckLeaks fails a test if packets are outstanding. In checked builds, and with
// PoolConfig.Debug, it says of each who has it and what was last done with it.
func (p *Pool) CheckLeaks(t TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stats.outstanding == 0 {
		return
	}
	t.Errorf("pool %q: %d packets were never freed", p.name, p.stats.outstanding)
	left := slices.SortedFunc(maps.Keys(p.live), func(a, b *Packet) int { return int(p.live[a]) - int(p.live[b]) })
	const most = 8
	for _, m := range left[:min(len(left), most)] {
		t.Errorf("allocation %d, last %s, is in %v\nlast:\n%v\nallocated:\n%v", p.live[m], m.track.moved, m.owner.Load(), m.track.last, m.track.alloc)
	}
}

// String returns the pool's name.
func (p *Pool) String() string { return fmt.Sprintf("pool %q", p.name) }

package mbuf_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/witness"
)

// The name of an interface that is gone is not that of the next one with its index.
func TestIfID_NamesOneInterface(t *testing.T) {
	gone, next := mbuf.IfID{Index: 3, Gen: 1}, mbuf.IfID{Index: 3, Gen: 2}
	require.NotEqual(t, gone, next)
	require.NotEqual(t, gone.String(), next.String())
	require.Equal(t, "3.1", gone.String())
	require.True(t, mbuf.IfID{}.IsZero())
	require.Equal(t, "none", mbuf.IfID{}.String())
	require.False(t, gone.IsZero())
}

// violates runs f, which breaks a rule, and returns what it was told.
func violates(t *testing.T, f func()) *witness.Violation {
	t.Helper()
	var v *witness.Violation
	func() {
		defer func() { v, _ = recover().(*witness.Violation) }()
		f()
	}()
	require.NotNil(t, v, "no violation")
	return v
}

// A twin of a packet is its bytes. Whatever is done to packets and their clones, each has the
// bytes that its twin has, and nothing is outstanding at the end.
func TestPacket_IsAsItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type pair struct {
			m    *mbuf.Packet
			twin []byte
		}
		pool := mbuf.NewPool(mbuf.PoolConfig{Headroom: rapid.SampledFrom([]int{-1, 0, 7}).Draw(t, "headroom")})
		var ps []pair
		size := rapid.SampledFrom([]int{0, 1, 5, 63, 64, 65, 192, 193, 250, 1500, 2240, 2241, 5000})
		fill := func(b []byte, t *rapid.T) []byte {
			x := rapid.Byte().Draw(t, "x")
			for i := range b {
				require.Zero(t, b[i], "new bytes are zero")
				x = x*5 + 1
				b[i] = x
			}
			return b
		}
		some := func(t *rapid.T) *pair {
			if len(ps) == 0 {
				t.Skip("no packet")
			}
			return &ps[rapid.IntRange(0, len(ps)-1).Draw(t, "which")]
		}
		short := func(p *pair, t *rapid.T) int {
			return rapid.OneOf(size, rapid.IntRange(-1, len(p.twin)+1)).Draw(t, "n")
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				require.Equal(t, len(ps), pool.Outstanding())
				for _, p := range ps {
					require.Equal(t, len(p.twin), p.m.Len())
					got := make([]byte, len(p.twin)+3)
					require.Equal(t, len(p.twin), p.m.CopyTo(got))
					require.True(t, bytes.Equal(p.twin, got[:len(p.twin)]))
				}
			},
			"alloc": func(t *rapid.T) {
				m, err := pool.Alloc(size.Draw(t, "size"))
				require.NoError(t, err)
				ps = append(ps, pair{m, slices.Clone(fill(m.Writable(), t))})
			},
			"from": func(t *rapid.T) {
				parts := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 70), 0, 4).Draw(t, "segments")
				m, err := pool.From(parts...)
				require.NoError(t, err)
				ps = append(ps, pair{m, bytes.Join(parts, nil)})
			},
			"clone": func(t *rapid.T) {
				p := some(t)
				c, err := p.m.Clone()
				require.NoError(t, err)
				ps = append(ps, pair{c, slices.Clone(p.twin)})
			},
			"free": func(t *rapid.T) {
				p := some(t)
				p.m.Free(mbuf.Done)
				*p = ps[len(ps)-1]
				ps = ps[:len(ps)-1]
			},
			"prepend": func(t *rapid.T) {
				p := some(t)
				p.twin = append(slices.Clone(fill(p.m.Prepend(size.Draw(t, "n")), t)), p.twin...)
			},
			"append": func(t *rapid.T) {
				p := some(t)
				p.twin = append(p.twin, fill(p.m.Append(size.Draw(t, "n")), t)...)
			},
			"pull": func(t *rapid.T) {
				p := some(t)
				n := short(p, t)
				ok := p.m.Pull(n)
				require.Equal(t, n >= 0 && n <= len(p.twin), ok)
				if ok {
					p.twin = p.twin[n:]
				}
			},
			"trim": func(t *rapid.T) {
				p := some(t)
				n := short(p, t)
				ok := p.m.Trim(n)
				require.Equal(t, n >= 0 && n <= len(p.twin), ok)
				if ok {
					p.twin = p.twin[:len(p.twin)-n]
				}
			},
			"pullup": func(t *rapid.T) {
				p := some(t)
				n := short(p, t)
				b, ok := p.m.Pullup(n)
				require.Equal(t, n >= 0 && n <= len(p.twin), ok)
				if ok {
					require.True(t, bytes.Equal(p.twin[:n], b))
				}
			},
			"bytes": func(t *rapid.T) {
				p := some(t)
				require.True(t, bytes.Equal(p.twin, p.m.Bytes()))
			},
			"write": func(t *rapid.T) {
				p := some(t)
				if b := p.m.Writable(); len(b) > 0 {
					i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
					b[i]++
					p.twin[i]++
				}
			},
		})
		for _, p := range ps {
			p.m.Free(mbuf.Lost)
		}
		s := pool.Stats()
		require.Equal(t, s.Allocs, s.Frees[mbuf.Done]+s.Frees[mbuf.Lost])
		pool.CheckLeaks(t)
	})
}

// Up to the headroom a header costs no segment.
func TestPrepend_UpToTheHeadroomMovesNothing(t *testing.T) {
	m, err := mbuf.NewPool(mbuf.PoolConfig{}).From([]byte("payload"))
	require.NoError(t, err)
	n := 0
	m.Prepend(mbuf.Headroom)
	for range m.Segments() {
		n++
	}
	require.Equal(t, 1, n)
	m.Prepend(1)
	for range m.Segments() {
		n++
	}
	require.Equal(t, 3, n)
}

// Reading says how much there is by n, and a slice cannot grow into what lies behind it.
func TestBytes_CannotBeAppendedTo(t *testing.T) {
	pool := mbuf.NewPool(mbuf.PoolConfig{})
	m, _ := pool.From([]byte("ab"))
	b, _ := m.Pullup(1)
	_ = append(b, 'x')
	_ = append(m.Bytes(), 'x')
	require.Equal(t, "ab", string(m.Bytes()))
	require.Equal(t, []byte{0}, m.Append(1), "what an append behind the packet would have written")
}

func TestPool_RefusesAtItsLimitAndCounts(t *testing.T) {
	pool := mbuf.NewPool(mbuf.PoolConfig{Limit: 2})
	a, err := pool.Alloc(1)
	require.NoError(t, err)
	b, err := a.Clone()
	require.NoError(t, err)
	_, err = pool.Alloc(1)
	require.ErrorIs(t, err, mbuf.ErrNoBufs)
	_, err = pool.From([]byte("x"))
	require.ErrorIs(t, err, mbuf.ErrNoBufs)
	_, err = b.Clone()
	require.ErrorIs(t, err, mbuf.ErrNoBufs)
	a.Free(mbuf.NoRoute)
	c, err := pool.Alloc(1)
	require.NoError(t, err)
	b.Free(mbuf.NoRoute)
	c.Free(200)
	s := pool.Stats()
	require.Equal(t, mbuf.Stats{Allocs: 3, Refused: 3, Watermark: 2, Frees: map[mbuf.Reason]uint64{mbuf.NoRoute: 2, 200: 1}}, s)
	require.Equal(t, "no route", mbuf.NoRoute.String())
	require.Equal(t, "reason 200", mbuf.Reason(200).String())
}

// Every reason has a name of its own.
func TestReason_HasAName(t *testing.T) {
	seen := map[string]mbuf.Reason{}
	for r := mbuf.Done; r <= mbuf.Full; r++ {
		require.NotEmpty(t, r.String(), "%d", r)
		require.NotContains(t, seen, r.String())
		seen[r.String()] = r
	}
}

// Each packet has one owner, and who is not is told who is.
func TestOwner_IsTheOnlyOne(t *testing.T) {
	pool := mbuf.NewPool(mbuf.PoolConfig{Debug: true})
	queue, other, hand := mbuf.NewQueue("the adverts"), mbuf.NewQueue("the others"), mbuf.NewHand("stream 2")
	m, _ := pool.From([]byte("x"))
	m.Keep(queue)
	require.True(t, m.OwnedBy(queue))
	require.Contains(t, violates(t, func() { m.Free(mbuf.Done) }).Text, "freed (done) while it is in the adverts")
	require.Contains(t, violates(t, func() { m.Keep(other) }).Text, "kept in the others while it is in the adverts")
	require.Contains(t, violates(t, func() { m.Take(other, nil) }).Text, "taken from the others while it is in the adverts")
	m.Take(queue, hand)
	require.True(t, m.OwnedBy(hand), "its handler can be found out")
	m.Keep(other)
	m.Take(other, nil)
	require.True(t, m.OwnedBy(nil))
	m.Free(mbuf.Malformed)
	v := violates(t, func() { m.Free(mbuf.Done) })
	require.Contains(t, v.Text, "freed (done) after it was freed (malformed); it was last freed")
	if invariants.Enabled {
		require.Contains(t, v.Sites[0].Stack, "TestOwner_IsTheOnlyOne")
		require.Contains(t, v.Sites[1].Stack, "TestOwner_IsTheOnlyOne")
	}
	require.Contains(t, violates(t, func() { m.Keep(queue) }).Text, "kept in the adverts after it was freed")
	require.Contains(t, violates(t, func() { m.Take(queue, nil) }).Text, "after it was freed")
	pool.CheckLeaks(t)
}

// A pool that keeps books never gives out again what was freed, and overwrites its bytes.
func TestDebug_PoisonsWhatIsFreed(t *testing.T) {
	pool := mbuf.NewPool(mbuf.PoolConfig{Debug: true})
	m, _ := pool.From([]byte("secret"))
	b := m.Bytes()
	m.Free(mbuf.Done)
	require.Equal(t, bytes.Repeat([]byte{0xdb}, 6), b)
	n, _ := pool.From([]byte("next"))
	require.NotSame(t, m, n)
	n.Free(mbuf.Done)
	// What a clone still reads is not overwritten.
	m, _ = pool.From([]byte("shared"))
	c, _ := m.Clone()
	m.Free(mbuf.Done)
	require.Equal(t, "shared", string(c.Bytes()))
	c.Free(mbuf.Done)
}

// Without books packets and buffers are used again.
func TestPool_UsesAgainWhatIsFreed(t *testing.T) {
	if invariants.Enabled {
		t.Skip("checked builds never do")
	}
	pool := mbuf.NewPool(mbuf.PoolConfig{})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m, _ := pool.Alloc(1500)
		m.Prepend(14)
		c, _ := m.Clone()
		m.Free(mbuf.Done)
		c.Free(mbuf.Done)
	}))
	m, _ := pool.From([]byte("x"))
	m.In, m.Mark = mbuf.IfID{Index: 1, Gen: 1}, 7
	m.Free(mbuf.Done)
	n, _ := pool.Alloc(1)
	require.Same(t, m, n)
	require.Equal(t, mbuf.Header{}, n.Header)
	require.Equal(t, []byte{0}, n.Bytes())
}

type recorder struct{ lines []string }

func (r *recorder) Helper() {}
func (r *recorder) Errorf(f string, a ...any) {
	r.lines = append(r.lines, f)
}

func TestCheckLeaks_FailsForWhatIsLeft(t *testing.T) {
	for _, debug := range []bool{false, true} {
		pool := mbuf.NewPool(mbuf.PoolConfig{Debug: debug})
		m, _ := pool.Alloc(1)
		var r recorder
		pool.CheckLeaks(&r)
		require.NotEmpty(t, r.lines)
		m.Free(mbuf.Done)
		r.lines = nil
		pool.CheckLeaks(&r)
		require.Empty(t, r.lines)
	}
}

func TestTag_IsFreedOnceTheLastFirst(t *testing.T) {
	pool := mbuf.NewPool(mbuf.PoolConfig{})
	var gone []string
	free := func(s string) { gone = append(gone, s) }
	state := mbuf.NewTagKey("state", mbuf.TagOptions[string]{Free: free})
	note := mbuf.NewTagKey("note", mbuf.TagOptions[string]{Free: free, Clone: func(s string) string { return s + "'" }, Persistent: true})
	plain := mbuf.NewTagKey[int]("plain", mbuf.TagOptions[int]{})

	m, _ := pool.Alloc(1)
	state.Set(m, "a")
	note.Set(m, "b")
	plain.Set(m, 3)
	state.Set(m, "c") // in place of a
	require.Equal(t, []string{"a"}, gone)
	v, ok := state.Get(m)
	require.True(t, ok)
	require.Equal(t, "c", v)

	c, _ := m.Clone()
	_, ok = state.Get(c)
	require.False(t, ok, "state is not cloned")
	v, _ = note.Get(c)
	require.Equal(t, "b'", v)
	require.Contains(t, violates(t, func() { state.Copy(m, c) }).Text, `asked for a copy of its tag "state", which cannot be cloned`)
	note.Copy(m, c)
	require.Equal(t, []string{"a", "b'"}, gone)

	taken, ok := state.Take(c)
	require.False(t, ok)
	require.Empty(t, taken)
	c.DeleteNonPersistentTags()
	_, ok = note.Get(c)
	require.True(t, ok)
	c.Free(mbuf.Done)
	require.Equal(t, []string{"a", "b'", "b'"}, gone)

	gone = nil
	m.DeleteNonPersistentTags()
	require.Equal(t, []string{"c"}, gone)
	_, ok = plain.Get(m)
	require.False(t, ok)
	state.Set(m, "d")
	m.Free(mbuf.Done)
	require.Equal(t, []string{"c", "d", "b"}, gone)
	m, _ = pool.Alloc(1)
	_, ok = state.Get(m)
	require.False(t, ok, "a packet that is used again has no tags")
	require.False(t, state.Delete(m))
	state.Set(m, "e")
	taken, ok = state.Take(m)
	require.True(t, ok)
	require.Equal(t, "e", taken)
	m.Free(mbuf.Done)
	require.Equal(t, []string{"c", "d", "b"}, gone, "what was taken is the taker's")
}

// What a tag's packet ended for is told to those who ask, alone and in a list; a tag that is only taken off
// is freed as any other.
func TestTag_IsToldWhyItsPacketEnded(t *testing.T) {
	pool := mbuf.NewPool(mbuf.PoolConfig{})
	var gone []string
	key := mbuf.NewTagKey("watch", mbuf.TagOptions[string]{
		Free:  func(s string) { gone = append(gone, s+" freed") },
		Ended: func(s string, why mbuf.Reason) { gone = append(gone, s+" "+why.String()) },
	})
	packet := func(s string) *mbuf.Packet {
		m, err := pool.Alloc(1)
		require.NoError(t, err)
		key.Set(m, s)
		return m
	}
	m := packet("a")
	key.Set(m, "b")
	m.Free(mbuf.NoRoute)
	var l mbuf.List
	l.Push(packet("c"))
	l.Free(mbuf.Shutdown)
	require.Equal(t, []string{"a freed", "b " + mbuf.NoRoute.String(), "c " + mbuf.Shutdown.String()}, gone)
}

// A tag's free function that panics is not called again when the panic is survived.
func TestTag_ThatPanicsIsNotFreedTwice(t *testing.T) {
	calls := 0
	key := mbuf.NewTagKey("bad", mbuf.TagOptions[int]{Free: func(int) { calls++; panic("bad") }})
	m, _ := mbuf.NewPool(mbuf.PoolConfig{}).Alloc(1)
	key.Set(m, 1)
	require.Panics(t, func() { key.Delete(m) })
	require.False(t, key.Delete(m))
	require.Equal(t, 1, calls)
	m.Free(mbuf.Done)
}

func TestList_KeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := mbuf.NewPool(mbuf.PoolConfig{})
		other := mbuf.NewPool(mbuf.PoolConfig{})
		var l mbuf.List
		var twin []*mbuf.Packet
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				require.Equal(t, len(twin), l.Len())
				for i, m := range twin {
					require.Same(t, m, l.At(i))
				}
			},
			"push": func(t *rapid.T) {
				var ms []*mbuf.Packet
				for range rapid.IntRange(0, 9).Draw(t, "n") {
					p := pool
					if rapid.Bool().Draw(t, "other") {
						p = other
					}
					m, _ := p.Alloc(0)
					ms = append(ms, m)
				}
				l.Push(ms...)
				twin = append(twin, ms...)
			},
			"pop": func(t *rapid.T) {
				m := l.Pop()
				if len(twin) == 0 {
					require.Nil(t, m)
					return
				}
				require.Same(t, twin[0], m)
				twin = twin[1:]
				m.Free(mbuf.Done)
			},
		})
		require.Panics(t, func() { l.At(len(twin)) })
		l.Free(mbuf.Shutdown)
		require.Zero(t, l.Len())
		pool.CheckLeaks(t)
		other.CheckLeaks(t)
	})
}

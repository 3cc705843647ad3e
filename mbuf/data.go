package mbuf

import (
	"iter"

	"github.com/softnet-go/softnet/internal/hook"
)

// A buffer is memory that packets share (struct m_ext).
type buffer struct {
	refs hook.Uint32 // segments that lie in it
	mem  []byte
}

// A segment is a part of a buffer.
type segment struct {
	buf      *buffer
	off, end int
}

func (s *segment) bytes() []byte { return s.buf.mem[s.off:s.end:s.end] }
func (s *segment) len() int      { return s.end - s.off }

// shared reports whether others read the segment's buffer too.
func (s *segment) shared() bool { return s.buf.refs.Load() > 1 }

func (s *segment) share() segment {
	s.buf.refs.Add(1)
	return *s
}

// Len returns how many bytes the packet has.
func (m *Packet) Len() int {
	n := m.first.len()
	for i := range m.more {
		n += m.more[i].len()
	}
	return n
}

// Segments yields the packet's bytes segment by segment, to be read.
func (m *Packet) Segments() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if !yield(m.first.bytes()) {
			return
		}
		for i := range m.more {
			if !yield(m.more[i].bytes()) {
				return
			}
		}
	}
}

// Bytes returns the packet's bytes, to be read until the packet is next changed. If they lie
// in several segments they are moved into one first.
func (m *Packet) Bytes() []byte {
	if len(m.more) > 0 {
		m.join()
	}
	return m.first.bytes()
}

// Pullup returns the first n bytes in one piece, to be read until the packet is next changed,
// and false if it has not that many (m_pullup, which frees it then). In packets of one
// segment, and those whose first is long enough, nothing moves.
func (m *Packet) Pullup(n int) ([]byte, bool) {
	if n < 0 || n > m.Len() {
		return nil, false
	}
	if n > m.first.len() {
		m.join()
	}
	return m.first.bytes()[:n:n], true
}

// Writable returns the packet's bytes, to be written, in one piece that no clone shares.
func (m *Packet) Writable() []byte {
	if len(m.more) > 0 || m.first.shared() {
		m.join()
	}
	return m.first.bytes()
}

// join moves the bytes into one segment that nobody shares, with headroom as a new packet has.
func (m *Packet) join() {
	s := m.pool.segment(m.Len())
	m.CopyTo(s.bytes())
	m.dropData()
	m.first = s
}

// dropData gives back the packet's buffers.
func (m *Packet) dropData() {
	m.pool.drop(&m.first)
	for i := range m.more {
		m.pool.drop(&m.more[i])
	}
	m.more = m.more[:0]
}

// CopyTo copies the packet's first bytes to b, as many as it has room for, and returns how many
// (m_copydata).
func (m *Packet) CopyTo(b []byte) (n int) {
	for s := range m.Segments() {
		n += copy(b[n:], s)
	}
	return n
}

// Prepend makes the packet n bytes longer at its front and returns these, zero, to be written
// (M_PREPEND). Up to the pool's headroom it moves nothing.
func (m *Packet) Prepend(n int) []byte {
	if n < 0 {
		panic(m.violation("negative length", "prepended to by %d bytes", n))
	}
	if n <= m.first.off && !m.first.shared() {
		m.first.off -= n
	} else {
		s := m.pool.segment(n)
		if m.first.len() > 0 {
			m.more = append(m.more, segment{})
			copy(m.more[1:], m.more)
			m.more[0] = m.first
		} else {
			m.pool.drop(&m.first)
		}
		m.first = s
	}
	b := m.first.bytes()[:n:n]
	clear(b)
	return b
}

// Append makes the packet n bytes longer at its end and returns these, zero, to be written.
func (m *Packet) Append(n int) []byte {
	if n < 0 {
		panic(m.violation("negative length", "appended to by %d bytes", n))
	}
	last := &m.first
	if k := len(m.more); k > 0 {
		last = &m.more[k-1]
	}
	if last.shared() || len(last.buf.mem)-last.end < n {
		m.more = append(m.more, m.pool.segment(n))
		last = &m.more[len(m.more)-1]
		if m.first.len() == 0 && len(m.more) == 1 {
			m.pool.drop(&m.first)
			m.first, m.more = *last, m.more[:0]
			last = &m.first
		}
	} else {
		last.end += n
	}
	b := last.buf.mem[last.end-n : last.end : last.end]
	clear(b)
	return b
}

// Pull takes n bytes off the packet's front, and reports whether it has that many; if not it
// takes none (m_adj).
func (m *Packet) Pull(n int) bool {
	if n < 0 || n > m.Len() {
		return false
	}
	for n > m.first.len() {
		n -= m.first.len()
		m.pool.drop(&m.first)
		m.first = m.more[0]
		m.more = append(m.more[:0], m.more[1:]...)
	}
	m.first.off += n
	return true
}

// Trim takes n bytes off the packet's end, and reports whether it has that many; if not it
// takes none (m_adj with a negative length).
func (m *Packet) Trim(n int) bool {
	if n < 0 || n > m.Len() {
		return false
	}
	for k := len(m.more); k > 0; k = len(m.more) {
		last := &m.more[k-1]
		if n < last.len() {
			last.end -= n
			return true
		}
		n -= last.len()
		m.pool.drop(last)
		m.more = m.more[:k-1]
	}
	m.first.end -= n
	return true
}

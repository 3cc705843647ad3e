package linux

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"sync"
	"time"
)

// A Seal has frames believed only if they come from somebody who has its key, for protocols such as
// pfsync that believe whoever is on the link. What a frame says it does not hide.
//
//	 0      6      12       14              16         24                   n
//	+------+------+--------+---------------+----------+--------------------+--------------------+
//	| dst  | src  | 0x88b5 | own EtherType |  counter |      payload       | HMAC-SHA256, first |
//	|      |      |        |               |  8 bytes |                    |  16 bytes, of all  |
//	+------+------+--------+---------------+----------+--------------------+--------------------+
//
// Counters grow, from the time in nanoseconds on, so that a frame that is sent again is not believed
// again, nor after a restart, as long as clocks do not go back. A sealed frame is [SealLen] bytes
// longer. Its methods may be called by anyone.
type Seal struct {
	mu   sync.Mutex
	mac  hash.Hash
	next uint64
	seen map[[6]byte]*window
	bad  uint64
}

const (
	tagLen   = 16
	sealType = 0x88b5 // for experiments, IEEE 802
	// SealLen is by how much a sealed frame is longer.
	SealLen = 2 + 8 + tagLen
	// maxSenders is how many senders are told apart. Only who has the key can be one.
	maxSenders = 1024
)

// The errors of a Seal.
var (
	ErrKey    = errors.New("linux: a key of less than 16 bytes")
	ErrForged = errors.New("linux: a frame that nobody with the key has sent")
	ErrReplay = errors.New("linux: a frame that has been seen, or is too old to tell")
)

// NewSeal returns a seal with a key, which should be 32 random bytes. Errors: [ErrKey].
func NewSeal(key []byte) (*Seal, error) {
	if len(key) < 16 {
		return nil, ErrKey
	}
	return &Seal{mac: hmac.New(sha256.New, key), next: uint64(time.Now().UnixNano()), seen: map[[6]byte]*window{}}, nil
}

// Bad returns how many frames were not believed.
func (s *Seal) Bad() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad
}

// tag returns what belongs at the end of a frame. mu is held.
func (s *Seal) tag(frame []byte) []byte {
	s.mac.Reset()
	s.mac.Write(frame)
	return s.mac.Sum(nil)[:tagLen]
}

// Close returns a frame sealed. The frame has an Ethernet header.
func (s *Seal) Close(frame []byte) []byte {
	out := make([]byte, 0, len(frame)+SealLen)
	out = append(out, frame[:12]...)
	out = binary.BigEndian.AppendUint16(out, sealType)
	out = append(out, frame[12:14]...)
	s.mu.Lock()
	defer s.mu.Unlock()
	out = binary.BigEndian.AppendUint64(out, s.next)
	s.next++
	out = append(out, frame[14:]...)
	return append(out, s.tag(out)...)
}

// Open returns the frame that was sealed. Errors: [ErrForged], which is whatever is not sealed, too,
// and [ErrReplay].
func (s *Seal) Open(frame []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(frame) - tagLen
	if n < 14+2+8 || binary.BigEndian.Uint16(frame[12:]) != sealType || !hmac.Equal(s.tag(frame[:n]), frame[n:]) {
		s.bad++
		return nil, ErrForged
	}
	from := [6]byte(frame[6:12])
	w := s.seen[from]
	if w == nil {
		if len(s.seen) == maxSenders {
			clear(s.seen)
		}
		w = new(window)
		s.seen[from] = w
	}
	if !w.take(binary.BigEndian.Uint64(frame[16:])) {
		s.bad++
		return nil, ErrReplay
	}
	return append(append(append(make([]byte, 0, n), frame[:12]...), frame[14:16]...), frame[24:n]...), nil
}

// A window is which numbers have been seen: none above last, and of the 64 up to it those whose bit is
// set (RFC 4303, 3.4.3). What is further back is as if it had been.
type window struct{ last, bits uint64 }

// take reports whether a number is new, and makes it one that has been seen.
func (w *window) take(n uint64) bool {
	switch back := w.last - n; {
	case n > w.last:
		if ahead := n - w.last; ahead < 64 {
			w.bits = w.bits<<ahead | 1
		} else {
			w.bits = 1
		}
		w.last = n
	case back >= 64 || w.bits>>back&1 != 0:
		return false
	default:
		w.bits |= 1 << back
	}
	return true
}

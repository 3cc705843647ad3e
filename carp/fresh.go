package carp

import (
	"encoding/binary"
	"time"
)

// stamp is the counter that goes with a time, if counters have to grow: microseconds, which a
// node that is started again does not repeat.
func stamp(now time.Time) uint64 { return uint64(max(0, now.UnixMicro())) }

// signed returns a with its counter and digest. In the protocol a virtual host has one counter
// for all its life, in both families, and a peer that wants it to grow would hear nobody. With
// Config.Fresh each packet has one of its own.
func (v *VHost) signed(a Advert, now time.Time) Advert {
	a.Counter = v.counter
	if v.dev.cfg.Fresh {
		v.last = max(v.last+1, stamp(now))
		binary.BigEndian.PutUint64(a.Counter[:], v.last)
	}
	a.Digest = v.auth.Sign(a.Counter)
	return a
}

// believe reports whether a counter is later than all before, and remembers it.
func (v *VHost) believe(counter [8]byte) bool {
	n := binary.BigEndian.Uint64(counter[:])
	if n <= v.last {
		return false
	}
	v.last = n
	return true
}

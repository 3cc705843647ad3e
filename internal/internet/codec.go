package internet

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
)

// The stored form is one deflate stream. For each family, IPv4 first:
//
//	n      uvarint      how many prefixes
//	bits   n bytes      their lengths
//	gaps   n uvarints   how far each is from the one before, in steps of its own size
//
// Lengths repeat and gaps are small; apart from each other they compress best. A prefix
// longer than 64 bits, of which there are few, gives the gap of its upper half and then
// its lower half as it is.

// A number is an address as a fraction: an IPv4 address is the upper 32 bits of it.
type number struct{ hi, lo uint64 }

func numberOf(a netip.Addr) number {
	if a.Is4() {
		b := a.As4()
		return number{uint64(binary.BigEndian.Uint32(b[:])) << 32, 0}
	}
	b := a.As16()
	return number{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}
}

func (n number) addr(width int) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], n.hi)
	binary.BigEndian.PutUint64(b[8:], n.lo)
	if width == 32 {
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrFrom16(b)
}

// Encode returns the stored form of prefixes, which are ordered as Prefixes says, without
// host bits and without duplicates.
func Encode(ps []netip.Prefix) ([]byte, error) {
	for i, p := range ps {
		if !p.IsValid() || p != p.Masked() || i > 0 && !less(ps[i-1], p) {
			return nil, fmt.Errorf("internet: prefix %d, %v, is not canonical, or out of order", i, p)
		}
	}
	n4 := 0
	for n4 < len(ps) && ps[n4].Addr().Is4() {
		n4++
	}
	var raw []byte
	for _, family := range [][]netip.Prefix{ps[:n4], ps[n4:]} {
		raw = binary.AppendUvarint(raw, uint64(len(family)))
		for _, p := range family {
			raw = append(raw, byte(p.Bits()))
		}
		var last number
		for _, p := range family {
			here, bits := numberOf(p.Addr()), p.Bits()
			upper := 64 - min(bits, 64)
			raw = binary.AppendUvarint(raw, here.hi>>upper-last.hi>>upper)
			if bits > 64 {
				raw = binary.AppendUvarint(raw, here.lo>>(128-bits))
			}
			last = here
		}
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(raw); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

func less(p, q netip.Prefix) bool {
	c := p.Addr().Compare(q.Addr())
	return c < 0 || c == 0 && p.Bits() < q.Bits()
}

var errCorrupt = errors.New("internet: not a stored table")

// Decode is what Encode was.
func Decode(stored []byte) (ps []netip.Prefix, err error) {
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(stored)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	uvarint := func() uint64 {
		v, n := binary.Uvarint(raw)
		if n <= 0 {
			err, n = errCorrupt, 0
		}
		raw = raw[n:]
		return v
	}
	for _, width := range []int{32, 128} {
		n := uvarint()
		if n > uint64(len(raw)) {
			return nil, errCorrupt
		}
		lengths := raw[:n]
		raw = raw[n:]
		ps = slices.Grow(ps, int(n))
		var here number
		for _, length := range lengths {
			bits := int(length)
			upper := 64 - min(bits, 64)
			here = number{hi: (here.hi>>upper + uvarint()) << upper}
			if bits > 64 {
				here.lo = uvarint() << max(128-bits, 0)
			}
			p := netip.PrefixFrom(here.addr(width), bits)
			if !p.IsValid() || len(ps) > 0 && !less(ps[len(ps)-1], p) {
				return nil, errCorrupt
			}
			ps = append(ps, p)
		}
	}
	if err != nil || len(raw) > 0 {
		return nil, errCorrupt
	}
	return ps, nil
}

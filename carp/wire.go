package carp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// What an advertisement says about itself.
const (
	Version    = 2
	TypeAdvert = 1
	AuthLen    = 7  // 32-bit words of counter and digest; nobody checks it
	HeaderLen  = 36 // bytes

	Protocol = 112 // of IPv4 and IPv6; VRRP has the same
	TTL      = 255 // nothing less is believed: a router would have taken one off
)

// ErrShort reports that bytes are too few for a header.
var ErrShort = errors.New("carp: shorter than an advertisement")

// An Advert is an advertisement as it is on the wire, without its checksum (struct carp_header,
// OpenBSD ip_carp.h):
//
//	 0               1               2               3
//	+-------+-------+---------------+---------------+---------------+
//	|version| type  |     VHID      |    AdvSkew    |    AuthLen    |
//	+-------+-------+---------------+---------------+---------------+
//	|    Demote     |    AdvBase    |           checksum            |
//	+---------------+---------------+---------------+---------------+
//	|                        Counter, 8 bytes                       |
//	+---------------------------------------------------------------+
//	|             Digest: HMAC-SHA1, 20 bytes (see Auth)            |
//	+---------------------------------------------------------------+
//
// The digest covers neither AdvBase, AdvSkew nor Demote.
type Advert struct {
	Version, Type uint8 // a nibble each
	VHID          uint8
	AdvSkew       uint8 // 1/256 s
	AuthLen       uint8
	Demote        uint8 // OpenBSD's; others send 0 and do not look
	AdvBase       uint8 // seconds
	Counter       [8]byte
	Digest        [20]byte
}

// Append appends the 36 bytes of the advertisement to b, with their checksum.
func (a *Advert) Append(b []byte) []byte {
	n := len(b)
	b = append(b, a.Version<<4|a.Type&0xf, a.VHID, a.AdvSkew, a.AuthLen, a.Demote, a.AdvBase, 0, 0)
	b = append(b, a.Counter[:]...)
	b = append(b, a.Digest[:]...)
	binary.BigEndian.PutUint16(b[n+6:], ^sum(b[n:]))
	return b
}

// Parse reads an advertisement from the first 36 bytes of b; what follows them is ignored, as
// the kernels do. It looks at no field, and not at the checksum: see [ChecksumOK]. Errors:
// [ErrShort].
func Parse(b []byte) (Advert, error) {
	if len(b) < HeaderLen {
		return Advert{}, fmt.Errorf("%w: %d bytes", ErrShort, len(b))
	}
	a := Advert{
		Version: b[0] >> 4, Type: b[0] & 0xf,
		VHID: b[1], AdvSkew: b[2], AuthLen: b[3], Demote: b[4], AdvBase: b[5],
	}
	copy(a.Counter[:], b[8:16])
	copy(a.Digest[:], b[16:36])
	return a, nil
}

// ChecksumOK reports whether the first 36 bytes of b sum up as they should. There is no pseudo
// header, not even in IPv6, where NetBSD has one.
func ChecksumOK(b []byte) bool { return len(b) >= HeaderLen && sum(b[:HeaderLen]) == 0xffff }

// IsBowOut reports whether the sender leaves: 255 seconds and 255/256 is what no node waits for.
func (a *Advert) IsBowOut() bool { return a.AdvBase == bowOut && a.AdvSkew == bowOut }

// sum is the Internet checksum's one's complement sum, RFC 1071, of an even number of bytes.
func sum(b []byte) uint16 {
	var s uint32
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

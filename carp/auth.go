package carp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/softnet-go/softnet/ifnet"
)

// MaxPassword is how long a password may be, in bytes.
const MaxPassword = 19

// ErrPassword reports a password that is too long. The kernels' tools cut it off instead.
var ErrPassword = errors.New("carp: password is longer than 19 bytes")

// An Auth signs and verifies the advertisements of one virtual host (carp_hmac_prepare,
// carp_hmac_generate, carp_hmac_verify). The digest is HMAC-SHA1, under the password, of
//
//	version, type │ link address, if set by hand │ vhid │ IPv4 addresses │ IPv6 addresses │ counter
//	   2      1   │   6 bytes                    │      │ ascending      │ ascending      │ 8 bytes
//
// so all nodes must have the same set of addresses. Version and type are constants, not what the
// packet says. A link-local address is left out when we sign (NOV6LL), because each node has its
// own; what is signed with it (ORIG), as NetBSD and FreeBSD do, is accepted. An Auth is immutable.
type Auth struct {
	key          []byte
	orig, nov6ll []byte // what is hashed before the counter
}

// NewAuth returns the Auth of a vhid with a password and a set of virtual addresses, in any order.
// lladdr is the link address of a leader that has another than its virtual one, or nil.
// Errors: [ErrPassword].
func NewAuth(password string, vhid uint8, addrs []netip.Addr, lladdr *ifnet.MAC) (*Auth, error) {
	if len(password) > MaxPassword {
		return nil, fmt.Errorf("%w: it has %d", ErrPassword, len(password))
	}
	a := &Auth{key: []byte(password)} // HMAC fills it up with zeros itself
	head := []byte{Version, TypeAdvert}
	if lladdr != nil {
		head = append(head, lladdr[:]...)
	}
	head = append(head, vhid)
	a.orig, a.nov6ll = bytes.Clone(head), bytes.Clone(head)

	sorted := slices.Clone(addrs)
	for i := range sorted {
		sorted[i] = sorted[i].Unmap().WithZone("")
	}
	slices.SortFunc(sorted, netip.Addr.Compare) // IPv4 before IPv6, each as numbers
	for _, addr := range slices.Compact(sorted) {
		b := addr.AsSlice()
		if all(b, 0x00) || all(b, 0xff) {
			continue // the kernels' search for the next greater address never finds them
		}
		a.orig = append(a.orig, b...)
		if !addr.Is6() || !addr.IsLinkLocalUnicast() {
			a.nov6ll = append(a.nov6ll, b...)
		}
	}
	return a, nil
}

func all(b []byte, x byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != x })
}

// Sign returns the digest of a counter.
func (a *Auth) Sign(counter [8]byte) [20]byte { return a.digest(a.nov6ll, counter) }

// Verify reports whether a digest is that of the counter, with the link-local addresses or
// without them. It takes the same time for every digest.
func (a *Auth) Verify(counter [8]byte, digest [20]byte) bool {
	orig, nov6ll := a.digest(a.orig, counter), a.digest(a.nov6ll, counter)
	return subtle.ConstantTimeCompare(orig[:], digest[:])|subtle.ConstantTimeCompare(nov6ll[:], digest[:]) == 1
}

func (a *Auth) digest(head []byte, counter [8]byte) (d [20]byte) {
	h := hmac.New(sha1.New, a.key)
	h.Write(head)
	h.Write(counter[:])
	h.Sum(d[:0])
	return d
}
